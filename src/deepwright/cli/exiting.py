"""`deepwright exits`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command
from deepwright.cli.words import FRESH, JSON, Numbers, out, subject, tell, words


@click.command(cls=Command, example="deepwright exits resnet8-mnist --epochs 1")
@words(
    subject("Mixed: of the training, else of the whole"),
    click.option(
        "--shares", type=Numbers(), default="0.3,0.6", show_default=True, help="Of the MACs, about where the exits are."
    ),
    click.option("--epochs", type=int, default=3, show_default=True, help="Of the heads' training."),
    click.option(
        "--max-harm",
        type=float,
        default=0.02,
        show_default=True,
        help="P(leave wrong where the whole network is right), over all exits, is certified below this.",
    ),
    click.option("--confidence", type=float, default=0.95, show_default=True, help="Of that."),
    out("exits", "the files"),
    JSON,
    FRESH,
)
def exits(json_file: Path | None, **options: Any) -> None:
    """Give a network early exits, so that easy samples cost less; it stays bit for bit as it is.

    MODEL as for `audit`. Writes the heads and a policy whose harm is certified: no ONNX, no audits. `deepwright audit`
    measures the network that they stand on, `export_exits` writes files of a detector's exit.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_table

    found = workflows.exits(workflows.ExitOptions(**options), say=tell)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    print_table(found.table)
    click.echo(f"{options['out'] / 'policy.json'}\n{options['out'] / 'heads.safetensors'}")
