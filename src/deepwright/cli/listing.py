"""`deepwright list`."""

from __future__ import annotations

import inspect

import click


def run(what: str | None, checks: tuple[str, ...]) -> None:
    """Print the catalogues."""
    if what in (None, "systems"):
        from deepwright.systems import SYSTEMS

        _show("systems", {s.slug: f"{s.title} ({s.state})" for s in SYSTEMS})
    if what in (None, "models"):
        from deepwright.nets import ENTRIES

        _show(
            "models",
            {e.name: e.what for e in ENTRIES}
            | {"package.module:factory": "your own, with --weights", "FILE.pt2": "torch.export"},
        )
    if what in (None, "data"):
        from deepwright.data import ENTRIES as DATA

        _show("data", {e.name: f"{e.what}{' (needs --data-root)' if e.needs_root else ''}" for e in DATA})
    if what in (None, "checks"):
        from deepwright.checks import BUILTIN, load_checks

        known = dict(BUILTIN)
        for file in checks:
            known |= load_checks(file)
        _show("checks", {name: (inspect.getdoc(function) or "").split("\n")[0] for name, function in known.items()})
    if what in (None, "studies"):
        from deepwright.studies import STUDIES

        _show("studies", {name: (inspect.getdoc(load()) or "").split("\n")[0] for name, load in STUDIES.items()})


def _show(title: str, rows: dict[str, str]) -> None:
    click.echo(f"{title}:")
    for name, text in rows.items():
        click.echo(f"  {name:<24} {text}")
