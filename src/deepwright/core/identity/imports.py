"""What a function reads of modules: attributes that it looks up in them, and modules that it imports as it runs."""

from __future__ import annotations

import dis
import functools
import importlib.util
import sys
import types
from collections.abc import Mapping
from typing import Any

from deepwright.core.identity.origins import USER, origin, text_at

_READ = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")


@functools.lru_cache(maxsize=4096)
def attributes_of(code: types.CodeType) -> tuple[tuple[str, ...], ...]:
    """Chains `module.attribute...` that begin with a global, of a function and of the functions inside it."""
    chains: set[tuple[str, ...]] = set()
    chain: list[str] = []
    for step in dis.get_instructions(code):
        if step.opname in _ATTRIBUTE and chain:
            chain.append(step.argval)
            continue
        if len(chain) > 1:
            chains.add(tuple(chain))
        chain = [step.argval] if step.opname in _READ else []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            chains |= set(attributes_of(constant))
    return tuple(sorted(chains))


def followed(names: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    """What a chain leads to in the user's modules: the first value on its way that is no module."""
    value = names.get(path[0])
    for name in path[1:]:
        if not isinstance(value, types.ModuleType) or origin(value.__name__) != USER or not hasattr(value, name):
            return False, None
        value = getattr(value, name)
        if not isinstance(value, types.ModuleType):
            return True, value
    return False, None


def imported_by(function: types.FunctionType) -> tuple[str, ...]:
    """The user's modules that a function imports as it runs; those that can't be found are left to fail there."""
    package = function.__globals__.get("__package__") or ""
    names = set()
    for level, name, parts in _imports_of(function.__code__):
        base = name
        if level:
            above = package.rsplit(".", level - 1)[0] if level > 1 else package
            base = f"{above}.{name}".rstrip(".")
        for candidate in (base, *(f"{base}.{part}" for part in parts)):
            if candidate and _is_user(candidate):
                names.add(candidate)
    return tuple(sorted(names))


def text_of_unloaded(name: str) -> str:
    """A hash of the file of a module that isn't loaded."""
    spec = _spec(name)
    return text_at(spec.origin if spec is not None and spec.has_location else None)


@functools.lru_cache(maxsize=4096)
def _imports_of(code: types.CodeType) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """(level, module, names) of the import statements in a function and in the functions inside it."""
    found: list[tuple[int, str, tuple[str, ...]]] = []
    constants: list[Any] = [None, None]
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level, parts = constants
            found.append((level or 0, step.argval, tuple(parts or ())))
        constants = [constants[1], step.argval] if step.opname.startswith("LOAD_") else [None, None]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _imports_of(constant)
    return tuple(found)


def _is_user(name: str) -> bool:
    if name in sys.modules:
        return origin(name) == USER
    root = name.partition(".")[0]
    if root in sys.modules and origin(root) != USER:
        return False
    spec = _spec(name)
    path = spec.origin if spec is not None and spec.has_location else None
    library = root in sys.stdlib_module_names or "site-packages" in str(path) or "dist-packages" in str(path)
    return path is not None and not library


def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):  # no such module, or one whose package isn't one
        return None
