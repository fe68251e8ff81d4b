"""`deepwright explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command, audited
from deepwright.cli.words import FRESH, JSON, TASK, out, subject, tell, words


@click.command(cls=Command, example="deepwright explain resnet8-mnist --question forbids --limit 200")
@words(
    subject("Of every pass", trains=False),
    TASK,
    click.option(
        "--question",
        "questions",
        multiple=True,
        help="uses, costs, forbids or sees; all that apply by default.",
    ),
    click.option(
        "--attribute",
        "attributes",
        multiple=True,
        help="What the cost is asked of: a column, or brightness and the like.",
    ),
    out("explanation", "the page"),
    JSON,
    FRESH,
)
def explain(json_file: Path | None, **options: Any) -> int:
    """What MODEL uses, what is cheap to read from it, what its shape forbids, what it sees as people do.

    MODEL as for `audit`. Interrupted, the same command goes on from the last finished answer.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_audit, print_finding

    chosen = workflows.ExplainOptions(**options)
    report = workflows.explain(chosen, on_finding=print_finding, say=tell)
    if json_file is not None:
        write_json(json_file, report.to_dict())
    print_audit(report)
    click.echo("\n".join(str(options["out"] / name) for name in ("index.html", "report.json")))
    return audited(report)
