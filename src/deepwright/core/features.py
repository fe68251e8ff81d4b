"""Activations of any network from one forward pass, reduced where they arise.

A `Tap` watches the calls of non-linearities and linear maps while the network runs, so it needs no knowledge of the
network's modules: functional calls, reused ReLUs and `torch.export` programs are seen alike. The tensor that *enters*
a non-linearity (after any normalisation, and after a residual sum) is the pre-activation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating, fast_layout, require_labels
from deepwright.core.progress import track
from deepwright.core.shards import Shards

if TYPE_CHECKING:
    from deepwright.core.tasks import Task

_NONLINEAR = {
    "relu",
    "relu_",
    "relu6",
    "gelu",
    "silu",
    "silu_",
    "elu",
    "elu_",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "selu",
    "celu",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "mish",
    "softplus",
    "tanh",
    "tanh_",
    "rrelu",
    "threshold",
}
_LINEAR = {"linear", "addmm"}
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass
class Activations:
    """What one forward pass left behind, per sample.

    Attributes:
        logits: (N, classes).
        labels: (N,) or None.
        features: (N, d) input of the last linear map (None when the network doesn't end in one).
        layers: name -> (N, 3 c) for maps (activation fraction, maximum and minimum of each channel's pre-activation,
            one after the other) or (N, width) for vectors.
        kinds: name -> "map", "vector", or "plain" for values that are no pre-activations.
        weight: (classes, d) of the last linear map.
        bias: (classes,) of the last linear map.
    """

    logits: Float[Tensor, "n classes"]
    labels: Int64[Tensor, " n"] | None = None
    features: Float[Tensor, "n d"] | None = None
    layers: dict[str, Tensor] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    weight: Float[Tensor, "classes d"] | None = None
    bias: Float[Tensor, " classes"] | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, rows: Tensor | slice) -> Activations:
        """The activations of some samples."""
        return replace(
            self,
            logits=self.logits[rows],
            labels=None if self.labels is None else self.labels[rows],
            features=None if self.features is None else self.features[rows],
            layers={k: v[rows] for k, v in self.layers.items()},
        )

    @classmethod
    def cat(cls, parts: Sequence[Activations]) -> Activations:
        """Several batches as one."""
        first = parts[0]
        return replace(
            first,
            logits=torch.cat([p.logits for p in parts]),
            labels=None if first.labels is None else torch.cat([p.labels for p in parts]),  # type: ignore[misc]
            features=None if first.features is None else torch.cat([p.features for p in parts]),  # type: ignore[misc]
            layers={k: torch.cat([p.layers[k] for p in parts]) for k in first.layers},
        )

    def to(self, device: torch.device | str) -> Activations:
        """The same on another device."""

        def move(t: Tensor | None) -> Tensor | None:
            return None if t is None else t.to(device)

        return replace(
            self,
            logits=self.logits.to(device),
            labels=move(self.labels),
            features=move(self.features),
            layers={k: v.to(device) for k, v in self.layers.items()},
            weight=move(self.weight),
            bias=move(self.bias),
        )


def summarise_map(pre: Float[Tensor, "n c *positions"]) -> Float[Tensor, "n three_c"]:
    """Per channel: share of positions above zero, maximum, minimum (float32, so that half precision can't overflow)."""
    flat = pre.contiguous().flatten(2)  # channels-last maps reduce far slower than they are copied
    return torch.cat([_share_above_zero(flat), flat.amax(2).float(), flat.amin(2).float()], 1)


def _share_above_zero(flat: Float[Tensor, "n c positions"]) -> Float[Tensor, "n c"]:
    """Comparisons go into one small buffer that stays in the cache: a map-sized one costs more than the pass itself."""
    n = len(flat)
    block = n if flat.device.type != "cpu" else max(1, min(n, 262_144 // max(1, flat[0].numel())))
    buffer = torch.empty(block, *flat.shape[1:], device=flat.device)
    shares = torch.empty(flat.shape[:2], device=flat.device)
    for start in range(0, n, block):
        part = flat[start : start + block]
        shares[start : start + block] = torch.gt(part, 0, out=buffer[: len(part)]).mean(2)
    return shares


class Tap(TorchFunctionMode):
    """Record pre-activations and the last linear map of the forward passes run inside the block.

    Args:
        model: its modules' names are used to name what is seen.
        layers: "auto" for every non-linearity, a sequence of names to keep, or () for none. A name is that of the last
            convolution or linear module before the non-linearity, or of any module, whose output is then taken.
        reduce: map (N, C, ...) -> (N, k), applied at once.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str] = "auto",
        reduce: Callable[[Tensor], Tensor] = summarise_map,
    ) -> None:
        super().__init__()
        self._model, self._layers, self._reduce = model, layers, reduce
        self._handles: list[Any] = []
        self.reset()

    def reset(self) -> None:
        """Forget what was recorded (call before each forward pass)."""
        self.layers: dict[str, Tensor] = {}
        self.kinds: dict[str, str] = {}
        self.linear: tuple[Tensor, Tensor, Tensor | None, Tensor] | None = None
        self._last = "input"
        self._seen: dict[str, int] = {}

    def __enter__(self) -> Tap:
        for name, module in self._model.named_modules():
            if isinstance(module, _CONVOLUTIONS):
                self._handles.append(module.register_forward_pre_hook(self._remember(name)))
            if self._layers != "auto" and name in self._layers and not isinstance(module, _CONVOLUTIONS):
                self._handles.append(module.register_forward_hook(self._take_output(name)))
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _remember(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            self._last = name

        return hook

    def _take_output(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                self._record(name, output)

        return hook

    def _record(self, name: str, pre: Tensor) -> None:
        if pre.ndim < 2 or not pre.is_floating_point():
            return
        if pre.ndim == 3:  # tokens: (N, positions, channels)
            pre = pre.transpose(1, 2)
        if pre.ndim == 2:
            self.layers[name], self.kinds[name] = pre.detach().float().clone(), "vector"
        else:
            self.layers[name], self.kinds[name] = self._reduce(pre.detach()), "map"

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for every torch function while the tap is on."""
        kwargs = kwargs or {}
        name = _name_of(func)
        if name in _NONLINEAR and self._layers != ():
            seen = self._seen[self._last] = self._seen.get(self._last, 0) + 1
            site = self._last if seen == 1 else f"{self._last}#{seen}"
            if self._layers == "auto" or site in self._layers:
                self._record(site, args[0] if args else kwargs["input"])
        out = func(*args, **kwargs)
        if name in _LINEAR and isinstance(out, Tensor):
            bound = (*args, *kwargs.values())
            if name == "addmm":
                self.linear = (bound[1].detach(), bound[2].detach().t(), bound[0].detach(), out)
            else:
                bias = bound[2].detach() if len(bound) > 2 and bound[2] is not None else None
                self.linear = (bound[0].detach(), bound[1].detach(), bias, out)
        return out


def _name_of(func: Any) -> str:
    overload = getattr(func, "_overloadpacket", None)
    return overload.__name__ if overload is not None else getattr(func, "__name__", "")


def layer_names(model: nn.Module, example: Tensor) -> list[str]:
    """The names that `layers=` may use: every non-linearity's pre-activation, then every module.

    Args:
        model: the network.
        example: (n, ...) inputs for one pass.
    """
    with evaluating(model), torch.no_grad(), Tap(model) as tap:
        model(to_model(example, model))
    return [*tap.layers, *(n for n, _ in model.named_modules() if n and n not in tap.layers)]


def extract(
    model: nn.Module,
    batches: Iterable[Any],
    layers: str | Sequence[str] = "auto",
    *,
    store: Path | str | None = None,
    every: int = 50,
    offload: torch.device | str | None = None,
    progress: str = "extract",
    task: Task | None = None,
) -> Activations:
    """One forward pass over `batches`; everything that detectors need, in float32 where the model lives.

    Args:
        model: any module that gives (N, classes) logits, or what `task` reads them from; it is left as found.
        batches: float inputs (N, ...), or pairs of them with integer labels (N,); they are brought to the model.
        layers: see `Tap`.
        store: a folder for shards of `every` batches: an interrupted extraction goes on there, with what isn't on
            disk yet. It belongs to network, layers, task and the content of the batches, each of which is hashed as it
            comes; with others the extraction refuses and says what differs.
        every: batches per shard.
        offload: where to put the activations of each batch, as "cpu" where they don't fit beside the model; None leaves
            them there.
        progress: what the bar says.
        task: how to read the outputs and labels of a network that gives more, or less, than logits of classes.

    Raises:
        InputError: a task without classes, activations that aren't finite (the layer is named), unknown layers (the
            valid ones are listed), labels out of range; a store of another extraction, or that another process is
            writing.
    """
    keep = device_of(model) if offload is None else torch.device(offload)
    made_from = {"model": model, "layers": layers, "task": task}
    with (
        nullcontext(None) if store is None else Shards(store, made_from, every) as shards,
        evaluating(model),
        fast_layout(model),
        torch.no_grad(),
        Tap(model, layers if layers == "auto" else tuple(layers)) as tap,
    ):
        parts: list[Activations] = []
        for batch in track(batches, progress):
            if shards is None or shards.needs(batch):
                x, y = batch if isinstance(batch, list | tuple) else (batch, None)
                tap.reset()
                parts.append(_collect(model, to_model(x, model), y, tap, layers, task, first=not parts).to(keep))
            if shards is not None and shards.full:
                shards.end(_state(parts))
                parts = []
        if shards is not None:
            if shards.begun:
                shards.end(_state(parts))
            if shards.states:  # a stream that gave nothing isn't finished work
                shards.finish()
            parts = [Activations(**state).to(keep) for state in shards.states]
    if not parts:
        raise InputError("data", given="no batch", expected="at least one")
    return Activations.cat(parts)


def _state(parts: list[Activations]) -> dict[str, Any] | None:
    """Activations as plain data."""
    return {k: v for k, v in vars(Activations.cat(parts)).items() if v is not None} if parts else None


def _collect(
    model: nn.Module, x: Tensor, y: Any, tap: Tap, layers: str | Sequence[str], task: Task | None, first: bool
) -> Activations:
    if not x.is_floating_point():
        raise InputError(
            "input batch", given=f"dtype {x.dtype}", expected="floats", hint="use x.float() / 255 for images"
        )
    logits = read_logits(model(x), task, strict=first)
    y = y if task is None or y is None else task.check_targets(y, len(x))
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError("the network's output", given=shape, expected="logits of shape (N, classes)")
    if layers != "auto":
        missing = [name for name in layers if name not in tap.layers]
        if missing:
            tap._layers = "auto"
            tap.reset()
            model(x)
            raise unknown_name("layer", missing[0], [*tap.layers, *(n for n, _ in model.named_modules() if n)])
    features = weight = bias = None
    if tap.linear is not None and _same(tap.linear[3], logits) and tap.linear[0].ndim == 2:
        features, weight, bias = tap.linear[0].float(), tap.linear[1].float(), tap.linear[2]
        bias = torch.zeros(len(weight), device=weight.device) if bias is None else bias.float()
    _require_finite({"logits": logits, **({} if features is None else {"features": features}), **tap.layers})
    if y is not None:
        require_labels(torch.as_tensor(y), logits.shape[1], len(x))
    return Activations(
        logits.detach().float(),
        None if y is None else torch.as_tensor(y),
        features,
        dict(tap.layers),
        dict(tap.kinds),
        weight,
        bias,
    )


def read_logits(out: Any, task: Task | None = None, *, strict: bool = False) -> Any:
    """Logits of classes out of a network's output.

    Args:
        out: what the network gave.
        task: how to read it; None takes it as it is.
        strict: look at the values too: probabilities aren't taken for logits.

    Raises:
        InputError: an output that the task can't read, or a task without classes.
    """
    if task is None:
        from deepwright.core.tasks.reading import looks_like_probabilities

        if strict and isinstance(out, Tensor) and out.ndim == 2 and looks_like_probabilities(out):
            raise InputError(
                "the network's output",
                given="rows that are 0 or more and sum to 1: these look like probabilities",
                expected="logits",
                hint=f'task=Classification({out.shape[1]}, outputs="probabilities") reads their logarithm',
            )
        return out
    logits = task.class_logits(task.read(out, strict=strict))
    if logits is None:
        raise InputError("task", given=type(task).__name__, expected="a task of which each sample has one class")
    return logits


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same numbers in memory (reading may give a new view)."""
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and a.data_ptr() == b.data_ptr())


def _require_finite(values: dict[str, Tensor]) -> None:
    """Refuse NaN and infinity, and name the layer; the device is asked once."""
    finite = torch.stack([torch.isfinite(v).all() for v in values.values()])
    for name, fine in zip(values, finite.tolist()):
        if not fine:
            raise InputError(
                f"activations of {name!r}", given="NaN or infinity", hint="check the input and the weights"
            )
