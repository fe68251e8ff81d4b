"""What work was made from, computed and never listed by hand: a named fingerprint of data, options, models and code.

Two runs with equal fingerprints do the same work. What enters:

* tensors and arrays: dtype, shape and bytes; data sets: a fingerprint that they declare (`fingerprint` or `_fingerprint`,
  as Hugging Face's have), or the tensors of a `TensorDataset`, or every item of a map-style one, read under fixed seeds
  (declare a fingerprint where that takes too long);
* modules: class, parameters, buffers and settings, but not whether they are in train mode;
* functions: what they compile to, what they close over, their defaults, and the globals that they read, and so on through
  all code of the user (comments don't count); a module that they read from: the text of its file, and so on through the
  user's modules that it imports. Functions of libraries count by name, and those of Deepwright by name and by
  the text of their file;
* containers, dataclasses, enums, paths (by name, not by what lies there), numbers, strings, generators' states;
* any other object: its class, and what pickle would keep of it, or what its `__resume_identity__()` returns.

What can't be identified (locks, open files, running generators) is refused. It is never left out.
"""

from __future__ import annotations

import copyreg
import dataclasses
import dis
import enum
import functools
import hashlib
import os
import random
import sys
import types
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from deepwright.core.errors import InputError
from deepwright.core.files import contiguous
from deepwright.core.randomness import local_rng
from deepwright.core.version import __version__

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range, slice)
_TORCH_WORDS = (torch.dtype, torch.device, torch.layout, torch.memory_format, torch._ops.OpOverload)
_NAMED = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
)
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
_USER = "the user's"
_RUNNING = set(vars(nn.Module()))  # how a module runs at the moment, and what is taken in by itself
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Digest(str):
    """A hash of something that was identified already: a part of an identity as it is."""

    __slots__ = ()


class Identity(dict[str, str]):
    """Name of a part -> what it was: the value itself where it is short, else a hash."""

    def differences(self, before: Mapping[str, str]) -> list[str]:
        """What differs from an earlier identity, in words: "another training data", "another lr: 0.1, was 0.001"."""
        names = [*self, *(name for name in before if name not in self)]
        return [_told(name, self.get(name), before.get(name)) for name in names if self.get(name) != before.get(name)]

    @property
    def key(self) -> str:
        """One hash of all parts."""
        return digest(dict(self))


def identity(**parts: Any) -> Identity:
    """The fingerprint of what work is made from.

    Args:
        **parts: everything that the result depends on, by the name that a refusal shall use (`training_data` reads
            "training data"). A dataclass of options or a dict with string keys is told by field: `options.lr`.

    Raises:
        InputError: a part that can't be identified.
    """
    found = Identity()
    for name, value in parts.items():
        for part, inner in _opened(name.replace("_", " "), value):
            found[part] = str(inner) if isinstance(inner, Digest) else _short(inner) or str(digest(inner, part))
    found["package version"] = f"{__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"
    return found


def digest(value: Any, name: str = "a value") -> Digest:
    """A short hash of any value that can be identified.

    Args:
        value: data, a model, a function, options, ...
        name: what errors call it.

    Raises:
        InputError: something in it can't be identified.
    """
    return _digest(value, _Digest(name))


def architecture(model: nn.Module, name: str = "model") -> Digest:
    """A short hash of a network's classes, settings and shapes: all but the values of its parameters and buffers.

    Args:
        model: the network.
        name: what errors call it.
    """
    return _digest(model, _Digest(name, weights=False))


def structure(model: nn.Module, name: str = "model") -> dict[str, Any]:
    """What `architecture` hashes, in parts that a refusal can name: the network, and each setting of its own.

    Args:
        model: the network.
        name: what errors call it.

    Returns:
        "network" -> all but the module's own settings; setting, or field of it -> its value, or a hash where it is long.
        Where the module says what it is as a dict (`__resume_identity__`): the entries of that.
    """
    model = _uncompiled(model)
    own: Any = getattr(model, "__resume_identity__", dict)()
    if own and type(own) is dict:
        return _named(own, name)
    network = _digest(model, _Digest(name, weights=False, bare=model))
    if own or isinstance(model, torch.jit.ScriptModule):
        return {"network": network}
    return {"network": network, **_named({k: v for k, v in vars(model).items() if k not in _RUNNING}, name)}


