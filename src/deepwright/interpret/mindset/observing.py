"""What a network, or a trivial observer, makes of pictures: the activations that probes read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.features import layer_names
from deepwright.core.inference import evaluating, fast_layout
from deepwright.core.requirements import require_network, require_whole
from deepwright.core.taps import Tap
from deepwright.interpret.mindset.stimulus_set import StimulusSet

Preprocess = Callable[[Tensor], Tensor]
FEATURES, PIXELS, BOX = "features", "pixels", "bounding box"
TRIVIAL = (PIXELS, BOX)
"""Observers that need no network: pixels (32 x 32 where maps are pooled), and the box around what isn't background."""
_SMALL = 32


def as_pixels(images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Pictures in [0, 1], for a network whose preprocessing is inside it.

    Args:
        images: 0 to 255.
    """
    return images.float() / 255


def as_grey_pixels(images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
    """Grey pictures in [0, 1] (the mean of the channels), for a network of one channel.

    Args:
        images: 0 to 255.
    """
    return images.float().mean(1, keepdim=True) / 255


def chosen_preprocess(model: nn.Module, given: Preprocess | None) -> Preprocess:
    """What brings pictures to a network.

    Args:
        model: the network.
        given: by the user.

    Raises:
        InputError: none was given, and the network doesn't say that its own is inside.
    """
    if given is not None:
        return given
    if any(type(module).__name__ == "Normalised" for module in model.modules()):
        return as_pixels
    raise InputError(
        "preprocess",
        given="None, and the network isn't known to take pixels in [0, 1]",
        expected="a function of uint8 pictures (n, 3, h, w)",
        hint="preprocess=as_pixels if its own is inside it, as_grey_pixels for one channel",
    )


def observe(
    model: nn.Module,
    stimuli: StimulusSet,
    layers: Sequence[str] = (FEATURES,),
    *,
    preprocess: Preprocess | None = None,
    batch_size: int = 64,
    pool: int | None = 1,
) -> dict[str, Float[Tensor, "n d"]]:
    """Activations of each picture, flat, where the network lives.

    Args:
        model: any network; it is left as found.
        stimuli: pictures.
        layers: names as `core.features.layer_names` lists them, "features" for what enters the last linear map,
            "pixels" or "bounding box" for what needs no network.
        preprocess: uint8 pictures -> what the network takes.
        batch_size: pictures a pass.
        pool: maps are averaged down to so many positions a side; None keeps them whole.

    Raises:
        InputError: a layer that isn't there or gives numbers that aren't finite; strokes that the network's input is
            too small for; no known preprocessing.
    """
    require_network(model)
    require_whole(1, batch_size=batch_size)
    place = device_of(model)
    found = {name: _trivial(name, stimuli.images.to(place), pool) for name in layers if name in TRIVIAL}
    asked = [name for name in layers if name not in TRIVIAL]
    if asked:
        prepare = chosen_preprocess(model, preprocess)
        parts = [
            _passed(model, prepare(batch.to(place)), len(batch), stimuli, asked, pool)
            for batch in stimuli.images.split(batch_size)
        ]
        found |= {name: torch.cat([part[name] for part in parts]) for name in asked}
    return {name: found[name] for name in layers}


def _passed(
    model: nn.Module, x: Tensor, rows: int, stimuli: StimulusSet, layers: Sequence[str], pool: int | None
) -> dict[str, Tensor]:
    """One batch."""
    if len(x) != rows:
        raise InputError("preprocess", given=f"{len(x)} rows of {rows} pictures", expected="one row a picture")
    _require_visible(x, stimuli)
    named = tuple(name for name in layers if name != FEATURES)
    with (
        evaluating(model),
        fast_layout(model),
        torch.no_grad(),
        Tap(model, named, partial(_pooled, pool=pool)) as tap,
    ):
        tap.reset(len(x))
        tap.finish(model(to_model(x, model)))
    found = {name: tap.layers[name] for name in named if name in tap.layers}
    if FEATURES in layers:
        if tap.linear is None or tap.linear[0].ndim != 2 or len(tap.linear[0]) != len(x):
            hint = "name a layer: layers=[...]"
            raise InputError("the last linear map", given="none of one row a picture", expected="one", hint=hint)
        found[FEATURES] = tap.linear[0].float()
    for name in layers:
        if name not in found:
            raise unknown_name("layer", name, [FEATURES, *TRIVIAL, *layer_names(model, x)])
        if not bool(torch.isfinite(found[name]).all()):
            raise InputError(f"activations of {name!r}", given="NaN or infinity", expected="finite numbers")
    return found


def _pooled(values: Tensor, pool: int | None) -> Tensor:
    """(n, c, ...) -> (n, c positions)."""
    values = values.float()
    if pool is None or values.ndim < 3:
        return values.flatten(1).clone()
    if values.ndim == 4:
        return F.adaptive_avg_pool2d(values, pool).flatten(1)
    return F.adaptive_avg_pool1d(values.flatten(2), pool * pool).flatten(1)


def _require_visible(x: Tensor, stimuli: StimulusSet) -> None:
    """A stroke of the pictures still covers a pixel of what the network sees."""
    stroke = stimuli.settings.get("thinnest", stimuli.settings.get("stroke"))
    if stroke is None or x.ndim != 4:
        return
    last = x.shape[-1] <= 4 < x.shape[1]  # channels last
    side = min(x.shape[1:3] if last else x.shape[2:])
    scale = side / stimuli.images.shape[-1]
    if scale * stroke < 1 - 1e-6:
        raise InputError(
            "the network's input",
            given=f"{side} pixels a side, in which a stroke of {stroke:g} of {stimuli.images.shape[-1]} is thin",
            expected="strokes of a pixel or more",
            hint=f"make_stimuli(..., size={side})",
        )


def _trivial(name: str, images: Tensor, pool: int | None) -> Tensor:
    if name == PIXELS:
        small = images.shape[-1] if pool is None else min(_SMALL, images.shape[-1])
        return F.adaptive_avg_pool2d(images.float() / 255, small).flatten(1)
    lit = (images.float() - images[:, :, :1, :1].float()).abs().amax(1) > 127
    return torch.stack([end for axis in (1, 2) for end in _ends(lit.any(axis))], 1)


def _ends(lit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First, last and extent of what is lit along an axis; 0 where nothing is."""
    first = lit.to(torch.uint8).argmax(1)
    last = lit.shape[1] - lit.flip(1).to(torch.uint8).argmax(1)
    some = lit.any(1)
    ends = [torch.where(some, end, torch.zeros_like(end)).float() for end in (first, last)]
    return ends[0], ends[1], ends[1] - ends[0]
