"""A second device where no accelerator is: it refuses to mix with CPU tensors, as CUDA does.

`enable()` registers torch's spare backend under the name "second". Its tensors are real tensors of another device (own
dispatch key, so that autograd, `torch.func`, hooks and modules treat them as they treat CUDA's), their memory is the
host's, and every operation runs as the CPU kernel on it after the devices have been checked by CUDA's rules:

* tensors of two devices don't mix, but for 0-dim CPU tensors that are only read in elementwise operations, and CPU
  index tensors in `x[index]`;
* a generator must be of the device on which the numbers arise;
* `.numpy()` refuses; `.to`, `.cpu()`, `copy_`, `.item()` and `.tolist()` cross.

Not covered: `torch.compile`, autocast, streams and events, sparse and quantised tensors, kernels' own non-determinism,
the limits of cuDNN (fake CUDA tensors show some: see tests/compress/test_cuda_export.py) and the device's own random
numbers (its generators give the CPU's). What only Python can see is refused inside `strict()` only. Backward passes
need `one_thread()` or `strict()` around them. `Module.to` makes new parameters, as for XLA and unlike between CPU and
CUDA: an optimiser that was made before doesn't follow.
"""

from __future__ import annotations

import contextlib
import functools
import re
import weakref
from pathlib import Path

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

NAME = "second"
_CPU = torch.device("cpu")
_ORIGINAL_GENERATOR = torch.Generator
_INDEXING = {"index", "index_put_", "_index_put_impl_", "index_put"}
_CROSSING = {"copy_", "_copy_from", "_copy_from_and_resize", "copy"}
_GENERATORS: weakref.WeakValueDictionary[int, torch.Generator] = weakref.WeakValueDictionary()
_SET = torch.ops.aten.set_.source_Storage_storage_offset


def available() -> bool:
    """Whether this torch can register a backend from Python (2.10 and later)."""
    from torch.utils import backend_registration

    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


def _mixed(op: object, devices: set[str], what: str = "tensors") -> RuntimeError:
    return RuntimeError(
        f"Expected all {what} to be on the same device, but found at least two devices, {', '.join(sorted(devices))}! "
        f"(in {op})"
    )


class SecondGenerator(_ORIGINAL_GENERATOR):
    """A generator of the second device (torch knows it from others by its address only)."""

    def __init__(self) -> None:
        _GENERATORS[self._cdata] = self

    @property
    def device(self) -> torch.device:
        return torch.device(NAME, 0)

    def clone_state(self) -> SecondGenerator:
        other = SecondGenerator()
        other.set_state(self.get_state())
        return other


class _GeneratorType(type):
    def __call__(cls, device="cpu"):
        return SecondGenerator() if torch.device(device).type == NAME else _ORIGINAL_GENERATOR(device=device)

    def __instancecheck__(cls, instance):
        return isinstance(instance, _ORIGINAL_GENERATOR)

    def __subclasscheck__(cls, other):
        return issubclass(other, _ORIGINAL_GENERATOR)


def one_thread() -> contextlib.AbstractContextManager[None]:
    """Backward passes in the caller's thread: the first one starts a thread a device."""
    return torch.autograd.set_multithreading_enabled(False)


class strict(TorchFunctionMode):
    """What a device contract needs beyond the device itself, inside the block.

    A generator of the second device given to a CPU operation is refused, and so is a parameter's move to the CPU: that
    is work taken to the CPU without a word. Backward passes run in the caller's thread.
    """

    def __enter__(self):
        self._here = one_thread()
        self._here.__enter__()
        return super().__enter__()

    def __exit__(self, *exception):
        self._here.__exit__(*exception)
        return super().__exit__(*exception)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not isinstance(out, Tensor) or out.device.type != "cpu":
            return out
        given = (*args, *(kwargs or {}).values())
        if any(isinstance(a, SecondGenerator) for a in given):
            raise RuntimeError(f"Expected a 'cpu' device type for generator but found '{NAME}'")
        if func in (Tensor.to, Tensor.cpu) and isinstance(args[0], torch.nn.Parameter) and args[0].device.type == NAME:
            raise RuntimeError(f"a parameter of shape {tuple(out.shape)} is moved from {NAME} to the CPU")
        return out


# ---------------------------------------------------------------- memory: a storage of the device over a CPU storage


def _device_storage(owner: torch.UntypedStorage) -> torch.UntypedStorage:
    """A storage of the second device on the memory of a CPU storage, which it keeps alive."""
    storage = torch._C._construct_storage_from_data_pointer(owner.data_ptr(), torch.device(NAME, 0), owner.nbytes())
    storage._owner = owner
    return storage


