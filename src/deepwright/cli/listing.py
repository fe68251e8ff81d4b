"""`deepwright list`."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import click

from deepwright.cli.commands import Command
from deepwright.cli.words import JSON, words

_ROOMS = Path(__file__).parent.parent


@click.command(cls=Command, name="list", example="deepwright list checks")
@words(
    click.argument("what", type=click.Choice(["systems", "models", "data", "checks", "studies"]), required=False),
    click.option("--check", "checks", multiple=True, help="A .py file whose checks are listed too."),
    JSON,
)
def list_(what: str | None, checks: tuple[str, ...], json_file: Path | None) -> None:
    """What there is."""
    listed = {name: make(checks) for name, make in _CATALOGUES.items() if what in (None, name)}
    if json_file is not None:
        from deepwright.core.files import write_json

        write_json(json_file, listed)
    for name, rows in listed.items():
        click.echo(f"{name}:")
        for word, text in rows.items():
            click.echo(f"  {word:<24} {text}")


def _systems(files: tuple[str, ...]) -> dict[str, str]:
    from deepwright.systems import SYSTEMS

    return {s.slug: f"{s.title} ({s.state})" for s in SYSTEMS}


def _models(files: tuple[str, ...]) -> dict[str, str]:
    from deepwright.nets import ENTRIES

    own = {
        "package.module:factory": "your own, with --weights",
        "FILE.pt2": "torch.export",
        "FILE.onnx": "ONNX",
        "FOLDER": "Hugging Face, save_pretrained",
        "FILE.pt": "TorchScript, with --trust-file",
    }
    return {e.name: e.what for e in ENTRIES} | own


def _data(files: tuple[str, ...]) -> dict[str, str]:
    from deepwright.data import ENTRIES

    return {e.name: f"{e.what}{' (needs --data-root)' if e.needs_root else ''}" for e in ENTRIES}


def _checks(files: tuple[str, ...]) -> dict[str, str]:
    found = builtin_checks()
    if files:
        from deepwright.checks import load_checks

        for file in files:
            found |= {name: _first_line(inspect.getdoc(f)) for name, f in load_checks(file).items()}
    return found


def _studies(files: tuple[str, ...]) -> dict[str, str]:
    from deepwright.studies import STUDIES

    return {name: _first_line(inspect.getdoc(load())) for name, load in STUDIES.items()}


_CATALOGUES = {"systems": _systems, "models": _models, "data": _data, "checks": _checks, "studies": _studies}


def builtin_checks() -> dict[str, str]:
    """Name of each check of `checks.BUILTIN` and `ON_REQUEST` -> the first line of its docstring, read from the source.

    Importing them takes seconds (torch, scipy, the rooms that they look with), and a list needs none of it.
    """
    running = ast.parse((_ROOMS / "checks" / "running.py").read_text())
    home = {a.name: str(n.module) for n in running.body if isinstance(n, ast.ImportFrom) for a in n.names}
    names: dict[str, str] = {}
    for table in running.body:
        if isinstance(table, ast.AnnAssign) and getattr(table.target, "id", "") in ("BUILTIN", "ON_REQUEST"):
            assert isinstance(table.value, ast.Dict)
            rows = zip(table.value.keys, table.value.values)
            names |= {ast.literal_eval(k): v.id for k, v in rows if k is not None and isinstance(v, ast.Name)}
    return {name: _documented(home[function], function) for name, function in names.items()}


def _documented(module: str, function: str) -> str:
    file = _ROOMS.joinpath(*module.split(".")[1:]).with_suffix(".py")
    body = ast.parse(file.read_text()).body
    node = next(n for n in body if isinstance(n, ast.FunctionDef) and n.name == function)
    return _first_line(ast.get_docstring(node))


def _first_line(text: str | None) -> str:
    return (text or "").split("\n")[0]
