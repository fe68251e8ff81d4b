"""`deepwright audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command, audited
from deepwright.cli.words import CHECK, DISTURBED, FRESH, JSON, OUTPUTS, PATH, TASK, out, subject, tell, words

_CONFIG = Path("deepwright.toml")


@click.command(cls=Command, example="deepwright audit resnet8-mnist --check accuracy --limit 200")
@words(
    subject("Of every pass", trains=False),
    TASK,
    DISTURBED,
    click.option("--group", "groups", metavar="COLUMN", help="Compare the groups of this column; of series, --entity."),
    click.option("--reference", metavar="DATA", help="Compare the test samples with these data; see --data."),
    CHECK,
    click.option("--fail-on", multiple=True, help='A gate, e.g. "fi>0.5"; the exit code is then 1 when it is met.'),
    click.option("--compare", "compare_with", type=PATH, help="An earlier report.json."),
    out("report", "the report"),
    click.option("--keep", is_flag=True, help="Keep the reports of all audits in --out, and draw them over time."),
    OUTPUTS,
    JSON,
    FRESH,
    click.option("--devices", type=int, default=1, help="Processes that share the work."),
    click.option(
        "--backend", type=click.Choice(["local", "ray"]), default="local", help="ray: share the work in a cluster."
    ),
)
def audit(json_file: Path | None, **options: Any) -> int:
    """Measure MODEL: a zoo name, package.module:factory, a .pt2, .onnx or .pt file, or a Hugging Face folder.

    Without arguments: resnet8-mnist on the embedded digits. Gates are read from deepwright.toml, too. Interrupted, the
    same command goes on from the last finished check.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json
    from deepwright.report import print_audit, print_finding

    chosen = workflows.AuditOptions(config=_CONFIG if _CONFIG.exists() else None, **options)
    report = workflows.audit(chosen, on_finding=print_finding, say=tell)
    if json_file is not None:
        write_json(json_file, report.to_dict())
    print_audit(report)
    names = ["index.html"] if options["keep"] else ["index.html", "report.json"]
    click.echo("\n".join(str(options["out"] / name) for name in names))
    return audited(report)
