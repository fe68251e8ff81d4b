"""`deepwright guard`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command
from deepwright.cli.words import JSON, PATH, out, subject, tell, words


@click.command(cls=Command, example="deepwright guard resnet8-mnist --detector knn --limit 500")
@words(
    subject("Of the whole", precisions=("32-true", "64-true", "16-true", "bf16-true")),
    click.option("--ood", type=PATH, help="A folder of images that belong to no class."),
    click.option("--detector", default="bbas", show_default=True, help="A detector of `deepwright.ood`, by its name."),
    click.option("--tpr", type=float, default=0.95, show_default=True, help="The share of known inputs to accept."),
    out("guard", "the files"),
    JSON,
)
def guard(json_file: Path | None, **options: Any) -> None:
    """Put a detector beside a network: files that give (output, score, is_foreign).

    MODEL as for `audit`. Writes guard.pt2 and guard.onnx, run and compared with the network, and guard.json: the
    threshold, what it was set on, and how often the guard accepts what it should.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_table

    found = workflows.guard(workflows.GuardOptions(**options), say=tell)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    print_table(found.table)
    click.echo("\n".join(map(str, (found.files.program, found.files.onnx, found.files.facts))))
