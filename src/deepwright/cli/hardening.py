"""`deepwright harden`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command, audited
from deepwright.cli.words import CHECK, DISTURBED, FRESH, JSON, out, subject, tell, words
from deepwright.core.errors import InputError

_METHODS = ["smoothing", "sharpening", "adversarial-training", "trades", "corruption-training", "detector", "roast"]
_HEADS = ["hsfm", "dfr", "afr", "jtt", "group-dro", "last-layer"]
_OF_PICTURES = ("psnr", "ssim", "space", "max_change", "linear", "jobs")


@click.command(
    cls=Command,
    example="deepwright harden resnet8-mnist --with sharpening --epochs 0 --limit 60 --attack-limit 8 --check accuracy",
)
@words(
    subject("Mixed: of the training, else of the whole"),
    DISTURBED,
    click.option("--with", "method", type=click.Choice([*_METHODS, *_HEADS]), help="smoothing by default."),
    click.option("--epochs", type=int, help="Of training; the method's own by default."),
    click.option(
        "--strength",
        type=float,
        help="Deviation of smoothing's noise, strength of sharpening, budget of the attack, rate of false alarms.",
    ),
    click.option("--steps", type=int, help="Of adversarial training and trades, an input; 1 is the fast way."),
    click.option("--beta", type=float, help="Of trades: what steady answers are worth; 6 by default."),
    click.option("--norm", type=click.Choice(["linf", "l2"]), help="Of both: what the budget bounds; linf by default."),
    click.option(
        "--warm-up", type=float, help="Of both: share of the training in which the budget rises; 0.6 by default."
    ),
    click.option(
        "--held-out",
        multiple=True,
        metavar="FAMILY",
        help="Of corruption-training: kept back to measure on; noise, weather, occlusion and overlay by default.",
    ),
    click.option("--mixing", type=click.Choice(["consistent", "plain"]), help="Of corruption-training."),
    click.option(
        "--groups",
        metavar="COLUMN_OR_CSV",
        help="Of hsfm to last-layer, which relearn the last layer: what, with the class, makes groups.",
    ),
    CHECK,
    click.option(
        "--images",
        type=click.Path(path_type=Path),
        help="Instead of a network: a folder of pictures, sharpened into --out before they are released.",
    ),
    click.option("--psnr", type=float, help="Of --images: decibels that each picture keeps; 32 by default."),
    click.option("--ssim", type=float, help="Of --images: the similarity that each picture keeps, in place of --psnr."),
    click.option("--space", type=click.Choice(["rgb", "luma"]), help="Of --images: luma makes no fringes of colour."),
    click.option("--max-change", type=float, help="Of --images: no pixel changes by more (1 is the whole range)."),
    click.option("--linear", is_flag=True, help="Of --images: the files hold linear light."),
    click.option("--jobs", type=int, help="Of --images: processes."),
    out("hardened", "the files"),
    JSON,
    FRESH,
)
def harden(json_file: Path | None, images: Path | None, **options: Any) -> int | None:
    """Make a network harder to fool, or pictures that are released; measured before and after on held-out data.

    MODEL as for `audit`. Writes weights, a torch.export program and the audits of both. Interrupted, the same command
    goes on.
    """
    if images is not None:
        _pictures(images, json_file, options)
        return None
    of_pictures = [name for name in _OF_PICTURES if _given(options.pop(name))]
    if of_pictures:
        raise InputError(of_pictures[0], given="without --images", expected="a folder of pictures with it")
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_audit, print_table

    checks = options.pop("checks")
    chosen = {"checks": checks} if checks else {}
    method = options.pop("method") or "smoothing"
    result = workflows.harden(workflows.HardenOptions(method=method, **chosen, **options), say=tell)
    if json_file is not None:
        write_json(json_file, result.to_dict())
    print_table(result.before.table(), "Before: the network as it was")
    print_audit(result.after)  # its comparison comes last
    for note in result.notes:
        click.echo(f"note: {note}")
    folder = options["out"]
    click.echo(f"{folder / 'index.html'}\n{folder / 'weights.safetensors'}\n{folder / 'network.pt2'}")
    return audited(result.after)


def _pictures(images: Path, json_file: Path | None, options: dict[str, Any]) -> None:
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_table

    heard = (*_OF_PICTURES, "strength", "out", "fresh", "seed")
    beside = [name for name, value in options.items() if _given(value) and name not in heard]
    if [name for name in beside if name != "method"] or options["method"] == "smoothing":
        raise InputError(beside[0], given="beside --images", expected="none: no network is looked at")
    said = {name: options[name] for name in heard if name != "seed" and _given(options[name])}
    result = workflows.publish(workflows.PublishOptions(images, **said), say=tell)
    if json_file is not None:
        write_json(json_file, result.to_dict())
    print_table(result.table())
    click.echo(str(options["out"] / "published.json"))


def _given(value: Any) -> bool:
    """Whether an option was said, if only a 0."""
    return value is not None and value is not False and value != ()
