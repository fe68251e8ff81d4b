"""Where a network looks: gradients at the input, Grad-CAM of a layer, the energy of its activations.

Each map is brought to [0, 1] by its own smallest and largest value. A network's answer is its largest output (of a
tuple or dict, of its logits); where it gives one number, as a steering angle, that number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.devices import back_to, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import answering, frozen, require_gradients
from deepwright.core.requirements import require_callable, require_network
from deepwright.core.tasks.reading import unwrap

Score = Callable[[Any], Tensor]


def unit_range(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Each map brought to [0, 1] by its smallest and largest value; a flat one becomes 0, NaN stays.

    Args:
        maps: of any range.
    """
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    return torch.where(span == 0, torch.zeros_like(maps), (maps - low) / torch.where(span == 0, 1.0, span))


@dataclass(frozen=True)
class InputGradient:
    """max over channels of |d answer / d x|.

    Args:
        model: on pixels in [0, 1]; left as found.
        score: (raw outputs) -> (N,) answers, where the largest output isn't meant.
    """

    model: nn.Module
    score: Score | None = None

    def __post_init__(self) -> None:
        _require(self.model, self.score, "the gradient at the input")

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """The maps, where the images are.

        Args:
            images: in [0, 1].
        """
        with torch.enable_grad(), frozen(self.model):
            x = to_model(images.detach(), self.model).clone().requires_grad_(True)
            with answering(x, "images"):
                out = self.model(x)
            (slope,) = torch.autograd.grad(_answer(out, self.score, len(x)).sum(), x)
        return back_to(unit_range(slope.float().abs().amax(1)), images)


@dataclass(frozen=True)
class GradCAM:
    """Grad-CAM of a layer: relu(sum_c w_c a_c), w_c the mean slope of the answer over the map a_c, enlarged.

    Source: arXiv 1610.02391. Guided, only slopes count that are positive where the activation is positive.

    Args:
        model: on pixels in [0, 1]; left as found.
        layer: name of the module whose output is (N, channels, rows, columns).
        guided: see above.
        score: (raw outputs) -> (N,) answers, where the largest output isn't meant.
    """

    model: nn.Module
    layer: str
    guided: bool = True
    score: Score | None = None

    def __post_init__(self) -> None:
        _require(self.model, self.score, "Grad-CAM")
        _module(self.model, self.layer)

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """The maps, where the images are.

        Args:
            images: in [0, 1].
        """
        with torch.enable_grad(), frozen(self.model), _output_of(self.model, self.layer) as seen:
            x = to_model(images.detach(), self.model).clone().requires_grad_(True)
            with answering(x, "images"):
                out = self.model(x)
            answer = _answer(out, self.score, len(x)).sum()
            maps = _maps(seen, self.layer)
            (slope,) = torch.autograd.grad(answer, maps, allow_unused=True)
        maps = maps.detach().float()
        slope = torch.zeros_like(maps) if slope is None else slope.float()
        if self.guided:
            slope = slope * ((maps > 0) & (slope > 0))
        cam = (slope.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu()
        return back_to(_enlarged(cam, images), images)


@dataclass(frozen=True)
class ActivationEnergy:
    """sum_c |a_c| of a layer's output, enlarged.

    Args:
        model: on pixels in [0, 1]; left as found.
        layer: name of the module whose output is (N, channels, rows, columns).
    """

    model: nn.Module
    layer: str

    def __post_init__(self) -> None:
        require_network(self.model)
        _module(self.model, self.layer)

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """The maps, where the images are.

        Args:
            images: in [0, 1].
        """
        with torch.no_grad(), frozen(self.model), _output_of(self.model, self.layer) as seen:
            with answering(images, "images"):
                self.model(to_model(images, self.model).clone())
            energy = _maps(seen, self.layer).float().abs().sum(1, keepdim=True)
        return back_to(_enlarged(energy, images), images)


def _require(model: nn.Module, score: Score | None, what: str) -> None:
    require_network(model)
    require_gradients(model, what)
    if score is not None:
        require_callable("score", score, "a function (outputs) -> (N,)")


def _module(model: nn.Module, layer: str) -> nn.Module:
    found = dict(model.named_modules())
    if not isinstance(layer, str) or layer not in found or not layer:
        raise unknown_name("layer", layer, [name for name in found if name])
    return found[layer]


def _answer(out: Any, score: Score | None, n: int) -> Tensor:
    """(N,) what the network says of each image."""
    if score is None:
        found = unwrap(out, n, lambda t: t.is_floating_point() and t.ndim <= 2, "(N,) or (N, outputs)")
        found = found.amax(1) if found.ndim == 2 else found
    else:
        found = score(out)
    if not isinstance(found, Tensor) or found.shape != (n,):
        given = f"outputs of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        expected = "(N,) or (N, outputs)" if score is None else f"({n},) from `score`"
        raise InputError("the answer", given=given, expected=expected, hint="score=lambda out: ... of shape (N,)")
    return found


@contextmanager
def _output_of(model: nn.Module, layer: str) -> Iterator[list[Any]]:
    """What the layer gave, the last time last."""
    seen: list[Any] = []
    hook = _module(model, layer).register_forward_hook(lambda _module, _given, out: seen.append(out))
    try:
        yield seen
    finally:
        hook.remove()


def _maps(seen: list[Any], layer: str) -> Tensor:
    if not seen or not isinstance(seen[-1], Tensor) or seen[-1].ndim != 4:
        given = "nothing: the network doesn't call it" if not seen else type(seen[-1]).__name__
        if seen and isinstance(seen[-1], Tensor):
            given = f"shape {tuple(seen[-1].shape)}"
        raise InputError(f"layer {layer!r}", given=given, expected="outputs (N, channels, rows, columns)")
    maps: Tensor = seen[-1]
    return maps


def _enlarged(maps: Float[Tensor, "n 1 a b"], images: Tensor) -> Float[Tensor, "n h w"]:
    size = (images.shape[2], images.shape[3])
    return unit_range(F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[:, 0])
