"""Kinetic equations, UniFluids and PDE data take no word that they don't know."""

import importlib
import inspect

import pytest

ROOM = "deepwright.physics"
FACES = [importlib.import_module(f"{ROOM}.{name}") for name in ("kinetic", "unifluids", "pde_data")]
OFFERED = {f"{face.__name__}.{name}": getattr(face, name) for face in FACES for name in face.__all__}


def callables(thing):
    """A function, or a class with its own public methods."""
    if inspect.isclass(thing):
        yield thing.__init__
        for name, member in vars(thing).items():
            if not name.startswith("_") and callable(getattr(thing, name)):
                yield inspect.unwrap(getattr(member, "__func__", member))
    elif callable(thing):
        yield thing


@pytest.mark.parametrize("name", OFFERED)
def test_no_word_is_swallowed(name):
    kinds = {
        f"{function.__qualname__}({p.name})": p.kind
        for function in callables(OFFERED[name])
        if getattr(function, "__module__", "").startswith(ROOM)
        for p in inspect.signature(function).parameters.values()
    }
    assert [where for where, kind in kinds.items() if kind in (kind.VAR_KEYWORD, kind.VAR_POSITIONAL)] == []
