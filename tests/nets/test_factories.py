"""`package.module:name`: what is called, and what is refused before it could be."""

import sys

import pytest
from torch import nn

from deepwright.core.errors import InputError
from deepwright.nets import load

MODULE = """
from __future__ import annotations
import functools
from typing import TYPE_CHECKING
import torch
from os import system, getcwd
from shutil import get_archive_formats
from torch import nn
from sklearn import show_versions
from torch.nn.utils.parametrize import cached
if TYPE_CHECKING:
    from nowhere import Strange

CALLED = []

def says_nothing():
    return nn.Linear(2, 2)

def says_module() -> nn.Module:
    return nn.Linear(2, 2)

def says_either() -> nn.Linear | None:
    return nn.Linear(2, 2)

def says_what_only_a_type_checker_knows() -> Strange:
    return nn.Linear(2, 2)

def has_defaults(width=2, *more, **options) -> nn.Linear:
    return nn.Linear(width, 2)

@functools.lru_cache
def wrapped() -> nn.Linear:
    return nn.Linear(2, 2)

partial = functools.partial(nn.Linear, 2, 2)
ready = nn.Linear(2, 2)

class Net(nn.Linear):
    def __init__(self, width=2):
        super().__init__(width, 2)

def text() -> str:
    CALLED.append(1)
    return "x"

def nothing() -> None:
    CALLED.append(1)

def a_path():
    return 3

def needs(width) -> nn.Module:
    CALLED.append(1)

def needs_by_name(*, width) -> nn.Module:
    CALLED.append(1)

async def later():
    CALLED.append(1)

def many():
    CALLED.append(1)
    yield nn.Linear(2, 2)

class Plain:
    def __init__(self):
        CALLED.append(1)

class Callable:
    def __call__(self):
        CALLED.append(1)

instance = Callable()
number = 3

def fails():
    raise RuntimeError("no weights")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "factories_mine.py").write_text(MODULE)
    (tmp_path / "factories_bad_syntax.py").write_text("def f(:\n")
    (tmp_path / "factories_bad_import.py").write_text("\nimport nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("factories_mine", None)


@pytest.mark.parametrize(
    "name",
    [
        "says_nothing",
        "says_module",
        "says_either",
        "says_what_only_a_type_checker_knows",
        "has_defaults",
        "wrapped",
        "partial",
        "ready",
        "Net",
    ],
)
def test_what_makes_networks_is_called(mine, name):
    assert isinstance(load(f"factories_mine:{name}"), nn.Linear)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text", "returns str"),
        ("nothing", "returns NoneType"),
        ("needs", "needs width"),
        ("needs_by_name", "needs width"),
        ("later", "a coroutine"),
        ("many", "a generator"),
        ("Plain", "no nn.Module"),
        ("instance", "a Callable"),
        ("number", "a int"),
        ("torch", "a module"),
        ("system", "a builtin_function"),
        ("getcwd", "a builtin_function"),
        ("get_archive_formats", "standard library"),
        ("cached", "a generator"),
        ("show_versions", "another package (sklearn"),
    ],
)
def test_what_makes_none_is_refused_before_it_is_called(mine, name, told):
    with pytest.raises(InputError) as refused:
        load(f"factories_mine:{name}")
    assert told in str(refused.value)
    assert sys.modules["factories_mine"].CALLED == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("os:system", "a builtin_function"),
        ("os:getcwd", "a builtin_function"),
        ("shutil:get_archive_formats", "standard library"),
        ("os:abc", "a module"),
        ("builtins:exit", "a Quitter"),
        (":net", "package.module:name"),
        (".x:net", "package.module:name"),
        ("x.:net", "package.module:name"),
        ("factories_mine:", "package.module:name"),
        ("factories_mine:Net()", "package.module:name"),
        ("factories_mine:Net:Net", "package.module:name"),
        ("factories_mine.py:Net", "without .py: factories_mine:Net"),
        ("factories_mine:Nett", "did you mean 'Net'"),
        ("factories_none:net", "run from the folder that holds it"),
        ("factories_mine.sub:net", "run from the folder that holds it"),
        ("factories_bad_syntax:net", "SyntaxError"),
        ("factories_bad_import:net", "No module named 'nowhere_at_all' (factories_bad_import.py, line 2)"),
        ("factories_mine:a_path", "given: int; expected: an nn.Module"),
        ("factories_mine:fails", "RuntimeError: no weights (factories_mine.py, line"),
    ],
)
def test_other_words_are_refused_with_what_would_be_right(mine, source, told):
    with pytest.raises(InputError) as refused:
        load(source)
    assert told in str(refused.value)
