"""`deepwright study`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deepwright.cli.commands import GATE_FAILED, PASSED, Command
from deepwright.cli.words import DATA_ROOT, JSON, PATH, out, words

if TYPE_CHECKING:
    from deepwright.core.results import Claim, StudyResult
    from deepwright.studies import Settings


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
    click.option(
        "--check", is_flag=True, help="Run it anew and say what differs from the committed result; exit code 1 if any."
    ),
    click.option("--against", type=PATH, metavar="FILE", help="With --check: hold it against this result (JSON)."),
    out("docs/results", "tables, claims and figures"),
    click.option(
        "--store", type=PATH, default=Path(".deepwright/trials"), show_default=True, help="Folder of finished trials."
    ),
    JSON,
)
def study(
    names: tuple[str, ...],
    seeds: str | None,
    out: Path,
    quick: bool,
    check: bool,
    against: Path | None,
    json_file: Path | None,
    data_root: Path | None,
    **settings: Any,
) -> int:
    """Reproduce a system against its baselines (names of `deepwright list studies`, or `all`).

    On the CPU and in each study's own precision, so that its numbers can be held against the committed ones. The exit
    code is 1 when a claim doesn't hold; with `--check`, when the rerun differs from what is committed by more than its
    stated spread. Interrupted, the same command goes on from the last finished trial.
    """
    from deepwright.core.errors import unknown_name
    from deepwright.core.files import require_new_file, write_json
    from deepwright.data.catalogue import root_of
    from deepwright.report import print_study, write_study
    from deepwright.studies import STUDIES, Settings, evidence_faults, parse_seeds, run_study

    chosen = list(STUDIES) if names == ("all",) else list(names)
    for name in chosen:
        if name not in STUDIES:
            raise unknown_name("study", name, STUDIES)
    _require_comparable(chosen, quick, check, against)
    of_seeds = None if seeds is None else parse_seeds(seeds)
    how = Settings(quick=quick, seeds=of_seeds, data_root=root_of(data_root), **settings)
    # Neither a check, a smoke test nor other seeds replace what is committed.
    folder = out / "check" if check else out
    folder = folder / "quick" if quick else folder
    folder = folder / how.folder if how.folder else folder
    for name in chosen:  # before hours of work
        require_new_file(folder / f"{name}.json", "out")
        require_new_file(folder / f"{name}.html", "out")
    if how.store is not None:
        require_new_file(how.store / "trial", "store")
    rows: list[dict[str, Any]] = []
    failed = 0
    for name in chosen:
        if check:
            result, differing = _checked(name, how, against, folder)
            failed += differing
        else:
            result = run_study(name, how)
            failed += sum(_unfit(claim) if quick else not claim.holds for claim in result.claims)
            print_study(result)
            click.echo(str(write_study(result, folder)))
        if not check and not quick and seeds is None:
            for fault in evidence_faults(result):
                click.echo(f"not yet evidence: {fault}", err=True)
        rows.append(result.to_dict())
    if json_file is not None:
        write_json(json_file, rows[0] if len(rows) == 1 else rows)
    return GATE_FAILED if failed else PASSED


def _require_comparable(chosen: list[str], quick: bool, check: bool, against: Path | None) -> None:
    from deepwright.core.errors import InputError

    if against is not None and not check:
        raise InputError("--against", given="no --check", expected="both", hint="--check --against FILE")
    if against is not None and len(chosen) > 1:
        raise InputError("--against", given=f"{len(chosen)} studies", expected="one study for one file")
    if check and quick and against is None:
        raise InputError(
            "--check",
            given="--quick, whose sizes aren't those of the committed result",
            expected="the whole study, or --against the result of an earlier quick run",
        )


def _unfit(claim: Claim) -> bool:
    """What a smoke test of a seed or two may not find: a claim that fails, or has no number."""
    return claim.verdict == "fails" or not math.isfinite(claim.measured)


def _checked(name: str, how: Settings, against: Path | None, folder: Path) -> tuple[StudyResult, int]:
    """A study run anew beside the store of other runs, and how many of its numbers differ."""
    from dataclasses import replace
    from shutil import rmtree

    from deepwright.core.lock import lock
    from deepwright.report import print_table, write_study
    from deepwright.studies import agreement, committed_result, run_study

    committed = committed_result(name, against)  # before hours of work
    store = None if how.store is None else how.store / "check" / name  # a replay of older trials would check nothing
    held = None if store is None else lock(store)  # kept when interrupted, and removed at the end: one check at a time
    result = run_study(name, replace(how, store=store))
    found = agreement(result, committed)
    print_table(found.table)
    for line in found.words:
        click.echo(line)
    judged = len(found.table.rows)
    if not judged:
        click.echo(f"{name}: the results have no claim and no number in common, so nothing was compared.")
    else:
        click.echo(f"{name} reproduces." if not found.differing else f"{name}: {found.differing} of {judged} differ.")
    click.echo(str(write_study(result, folder)))
    if store is not None:
        rmtree(store, ignore_errors=True)  # what was checked once is run again by the next check
    del held
    return result, found.differing or int(not judged)
