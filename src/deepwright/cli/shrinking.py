"""`deepwright shrink`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command, audited, moved, renamed
from deepwright.cli.words import CHECK, DISTURBED, FRESH, JSON, out, subject, tell, words
from deepwright.core.errors import InputError


def parse_goal(text: str) -> tuple[str, float]:
    """`macs=0.5` as a pair.

    Args:
        text: as it was typed.

    Raises:
        InputError: anything but a known name, "=", and a number above 0.
    """
    from deepwright.workflows.shrinking import GOALS

    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if name not in GOALS or not 0 < number < float("inf"):
        raise InputError("--goal", given=repr(text), expected=" or ".join(f"{t}=NUMBER" for t in GOALS))
    return name, number


def _is_goal(text: str) -> bool:
    try:
        return bool(parse_goal(text))
    except InputError:
        return False


_RENAMES = (
    moved("--method", "exit", "exits"),
    renamed("shrink", "--target", "--goal", _is_goal),
    renamed("shrink", "--target-column", "--target"),
)


@click.command(
    cls=Command, renames=_RENAMES, example="deepwright shrink resnet8-mnist --goal macs=0.5 --check accuracy --epochs 1"
)
@words(
    subject("Mixed: of the fine-tuning, else of the whole"),
    DISTURBED,
    click.option(
        "--goal",
        default="macs=0.5",
        show_default=True,
        help="macs=, params= or bytes= (a share or a number), latency-ms=.",
    ),
    click.option("--method", type=click.Choice(["one-shot", "evolve"]), default="one-shot", show_default=True),
    click.option("--importance", default="taylor", show_default=True, help="How units are scored."),
    click.option("--epochs", type=int, default=3, show_default=True, help="Of fine-tuning after the cut."),
    click.option("--generations", type=int, help="In each phase of --method evolve; 20 by default."),
    click.option(
        "--round-to", type=int, help="Widths are multiples of this; 8, or the largest power of 2 that reaches the goal."
    ),
    click.option("--int8", is_flag=True, help="Write and measure an 8-bit file too."),
    click.option("--freeze", multiple=True, help="A module that stays whole."),
    CHECK,
    out("shrunk", "the files"),
    JSON,
    FRESH,
)
def shrink(json_file: Path | None, goal: str, **options: Any) -> int:
    """Make a network smaller, prove it equal to its masked original, and show what that broke.

    MODEL as for `audit`. Writes weights, a torch.export program, ONNX, the index map, and audits before and after.
    Interrupted, the same command goes on.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_audit, print_table

    result = workflows.shrink(workflows.ShrinkOptions(goal=parse_goal(goal), **options), say=tell)
    if json_file is not None:
        write_json(json_file, result.to_dict())
    print_audit(result.after)
    print_table(result.table)
    for note in result.notes:
        click.echo(f"note: {note}")
    folder = options["out"]
    click.echo(f"{folder / 'index.html'}\n{folder / 'weights.safetensors'}\n{folder / 'network.pt2'}")
    return audited(result.after)
