"""Attenuation that needs no model: controls at equal energy, without which any sensible place looks like an attack."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.adversarial.options import box
from deepwright.adversarial.patches.attenuation import require_share
from deepwright.adversarial.patches.energy import filled, projected
from deepwright.adversarial.patches.regions import Boxes, box_rows
from deepwright.adversarial.patches.rendering import Pixels
from deepwright.adversarial.patches.requiring import require_amplitudes
from deepwright.adversarial.rounding import working_dtype
from deepwright.core.errors import unknown_name
from deepwright.core.randomness import Streams

FILLS = ("constant", "random", "brightest", "darkest", "centre", "pixels")


def attenuated(
    kind: str,
    images: Float[Tensor, "n c h w"],
    boxes: Boxes,
    tau: float,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
    ids: Int64[Tensor, " n"] | None = None,
) -> tuple[Float[Tensor, "n c h w"], list[Tensor]]:
    """Images of whose objects a share of the amplitude is taken away, and the share of each object.

    Args:
        kind: "constant" (the same share of each pixel), "random" (uniform noise, projected), or whole pixels: the
            "brightest", the "darkest", those nearest to the "centre", or any "pixels".
        images: amplitudes within `bounds`.
        boxes: of each image (k, 4) corners or (k, 5) turned boxes, or `Detections`.
        tau: the share, within (0, 1].
        bounds: range of pixels.
        seed: of what is drawn.
        ids: (N,) identity of each image; 0..N-1 by default.

    Raises:
        InputError: an unknown kind, images outside their range, boxes that can't be read.
    """
    if kind not in FILLS:
        raise unknown_name("kind", str(kind), FILLS)
    require_share(tau)
    require_amplitudes(images, box(bounds))
    ids = torch.arange(len(images)) if ids is None else ids
    x = images.to(working_dtype(images.dtype))
    rows = [r.to(x.device) for r in box_rows(boxes, len(x))]
    shown = Pixels.at(x, rows, bounds[0])
    cap = shown.cap
    budget = tau * cap.double().sum(1)
    if kind == "constant":
        taken = tau * cap
    elif kind == "random":
        taken = projected(_noise(seed, ids, shown) * (40 / 255) * (bounds[1] - bounds[0]), cap, budget)
    else:
        score = {"brightest": cap, "darkest": -cap, "centre": None, "pixels": None}[kind]
        if score is None:
            score = _noise(seed, ids, shown) if kind == "pixels" else -_from_centre(shown, rows)
        taken = filled(score, cap, budget)
    shares = taken.double().sum(1) / cap.double().sum(1).clamp_min(1e-30)
    return shown.render(taken).to(images.dtype), list(shares.split([len(r) for r in rows]))


def _noise(seed: int, ids: Tensor, shown: Pixels) -> Tensor:
    drawn = Streams(seed, ids, "attenuation", device=shown.x.device).uniform(shown.regions.size)
    return torch.where(shown.regions.valid, drawn.reshape(-1)[shown.regions.flat], 0.0).to(shown.cap)


def _from_centre(shown: Pixels, rows: list[Tensor]) -> Tensor:
    """Squared distance of each pixel from its object's centre."""
    width, area = shown.x.shape[3], shown.x.shape[2] * shown.x.shape[3]
    place = shown.regions.index % area
    middle = (shown.regions.boxes[:, :2] + shown.regions.boxes[:, 2:]) / 2
    dx = place % width + 0.5 - middle[:, :1]
    dy = place // width + 0.5 - middle[:, 1:]
    return (dx.square() + dy.square()).to(shown.cap)
