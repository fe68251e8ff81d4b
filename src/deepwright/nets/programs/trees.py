"""How a program's inputs and outputs are nested: torch imports what a description names, so only containers may be."""

from __future__ import annotations

import json
import keyword
import re
from typing import Any

from torch.utils import _pytree as pytree

from deepwright.nets.programs.refusal import RefusedProgram, short

_LISTS = {"builtins.tuple", "builtins.list", "torch.fx.immutable_collections.immutable_list"}
_DICTS = {"builtins.dict", "collections.OrderedDict", "torch.fx.immutable_collections.immutable_dict"}
_RECORD = re.compile(r"transformers\.[\w.]*modeling_outputs\.\w+", re.ASCII)  # taken only where it was imported
_WORD = re.compile(r"[\w .:/@-]{1,200}")


def tree(text: str, *, named: bool) -> str:
    """A description of nesting, written anew.

    Args:
        text: as the program holds it.
        named: keys become names of Python, of a function's arguments.

    Raises:
        RefusedProgram: other containers, or keys that are no names.
    """
    try:
        version, inner = json.loads(text)
        return json.dumps([_whole(version), _node(inner, named)])
    except RefusedProgram:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RefusedProgram(f"nesting {short(text)}", "what torch.export writes") from error


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise RefusedProgram(short(value), "a version number")
    return value


def _node(node: dict[str, Any], named: bool) -> dict[str, Any]:
    kind, context = node["type"], node["context"]
    if kind is not None:
        context = json.dumps(_context(kind, json.loads(context), named))
    elif context is not None:
        raise RefusedProgram(f"a leaf with {short(context)}", "a leaf")
    return {"type": kind, "context": context, "children_spec": [_node(child, named) for child in node["children_spec"]]}


def _context(kind: str, context: Any, named: bool) -> Any:
    if kind in _LISTS and context is None:
        return context
    if kind == "collections.deque" and (context is None or type(context) is int):
        return context
    if _RECORD.fullmatch(kind) and kind not in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE:
        raise RefusedProgram(f"outputs as {kind}, which isn't imported", f"`import {kind.rpartition('.')[0]}` before")
    if (kind in _DICTS or _RECORD.fullmatch(kind)) and type(context) is list:
        if all(type(key) is int or (type(key) is str and key_fits(key, named)) for key in context):
            return context
        raise RefusedProgram(f"keys {short(context)}", "names")
    raise RefusedProgram(f"nesting in {short(kind)}", "tuples, lists, dicts, and outputs of imported transformers")


def key_fits(key: str, named: bool) -> bool:
    """Whether a key may stand in generated Python.

    Args:
        key: of a dict.
        named: it becomes a name.
    """
    return is_name(key) if named else _WORD.fullmatch(key) is not None


def is_name(text: str) -> bool:
    """Whether a text is a name in Python, and nothing else."""
    return text.isidentifier() and not keyword.iskeyword(text)