def _point(tensor: Tensor, storage: torch.UntypedStorage, like: Tensor) -> Tensor:
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    return _SET.redispatch(keys, tensor, storage, like.storage_offset(), like.shape, like.stride())


def _to_device(host: Tensor, storage: torch.UntypedStorage | None = None) -> Tensor:
    """A tensor of the second device on the memory of a CPU tensor."""
    result = torch._C._acc.create_empty_tensor([0], host.dtype)
    result = _point(result, storage or _device_storage(host.untyped_storage()), host)
    if host.is_conj():
        torch._C._set_conj(result, True)
    if host.is_neg():
        torch._C._set_neg(result, True)
    return result


def _to_host(tensor: Tensor) -> Tensor:
    """The CPU tensor on the memory of one of the second device."""
    owner = getattr(tensor.untyped_storage(), "_owner", None)
    if owner is None:
        raise RuntimeError("a tensor of the second device without memory")
    host = torch.empty(0, dtype=tensor.dtype).set_(owner, tensor.storage_offset(), tensor.shape, tensor.stride())
    host = host.conj() if tensor.is_conj() else host
    return torch._neg_view(host) if tensor.is_neg() else host


# ---------------------------------------------------------------- dispatch


@functools.cache
def _elementwise() -> set[str]:
    """Operations in which CUDA takes 0-dim CPU tensors: those that torch's own table marks as checked elsewhere."""
    from torchgen import packaged

    table = Path(next(iter(packaged.__path__))) / "ATen/native/native_functions.yaml"
    name, found = "", set()
    for line in table.read_text().splitlines():
        if line.startswith("- func: "):
            name = re.split(r"[.(]", line.removeprefix("- func: "))[0]
        elif "device_check: NoCheck" in line and "TensorIterator" in line:
            found.add(name)
    return found


@functools.cache
def _words(op: torch._ops.OpOverload) -> tuple[str, bool, tuple[str, ...], tuple[str, ...]]:
    """Name, whether 0-dim CPU tensors may enter, the names of the arguments, and of those that are written."""
    name, arguments = op._schema.name.split("::")[1], op._schema.arguments
    written = tuple(a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write)
    return name, name in _elementwise(), tuple(a.name for a in arguments), written


def _leaves(value: object) -> list | tuple:
    """What an argument or a result holds: operations know single values and flat lists (a tree's walk is slow)."""
    return value if isinstance(value, list | tuple) else (value,)


def _is_here(tensor: Tensor) -> bool:
    return not tensor.is_cpu and tensor.device.type == NAME


def _mapped(function, value: object) -> object:
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(function(inner) for inner in value)
    return function(value)


def _as_tensor(value: object, key: str, op, named: dict[str, object]) -> object:
    """A Python number where the operation takes a tensor (dispatch unwraps such numbers), of the dtype it counts as."""
    if isinstance(value, Tensor) or not isinstance(value, int | float | complex) or key not in _tensor_arguments(op):
        return value
    other = next((t for t in named.values() if isinstance(t, Tensor)), None)
    return torch.tensor(value, dtype=None if other is None else torch.result_type(other, value))


@functools.cache
def _tensor_arguments(op) -> tuple[str, ...]:
    return tuple(a.name for a in op._schema.arguments if isinstance(a.type, torch.TensorType))


def _check(op, named: dict[str, object]) -> None:
    name, elementwise, _, written = _words(op)
    on_device = False
    host = []
    for key, value in named.items():
        for t in _leaves(value):
            if isinstance(t, Tensor):
                if _is_here(t):
                    on_device = True
                elif not (elementwise and t.ndim == 0 and key not in written) and not (
                    name in _INDEXING and key == "indices"
                ):
                    host.append(t.device.type)
            elif isinstance(t, _ORIGINAL_GENERATOR) and t._cdata not in _GENERATORS:
                raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu'")
    first = named.get("self")
    if name in _INDEXING and isinstance(first, Tensor) and first.device.type == "cpu":
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    if on_device and host:
        raise _mixed(op, {NAME + ":0", *host})


