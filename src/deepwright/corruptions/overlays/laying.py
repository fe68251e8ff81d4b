"""Six kinds of weather laid over pictures: fixed ones (`OVERLAYS`), and ones that move with t (`DYNAMIC_OVERLAYS`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.engine import Context, Perturbation
from deepwright.corruptions.levels import identities
from deepwright.corruptions.overlays.birds import birds
from deepwright.corruptions.overlays.clock import within_period
from deepwright.corruptions.overlays.falling import rain, snow
from deepwright.corruptions.overlays.sky import lightning, sun
from deepwright.corruptions.overlays.smoke import smoke

_ALPHA = (0.15, 0.25, 0.4, 0.6, 0.85)

Mask = Callable[[Streams, tuple[int, int], float, float | None], Tensor]


@dataclass(frozen=True)
class Kind:
    """What is laid over a picture.

    Attributes:
        mask: (streams, (h, w), pixels per pixel of 240 lines, t or None) -> (N, h, w), how much of it is in each pixel.
        colour: red, green, blue.
    """

    mask: Mask
    colour: tuple[float, float, float]

    def rgb(self, like: Tensor) -> Float[Tensor, "1 3 1 1"]:
        """The colour where the pictures are.

        Args:
            like: pictures.
        """
        return torch.tensor(self.colour, device=like.device, dtype=like.dtype).view(1, 3, 1, 1)


KINDS = {
    "snow": Kind(snow, (0.96, 0.97, 1.0)),
    "rain": Kind(rain, (0.78, 0.82, 0.88)),
    "birds": Kind(birds, (0.08, 0.08, 0.1)),
    "sun": Kind(sun, (1.0, 0.96, 0.84)),
    "lightning": Kind(lightning, (0.92, 0.93, 1.0)),
    "smoke": Kind(smoke, (0.6, 0.6, 0.62)),
}


@dataclass(frozen=True)
class _Laid:
    """A perturbation function: alpha times the mask of the colour, the rest of the picture."""

    kind: str
    moves: bool

    def __call__(self, x: Tensor, alpha: float, context: Context) -> Tensor:
        kind = KINDS[self.kind]
        time = within_period(context.time) if self.moves else None
        mask = kind.mask(context.streams, (x.shape[2], x.shape[3]), context.unit, time)
        return torch.lerp(x, kind.rgb(x).expand_as(x), alpha * mask[:, None])


def overlay(
    kind: str,
    t: float | None = 0.0,
    seed: int = 0,
    size: tuple[int, int] = (240, 320),
    *,
    ids: Tensor | None = None,
    reference_height: int | None = 240,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "n 4 h w"]:
    """What `dynamic_<kind>` lays over pictures at the time t: red, green, blue and opacity, all in [0, 1].

    Continuous in t, and back where it was after 3600 frames. What a particle is comes from (seed, id, kind) alone, and
    its place is a closed form in t.

    Args:
        kind: "snow", "rain", "birds", "sun", "lightning" or "smoke".
        t: any real number of frames; None for what `static_<kind>` lays over them.
        seed: of the streams.
        size: height and width in pixels.
        ids: (N,) identity of each picture; one picture, 0, by default.
        reference_height: particles are of the size that they have in a picture of so many lines, and grow with it; None
            takes 240 lines literally.
        device: where it is wanted.

    Raises:
        InputError: an unknown kind (near ones are told); sizes under 8 pixels; a time that is no finite number.
    """
    if kind not in KINDS:
        raise unknown_name("overlay", kind, KINDS)
    h, w = size
    require_whole(8, height=h, width=w)
    if reference_height is not None:
        require_positive(reference_height=reference_height)
    if t is not None and not (isinstance(t, int | float) and not isinstance(t, bool) and math.isfinite(t)):
        raise InputError("t", given=repr(t), expected="a number of frames, or None")
    known = identities(torch.zeros(1, dtype=torch.long) if ids is None else ids, 1 if ids is None else len(ids))
    streams = Streams(seed, known, f"{'static' if t is None else 'dynamic'}_{kind}", None, device)
    unit = 1.0 if reference_height is None else h / reference_height
    mask = KINDS[kind].mask(streams, (h, w), unit, None if t is None else within_period(t))
    return torch.cat([KINDS[kind].rgb(mask).expand(len(known), 3, h, w), mask[:, None]], 1)


def _perturbation(kind: str, moves: bool) -> Perturbation:
    return Perturbation(
        f"{'dynamic' if moves else 'static'}_{kind}",
        "dynamic" if moves else "overlay",
        _Laid(kind, moves),
        _ALPHA,
        color=True,
        identity=0,
        sticks=not moves,
        dynamic=moves,
    )


OVERLAYS = tuple(_perturbation(kind, False) for kind in KINDS)
DYNAMIC_OVERLAYS = tuple(_perturbation(kind, True) for kind in KINDS)
