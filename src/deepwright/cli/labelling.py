"""`deepwright label`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command
from deepwright.cli.words import DATA_ROOT, DEVICE, JSON, PATH, SEED, SIZE, TARGET, Names, out, precision, tell, words


@click.command(cls=Command, example="deepwright label digits --simulate --budget 60 --epochs 2")
@words(
    click.argument("pool"),
    click.option("--budget", type=int, required=True, help="Labels in all."),
    click.option("--classes", type=Names(), help="Class names, comma-separated; their order is the label's number."),
    click.option("--labels", type=PATH, help="A filled to-label.csv (columns index or file, and label)."),
    click.option("--interactive", is_flag=True, help="Ask here, one sample at a time."),
    click.option(
        "--simulate", is_flag=True, help="POOL has labels (a data set's name, class folders): play it through."
    ),
    click.option("--strategy", default="least-confidence", show_default=True),
    click.option("--removed", type=float, default=0.5, show_default=True, help="Share of channels the selector lacks."),
    click.option("--round-size", type=int, help="Labels a round; a sixth of the budget by default."),
    click.option(
        "--t-sync", type=int, default=0, show_default=True, help="Fuse and prune again after so many rounds (0: never)."
    ),
    click.option("--epochs", type=int, default=20, show_default=True, help="Of every training."),
    click.option("--model", help="package.module:factory of the network to be; a ResNet or an MLP by default."),
    SIZE,
    TARGET,
    DATA_ROOT,
    SEED,
    DEVICE,
    precision("Of every network", ("32-true", "64-true")),
    out("labels", "labels, weights and state"),
    JSON,
)
def label(json_file: Path | None, interactive: bool, **options: Any) -> None:
    """Choose what to label next in POOL (a folder or zip of images): a pruned copy of the network selects.

    Run it, fill to-label.csv, run it again with --labels; or answer with --interactive. No label is ever lost.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json

    if interactive and options["simulate"]:
        raise click.UsageError("--interactive asks you, --simulate asks the labels of POOL: say one of them")
    found = workflows.label(workflows.LabelOptions(**options), ask=_ask if interactive else None, say=tell)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    _print(found, options["out"])


def _ask(question: Any) -> str | None:
    shown = ", ".join(f"{i} {c}" for i, c in enumerate(question.classes))
    answer = click.prompt(f"[{question.number}/{question.budget}] {question.name} ({shown}; q stops)")
    return None if answer.strip() == "q" else answer


def _print(found: Any, folder: Path) -> None:
    from deepwright.report import print_table

    if not found.done:
        click.echo(
            f"{found.count} of {found.budget} labelled. Fill the column label of {found.to_label} "
            f"({', '.join(found.classes)}) and run the same command with --labels {found.to_label}."
        )
        return
    print_table(found.table)
    if found.test_accuracy is not None:
        click.echo(
            f"the whole network, fused and trained on these labels: {found.test_accuracy:.1%} of the test samples"
        )
    click.echo(f"{folder / 'labels.csv'}\n{folder / 'weights.safetensors'}")
