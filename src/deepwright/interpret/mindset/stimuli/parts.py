"""Whole and parts: amodal completion behind an occluder, and natural against unnatural cuts."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors, Scene, between, polar
from deepwright.interpret.mindset.stimuli.shapes import arc, area, blob, centroid, turned, unit_shape

Range = tuple[float, float]
_FAMILIAR = ("arc", "circle", "square", "rectangle", "triangle", "heptagon")
_BLOBS = 5
_POINTS = 48


def amodal(scene: Scene, *, radius: Range = (20 / 224, 40 / 224)) -> tuple[Canvas, Factors]:
    """A circle at the middle and a square; of pictures 2 k and 2 k + 1 one has the circle on top, one the square.

    Occlusion: the one on top hides a part of the other. No occlusion: both whole and side by side. Notched: the part
    that was hidden is cut away, and the one on top is moved off.

    Args:
        scene: what to draw.
        radius: of the circle, in canvas sides; the square's side is 1.5 times that.
    """
    items, square_top = scene.paired()
    draws, size = items.draws(), scene.size
    r = between(draws.uniform(), radius[0] * size, radius[1] * size)
    side, theta, u = 1.5 * r, draws.uniform(high=2 * math.pi), draws.uniform()
    reach = side / 2 / torch.maximum(theta.cos().abs(), theta.sin().abs())  # from the square's middle to its rim
    distance = between(u, r / 1.2, reach + 0.8 * r)
    middle = scene.middle()
    circle = unit_shape("circle", scene.device) * (math.sqrt(math.pi) * r)[:, None, None] + middle[:, None]
    hidden = polar(middle, distance, theta)
    away = polar(middle, reach + r + 0.06 * size, theta)
    square = unit_shape("square", scene.device) * side[:, None, None]
    where = away if scene.condition == "no_occlusion" else hidden
    on_top = square_top == 1
    lower = _either(on_top, circle, square + where[:, None])
    upper = _either(on_top, square + where[:, None], circle)
    ink, grey = (torch.tensor(scene.ink, device=scene.device).expand(scene.n, 3) * level for level in (1.0, 0.5))
    canvas = scene.canvas()
    canvas.polygon(lower, _either(on_top, ink, grey))
    if scene.condition == "notched":
        canvas.polygon(upper, scene.ground())
        upper = upper + _either(on_top, away - hidden, hidden - away)[:, None]
    canvas.polygon(upper, _either(on_top, grey, ink))
    return canvas, {
        "Top": ["square" if s else "circle" for s in square_top.tolist()],
        "Radius": r,
        "Theta": torch.rad2deg(theta),
        "Distance": distance,
    }


def _either(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Rows of one or the other; the one with fewer corners repeats its last one."""
    if yes.ndim == 3 and no.ndim == 3 and yes.shape[1] != no.shape[1]:
        most = max(yes.shape[1], no.shape[1])
        yes, no = _filled(yes, most), _filled(no, most)
    return torch.where(mask.view(-1, *(1,) * (yes.ndim - 1)), yes, no)


def _filled(corners: Tensor, count: int) -> Tensor:
    return torch.cat([corners, corners[:, -1:].expand(-1, count - corners.shape[1], -1)], 1)


def decomposition(
    scene: Scene, *, share: float = 0.05, apart: float = 60 / 224, familiar: bool = True
) -> tuple[Canvas, Factors]:
    """Two silhouettes that touch, in two colours of one: whole, moved apart, or with one of them cut in two.

    Wherever they part, either side moves by half of `apart`.

    Args:
        scene: what to draw.
        share: area of each silhouette, of the canvas.
        apart: between pieces that are moved, in canvas sides.
        familiar: all ordered pairs of six shapes in turn, or of five blobs.
    """
    first, second, names = _pairs(scene, familiar)
    size = scene.size
    scale = math.sqrt(share) * size
    tilt = torch.full((scene.n,), math.radians(30), device=scene.device)
    first, second = first * scale, second * scale
    right, left = first[..., 0].amax(1), second[..., 0].amin(1)
    half = torch.stack([(right - left) / 2, torch.zeros_like(right)], 1)
    place = scene.middle()
    one, two = (turned(part + sign * half[:, None], tilt) for part, sign in ((first, -1), (second, 1)))
    along = torch.stack([tilt.cos(), tilt.sin()], 1) * apart * size
    canvas = scene.canvas()
    theta = scene.draws("cut").uniform(high=2 * math.pi)
    if scene.condition == "natural":
        one, two = one - along[:, None] / 2, two + along[:, None] / 2
    one, two = one + place[:, None], two + place[:, None]
    if scene.condition == "unnatural":
        middle, normal = _cut(one, two, theta)
        off = apart * size * normal / 2
        canvas.polygon(two - off[:, None], scene.ink)
        canvas.polygon(one - off[:, None], scene.ink, (middle - off, normal))
        canvas.polygon(one + off[:, None], scene.ink, (middle + off, -normal))
    else:
        canvas.polygon(two, scene.ink)
        canvas.polygon(one, scene.ink)
    return canvas, {"First": names[0], "Second": names[1], "Cut": torch.rad2deg(theta)}


def _pairs(scene: Scene, familiar: bool) -> tuple[Tensor, Tensor, tuple[list[str], list[str]]]:
    """The two silhouettes of each picture, with area 1, and what they are called."""
    kinds = len(_FAMILIAR) if familiar else _BLOBS
    first = scene.ids % (kinds * (kinds - 1)) // (kinds - 1)
    other = scene.ids % (kinds - 1)
    second = other + (other >= first)
    if familiar:
        every = torch.stack([_dense(_familiar(name), _POINTS) for name in _FAMILIAR]).to(scene.device)
        words = list(_FAMILIAR)
    else:
        draws = replace(scene, ids=torch.arange(_BLOBS)).draws("blobs")
        every = blob(draws.normal(8), _POINTS)
        words = [f"blob {k}" for k in range(_BLOBS)]
    names = [words[k] for k in first.tolist()], [words[k] for k in second.tolist()]
    return every[first.to(scene.device)], every[second.to(scene.device)], names


def _familiar(name: str) -> Tensor:
    if name != "arc":
        return unit_shape(name)
    corners = arc(torch.tensor([1.0]), torch.tensor([0.45]), torch.tensor([math.radians(50)]))
    corners = (corners - centroid(corners)[:, None]) / area(corners).sqrt()[:, None, None]
    return corners[0]


def _dense(corners: Tensor, count: int) -> Tensor:
    """The same polygon with corners added on its sides, `count` in all."""
    extra = torch.full((len(corners),), (count - len(corners)) // len(corners))
    extra[: (count - len(corners)) % len(corners)] += 1
    parts = [
        a + (b - a) * torch.linspace(0, 1, int(k) + 2)[:-1, None]
        for a, b, k in zip(corners, corners.roll(-1, 0), extra)
    ]
    return torch.cat(parts)


def _cut(one: Tensor, two: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """A cut through the first part's middle at an angle, whose normal points away from the other part."""
    middle = centroid(one)
    normal = torch.stack([-theta.sin(), theta.cos()], 1)
    towards = (normal * (centroid(two) - middle)).sum(1, keepdim=True) > 0
    return middle, torch.where(towards, -normal, normal)
