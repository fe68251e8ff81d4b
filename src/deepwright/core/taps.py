"""Pre-activations of any network, seen as they are computed.

A `Tap` watches the calls of torch functions while the network runs, so it needs no knowledge of the network's modules:
functional calls, reused ReLUs, hand-written activations and `torch.export` programs are seen alike. The tensor that
*enters* a non-linearity (after any normalisation, and after a residual sum) is the pre-activation.

Two kinds of function count as non-linearities: PyTorch's own by name, wherever they stand; and any other that isn't
known to be linear (`clamp`, `maximum`, `x * sigmoid(x)`), where what enters comes out of a linear map and hasn't been
recorded yet. A linear map whose output vanishes (into compiled code, NumPy, a fused layer) or is only bent on its way
to the next one (a maxout, a power, see `core.flow`) isn't monitored, and `unmonitored` names it. Attention's own
softmax is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepwright.core.flow import NAMED, Flow, Origins, tensors

_MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


_hidden: ContextVar[bool] = ContextVar("hidden from taps", default=False)


@contextmanager
def unseen() -> Iterator[None]:
    """No tap looks inside the block: for work on other rows than those of the batch (a batch that is filled up)."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


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
            linear map before the non-linearity, or of any other module, whose output is then taken, as is that of a
            linear map that no non-linearity follows. What comes a second time under one name ends in "#2", a third
            time in "#3"; the plain name keeps all of them.
        reduce: map (N, C, ...) -> (N, k), applied at once.
        attached: keep what is recorded in the graph of gradients, for who differentiates through it.

    Attributes:
        layers: what was recorded, by name.
        kinds: "map" or "vector", by name.
        linear: (input, weight, bias, output) of the last linear map.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str] = "auto",
        reduce: Callable[[Tensor], Tensor] = summarise_map,
        *,
        attached: bool = False,
    ) -> None:
        super().__init__()
        self._model, self._layers, self._reduce, self._attached = model, layers, reduce, attached
        self._handles: list[Any] = []
        self._flow = Flow(model)
        self._paused = False
        self.reset()

    def reset(self, samples: int | torch.SymInt | None = None) -> None:
        """Forget what was recorded (call before each forward pass).

        Args:
            samples: rows of the batch; what has another number of rows belongs to no sample and isn't recorded. None
                takes any.
        """
        self.layers: dict[str, Tensor] = {}
        self.kinds: dict[str, str] = {}
        self.linear: tuple[Tensor, Tensor, Tensor | None, Tensor] | None = None
        self._samples = samples
        self._seen: dict[str, int] = {}
        self._outputs: dict[str, tuple[Tensor, str]] = {}  # of linear modules that were asked for
        self._used: dict[str, int] = {}
        self._squashed: dict[str, Tensor] = {}  # vectors that may turn out to be the logits
        self._flow.start()

    def finish(self, out: Any) -> None:
        """End a forward pass: of linear modules that were asked for and that no non-linearity followed, the outputs.

        Args:
            out: what the network gave.
        """
        self._flow.settle(tensors(out))
        for name, pre in self._squashed.items():
            if self.linear is not None and pre is self.linear[3] and self._layers == "auto":
                del self.layers[name], self.kinds[name]  # logits that were bounded are no hidden layer
        for name, (value, kind) in self._outputs.items():
            if name not in self.layers:
                self.layers[name], self.kinds[name] = value, kind

    def unmonitored(self) -> list[str]:
        """The linear maps, by their modules' names, of which nothing that was recorded shows anything."""
        return self._flow.lost()

    def __enter__(self) -> Tap:
        for name, module in self._model.named_modules():
            if isinstance(module, _MODULES):
                self._handles.append(module.register_forward_pre_hook(self._remember(name)))
            if self._layers != "auto" and any(name in (asked, _plain(asked)) for asked in self._layers):
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
            self._flow.last = name

        return hook

    def _take_output(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            pre = next((t for t in tensors(output) if t.ndim > 1), None)
            if pre is None or not self._fits(pre):
                return
            self._paused = True  # the summary's own functions are no part of the network
            if not isinstance(module, _MODULES):
                self._record(name, pre)
            else:
                used = self._used[name] = self._used.get(name, 0) + 1
                if self._kept(_numbered(name, used)):
                    self._outputs[_numbered(name, used)] = self._summary(pre)
            self._paused = False

        return hook

    def _kept(self, name: str) -> bool:
        return self._layers == "auto" or name in self._layers or _plain(name) in self._layers

    def _fits(self, pre: Tensor) -> bool:
        of_samples = self._samples is None or pre.shape[:1] == (self._samples,)  # len() would fix a free batch size
        return pre.ndim > 1 and pre.is_floating_point() and of_samples

    def _summary(self, pre: Tensor) -> tuple[Tensor, str]:
        if pre.ndim == 3:  # tokens: (N, positions, channels)
            pre = pre.transpose(1, 2)
        pre = pre if self._attached else pre.detach()
        return (pre.float().clone(), "vector") if pre.ndim == 2 else (self._reduce(pre), "map")

    def _record(self, place: str, pre: Tensor) -> str | None:
        """The name that a tensor got, or None where it can't be recorded."""
        if not self._fits(pre):
            return None
        seen = self._seen[place] = self._seen.get(place, 0) + 1
        name = _numbered(place, seen)
        if self._kept(name):
            self.layers[name], self.kinds[name] = self._summary(pre)
        return name

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for every torch function while the tap is on."""
        kwargs = kwargs or {}
        if self._paused or _hidden.get():
            return func(*args, **kwargs)
        name = _name_of(func)
        origins: Origins = self._enter(name, args, kwargs) if self._layers != () else frozenset()
        out = func(*args, **kwargs)
        if self._layers != ():
            self._flow.leave(out, origins)
        if isinstance(out, Tensor) and name in ("linear", "addmm"):
            self._remember_linear(name, (*args, *kwargs.values()), out)
        return out

    def _enter(self, name: str, args: Any, kwargs: Any) -> Origins:
        given = [t for t in tensors((args, kwargs)) if t.is_floating_point()]
        if name.strip("_") in NAMED and given and (self._record(self._flow.last, given[0]) or given[0].ndim < 2):
            self._flow.settle(given[:1])
        origins, entering = self._flow.enter(name, args, given)
        for pre in entering:
            place = self._record(self._flow.last, pre)
            if place is not None:
                self._flow.settle([pre])
                if pre.ndim == 2 and place in self.layers:
                    self._squashed[place] = pre
        return origins

    def _remember_linear(self, name: str, bound: tuple[Any, ...], out: Tensor) -> None:
        if name == "addmm":
            self.linear = (bound[1].detach(), bound[2].detach().t(), bound[0].detach(), out)
        else:
            bias = bound[2].detach() if len(bound) > 2 and bound[2] is not None else None
            self.linear = (bound[0].detach(), bound[1].detach(), bias, out)


def _name_of(func: Any) -> str:
    overload = getattr(func, "_overloadpacket", None)
    return overload.__name__ if overload is not None else getattr(func, "__name__", "")


def _numbered(name: str, count: int) -> str:
    return name if count == 1 else f"{name}#{count}"


def _plain(name: str) -> str:
    return name.partition("#")[0]
