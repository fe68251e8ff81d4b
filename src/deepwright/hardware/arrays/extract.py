"""The products of somebody's own network: its forward pass is run once, and the shapes of what multiplies are read.

Convolutions are products of unrolled patches (im2col), a group each; recurrent layers are read from the module, as one
fused kernel hides their products; attention's are those of the whole square. Only shapes are looked at: nothing waits
for an accelerator.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from deepwright.compress.counting.products import Others
from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating, failed_on
from deepwright.core.requirements import require_network, require_whole
from deepwright.hardware.arrays.gemm import GEMM, Workload, merged

_Sizes = dict[str, tuple[int, int, int, int]]  # M, K, N and copies side by side, by what is added to the name
_RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def gemms_from_module(module: nn.Module, example_inputs: Any, *, bytes_per_element: int | None = None) -> Workload:
    """The products of one forward pass, named as the modules that make them.

    MACs are those of the example's batch: one image and 64 are different work for an array.

    Args:
        module: left as found; it is run in eval mode, without gradients.
        example_inputs: a tensor, a tuple of positional or a dict of keyword inputs, brought to where the module lives.
        bytes_per_element: of the weights; None takes that of the dtype which most of them have.

    Raises:
        InputError: no module, no sample, inputs that it doesn't take, nothing that multiplies; packed weights, whose
            bytes aren't known.

    Warns:
        UserWarning: operations that multiply and aren't mapped, by name: they are in `unmapped`.
    """
    require_network(module, "module")
    module = getattr(module, "_orig_mod", module)  # what torch.compile was given
    args, kwargs = _arguments(to_model(example_inputs, module))
    example, batch = _batch(args, kwargs)
    element = _element(module) if bytes_per_element is None else bytes_per_element
    require_whole(1, bytes_per_element=element)
    watch = _Watch(example)
    devices = [device_of(module)] if device_of(module).type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        evaluating(module),
        torch.no_grad(),
        _plain_attention(),
        watch.names(module),
        watch,
    ):
        try:
            module(*args, **kwargs)
        except InputError:
            raise
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            expected = "inputs that the module takes"
            raise failed_on((args, kwargs), error, "example_inputs", expected=expected) from error
    if watch.missing:
        names = ", ".join(watch.missing)
        warnings.warn(f"not mapped to an array: {names}", stacklevel=2)
    if not watch.gemms:
        beside = f" but {', '.join(watch.missing)}" if watch.missing else ""
        given = f"{type(module).__name__}: nothing that multiplies{beside}"
        raise InputError("module", given=given, expected="products that an array can take")
    return Workload(
        merged(watch.gemms),
        batch=batch if watch.samples is None else watch.samples,
        bytes_per_element=element,
        unmapped=tuple(watch.missing),
        unmapped_macs=watch.missing_macs,
    )


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs, {}) if type(inputs) in (tuple, list) else ((inputs,), {})


def _batch(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor | None, int]:
    """The tensor that tells the batch, and the samples in it where they come first."""
    tensors = [t for t in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    packed = [p for p in (*args, *kwargs.values()) if isinstance(p, PackedSequence)]
    if not tensors and not packed:
        raise InputError("example_inputs", given="no tensor", expected="a tensor, or a tuple or dict of inputs")
    if any(t.numel() == 0 for t in tensors):
        raise InputError("example_inputs", given="a tensor without elements", expected="at least one sample and token")
    if packed and packed[0].batch_sizes is not None:
        return None, int(packed[0].batch_sizes[0])
    return tensors[0], len(tensors[0]) if tensors[0].ndim else 1


def _element(module: nn.Module) -> int:
    """Bytes of an element of most weights."""
    numbers: Counter[torch.dtype] = Counter()
    for weight in module.parameters():
        numbers[weight.dtype] += weight.numel()
    if not numbers:
        return 4
    dtype = max(numbers, key=lambda d: numbers[d])
    if not dtype.is_floating_point and dtype != torch.int8:
        hint = "say how many bytes an element of the weights takes: bytes_per_element="
        raise InputError(
            "module", given=f"weights in {dtype}, which may be packed", expected="floats or int8", hint=hint
        )
    return dtype.itemsize


@contextmanager
def _plain_attention() -> Iterator[None]:
    """The fused layer of a transformer hides its products: it is switched off inside, and put back."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Watch(Others):
    """Collects the products of all that is called inside.

    Attributes:
        gemms: in order.
        missing: what multiplies and isn't mapped.
        missing_macs: of these, where their number is known.
        samples: in the example, where a layer that takes it says that its first axis isn't that of samples.

    Args:
        example: the tensor that the batch is read from, or None.
    """

    def __init__(self, example: Tensor | None) -> None:
        super().__init__()
        self.samples: int | None = None
        self._shape = None if example is None else tuple(example.shape)
        self.gemms: list[GEMM] = []
        self.missing: dict[str, None] = {}
        self.missing_macs = 0
        self._inside: list[str] = []
        self._recurrent = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation and read the sizes of a product."""
        out = super().__torch_dispatch__(func, types, args, kwargs)
        unknown, self.unknown = self.unknown, set()
        if self._recurrent:
            return out
        space, _, name = func._schema.name.partition("::")
        where = self._inside[-1] if self._inside else ""
        read = _SIZES.get(name) if space == "aten" else None
        if read is not None:
            if read is _convolution and self._shape is not None and tuple(args[0].shape) == (1, *self._shape):
                self.samples = 1  # torch puts the axis of samples before one image
            for word, (M, K, N, parallel) in read(args, out).items():
                if min(M, K, N, parallel) > 0:  # of nothing, nothing is made
                    self.gemms.append(GEMM(M, K, N, 1, parallel, f"{where or name}{word}"))
        elif unknown or (space == "aten" and name in _HIDDEN):
            self.missing[f"{name if space == 'aten' else f'{space}::{name}'} in {where or 'the module itself'}"] = None
            self.missing_macs += _trilinear_macs(args) if name == "_trilinear" else 0
        return out

    @contextmanager
    def names(self, module: nn.Module) -> Iterator[None]:
        """Knows inside the block which module runs, and reads recurrent layers as they are called."""
        handles: list[Any] = []

        def entering(name: str) -> Callable[..., None]:
            def enter(called: nn.Module, args: Any, kwargs: Any) -> None:
                self._inside.append(name)
                if self.samples is None and self._shape is not None:
                    first = args[0] if args else kwargs.get("input", kwargs.get("query"))
                    self.samples = _samples(called, first, self._shape)
                if isinstance(called, _RECURRENT):
                    if not self._recurrent:
                        self.gemms += recurrent_gemms(called, args[0] if args else kwargs["input"], name)
                    self._recurrent += 1

            return enter

        def leave(called: nn.Module, args: Any, out: Any) -> None:
            self._inside.pop()
            self._recurrent -= isinstance(called, _RECURRENT)

        for name, part in module.named_modules():
            if isinstance(part, torch.jit.ScriptModule):  # takes no hooks: its products bear the operation's name
                continue
            handles.append(part.register_forward_pre_hook(entering(name or type(part).__name__), with_kwargs=True))
            handles.append(part.register_forward_hook(leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _samples(layer: nn.Module, x: Any, shape: tuple[int, ...]) -> int | None:
    """Samples in the example, where a layer is called with it, or with what is made of each of its steps.

    Args:
        layer: the module.
        x: its first input.
        shape: of the example.
    """
    if not isinstance(x, Tensor):
        return None
    if tuple(x.shape) == shape and x.ndim == (1 if isinstance(layer, nn.Linear) else 2):
        return 1 if isinstance(layer, (nn.Linear, nn.MultiheadAttention, *_RECURRENT)) else None
    in_steps = isinstance(layer, (nn.MultiheadAttention, *_RECURRENT)) and not layer.batch_first
    return shape[1] if in_steps and x.ndim == 3 and tuple(x.shape[:2]) == shape[:2] else None


def recurrent_gemms(layer: nn.RNNBase, x: Tensor | PackedSequence, name: str) -> list[GEMM]:
    """The products of an LSTM, GRU or RNN: of each layer and direction, the inputs' at once, the states' step by step.

    Args:
        layer: the module.
        x: what it is called with.
        name: of the module.
    """
    if isinstance(x, PackedSequence):
        steps = Counter(int(n) for n in x.batch_sizes)  # sequences that are left, by how many steps
    elif x.ndim == 2:
        steps = Counter({1: len(x)})
    else:
        length, batch = (x.shape[1], x.shape[0]) if layer.batch_first else (x.shape[0], x.shape[1])
        steps = Counter({batch: length})
    tokens = sum(n * times for n, times in steps.items())
    gates, hidden = _GATES[layer.mode] * layer.hidden_size, layer.proj_size or layer.hidden_size
    directions = 2 if layer.bidirectional else 1
    found = []
    for depth in range(layer.num_layers):
        inputs = layer.input_size if depth == 0 else hidden * directions
        for direction in range(directions):
            label = f"{name} layer {depth}{' backwards' if direction else ''}"
            found.append(GEMM(tokens, inputs, gates, name=f"{label}, inputs"))
            for batch, times in steps.items():
                found.append(GEMM(batch, hidden, gates, times, name=f"{label}, states"))
                if layer.proj_size:
                    found.append(GEMM(batch, layer.hidden_size, hidden, times, name=f"{label}, projection"))
    return found


def _matrices(a: Tensor, b: Tensor) -> _Sizes:
    return {"": (a.shape[-2], a.shape[-1], b.shape[-1], math.prod(a.shape[:-2]))}


def _vector(matrix: Tensor) -> _Sizes:
    return {"": (matrix.shape[0] if matrix.ndim > 1 else 1, matrix.shape[-1], 1, 1)}


def _convolution(args: Any, out: Any) -> _Sizes:
    x, weight, groups = args[0], args[1], args[8]
    kernel = math.prod(weight.shape[2:])
    if args[6]:  # transposed: each input position makes a patch
        positions = x.shape[0] * math.prod(x.shape[2:])
        return {"": (positions, weight.shape[0] // groups, weight.shape[1] * kernel, groups)}
    positions = out.shape[0] * math.prod(out.shape[2:])
    return {"": (positions, weight.shape[1] * kernel, weight.shape[0] // groups, groups)}


def _attention(args: Any, out: Any) -> _Sizes:
    query, key, value = args[:3]
    heads = math.prod(query.shape[:-2])
    scores = (query.shape[-2], query.shape[-1], key.shape[-2], heads)
    return {", scores": scores, ", values": (query.shape[-2], key.shape[-2], value.shape[-1], heads)}


def _trilinear_macs(args: Any) -> int:
    """Of nn.Bilinear: every combination of the three operands' axes once."""
    shapes = []
    for tensor, expand in zip(args[:3], args[3:6]):
        shape = list(tensor.shape)
        for axis in sorted(expand):
            shape.insert(axis, 1)
        shapes.append(shape)
    return math.prod(max(sizes) for sizes in zip(*shapes))


_ATTENTION = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
_HIDDEN = frozenset(
    {
        *("linear", "einsum", "conv1d", "conv2d", "conv3d", "cudnn_convolution", "mkldnn_convolution"),
        *("_slow_conv2d_forward", "mkldnn_rnn_layer", "_cudnn_rnn", "_flash_attention_forward"),
        "_efficient_attention_forward",
    }
)
_SIZES: dict[str, Callable[[Any, Any], _Sizes]] = {
    **dict.fromkeys(("mm", "bmm", "_int_mm", "_scaled_mm"), lambda args, out: _matrices(args[0], args[1])),
    **dict.fromkeys(("addmm", "_addmm_activation"), lambda args, out: _matrices(args[1], args[2])),
    **dict.fromkeys(("baddbmm", "addbmm"), lambda args, out: _matrices(args[1], args[2])),
    **dict.fromkeys(("mv", "dot", "vdot"), lambda args, out: _vector(args[0])),
    "addmv": lambda args, out: _vector(args[1]),
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(_ATTENTION, _attention),
}
