"""`deepwright study`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from deepwright.core.errors import unknown_name
from deepwright.core.files import write_json
from deepwright.report import print_study, write_study
from deepwright.studies import STUDIES, Settings, parse_seeds


def run(
    names: tuple[str, ...],
    quick: bool,
    seeds: str | None,
    data_root: Path | None,
    jobs: int,
    backend: str,
    out: Path,
    store: Path,
    json_file: Path | None,
) -> int:
    """Run studies; returns 1 when a claim doesn't hold."""
    chosen = list(STUDIES) if names == ("all",) else list(names)
    for name in chosen:
        if name not in STUDIES:
            raise unknown_name("study", name, STUDIES)
    settings = Settings(
        quick=quick,
        data_root=data_root,
        jobs=jobs,
        backend=backend,
        store=store,
        seeds=None if seeds is None else parse_seeds(seeds),
    )
    # Neither a smoke test nor other seeds replace what is committed.
    folder = out / "quick" if quick else out
    folder = folder if settings.seeds is None else folder / f"seeds-{seeds}".replace(" ", "")
    rows: list[dict[str, Any]] = []
    failed = 0
    for name in chosen:
        begin = time.perf_counter()
        result = STUDIES[name]().run(settings)
        result.seconds += time.perf_counter() - begin  # beside what replayed trials took when they ran
        print_study(result)
        page = write_study(result, folder)
        click.echo(str(page))
        failed += sum(not claim.holds for claim in result.claims)
        rows.append(result.to_dict())
    if json_file is not None:
        write_json(json_file, rows[0] if len(rows) == 1 else rows)
    return int(failed > 0)
