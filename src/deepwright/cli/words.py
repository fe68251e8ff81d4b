"""Options that several commands share: each is one word, with one meaning, everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from deepwright.core.errors import InputError

Decorator = Callable[[Any], Any]
PATH = click.Path(path_type=Path)


def words(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order in which the help shows them.

    Args:
        *options: of click, or of this function.
    """

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


class Numbers(click.ParamType):
    """Numbers and fractions between commas: `4/255,8/255`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers.

        Args:
            value: the text.
            param: whose value it is.
            ctx: of click.

        Raises:
            InputError: anything else.
        """
        if isinstance(value, tuple):
            return value
        try:
            parts = [part.split("/") for part in value.split(",")]
            return tuple(float(p[0]) / float(p[1]) if len(p) == 2 else float(p[0]) for p in parts)
        except (ValueError, ZeroDivisionError, IndexError) as error:
            name = param.opts[0] if param is not None else "numbers"
            raise InputError(name, given=repr(value), expected="numbers separated by commas") from error


class Names(click.ParamType):
    """Names between commas: `cat,dog`."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names, without space around them.

        Args:
            value: the text.
            param: whose value it is.
            ctx: of click.
        """
        return value if isinstance(value, tuple) else tuple(part.strip() for part in value.split(","))


SEED = click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
DEVICE = click.option("--device", help="Where to work: cpu (the default), cuda, cuda:1, mps, or auto for the best.")
JSON = click.option("--json", "json_file", type=PATH, help="Write the results here too.")
CHECK = click.option(
    "--check",
    "checks",
    multiple=True,
    help="Only these checks, all by default; a .py file adds its check_...(subject).",
)
FRESH = click.option("--fresh", is_flag=True, help="Forget what an interrupted run left.")
TARGET = click.option("--target", metavar="COLUMN", help="Column to predict, for a CSV.")
SPLIT = click.option("--split", type=click.Choice(["test"]), help="Measure all of data that come in one piece.")
SIZE = click.option("--size", type=int, help="Resize images to this side.")
DISTURBED = words(
    click.option("--ood", type=PATH, help="A folder of images that belong to no class."),
    click.option("--eps", type=Numbers(), help="Budgets of the robustness curve (4/255,8/255)."),
    click.option("--attack-limit", type=int, help="Attack at most so many samples."),
    click.option("--corruption-limit", type=int, help="Perturb at most so many samples."),
)
DATA_ROOT = click.option("--data-root", type=PATH, help="Folder of the real data sets (or DEEPWRIGHT_DATA).")


def precision(of: str, known: Sequence[str]) -> Decorator:
    """`--precision`.

    Args:
        of: what has it.
        known: some of the words that it takes.
    """
    return click.option("--precision", help=f"{of}: {', '.join(known)}. The network's own by default.")


def out(default: str, what: str) -> Decorator:
    """`--out`.

    Args:
        default: the folder.
        what: is in it.
    """
    return click.option("--out", type=PATH, default=Path(default), show_default=True, help=f"Folder of {what}.")


def subject(of: str, *, split: bool = False) -> Decorator:
    """MODEL and everything that says what it is measured on; the same for every command that takes a network.

    Args:
        of: what `--precision` is that of.
        split: whether nothing is trained on the data, so that all of them may be measured.
    """
    return words(
        click.argument("model", required=False),
        click.option("--data", help="A name of `deepwright list data`, an image folder or zip, .npz or .csv."),
        DATA_ROOT,
        click.option("--weights", type=PATH, help="safetensors (or a state dict) for package.module:factory."),
        TARGET,
        click.option(
            "--classes",
            help="Order of the network's outputs: a FILE with a class name a line, names between commas, or imagenet.",
        ),
        *((SPLIT,) if split else ()),
        click.option("--limit", type=int, help="At most so many test samples."),
        SIZE,
        click.option("--mean", type=Numbers(), help="Normalisation inside the model: one number or one a channel."),
        click.option("--std", type=Numbers(), help="As --mean."),
        SEED,
        DEVICE,
        precision(of, ("32-true", "64-true", "16-mixed", "bf16-mixed")),
        click.option("--skip-broken", is_flag=True, help="Leave broken files and rows out instead of refusing."),
    )


def tell(text: str) -> None:
    """What a workflow does at the moment: beside the results, not among them.

    Args:
        text: one line.
    """
    click.echo(text, err=True)
