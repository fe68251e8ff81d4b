"""What a user and a tool see of the package: names, documented parameters, modules that nothing hides."""

import ast
import importlib
import pkgutil
import types
from pathlib import Path

import griffe
import pytest

import deepwright

SOURCE = Path(deepwright.__file__).parent
PACKAGES = ["deepwright", *sorted(m.name for m in pkgutil.walk_packages([str(SOURCE)], "deepwright.") if m.ispkg)]
FILES = sorted(SOURCE.rglob("*.py"))
# Rooms whose docstrings are still to be gone through; take one off when it is done.
TO_COME = tuple(f"deepwright.{room}." for room in ("labels",))


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_is_hidden_by_another_name(name):
    package = importlib.import_module(name)
    inside = [m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "__main__"]
    for module in inside:
        importlib.import_module(f"{name}.{module}")
    assert [m for m in inside if not isinstance(getattr(package, m), types.ModuleType)] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_face_names_what_it_has(name):
    package = importlib.import_module(name)
    assert [n for n in getattr(package, "__all__", []) if not hasattr(package, n)] == []


def _documented(function):
    """(parameters of the signature, parameters of `Args`) of a function with such a section; None without one."""
    if function.docstring is None:
        return None
    sections = function.docstring.parse("google", warnings=False)
    listed = [p.name.lstrip("*") for s in sections if s.kind.value == "parameters" for p in s.value]
    wanted = [p.name.lstrip("*") for p in function.parameters if p.name not in ("self", "cls")]
    return (wanted, listed) if listed else None


def _functions(holder):
    for member in holder.members.values():
        if member.is_alias or (member.name.startswith("_") and member.name != "__init__"):
            continue
        if member.is_function:
            yield member
        elif member.is_class or member.is_module:
            yield from _functions(member)


@pytest.fixture(scope="module")
def reference():
    return griffe.load("deepwright", search_paths=[str(SOURCE.parent)], allow_inspection=False)


def test_each_parameter_has_an_entry_of_its_own(reference):
    wrong = []
    for function in _functions(reference):
        found = _documented(function)
        if function.path.startswith(TO_COME):
            continue
        if found is not None and sorted(found[0]) != sorted(found[1]):
            missing, unknown = set(found[0]) - set(found[1]), set(found[1]) - set(found[0])
            wrong.append(f"{function.path}: without an entry {sorted(missing)}, unknown {sorted(unknown)}")
    assert wrong == []


def test_what_a_room_offers_documents_its_parameters(reference):
    """Functions of a face, with more than one parameter, have an `Args` section."""
    bare = []
    for name in PACKAGES:
        for n in getattr(importlib.import_module(name), "__all__", []):
            thing = getattr(importlib.import_module(name), n)
            if isinstance(thing, types.FunctionType):
                node = reference[f"{thing.__module__}.{thing.__qualname__}".removeprefix("deepwright.")]
                if len(node.parameters) > 1 and _documented(node) is None:
                    bare.append(node.path)
    assert sorted(path for path in set(bare) if not path.startswith(TO_COME)) == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_no_line_escapes_the_formatter(file):
    text = file.read_text()
    assert "fmt: skip" not in text
    assert "fmt: off" not in text


def test_no_private_name_crosses_a_file():
    """`from deepwright.x import _y`: what two files need has a name of its own."""
    crossing = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepwright"):
                crossing += [
                    f"{file.relative_to(SOURCE)}: {a.name}"
                    for a in node.names
                    if a.name.startswith("_") and not a.name.startswith("__")
                ]
    assert crossing == []
