"""`package.module:name`: the user's own network, looked at before it is called so that nothing else ever is."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.user_code import users_code
from deepwright.nets.doors import as_scores_only, from_estimator
from deepwright.nets.doors.estimators import is_estimator

_EXPECTED = "package.module:name, a class of networks, or a function without required arguments that makes one"


def named_network(source: str) -> nn.Module:
    """The network that `package.module:name` is, or makes when it is called without arguments.

    It may make a fitted scikit-learn estimator too, or a function of inputs that gives scores.

    What it is, is told before the call: a subclass of `nn.Module`, or a Python function of that package that doesn't
    say that it returns something else. A builtin, a function of the standard library, or one that needs arguments is
    never called. The current folder is searched too.

    Args:
        source: importable module, a colon, and the name in it.

    Raises:
        InputError: words of another form, a module that can't be imported, a name that is no factory of networks.
    """
    module_name, _, name = source.partition(":")
    is_file = module_name.endswith(".py")
    if is_file or not all(part.isidentifier() for part in [*module_name.split("."), name]):
        hint = f"without .py: {module_name[:-3].replace('/', '.')}:{name}" if is_file else None
        raise InputError("model", given=repr(source), expected=_EXPECTED, hint=hint)
    module = imported(module_name)
    made = getattr(module, name, None)
    if made is None:
        known = [n for n, value in vars(module).items() if not n.startswith("_") and _may_be_a_factory(value)]
        raise unknown_name(f"name in {module_name}", name, known or [_EXPECTED])
    if isinstance(made, nn.Module):
        return made
    if is_estimator(made):
        return from_estimator(made)
    _require_factory(source, module_name, made)
    with users_code(f"calling {source}()", "a network"):
        network = as_scores_only(made())
    if not isinstance(network, nn.Module):
        expected = "an nn.Module, a scikit-learn estimator or a function of inputs that gives scores"
        raise InputError(f"{source}()", given=type(network).__name__, expected=expected)
    return network


def imported(name: str) -> types.ModuleType:
    """A module of the user's; the current folder is searched too.

    Args:
        name: as `import` takes it.

    Raises:
        InputError: it isn't there, or can't be imported.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with users_code(f"cannot import {name}", "a module that can be imported"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # one that it imports in turn
            raise InputError(
                f"cannot import {name}",
                given=str(error),
                hint="run from the folder that holds it, or install its package",
            ) from error


def _may_be_a_factory(value: Any) -> bool:
    return isinstance(value, nn.Module) or (inspect.isclass(value) and issubclass(value, nn.Module))


def _require_factory(source: str, module_name: str, made: Any) -> None:
    """Refuse what doesn't make networks, or can't be called without arguments: before the call."""
    what = _why_not(module_name, made)
    if what is not None:
        raise InputError("model", given=f"{source}, {what}", expected=_EXPECTED)
    required = _required(made)
    if required:
        raise InputError(
            "model",
            given=f"{source}, which needs {', '.join(required)}",
            expected=_EXPECTED,
            hint=f"write a function that calls {source.partition(':')[2]} with them, and name that",
        )


def _why_not(module_name: str, made: Any) -> str | None:
    """What something is that makes no networks; None where it may."""
    target = inspect.unwrap(made.func if isinstance(made, functools.partial) else made)
    if inspect.isclass(target):
        return None if issubclass(target, nn.Module) else f"the class {target.__name__}, which is no nn.Module"
    if not inspect.isfunction(target):
        return f"a {type(target).__name__}"
    if inspect.iscoroutinefunction(target) or inspect.isgeneratorfunction(target):
        return "a coroutine or a generator"
    home = (target.__module__ or "").partition(".")[0]
    if home in sys.stdlib_module_names and home != "__main__":
        return "a function of Python's standard library"
    said = _said_to_return(target)
    if not _may_be_network(said):
        return f"which returns {getattr(said, '__name__', said)}"
    if said is inspect.Signature.empty and home != module_name.partition(".")[0]:
        return f"a function of another package ({target.__module__}) that doesn't say what it returns"
    return None


def _said_to_return(function: Callable[..., Any]) -> Any:
    """The annotation of what a function returns; empty where there is none, or none that can be told."""
    try:
        return typing.get_type_hints(function).get("return", inspect.Signature.empty)
    except Exception:  # a name that only the type checker imports
        return inspect.Signature.empty


def _may_be_network(said: Any) -> bool:
    if said is None or said is type(None):
        return False
    if typing.get_origin(said) in (typing.Union, types.UnionType):
        return any(_may_be_network(each) for each in typing.get_args(said))
    if said is inspect.Signature.empty or not inspect.isclass(said) or typing.get_origin(said) is not None:
        return True
    return issubclass(said, nn.Module) or issubclass(nn.Module, said) or hasattr(said, "predict")


def _required(made: Callable[..., Any]) -> list[str]:
    """The arguments that a call must give."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return ["arguments that can't be told"]
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind not in variable]