def _run(op, *args, **kwargs):
    """One operation: check the devices, run the CPU's kernel on the same memory, and hand its results over."""
    name, _, words, written = _words(op)
    named = dict(zip(words, args)) | kwargs
    if name not in _CROSSING:
        _check(op, named)
    hosts: dict[int, tuple[Tensor, Tensor]] = {}
    storages: dict[int, torch.UntypedStorage] = {}

    def lower(value):
        if isinstance(value, Tensor):
            if not _is_here(value):
                return value
            if id(value) not in hosts:
                hosts[id(value)] = (value, _to_host(value))
                storage = value.untyped_storage()
                if storage.nbytes():
                    storages[storage._owner.data_ptr()] = storage
            return hosts[id(value)][1]
        return _CPU if type(value) is torch.device and value.type == NAME else value

    out = op(**{key: _mapped(lower, _as_tensor(value, key, op, named)) for key, value in named.items()})
    back = {id(host): tensor for tensor, host in hosts.values()}
    for key in written:  # an output that the kernel resized
        for t in _leaves(named.get(key)):
            if isinstance(t, Tensor) and id(t) in hosts:
                host = hosts[id(t)][1]
                if host.shape != t.shape or host.untyped_storage().data_ptr() != t.untyped_storage().data_ptr():
                    _point(t, _device_storage(host.untyped_storage()), host)
    stays = name in _CROSSING and isinstance(args[0], Tensor) and args[0].device.type == "cpu"

    def lift(value):
        if not isinstance(value, Tensor) or stays:
            return value
        if id(value) in back:
            return back[id(value)]
        return _to_device(value, storages.get(value.untyped_storage().data_ptr()))

    return _mapped(lift, out)


def _set_storage(tensor, source, offset=0, size=None, stride=()):
    size = [source.nbytes() // tensor.element_size()] if size is None else size
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    return _SET.redispatch(keys, tensor, source, offset, size, stride)


def _zeros(size, *, dtype=None, layout=None, device=None, pin_memory=None):
    """Forward mode's zeros, which have no memory elsewhere, in full."""
    return _to_device(torch.zeros(size, dtype=dtype))


def _convolution(*args, **kwargs):
    return _run(torch.ops.aten.convolution.default, *args, **kwargs)


def _convolution_backward(grad, x, weight, stride, padding, dilation, transposed, output_padding, groups, mask):
    return _run(
        torch.ops.aten.convolution_backward.default,
        *(grad, x, weight, [weight.shape[1 if transposed else 0] * (groups if transposed else 1)]),
        *(stride, padding, dilation, transposed, output_padding, groups, mask),
    )


def _copy_from(source, target, non_blocking=False):
    _run(torch.ops.aten.copy_.default, target, source, non_blocking)
    return target


class _Module:
    """What `torch.second` answers."""

    def is_initialized(self):
        return True

    def is_available(self):
        return True

    def current_device(self):
        return 0

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        pass

    def device_count(self):
        return 1

    def synchronize(self, device=None):
        pass

    def get_rng_state(self, device=None):
        return torch.get_rng_state()

    def set_rng_state(self, state, device=None):
        torch.set_rng_state(state)

    def get_amp_supported_dtype(self):
        return [torch.bfloat16, torch.float16]


def _mend_storages() -> None:
    """Copies of storages, which torch makes with an allocator that a backend in Python can't register."""
    kind = torch.UntypedStorage
    clone, deepcopy, cpu = kind.clone, kind.__deepcopy__, kind.cpu

    def here(storage):
        return storage.device.type == NAME

    kind.clone = lambda s: _device_storage(s._owner.clone()) if here(s) else clone(s)
    kind.cpu = lambda s: s._owner.clone() if here(s) else cpu(s)

    def deep(s, memo):
        if not here(s):
            return deepcopy(s, memo)
        known = memo.setdefault("torch", {})
        if s._cdata not in known:
            known[s._cdata] = s.clone()
        return known[s._cdata]

    kind.__deepcopy__ = deep


@functools.cache
def enable() -> torch.device:
    """Register the second device (once a process) and return it."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend as set_up

    set_up(NAME, _Module())
    libraries = (torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL"))
    libraries[0].fallback(_run, "PrivateUse1")
    aten = libraries[1]
    for op in ("convolution", "convolution_backward", "copy_"):  # these have kernels of their own before the fallback
        overload = getattr(torch.ops.aten, op).default
        aten.impl(op, functools.partial(_run, overload), "PrivateUse1")
    aten.impl("convolution_overrideable", _convolution, "PrivateUse1")
    aten.impl("convolution_backward_overrideable", _convolution_backward, "PrivateUse1")
    aten.impl("_efficientzerotensor", _zeros, "PrivateUse1")
    aten.impl("_copy_from", _copy_from, "PrivateUse1")
    aten.impl("set_.source_Storage_storage_offset", _set_storage, "PrivateUse1")
    aten.impl("set_.source_Storage", _set_storage, "PrivateUse1")
    enable.libraries = libraries
    _mend_storages()
    torch.Generator = _GeneratorType("Generator", (), {})
    torch.accelerator.synchronize = _already_done  # timers ask for it as soon as there is an accelerator
    return torch.device(NAME, 0)


def _already_done(device: object = None, /) -> None:
    """Every operation has run when it returns: there is nothing to wait for."""
