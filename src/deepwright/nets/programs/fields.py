"""Every field of a program's description, by torch's own schema: numbers are numbers, and each text has a rule.

A text without a rule is refused, so that a field which a newer torch evaluates isn't taken before somebody looked.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable
from enum import IntEnum
from functools import cache, partial
from typing import Any

from torch._export.serde import schema
from torch._export.serde.union import _Union

from deepwright.nets.programs.expressions import guard, symbolic
from deepwright.nets.programs.operators import kernel, operator
from deepwright.nets.programs.refusal import RefusedProgram, short
from deepwright.nets.programs.trees import is_name, tree

_TEXT = re.compile(r"[\w .,:;>+*/()=<%@-]*")  # no quote, backslash or line break: torch puts some into Python
_STACK = re.compile(r"[\w .,:;@/\[\]'<>()-]*")
_PATH = re.compile(r"[\w-]+(\.[\w-]+)*")
_SAID = re.compile(r"[^\w .,:;>+*/()=<%@-]")
_INFINITE = ("Infinity", "-Infinity", "NaN")


def _name(text: str) -> str:
    return _fits(text, is_name(text), "a name")


def _name_or_none(text: str) -> str:
    return text if text == "" else _name(text)


def _path(text: str) -> str:
    plain = _PATH.fullmatch(text) is not None and not any(part.startswith("__") for part in text.split("."))
    return _fits(text, text == "" or plain, "the dotted name of a part of a network")  # `__class__.x` is no part


def _call(text: str) -> str:
    """A part of the network, with the number of the call where it was called more than once."""
    _path(text.partition("@")[0])
    return _fits(text, text.partition("@")[2].isdecimal() or "@" not in text, "the number of a call")


def _text(text: str) -> str:
    return _fits(text, _TEXT.fullmatch(text) is not None, "plain words")


def _range(text: str) -> str:
    """What has a range: torch looks it up by its text."""
    symbolic(text)
    return text


def _word(*known: str) -> Callable[[str], str]:
    return lambda text: _fits(text, text in known, f"one of {', '.join(map(repr, known))}")


def _like(pattern: str) -> Callable[[str], str]:
    return lambda text: _fits(text, re.fullmatch(pattern, text, re.ASCII) is not None, f"what {pattern} describes")


def _fits(text: str, fits: bool, expected: str) -> str:
    if not fits:
        raise RefusedProgram(short(text), expected)
    return text


_RULES: dict[str, Callable[[str], str]] = {
    "Argument.as_operator": kernel,
    "Argument.as_string": _text,
    "Argument.as_string_to_argument": _name,
    "Argument.as_strings": _text,
    "ConstantValue.as_string": _text,
    "Device.type": _like("[a-z]+"),
    "ExportedProgram.guards_code": guard,
    "ExportedProgram.opset_version": _like(r"[\w.]+"),
    "ExportedProgram.range_constraints": _range,
    "ExportedProgram.torch_version": _like(r"[\w.+<=-]*"),
    "ExportedProgram.verifiers": _word("", "ATEN", "TRAINING", "EDGE"),
    "Graph.sym_bool_values": _name,
    "Graph.sym_float_values": _name,
    "Graph.sym_int_values": _name,
    "Graph.tensor_values": _name,
    "GraphArgument.name": _name,
    "InputToBufferSpec.buffer_name": _path,
    "InputToConstantInputSpec.name": _name,
    "InputToParameterSpec.parameter_name": _path,
    "InputToTensorConstantSpec.tensor_constant_name": _path,
    "BufferMutationSpec.buffer_name": _path,
    "ParameterMutationSpec.parameter_name": _path,
    "GradientToParameterSpec.parameter_name": _path,
    "GradientToUserInputSpec.user_input_name": _name,
    "UserInputMutationSpec.user_input_name": _name,
    "ModuleCallEntry.fqn": _call,
    "ModuleCallSignature.forward_arg_names": _name,
    "ModuleCallSignature.in_spec": partial(tree, named=True),
    "ModuleCallSignature.out_spec": partial(tree, named=False),
    "NamedArgument.name": _name_or_none,
    "Node.name": _name,
    "Node.target": operator,
    "PayloadConfig.config": _path,
    "PayloadMeta.path_name": _like(r"(weight|constant|tensor)_\d+"),
    "SymBoolArgument.as_name": _name,
    "SymExpr.expr_str": symbolic,
    "SymFloatArgument.as_name": _name,
    "SymIntArgument.as_name": _name,
    "TensorArgument.name": _name_or_none,
    "TokenArgument.name": _name,
}
_REFUSED = {
    "CustomObjArgument": "objects of torch's script classes",
    "InputToCustomObjSpec": "objects of torch's script classes",
}
_DROPPED: dict[str, Any] = {"GraphModule.metadata": {}, "GraphModule.treespec_namedtuple_fields": {}}  # never needed


def checked(kind: Any, data: Any, name: str = "") -> Any:
    """A value of the schema, made anew of what was checked.

    Args:
        kind: a class of the schema, or a container of such.
        data: from JSON.
        name: of the class and field that holds it, as in `Node.target`.

    Raises:
        RefusedProgram: anything that isn't as torch writes it.
    """
    if isinstance(kind, str):
        kind = getattr(schema, kind)
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else checked(inside[0], data, name)
    if origin is list:
        return [checked(inside[0], each, name) for each in _a(list, data, name)]
    if origin is dict:
        return {_worded(name, key): checked(inside[1], each, name) for key, each in _a(dict, data, name).items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, _a(dict, data, name))
    return _plain(kind, data, name)


def _record(kind: Any, data: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ in _REFUSED:
        raise RefusedProgram(_REFUSED[kind.__name__], "tensors and numbers")
    fields = _fields(kind)
    if issubclass(kind, _Union) and (len(data) != 1 or not data.keys() <= fields.keys()):
        raise RefusedProgram(f"{kind.__name__} of {short(sorted(data))}", f"one of {', '.join(fields)}")
    if kind is schema.NamedArgument and data.get("name") == "assert_msg":
        data = {**data, "arg": _said(data.get("arg"))}
    return {name: _field(kind.__name__, name, inner, data[name]) for name, inner in fields.items() if name in data}


@cache
def _fields(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, globalns=vars(schema))
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _field(owner: str, name: str, kind: Any, data: Any) -> Any:
    full = f"{owner}.{name}"
    if full in _DROPPED:
        return _DROPPED[full]
    if full == "Node.metadata":
        return _stack(data)
    try:
        return checked(kind, data, full)
    except RefusedProgram as error:
        raise error if error.place else error.within(full) from None  # only the innermost is of use


def _stack(metadata: Any) -> dict[str, str]:
    """Of what is said about a node only the modules that it comes from: text, of which nothing is looked up."""
    stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
    return {"nn_module_stack": stack} if isinstance(stack, str) and _STACK.fullmatch(stack) else {}


def _said(argument: Any) -> Any:
    """The message of a failed check: for people, so without what could end a string in Python."""
    text = argument.get("as_string") if isinstance(argument, dict) else None
    return {"as_string": _SAID.sub(" ", text)} if isinstance(text, str) else argument


def _a(kind: type, data: Any, name: str) -> Any:
    if type(data) is not kind:
        raise RefusedProgram(f"{name} of {short(data)}", f"a {kind.__name__}")
    return data


def _worded(name: str, text: Any) -> str:
    rule = _RULES.get(name)
    if rule is None:
        raise RefusedProgram(f"{name} of {short(text)}", "a field that is known")
    return rule(_a(str, text, name))


def _plain(kind: Any, data: Any, name: str) -> Any:
    if kind is str:
        return _worded(name, data)
    if kind is float and (type(data) is int or data in _INFINITE):
        return data
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        if type(data) is int and data in {each.value for each in kind}:
            return data
        raise RefusedProgram(f"{name} of {short(data)}", f"a {kind.__name__}")
    if kind in (int, float, bool):
        return _a(kind, data, name)
    raise RefusedProgram(f"{name} of {short(data)}", "a field that is known")
