"""How code enters an identity: functions, classes and modules, the user's by what they do, others' by name."""

from __future__ import annotations

import dataclasses
import dis
import functools
import sys
import types
from typing import Any

from deepwright.core.identity import imports
from deepwright.core.identity.origins import USER, origin, text_of
from deepwright.core.identity.walk import PLAIN, Walk

BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
)
_WRITTEN = {
    f"__{name}__" for name in ["init", "repr", "eq", "lt", "le", "gt", "ge", "hash", "setattr", "delattr", "replace"]
}
_IDLE = {  # of a class: what says nothing about what it does
    "__dict__",
    "__weakref__",
    "__module__",
    "__doc__",
    "__annotations__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__firstlineno__",
    "__static_attributes__",
    "_abc_impl",
    "__abstractmethods__",
    "__slotnames__",
    "__parameters__",
    "__orig_bases__",
    "__dataclass_params__",
    "__match_args__",
    "__qualname__",
    "__dataclass_fields__",
}


def take_builtin(walk: Walk, value: Any) -> None:
    """What C offers: by name, and what it is bound to."""
    walk.word("builtin", f"{getattr(value, '__module__', None)} {value.__qualname__}")
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        walk.feed(owner)


def take_module(walk: Walk, value: types.ModuleType) -> None:
    """A module: by name, and the user's by its text, what runs of it, its numbers and words, and what it imports.

    The text alone would be that of the file as it is now, which may be newer than what was imported.
    """
    known = origin(value.__name__)
    walk.word("module", known)
    if known != USER:
        return
    walk.word("name", value.__name__.rpartition(".")[2])
    walk.word("text", text_of(value.__name__))
    for name, inner in sorted(vars(value).items()):
        if isinstance(inner, types.ModuleType):
            walk.within(name, inner)
        elif callable(inner) and getattr(inner, "__module__", value.__name__) != value.__name__:
            walk.within(name, sys.modules.get(str(inner.__module__)))
        elif isinstance(inner, type | types.FunctionType):
            walk.word("defines", name)
            _running(walk, inner)
        elif type(inner) in PLAIN and not name.startswith("__"):
            walk.word("value", name)
            walk.feed(inner)


def _running(walk: Walk, value: Any) -> None:
    """The code of a function, or of all functions of a class, as it was imported."""
    if isinstance(value, type):
        for name, inner in sorted(vars(value).items()):
            for part in (inner, *(getattr(inner, a, None) for a in ("fget", "fset", "fdel", "__func__", "func"))):
                if isinstance(part, types.FunctionType):
                    walk.word("method", name)
                    _code(walk, part.__code__)
    else:
        _code(walk, value.__code__)


def take_function(walk: Walk, value: types.FunctionType) -> None:
    """A function: by what it does, and a library's by name."""
    if _is_check(value):
        walk.feed(value.__wrapped__)  # type: ignore[attr-defined]
        return
    known = origin(value.__globals__.get("__name__", ""))
    if known == USER:
        _code(walk, value.__code__)
        _globals(walk, value)
        for name, inner in sorted(vars(value).items()):
            if not name.startswith("__"):
                walk.word("attribute", name)
                walk.feed(inner)
    else:
        walk.word("function", f"{known} {value.__qualname__}")
    for part in (value.__defaults__, value.__kwdefaults__):
        walk.feed(part)
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
        walk.within(name, _content(cell))


def _code(walk: Walk, code: types.CodeType) -> None:
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    walk.word("code", f"{code.co_argcount} {code.co_kwonlyargcount} {code.co_posonlyargcount} {code.co_flags} {names}")
    walk.hash.update(code.co_code)
    walk.hash.update(getattr(code, "co_exceptiontable", b""))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _code(walk, constant)
        else:
            walk.feed(constant)


def _globals(walk: Walk, value: types.FunctionType) -> None:
    for name in _globals_of(value.__code__):
        if name in value.__globals__:
            walk.word("global", name)
            walk.within(name, value.__globals__[name])
    for path in imports.attributes_of(value.__code__):
        found, inner = imports.followed(value.__globals__, path)
        if found:
            walk.word("read", ".".join(path))
            walk.within(path[-1], inner)
    for name in imports.imported_by(value):
        module = sys.modules.get(name)
        walk.word("imports", name)
        walk.feed(module) if module is not None else walk.word("text", imports.text_of_unloaded(name))


def take_method(walk: Walk, value: types.MethodType) -> None:
    """A bound method: its function and what it is bound to."""
    walk.feed(value.__func__)
    walk.feed(value.__self__)


def take_partial(walk: Walk, value: functools.partial) -> None:
    """A function with arguments that are given already."""
    walk.word("partial", "")
    for part in (value.func, value.args, value.keywords):
        walk.feed(part)


def take_descriptor(walk: Walk, value: Any) -> None:
    """A property, a class method or a static one: the functions in it."""
    walk.word("descriptor", type(value).__name__)
    for name in ("fget", "fset", "fdel", "__func__", "func"):
        walk.feed(getattr(value, name, None))


def take_class(walk: Walk, value: type) -> None:
    """A class: the user's by all that it defines, others' by name; so for all that it inherits."""
    made_by = getattr(type(value), "__module__", None)  # of some compiled classes it is no text
    if type(value) is not type and isinstance(made_by, str) and origin(made_by) == USER:
        walk.word("metaclass", "")
        walk.feed(type(value))
    for each in value.__mro__:
        known = origin(each.__module__)
        if known != USER:
            walk.word("class", f"{known} {each.__qualname__}")
            continue
        walk.word("class", each.__qualname__.rpartition(".")[2])
        for name, inner in sorted(vars(each).items()):
            if name not in _IDLE and not _generated(each, inner):
                walk.word("attribute", name)
                walk.feed(inner)
        for field in getattr(each, "__dataclass_fields__", {}).values():
            walk.word("field", f"{field.name} {field.type}")
            for default in (field.default, field.default_factory):
                walk.feed(None if default is dataclasses.MISSING else default)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


@functools.lru_cache(maxsize=4096)
def _globals_of(code: types.CodeType) -> tuple[str, ...]:
    """Names of globals that a function and the functions inside it read."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= set(_globals_of(constant))
    return tuple(sorted(names))


def _generated(owner: type, value: Any) -> bool:
    """A method that `dataclass` wrote: it follows from the fields. (What `python -c` runs has the same file name.)"""
    code = getattr(value, "__code__", None)
    written = getattr(value, "__name__", "") in _WRITTEN and getattr(code, "co_filename", "") == "<string>"
    return written and dataclasses.is_dataclass(owner)


@functools.lru_cache(maxsize=4096)
def _is_check(function: types.FunctionType) -> bool:
    """Whether a function only checks the annotations of the one that it wraps (its closure holds a random state)."""
    made_by = str(function.__globals__.get("__name__", "")).partition(".")[0]
    checker = made_by in ("jaxtyping", "beartype") or function.__code__.co_filename.startswith("<@beartype")
    return checker and hasattr(function, "__wrapped__")
