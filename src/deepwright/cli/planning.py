"""`deepwright plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command
from deepwright.cli.words import DEVICE, FRESH, JSON, PATH, SEED, out, tell, words


@click.command(cls=Command, example="deepwright plan npuzzle.2 --seconds 1 --instances 5")
@words(
    click.argument("domain", required=False),
    click.option("--list", "listing", is_flag=True, help="Name the bundled domains."),
    click.option("--growth", type=int, help="Only count the states at 0, 1, ... this many actions from the goal."),
    click.option("--heuristic", type=PATH, help="Folder or file of an earlier plan, instead of training one."),
    click.option("--seconds", type=float, show_default="40", help="Of training, by the clock, in all."),
    click.option("--method", show_default="lhbl", help="lhbl, davi or supervised (walks' lengths)."),
    click.option("--width", type=int, show_default="128", help="Of the network."),
    click.option("--blocks", type=int, show_default="2", help="Of the network."),
    click.option("--k-max", type=int, help="Longest walk of training; instances are walks of this length."),
    click.option("--instances", type=int, show_default="100, or all of --file", help="How many are solved."),
    click.option("--file", type=PATH, help=".npz with `states` (and `goals`) instead of walks."),
    click.option("--batch-size", type=int, default=10, show_default=True, help="Nodes expanded at once."),
    click.option("--weight", type=float, help="Of the path's cost, 0..1; chosen on other instances by default."),
    click.option("--max-nodes", type=int, default=200_000, show_default=True, help="Of a search."),
    click.option("--corners", type=PATH, help="Of cube3: a file of its corners' table (84 MiB), made if need be."),
    SEED,
    DEVICE,
    FRESH,
    out("plan", "plan.html, plan.json, heuristic.safetensors, instances.npz and path.gif"),
    JSON,
)
def plan(json_file: Path | None, listing: bool, growth: int | None, domain: str | None, **options: Any) -> None:
    """Find cheap paths in DOMAIN with a heuristic that is trained for it, and hold it against the domain's own.

    DOMAIN is a name of --list or a Python file with `domain = ...` (it is run); npuzzle.3 by default. Every path is
    replayed. Killed, training goes on from where it was, for the seconds that are left.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json

    _require_used(listing, growth)
    if listing:
        for name, text in workflows.domains().items():
            click.echo(f"{name:10} {text}")
        return
    if growth is not None:
        for depth, size in enumerate(workflows.growth(domain or "npuzzle.3", growth)):
            click.echo(f"{depth:4} {size}")
        return
    given = {name: value for name, value in options.items() if value is not None}
    if domain is not None:
        given["domain"] = domain
    found = workflows.plan(workflows.PlanOptions(given.pop("domain", "npuzzle.3"), **given), say=tell)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    _print(found, options["out"])


def _require_used(listing: bool, growth: int | None) -> None:
    """Refuse words beside --list and --growth, which plan nothing."""
    from deepwright.core.errors import InputError

    if not listing and growth is None:
        return
    alone, used = ("--list", {"listing"}) if listing else ("--growth", {"growth", "domain"})
    context = click.get_current_context()
    for param in context.command.params:
        given = context.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and param.name not in used:
            what = param.opts[0] if isinstance(param, click.Option) else "DOMAIN"
            hint = f"leave out {what}, or {alone} to plan"
            raise InputError(what, given=f"beside {alone}, which doesn't use it", expected="one of the two", hint=hint)


def _print(found: Any, folder: Path) -> None:
    from deepwright.report import print_table

    print_table(found.table)
    for line in found.lines():
        click.echo(line)
    for file in (folder / "plan.html", folder / "plan.json", folder / "heuristic.safetensors", folder / "path.gif"):
        if file.exists():
            click.echo(str(file))
