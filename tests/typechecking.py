"""The checker of annotations that the tests install: beartype for types, jaxtyping for shapes.

`install()` puts `checked` on every function of the package as it is imported. Annotations are checked by beartype, where
an int may stand for a float as PEP 484 says, and in a scope of axis names of its own where one of them is a shape. That is
what jaxtyping's own import hook does, at less than half of its time: it checks the parameters twice, binds the signature
at each call, makes checkers for functions that are never called, and keeps Python from the compiled files of all packages
that are imported meanwhile.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, FunctionType, ModuleType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

_NAME = "__checked__"
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))

# Under this name of a file a function is known to only check the one that it wraps: see `core.identity`.
_GUARD = """
def guarded(function, checker_of, config, scope):
    checker, shaped = None, False

    def guard(*args, **kwargs):
        nonlocal checker, shaped
        if config.jaxtyping_disable:
            return function(*args, **kwargs)
        if checker is None:
            checker, shaped = checker_of(function)
        if not shaped:
            return checker(*args, **kwargs)
        with scope("context"):
            return checker(*args, **kwargs)

    return guard
"""
_made: dict[str, Any] = {"__name__": "beartype.guards"}
exec(compile(_GUARD, "<@beartype guard>", "exec"), _made)


def install(package: str = "deepwright") -> None:
    """Check a package, from its first import on."""
    sys.meta_path.insert(0, _Finder(package))


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def get_code(self, name: str) -> CodeType:
        path = self.get_filename(name)
        tree = ast.parse(self.get_data(path), path)
        _decorate(tree)
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, _NAME, checked)
        super().exec_module(module)


def _decorate(tree: ast.Module) -> None:
    """Functions are checked before any other decorator sees them, classes after."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            decorator = ast.copy_location(ast.Name(_NAME, ast.Load()), node)
            node.decorator_list.insert(len(node.decorator_list) if isinstance(node, ast.FunctionDef) else 0, decorator)
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            waiting.extend(inner if isinstance(inner, list) else ())


def checked(thing: Any) -> Any:
    """A function, or the `__init__` of a dataclass, with its checks."""
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = checked(thing.__init__)
        return thing
    if inspect.isgeneratorfunction(thing):  # what it yields is not looked at
        return jaxtyping.jaxtyped(thing, typechecker=_without_self)
    if not getattr(thing, "__annotations__", None):
        return thing
    guard = _made["guarded"](thing, _checker_of, jaxtyping.config, jaxtyping.jaxtyped)
    return functools.wraps(thing)(guard)


def _checker_of(function: FunctionType) -> tuple[Callable, bool]:
    """The function with its checks, and whether shapes are among them."""
    optional = function.__defaults__ or function.__kwdefaults__  # another closure may have others
    if optional or "<locals>" not in function.__qualname__:
        return _made_checker(function)
    checker, shaped = _checker_of_code(function.__code__, function)
    return functools.partial(checker, function), shaped


_of_code: dict[tuple[str, CodeType], tuple[Callable, bool]] = {}  # codes of two files may be equal


def _checker_of_code(code: CodeType, function: FunctionType) -> tuple[Callable, bool]:
    """One checker for all functions that a `def` inside another one makes: it takes the function first."""
    key = code.co_filename, code
    if key not in _of_code:
        names = inspect.signature(function).parameters.values()
        bare = [str(p.replace(annotation=p.empty)) for p in names]
        giving = ", ".join(f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else s for p, s in zip(names, bare))
        taking = str(inspect.Signature([p.replace(annotation=p.empty) for p in names]))[1:-1]  # with its `*`
        made: dict[str, Any] = {}
        exec(f"def caller(_function, {taking}):\n    return _function({giving})", function.__globals__, made)
        caller = functools.update_wrapper(made["caller"], function)
        del caller.__wrapped__
        _of_code[key] = _made_checker(caller)
    return _of_code[key]


def _made_checker(function: FunctionType) -> tuple[Callable, bool]:
    hints = {name: _resolved(hint, function) for name, hint in function.__annotations__.items()}
    function.__annotations__ = hints
    return _without_self(function), any(map(_has_shape, hints.values()))


def _without_self(function: Callable) -> Callable:
    """Checks, but for a result that is `Self`: that word means something inside a class only."""
    annotations = getattr(function, "__annotations__", {})
    if "Self" in str(annotations.get("return")):
        function.__annotations__ = {name: hint for name, hint in annotations.items() if name != "return"}
    return _beartype(function)


def _resolved(hint: Any, function: FunctionType) -> Any:
    """What an annotation stands for; anything where its names are known to type checkers only."""

    def holder(value: Any) -> None:
        del value

    holder.__annotations__ = {"value": hint}
    try:
        return typing.get_type_hints(holder, function.__globals__, include_extras=True)["value"]
    except Exception:
        return Any


def _has_shape(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_has_shape, typing.get_args(hint)))
