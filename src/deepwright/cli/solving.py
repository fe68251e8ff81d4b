"""`deepwright solve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command, renamed
from deepwright.cli.words import DEVICE, JSON, SEED, out, precision, tell, words


@click.command(
    cls=Command,
    renames=[renamed("solve", "--optimiser", "--optimizer")],
    example="deepwright solve poisson --steps 20",
)
@words(
    click.argument("problem", required=False),
    click.option("--list", "listing", is_flag=True, help="Name the bundled problems."),
    click.option("--steps", type=int, help="Steps of --optimizer instead of the problem's own schedule."),
    click.option(
        "--optimizer",
        type=click.Choice(["lm", "adam", "lbfgs", "bfgs", "ssbfgs", "ssbroyden"]),
        help="Of --steps; lm by default.",
    ),
    click.option("--max-time", type=float, help="CPU seconds at most."),
    SEED,
    DEVICE,
    precision("Of the network", ("32-true", "64-true")),
    out("solution", "the files"),
    JSON,
)
def solve(json_file: Path | None, listing: bool, problem: str | None, **options: Any) -> None:
    """Solve a differential equation: PROBLEM is a bundled name or a Python file with `problem = PDEProblem(...)`.

    The file is run. Trains, keeps checkpoints, certifies, draws. Killed, it goes on from where it was.
    """
    from deepwright import workflows
    from deepwright.core.errors import InputError
    from deepwright.core.files import write_json

    if listing:
        for name, text in workflows.catalogue().items():
            click.echo(f"{name:18} {text}")
        return
    if problem is None:
        raise InputError("problem", given="nothing", expected="a name of `deepwright solve --list`, or a .py file")
    found = workflows.solve(workflows.SolveOptions(problem, **options), say=tell)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    _print(found, options["out"])


def _print(found: Any, folder: Path) -> None:
    from deepwright.report import print_table

    print_table(found.table)
    for line in found.lines():
        click.echo(line)
    for file in (folder / "solution.html", folder / "weights.safetensors", found.film):
        if file is not None:
            click.echo(str(file))