def _named(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """Settings by name, those that are long as a hash, without the weights of modules."""
    opened = {part: inner for setting, value in settings.items() for part, inner in _opened(setting, value)}
    return {
        part: _digest(inner, _Digest(f"{name}.{part}", weights=False)) if _short(inner) is None else inner
        for part, inner in opened.items()
    }


def _digest(value: Any, state: _Digest) -> Digest:
    try:
        state.feed(value)
    except RecursionError as error:
        raise InputError(f"{state.name} can't be identified", given="a value nested too deeply") from error
    return Digest(state.hash.hexdigest())


def _opened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of options, each under a name of its own."""
    if hasattr(value, "__resume_identity__"):
        yield name, value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield name, type(value)
        for field in dataclasses.fields(value):
            yield f"{name}.{field.name}", getattr(value, field.name)
    elif type(value) is dict and value and all(isinstance(key, str) for key in value):
        for key, inner in value.items():
            yield f"{name}.{key}", inner
    else:
        yield name, value


def _short(value: Any) -> str | None:
    """A number or a word as people read it."""
    plain = value is None or type(value) in (bool, int, float, str)
    return repr(value) if plain and len(repr(value)) <= 40 else None


def _told(name: str, now: str | None, before: str | None) -> str:
    hashed = [v is not None and len(v) == 32 and set(v) <= set("0123456789abcdef") for v in (now, before)]
    if all(hashed):
        return f"another {name}"
    new, old = ("nothing" if v is None else "something else" if h else v for v, h in zip((now, before), hashed))
    return f"another {name}: {new}, was {old}"


class _Digest:
    """A hash that walks through values. Each object enters once; later its number stands for it, so circles end."""

    def __init__(self, name: str, weights: bool = True, bare: nn.Module | None = None) -> None:
        self.name, self.weights, self.bare = name, weights, bare  # `bare` enters without its own settings
        self.hash = hashlib.blake2b(digest_size=16)
        self.trail: list[str] = []
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # while we walk, no other object may get the address of one that was seen

    def feed(self, value: Any) -> None:
        """Take in a value of any kind."""
        if isinstance(value, enum.Enum):
            self.word("enum", str(value.name))
            self.feed(value.value)
            self.feed(type(value))
        elif isinstance(value, _PLAIN) and type(value) in _PLAIN:
            self.word(type(value).__name__, value.hex() if isinstance(value, float) else repr(value))
        elif type(value) in (tuple, frozenset):  # constants of code are shared or not as Python likes
            self._by_kind(value)
        elif id(value) in self.seen:
            self.word("again", str(self.seen[id(value)]))
        else:
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)
            self._by_kind(value)

    def _within(self, name: str, value: Any) -> None:
        """Take in a value, and remember its name for an error."""
        self.trail.append(name)
        self.feed(value)
        self.trail.pop()

    def word(self, kind: str, text: str) -> None:
        """A tag and a text, with their lengths, so that no two sequences of them read alike."""
        data = text.encode(errors="surrogatepass")
        self.hash.update(f"{kind}:{len(data)}:".encode())
        self.hash.update(data)

    def _by_kind(self, value: Any) -> None:
        own = None if isinstance(value, type) else getattr(type(value), "__resume_identity__", None)
        if own is not None:
            self.word("declared", "")
            self.feed(own(value))
            return
        for kinds, take in _TAKERS:
            if isinstance(value, kinds):
                take(self, value)
                return
        self._object(value)

    # --- data --------------------------------------------------------------------------------------------------

    def _tensor(self, value: Tensor) -> None:
        if value.is_meta:
            self._refuse(value, "a tensor without content (meta)")
        if value.layout != torch.strided:
            dense = value.detach().to_sparse_coo().coalesce()
            self.word("sparse", f"{value.layout} {tuple(value.shape)}")
            self._tensor(dense.indices())
            self._tensor(dense.values())
            return
        if value.is_quantized:
            self.word("quantized", f"{value.dtype} {value.qscheme()}")
            value = value.dequantize()
        data = contiguous(value.detach().cpu().resolve_conj().resolve_neg())
        self.word("tensor", f"{data.dtype} {tuple(data.shape)}")
        if data.numel():
            self.hash.update(data.reshape(-1).view(torch.uint8).numpy().data)

    def _array(self, value: np.ndarray | np.generic) -> None:
        array = np.asarray(value)
        self.word("array", f"{array.dtype.str} {array.dtype.descr if array.dtype.names else ''} {array.shape}")
        if array.dtype.hasobject:
            for item in array.reshape(-1).tolist():
                self.feed(item)
        else:
            self.hash.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")

    def _dataset(self, value: Dataset) -> None:
        declared = getattr(value, "fingerprint", None) or getattr(value, "_fingerprint", None)
        if isinstance(declared, str):
            self.word("fingerprint", declared)
        elif isinstance(value, TensorDataset):
            self._items("tensors", value.tensors)
        elif isinstance(value, IterableDataset) or not hasattr(value, "__len__"):
            self._object(value)
        else:
            with _fixed_seeds():
                self._items("dataset", (value[i] for i in range(len(value))))  # type: ignore[arg-type]

    def _items(self, kind: str, items: Any) -> None:
        """Items that are made as they are read: those may be let go again, so each has a hash of its own."""
        for count, item in enumerate(items):
            self.word(kind, f"{count} {digest(item, self.name)}")

    def _loader(self, value: DataLoader) -> None:
        self.word("loader", f"{value.batch_size} {value.drop_last}")
        self.feed(value.dataset)
        self.feed(value.sampler)
        self.feed(value.batch_sampler if value.batch_size is None else None)
        self.feed(value.collate_fn)

    def _mapping(self, value: Mapping[Any, Any]) -> None:
        self._class_of(value)
        self.word("dict", str(len(value)))
        keyed = sorted(((digest(k, self.name), k) for k in value), key=lambda pair: pair[0])
        for name, key in keyed:
            self.word("key", name)
            self.feed(value[key])

    def _sequence(self, value: Any) -> None:
        self._class_of(value)
        self.word("items", str(len(value)))
        for item in value:
            self.feed(item)

    def _set(self, value: Any) -> None:
        self.word("set", " ".join(sorted(digest(item, self.name) for item in value)))

    def _path(self, value: PurePath) -> None:
        self.word("path", os.fspath(value))

    def _text(self, value: Any) -> None:
        self.word(type(value).__name__, str(value))

    def _generator(self, value: torch.Generator) -> None:
        self._tensor(value.get_state())

    # --- code --------------------------------------------------------------------------------------------------

    def _named(self, value: Any) -> None:
        self.word("builtin", f"{getattr(value, '__module__', None)} {value.__qualname__}")
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            self.feed(owner)

    def _module(self, value: types.ModuleType) -> None:
        origin = _origin(value.__name__)
        self.word("module", origin)
        if origin == _USER:
            self.word("name", value.__name__.rpartition(".")[2])
            self.word("text", _text_of(value.__name__))
            for name, inner in sorted(vars(value).items()):
                if isinstance(inner, types.ModuleType):
                    self._within(name, inner)
                elif getattr(inner, "__module__", value.__name__) != value.__name__ and callable(inner):
                    self._within(name, sys.modules.get(str(inner.__module__)))

    def _function(self, value: types.FunctionType) -> None:
        if _is_check(value):
            self.feed(value.__wrapped__)  # type: ignore[attr-defined]
            return
        origin = _origin(value.__globals__.get("__name__", ""))
        if origin == _USER:
            self._code(value.__code__)
            self._globals(value)
        else:
            self.word("function", f"{origin} {value.__qualname__}")
        for part in (value.__defaults__, value.__kwdefaults__):
            self.feed(part)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
            self._within(name, _content(cell))

    def _code(self, code: types.CodeType) -> None:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self.word(
            "code", f"{code.co_argcount} {code.co_kwonlyargcount} {code.co_posonlyargcount} {code.co_flags} {names}"
        )
        self.hash.update(code.co_code)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self.feed(constant)

    def _globals(self, value: types.FunctionType) -> None:
        for name in _globals_of(value.__code__):
            if name in value.__globals__:
                self.word("global", name)
                self._within(name, value.__globals__[name])

    def _method(self, value: types.MethodType) -> None:
        self.feed(value.__func__)
        self.feed(value.__self__)

    def _partial(self, value: functools.partial) -> None:
        self.word("partial", "")
        for part in (value.func, value.args, value.keywords):
            self.feed(part)

    def _descriptor(self, value: Any) -> None:
        self.word("descriptor", type(value).__name__)
        for name in ("fget", "fset", "fdel", "__func__", "func"):
            self.feed(getattr(value, name, None))

    def _class(self, value: type) -> None:
        for each in value.__mro__:
            origin = _origin(each.__module__)
            if origin != _USER:
                self.word("class", f"{origin} {each.__qualname__}")
                continue
            self.word("class", each.__qualname__.rpartition(".")[2])
            for name, inner in sorted(vars(each).items()):
                if name not in _IDLE and not _generated(each, inner):
                    self.word("attribute", name)
                    self.feed(inner)
            for field in getattr(each, "__dataclass_fields__", {}).values():
                default = None if field.default_factory is dataclasses.MISSING else field.default_factory
                self.word("field", f"{field.name} {field.type}")
                self.feed(default)

    def _class_of(self, value: Any) -> None:
        if type(value) in (dict, list, tuple):
            self.word("type", type(value).__name__)
        else:
            self.feed(type(value))

    # --- objects -----------------------------------------------------------------------------------------------

    def _nn_module(self, value: nn.Module) -> None:
        if _uncompiled(value) is not value:
            self.feed(_uncompiled(value))
            return
        self.feed(type(value))
        if isinstance(value, torch.jit.ScriptModule):
            self.word("script", str(value.inlined_graph))
            self._tensors(value.state_dict())
            return
        if isinstance(value, torch.fx.GraphModule):
            self.word("graph", value.code)
        self._tensors(value._parameters)
        self._tensors(value._buffers)
        for name, child in value._modules.items():
            self.word("child", name)
            self.feed(child)
        if value is not self.bare:
            self._mapping({k: v for k, v in vars(value).items() if k not in _RUNNING})
        for name in _HOOKS:
            for hook in getattr(value, name, {}).values():
                self.feed(hook)

    def _tensors(self, tensors: Mapping[str, Tensor | None]) -> None:
        for name, tensor in tensors.items():
            self.word("weight", f"{name} {tensor is not None and tensor.requires_grad}")
            if tensor is not None and not self.weights:
                self.word("shape", f"{tensor.dtype} {tuple(tensor.shape)}")
            elif tensor is not None:
                self._tensor(tensor)

    def _dataclass(self, value: Any) -> None:
        self.feed(type(value))
        for field in dataclasses.fields(value):
            self.word("field", field.name)
            self.feed(getattr(value, field.name))

    def _wrapped(self, value: Any) -> None:
        self.word("wrapped", type(value).__name__)
        self.feed(value.__wrapped__)

    def _object(self, value: Any) -> None:
        """An object as pickle would take it apart: what makes it, from what, and its state."""
        declared = getattr(value, "_fingerprint", None)
        if isinstance(declared, str):
            self.word("fingerprint", declared)
        elif dataclasses.is_dataclass(value):
            self._dataclass(value)
        elif callable(value) and hasattr(value, "__wrapped__"):
            self._wrapped(value)
        else:
            self.feed(type(value))
            self._reduced(value)

    def _reduced(self, value: Any) -> None:
        if type(value) is object:
            self._refuse(value, "a bare object()")
        take = copyreg.dispatch_table.get(type(value))
        try:
            made = take(value) if take else value.__reduce_ex__(4)
        except Exception as error:
            self._refuse(value, f"{type(value).__name__} ({error})")
        if isinstance(made, str):
            self.word("global", made)
            return
        maker, arguments, *rest = made
        self.feed(maker)
        self.feed(arguments)
        self.feed(rest[0] if rest else None)
        for items in rest[1:3]:
            for item in items or ():
                self.feed(item)

    def _refuse(self, value: Any, what: str) -> NoReturn:
        raise InputError(
            f"{self.name} can't be identified, so that a result of it could not be told from another's",
            given=" of ".join([what, *reversed(self.trail)]),
            expected="data, models, functions, options and objects that consist of them",
            hint=f"give {type(value).__qualname__} a method __resume_identity__() that returns what it is",
        )


def _uncompiled(model: nn.Module) -> nn.Module:
    """The network inside torch.compile's wrapper: the same one."""
    return model._orig_mod if type(model).__name__ == "OptimizedModule" else model  # type: ignore[return-value]


def _weak(state: _Digest, value: weakref.ref) -> None:
    state.feed(value())


_TAKERS: tuple[tuple[Any, Any], ...] = (  # the first that fits
    (type, _Digest._class),
    (nn.Module, _Digest._nn_module),
    (Tensor, _Digest._tensor),
    ((np.ndarray, np.generic), _Digest._array),
    (Dataset, _Digest._dataset),
    (DataLoader, _Digest._loader),
    (torch.Generator, _Digest._generator),
    ((*_TORCH_WORDS, np.dtype), _Digest._text),
    (PurePath, _Digest._path),
    (types.FunctionType, _Digest._function),
    (types.MethodType, _Digest._method),
    (functools.partial, _Digest._partial),
    (_NAMED, _Digest._named),
    ((property, classmethod, staticmethod, functools.cached_property), _Digest._descriptor),
    (types.ModuleType, _Digest._module),
    (weakref.ref, _weak),
    ((dict, types.MappingProxyType), _Digest._mapping),
    ((list, tuple), _Digest._sequence),
    ((set, frozenset), _Digest._set),
)


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


def _text_of(module: str) -> str:
    """A hash of a module's file."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return "" if path is None else hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()


def _generated(owner: type, value: Any) -> bool:
    """A method that `dataclass` wrote: it follows from the fields."""
    return (
        dataclasses.is_dataclass(owner) and getattr(getattr(value, "__code__", None), "co_filename", "") == "<string>"
    )


@functools.lru_cache(maxsize=4096)
def _is_check(function: types.FunctionType) -> bool:
    """Whether a function only checks the annotations of the one that it wraps (its closure holds a random state)."""
    made_by = str(function.__globals__.get("__name__", "")).partition(".")[0]
    checker = made_by in ("jaxtyping", "beartype") or function.__code__.co_filename.startswith("<@beartype")
    return checker and hasattr(function, "__wrapped__")


def _origin(module: str) -> str:
    """Whose code a module is: the user's, or the name under which a library's (or our own) is known."""
    root = module.partition(".")[0]
    found = sys.modules.get(module)
    path = getattr(found, "__file__", None)
    if root == "deepwright" and path is not None:
        return f"{module} {_text_of(module)}"
    if root in sys.stdlib_module_names and root != "__main__":
        return module
    if path is not None and {"site-packages", "dist-packages"} & set(Path(path).parts):
        version = "" if root in ("torch", "numpy") else getattr(sys.modules.get(root), "__version__", "")
        return f"{module} {version}".strip()
    return _USER


@contextmanager
def _fixed_seeds() -> Iterator[None]:
    """Data sets that draw as they are read give the same items."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - put back below
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    try:
        with local_rng(0):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
