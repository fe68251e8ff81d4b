"""Activations of any network from one forward pass, reduced where they arise (`core.taps` says what is seen)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating, failed_on, fast_layout, require_labels
from deepwright.core.progress import track
from deepwright.core.requirements import require_network
from deepwright.core.shards import Shards
from deepwright.core.spreading import spread_map
from deepwright.core.taps import Tap

if TYPE_CHECKING:
    from deepwright.core.tasks import Task


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
        unmonitored: linear maps of the network of which `layers` shows nothing; see `core.taps`.
    """

    logits: Float[Tensor, "n classes"]
    labels: Int64[Tensor, " n"] | None = None
    features: Float[Tensor, "n d"] | None = None
    layers: dict[str, Tensor] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    weight: Float[Tensor, "classes d"] | None = None
    bias: Float[Tensor, " classes"] | None = None
    unmonitored: tuple[str, ...] = ()

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


def layer_names(model: nn.Module, example: Tensor) -> list[str]:
    """The names that `layers=` may use: every non-linearity's pre-activation, then every module.

    Args:
        model: the network.
        example: (n, ...) inputs for one pass.
    """
    with evaluating(model), torch.no_grad(), Tap(model) as tap:
        tap.finish(model(to_model(example, model)))
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
        layers: see `core.taps.Tap`.
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
    require_network(model)
    if isinstance(layers, str) and layers != "auto":
        raise InputError(
            "layers", given=repr(layers), expected="'auto' or a sequence of names", hint=f"layers=[{layers!r}]"
        )
    keep = device_of(model) if offload is None else torch.device(offload)
    opened = partial(_collector, model, layers, task, keep)
    if store is None:
        parts = spread_map(opened, batches, progress=progress)
    else:
        with Shards(store, {"model": model, "layers": layers, "task": task}, every) as shards, opened() as one:
            parts = [Activations(**state).to(keep) for state in _in_shards(shards, one, track(batches, progress))]
    if not parts:
        raise InputError("data", given="no batch", expected="at least one")
    _require_alike(parts)
    return Activations.cat(parts)


@contextmanager
def _collector(
    model: nn.Module, layers: str | Sequence[str], task: Task | None, keep: torch.device
) -> Iterator[Callable[[int, Any], Activations]]:
    """What is kept of a batch; the first one is looked at more strictly."""
    with (
        evaluating(model),
        fast_layout(model),
        torch.no_grad(),
        Tap(model, layers if layers == "auto" else tuple(layers)) as tap,
    ):

        def one(number: int, batch: Any) -> Activations:
            x, y = _pair(batch)
            return _collect(model, to_model(x, model), y, tap, layers, task, first=number == 0).to(keep)

        yield one


def _in_shards(shards: Shards, one: Callable[[int, Any], Activations], batches: Iterable[Any]) -> list[Any]:
    """What each shard holds, when all are on disk."""
    parts: list[Activations] = []
    for batch in batches:
        if shards.needs(batch):
            parts.append(one(len(parts), batch))
            _require_alike(parts)
        if shards.full:
            shards.end(_state(parts))
            parts = []
    if shards.begun:
        shards.end(_state(parts))
    if shards.states:  # a stream that gave nothing isn't finished work
        shards.finish()
    return shards.states


def _require_alike(parts: list[Activations]) -> None:
    if any((part.labels is None) != (parts[0].labels is None) for part in parts):
        raise InputError("labels", given="in some batches only", expected="in each batch, or in none")


