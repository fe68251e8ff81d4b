"""What README and the docs show is run: every Python block of a page in order, and every command line is parsed."""

import re
import shlex
from pathlib import Path

import click
import pytest
import torch

from snippets import given

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    p
    for p in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if "results" not in p.parts
)
BLOCK = re.compile(r"^([ ]*)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(page, languages):
    """(line number, text) of the fenced blocks of some languages; a block inside a list loses its indentation."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        if match[2] in languages:
            lines = [line.removeprefix(match[1]) for line in match[3].splitlines()]
            yield text[: match.start()].count("\n") + 2, "\n".join(lines)


def commands(page):
    """Command lines that begin with `deepwright`, comments cut, continued lines joined."""
    for line, text in blocks(page, ("", "bash", "sh", "console")):
        for command in text.replace("\\\n", " ").splitlines():
            if command.startswith("deepwright "):
                yield line, shlex.split(command, comments=True)[1:]


def _name(page):
    return str(page.relative_to(ROOT))


LONG = ("docs/doors.md", "docs/rooms/workflows.md")  # their examples train and audit for many seconds


def _marked(page):
    return pytest.param(page, marks=[pytest.mark.slow] * (_name(page) in LONG), id=_name(page))


@pytest.mark.parametrize("page", [_marked(p) for p in PAGES if list(blocks(p, ("python",)))])
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = given(_name(page))
    with torch.random.fork_rng(devices=[]):  # a reader's network starts anywhere; here it starts the same each time
        torch.manual_seed(0)
        for line, text in blocks(page, ("python",)):
            exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)


@pytest.mark.parametrize("page", [p for p in PAGES if list(commands(p))], ids=_name)
def test_commands_are_understood(page):
    from deepwright.cli import main

    for line, words in commands(page):
        name, command, rest = main.resolve_command(click.Context(main), [w for w in words if w != "..."])
        try:
            command.make_context(name, rest)
        except click.exceptions.Exit:  # --help
            pass
        except click.ClickException as error:
            pytest.fail(f"{_name(page)}:{line}: deepwright {' '.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page):
    dead = [
        target
        for target in re.findall(r"\]\(([^)#]+)", page.read_text())
        if not re.match(r"\w+:", target) and not (page.parent / target).exists()
    ]
    assert dead == []
