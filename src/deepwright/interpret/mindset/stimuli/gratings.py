"""The tilt illusion: an upright grating inside a tilted one looks turned away from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors, Scene, between

Range = tuple[float, float]
_REPELLED = 50.0  # degrees of context up to which people see repulsion


def tilt(scene: Scene, *, cycles: Range | None = None, radius: Range = (0.1, 0.6)) -> tuple[Canvas, Factors]:
    """A grating in a disc, around it, or both; the angle turns the wave vector, with y down.

    Alone, either has any orientation. Together the centre is at 0 degrees and the context at one that covers
    [-90, 90) evenly however many pictures there are (van der Corput's sequence).

    Args:
        scene: what to draw.
        cycles: whole waves across the canvas, at most an eighth of its side in pixels: 5 to 20, or to that eighth,
            where None.
        radius: of the centre, in half canvas sides.
    """
    cycles = (5, min(20, scene.size // 8)) if cycles is None else cycles
    if not 1 <= cycles[0] <= cycles[1] <= scene.size / 8:
        expected = f"1 to {scene.size // 8}, rising, at a size of {scene.size}: finer waves alias"
        raise InputError("cycles", given=cycles, expected=expected)
    draws = scene.draws()
    waves = draws.integers(int(cycles[0]), int(cycles[1]) + 1).float()
    reach = between(draws.uniform(), *radius) * 0.5 * scene.size
    free = between(draws.uniform(), -90.0, 90.0)
    both = scene.condition == "center_context"
    context = van_der_corput(scene.ids).to(scene.device) * 180 - 90 if both else free
    centre = torch.zeros_like(free) if both else free
    canvas = scene.canvas()
    x, y = (middle - scene.size / 2 for middle in canvas.grid())
    distance = (x[None, None, :].square() + y[None, :, None].square()).sqrt()
    inside = (0.5 + reach.float()[:, None, None] - distance).clamp(0, 1)[:, None]
    if scene.condition != "only_center":
        shown = None if both else 1 - inside
        canvas.field(grating(waves, torch.deg2rad(context), x, y, scene.size), shown)
    if scene.condition != "only_context":
        canvas.field(grating(waves, torch.deg2rad(centre), x, y, scene.size), inside)
    sign = -context.sign() * (context.abs() <= _REPELLED) if both else torch.zeros_like(context)
    return canvas, {
        "Cycles": waves,
        "Radius": reach,
        "CentreOrientation": torch.full_like(centre, math.nan) if scene.condition == "only_context" else centre,
        "ContextOrientation": torch.full_like(centre, math.nan) if scene.condition == "only_center" else context,
        "Repulsion": sign,
    }


def grating(waves: Tensor, angle: Tensor, x: Tensor, y: Tensor, size: int) -> Tensor:
    """(n, 1, h, w) sinusoids, 0 to 255.

    Args:
        waves: (n,) across the canvas.
        angle: (n,) of the wave vector, radians.
        x: (w,) from the middle, in pixels.
        y: (h,).
        size: of the canvas.
    """
    k = 2 * math.pi * waves.double() / size
    across, down = (k * angle.cos())[:, None] * x, (k * angle.sin())[:, None] * y
    sx, cx, sy, cy = (part.float() for part in (across.sin(), across.cos(), down.sin(), down.cos()))
    wave = sx[:, None, :] * cy[:, :, None]  # sin(a + b) from sines of either axis: none over the whole picture
    wave += cx[:, None, :] * sy[:, :, None]
    return wave.add_(1).mul_(127.5)[:, None]


def van_der_corput(ids: Tensor) -> Tensor:
    """The sequence in base 2: bits of each number mirrored about the point.

    Args:
        ids: whole numbers from 0.
    """
    bits = torch.arange(31, device=ids.device)
    return (((ids[:, None] >> bits) & 1).double() * 0.5 ** (bits + 1).double()).sum(1).float()
