"""Options that several commands share: each is one word, with one meaning, everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from deepwright.core.errors import InputError
from deepwright.core.scales import STATED

Decorator = Callable[[Any], Any]


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
            return tuple(_number(part) for part in value.split(","))
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            name = param.opts[0] if param is not None else "numbers"
            expected = "numbers or fractions between commas, as 4/255,8/255"
            raise InputError(name, given=repr(value), expected=expected) from error


def _number(text: str) -> float:
    over, slash, under = text.partition("/")
    return float(over) / float(under) if slash else float(over)


class AnyPath(click.Path):
    """A path that a file can have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path.

        Args:
            value: the text.
            param: whose value it is.
            ctx: of click.

        Raises:
            InputError: an empty one, or one with a zero byte.
        """
        text = str(value)
        if not text or "\0" in text:
            name = param.opts[0] if param is not None else "path"
            raise InputError(name, given=repr(text), expected="the name of a file or folder")
        return Path(text)


PATH = AnyPath()


class NewFile(AnyPath):
    """A file that will be written, looked at before the work and not after it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path.

        Args:
            value: the text.
            param: whose value it is.
            ctx: of click.

        Raises:
            InputError: a folder, a name that no file can have, a place that can't be written.
        """
        from deepwright.core.files import require_new_file  # which loads torch: `--help` does without

        name = param.opts[0] if param is not None else "file"
        path = super().convert(value, param, ctx)
        require_new_file(path, name)
        return path


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


def _columns(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | str | None:
    """One column as it is, several as they are."""
    return value[0] if len(value) == 1 else value or None


SEED = click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
DEVICE = click.option("--device", help="Where to work: cpu (the default), cuda, cuda:1, mps, or auto for the best.")
JSON = click.option("--json", "json_file", type=NewFile(), help="Write the results here too.")
OUTPUTS = words(
    click.option("--markdown", type=NewFile(), help="Write a summary in Markdown here too, as for a CI run's page."),
    click.option("--junit", type=NewFile(), help="Write JUnit XML here too: each check and each gate is a test."),
    click.option(
        "--evidence",
        type=NewFile(),
        help="Write what was measured for ISO/IEC 24029 and the EU AI Act, and what is missing (.md, .csv, .json).",
    ),
    click.option("--card", type=NewFile(), help="Write a model card (README.md) with the numbers in its head here."),
    click.option("--log", multiple=True, help="Log numbers and page to mlflow or wandb, as these are set up here."),
)
CHECK = click.option(
    "--check",
    "checks",
    multiple=True,
    help="Only these checks, all by default; a .py file adds its check_...(subject).",
)
FRESH = click.option("--fresh", is_flag=True, help="Forget what an interrupted run left.")
TARGET = click.option("--target", metavar="COLUMN", help="Column to predict, for a CSV.")
TARGETS = click.option(
    "--target",
    metavar="COLUMN",
    multiple=True,
    callback=_columns,
    help="Column to predict, for a CSV or texts; several of numbers, or of 0 and 1.",
)
TASK = words(
    click.option(
        "--task",
        type=click.Choice(["classification", "binary", "multilabel", "regression", "segmentation", "detection"]),
        help="What outputs and targets mean; told by the data by default.",
    ),
    click.option("--threshold", type=float, help="Of the probability of the event, or of each label."),
    click.option(
        "--sensitivity", type=float, help="Of two classes: choose the threshold that finds this share of events."
    ),
    click.option(
        "--quantiles", type=Numbers(), help="Of numbers: the levels that the network gives, as 0.05,0.5,0.95."
    ),
    click.option("--order", help="Of label maps: which class lies inside which, as background<iris<pupil."),
)
TEXT = click.option(
    "--text",
    metavar="COLUMN",
    multiple=True,
    callback=_columns,
    help="Column that the network reads, of a table of texts.",
)
TOKENIZER = click.option("--tokenizer", help="Of texts: a folder of Hugging Face, or package.module:name.")
SPLIT = click.option(
    "--split",
    type=click.Choice(["test"]),
    help="Measure all of data that come in one piece, or all of val where there is no test.",
)
SIZE = click.option("--size", type=int, help="Resize images to this side.")
DISTURBED = words(
    click.option("--ood", type=PATH, help="Images, texts (a .txt file) or graphs that belong to no class."),
    click.option("--eps", type=Numbers(), help="Budgets of the robustness curve (4/255,8/255)."),
    click.option("--substitutions", type=PATH, help="Of texts: a file with lines word,candidate,candidate, or JSON."),
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


def subject(
    of: str,
    *,
    trains: bool = True,
    precisions: Sequence[str] = ("32-true", "64-true", "16-mixed", "bf16-mixed"),
) -> Decorator:
    """MODEL and everything that says what it is measured on; the same for every command that takes a network.

    Args:
        of: what `--precision` is that of.
        trains: whether the command trains something on the data: not all of them may be measured then, and no texts.
        precisions: some of the words that `--precision` takes.
    """
    return words(
        click.argument("model", required=False),
        click.option(
            "--data",
            help="A name of `deepwright list data`, a folder or zip of images (of classes, with masks, with COCO, VOC "
            f"or YOLO boxes), .npz, .csv{' or .parquet' if trains else ', .parquet, texts, or graphs in TU format'}.",
        ),
        DATA_ROOT,
        click.option("--weights", type=PATH, help="safetensors, an index, .ckpt or .pt for package.module:factory."),
        click.option("--trust-file", is_flag=True, help="Run the code in a TorchScript file."),
        TARGETS,
        click.option("--aside", metavar="COLUMN", multiple=True, help="A column that the network doesn't get."),
        *(() if trains else (TEXT,)),
        click.option("--entity", metavar="COLUMN", help="Of a .csv of series: whose a row is."),
        click.option("--time", metavar="COLUMN", help="Of a .csv of series: what orders the rows of an entity."),
        click.option("--history", type=int, help="Of series: rows that the network sees."),
        click.option("--horizon", type=int, help="Of series: rows ahead of which the target is forecast."),
        *(() if trains else (TOKENIZER,)),
        click.option(
            "--classes",
            help="Order of the network's outputs: a FILE with a class name a line, names between commas, or imagenet.",
        ),
        *(() if trains else (SPLIT,)),
        click.option("--limit", type=int, help="At most so many test samples."),
        SIZE,
        click.option("--mean", type=Numbers(), help="Normalisation inside the model: one number or one a channel."),
        click.option("--std", type=Numbers(), help="As --mean."),
        SEED,
        DEVICE,
        precision(of, precisions),
        click.option(
            "--outputs",
            type=click.Choice(STATED),
            help="What your network's columns are, where it ends in a softmax or sigmoid.",
        ),
        click.option("--standardised", is_flag=True, help="Your network takes a table's columns standardised."),
        click.option("--skip-broken", is_flag=True, help="Leave broken files and rows out instead of refusing."),
    )


def tell(text: str) -> None:
    """What a workflow does at the moment: beside the results, not among them.

    Args:
        text: one line.
    """
    click.echo(text, err=True)
