"""`deepwright study`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import GATE_FAILED, PASSED, Command
from deepwright.cli.words import DATA_ROOT, JSON, PATH, out, words


@click.command(cls=Command, example="deepwright study sciml-core --quick --out results")
@words(
    click.argument("names", nargs=-1, required=True),
    click.option("--quick", is_flag=True, help="Fewer seeds and samples: a smoke test, not a result."),
    click.option(
        "--seeds", "--seed", help="Other seeds than the study's own, as 100-104 or 1,2,3; written to a folder beside."
    ),
    DATA_ROOT,
    click.option("--jobs", type=int, default=2, show_default=True, help="Trials side by side."),
    click.option("--backend", type=click.Choice(["local", "ray", "dask"]), default="local", show_default=True),
    out("docs/results", "tables, claims and figures"),
    click.option(
        "--store", type=PATH, default=Path(".deepwright/trials"), show_default=True, help="Folder of finished trials."
    ),
    JSON,
)
def study(
    names: tuple[str, ...], seeds: str | None, out: Path, quick: bool, json_file: Path | None, **settings: Any
) -> int:
    """Reproduce a system against its baselines (names of `deepwright list studies`, or `all`).

    On the CPU and in each study's own precision, so that its numbers can be held against the committed ones. The exit
    code is 1 when a claim doesn't hold. Interrupted, the same command goes on from the last finished trial.
    """
    from deepwright.core.errors import unknown_name
    from deepwright.core.files import write_json
    from deepwright.report import print_study, write_study
    from deepwright.studies import STUDIES, Settings, evidence_faults, parse_seeds, run_study

    chosen = list(STUDIES) if names == ("all",) else list(names)
    for name in chosen:
        if name not in STUDIES:
            raise unknown_name("study", name, STUDIES)
    how = Settings(quick=quick, seeds=None if seeds is None else parse_seeds(seeds), **settings)
    # Neither a smoke test nor other seeds replace what is committed.
    folder = out / "quick" if quick else out
    folder = folder if seeds is None else folder / f"seeds-{seeds}".replace(" ", "")
    rows: list[dict[str, Any]] = []
    failed = 0
    for name in chosen:
        result = run_study(name, how)
        print_study(result)
        click.echo(str(write_study(result, folder)))
        failed += sum(not claim.holds for claim in result.claims)
        if not quick and seeds is None:
            for fault in evidence_faults(result):
                click.echo(f"not yet evidence: {fault}", err=True)
        rows.append(result.to_dict())
    if json_file is not None:
        write_json(json_file, rows[0] if len(rows) == 1 else rows)
    return GATE_FAILED if failed else PASSED