def _pair(batch: Any) -> tuple[Tensor, Any]:
    """Inputs and labels of a batch.

    Raises:
        InputError: no tensor of floats with at least one sample, or more than inputs and labels.
    """
    parts = batch if isinstance(batch, list | tuple) else (batch, None)
    if len(parts) != 2:
        given = f"{type(batch).__name__} of {len(parts)}"
        raise InputError("a batch", given=given, expected="inputs, or (inputs, labels)")
    x, y = parts
    if not isinstance(x, Tensor) or x.ndim == 0:
        raise InputError(
            "input batch", given=type(x).__name__, expected="a tensor (N, ...)", hint="torch.as_tensor(...)"
        )
    tokens = x.dtype in (torch.int32, torch.int64) and x.ndim == 2
    if not x.is_floating_point() and not tokens:
        hint = "use x.float() / 255 for images"
        raise InputError("input batch", given=f"dtype {x.dtype}", expected="floats", hint=hint)
    if len(x) == 0:
        raise InputError("input batch", given="0 samples", expected="at least one")
    return x, y


def _called(model: nn.Module, x: Tensor) -> Any:
    try:
        return model(x)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise failed_on(x, error, hint="check shape and preprocessing") from error


def _state(parts: list[Activations]) -> dict[str, Any] | None:
    """Activations as plain data."""
    return {k: v for k, v in vars(Activations.cat(parts)).items() if v is not None} if parts else None


def _collect(
    model: nn.Module, x: Tensor, y: Any, tap: Tap, layers: str | Sequence[str], task: Task | None, first: bool
) -> Activations:
    tap.reset(len(x))
    out = _called(model, x)
    tap.finish(out)
    logits = read_logits(out, task, strict=first)
    y = y if task is None or y is None else task.check_targets(y, len(x))
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
        shape = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        expected = "logits of shape (N, classes)"
        hint = (
            None if isinstance(logits, Tensor) else "task=Classification(classes) of deepwright.core.tasks reads them"
        )
        raise InputError("the network's output", given=f"{shape} for {len(x)} inputs", expected=expected, hint=hint)
    unmonitored = _unmonitored(model, x, tap, layers, first)
    features, weight, bias = _last_linear(tap, out, logits)
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
        unmonitored,
    )


def _last_linear(tap: Tap, out: Any, logits: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """What enters the linear map that gives the logits, its weight and bias; None where no linear map gives them.

    One logit z that is read as the columns (0, z) has a row of zeros beside its own.
    """
    if tap.linear is None or tap.linear[0].ndim != 2:
        return None, None, None
    features, weight, bias, given = tap.linear
    single = logits.shape[1] == 2 and isinstance(out, Tensor) and given.shape == (len(logits), 1)
    if single and out.data_ptr() == given.data_ptr() and out.numel() == given.numel():
        weight = torch.cat([torch.zeros_like(weight), weight])
        bias = None if bias is None else torch.cat([torch.zeros_like(bias), bias])
    elif not _same(given, logits):
        return None, None, None
    bias = torch.zeros(len(weight), device=weight.device) if bias is None else bias.float()
    return features.float(), weight.float(), bias


def _unmonitored(model: nn.Module, x: Tensor, tap: Tap, layers: str | Sequence[str], first: bool) -> tuple[str, ...]:
    """What of the network isn't monitored; said once, where nobody chose the layers.

    Raises:
        InputError: a name that isn't there, or that gives nothing to record.
    """
    if layers == "auto":
        lost = tap.unmonitored()
        if lost and first and tap.layers:
            message = (
                f"the network is monitored in part: {_listed(list(tap.layers))}; not {_listed(lost)}, whose results go "
                "where no torch function is seen (compiled, fused or NumPy code) or into no activation but a maximum, "
                "a power or a quotient. layers=[...] takes the outputs of any modules that you name"
            )
            warnings.warn(message, stacklevel=3)
        return tuple(lost)
    for name in layers:
        if name in tap.layers:
            continue
        modules = [n for n, _ in model.named_modules() if n]
        if name in modules:
            expected = "a module that is called in the forward pass and gives floats, one row or more a sample"
            hint = f"what was seen: {_listed(list(tap.layers))}" if tap.layers else None
            raise InputError(f"layer {name!r}", given="nothing that can be recorded", expected=expected, hint=hint)
        raise unknown_name("layer", name, layer_names(model, x))
    return ()


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


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
