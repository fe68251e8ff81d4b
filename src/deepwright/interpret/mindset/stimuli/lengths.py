"""Illusions of length and size: Müller-Lyer, Ponzo, Ebbinghaus."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_within
from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import BLUE, RED, Factors, Scene, between, first_valid, polar

Range = tuple[float, float]


def muller_lyer(
    scene: Scene,
    *,
    shaft: Range = (0.25, 0.67),
    fin: Range = (0.07, 0.134),
    angle: Range = (10, 44),
    width: float = 1.0,
    strength: float = 1.0,
) -> tuple[Canvas, Factors]:
    """A horizontal shaft with fins at its ends that point outward or inward, or lie scattered.

    Args:
        scene: what to draw.
        shaft: length in canvas sides.
        fin: length in canvas sides.
        angle: of a fin with the shaft, in degrees.
        width: of all strokes, in pixels.
        strength: of the fins' length; 0 leaves the bare shaft.
    """
    require_within(0.0, 1.0, strength=strength)
    require_number(1.0, width=width)
    size, draws = scene.size, scene.draws()
    length = between(draws.uniform(), shaft[0] * size, shaft[1] * size).round()
    fins = between(draws.uniform(), fin[0] * size, fin[1] * size).round()
    least, most = math.ceil(angle[0]), math.floor(angle[1])
    if least > most:
        raise InputError("angle", given=angle, expected="a range that holds a whole degree")
    degrees = draws.integers(least, most + 1).float()
    slant = torch.deg2rad(degrees)
    place = draws.uniform(2)
    half_x, half_y = length / 2 + fins * slant.cos() + width, fins * slant.sin() + width
    centre = torch.stack(
        [
            between(place[:, 0], half_x, size - half_x),
            between(place[:, 1], half_y, size - half_y),
        ],
        1,
    )
    if bool((2 * torch.maximum(half_x, half_y) - width > size).any()):
        given = f"{float(2 * half_x.max()):.0f} x {float(2 * half_y.max()):.0f} pixels"
        raise InputError("shaft and fin", given=given, expected=f"figures that fit a canvas of {size}")
    canvas = scene.canvas()
    side = torch.tensor([1.0, 0.0], device=scene.device)
    ends = [centre + sign * (length / 2)[:, None] * side for sign in (-1.0, 1.0)]
    canvas.segment(ends[0], ends[1], width, scene.ink)
    vertices, headings = _fins(scene, ends, fins)
    for vertex, heading in zip(vertices, headings):
        for turn in (-1.0, 1.0):
            canvas.segment(vertex, polar(vertex, fins * strength, heading + turn * slant), width, scene.ink)
    return canvas, {
        "ShaftLength": length,
        "FinLength": fins,
        "FinAngle": degrees,
        "CentreX": centre[:, 0],
        "CentreY": centre[:, 1],
    }


def _fins(scene: Scene, ends: list[Tensor], fins: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Where each pair of fins begins, and the direction between the two."""
    straight = torch.zeros(scene.n, device=scene.device)
    if scene.condition == "outward":
        return ends, [straight + math.pi, straight]
    if scene.condition == "inward":
        return ends, [straight, straight + math.pi]
    draws = scene.draws("scattered")
    places = [between(draws.uniform(2), fins[:, None], scene.size - fins[:, None]) for _ in ends]
    return places, [draws.uniform(high=2 * math.pi) for _ in ends]


def ponzo(
    scene: Scene,
    *,
    spread: Range = (0.11, 0.33),
    slope: Range = (3.2, 5.2),
    bars: Range = (0.1, 0.5),
    sleepers: int = 5,
    strength: float = 1.0,
) -> tuple[Canvas, Factors]:
    """Two bars over rails that meet further up; pictures 2 k and 2 k + 1 are item k with red above and with blue above.

    Args:
        scene: what to draw.
        spread: half the rails' distance at mid-height, in canvas sides.
        slope: of a rail, height over width.
        bars: length in canvas sides.
        sleepers: across the rails, one a band of their height.
        strength: of the convergence; 0 draws parallel rails.
    """
    require_within(0.0, 1.0, strength=strength)
    if bars[1] > 1:
        raise InputError("bars", given=bars, expected="lengths of at most one canvas side")
    items, blue_above = scene.paired()
    size, draws = scene.size, items.draws()
    dx, rise = (between(draws.uniform(), lo, hi) for lo, hi in ((spread[0] * size, spread[1] * size), slope))
    lengths = between(draws.uniform(2), bars[0] * size, bars[1] * size).round()
    off = between(draws.uniform(2), 0.05, 0.3) * size  # of the upper bar above the middle, and of the lower one below
    bands = draws.uniform(sleepers)
    if scene.condition == "ponzo_same_length":
        lengths = lengths[:, :1].expand(-1, 2)
    canvas = scene.canvas()
    if scene.condition == "scrambled_lines":
        _scattered_lines(scene, canvas, sleepers + 2)
    else:
        _rails(scene, canvas, dx, rise / max(strength, 1e-3), bands)
    upper, lower = lengths[:, 0], lengths[:, 1]
    red, blue = (torch.tensor(colour, device=scene.device) for colour in (RED, BLUE))
    above = torch.where(blue_above[:, None] == 1, blue, red)
    for length, y, colour in ((upper, size / 2 - off[:, 0], above), (lower, size / 2 + off[:, 1], red + blue - above)):
        left, right = (torch.stack([size / 2 + side * length / 2, y], 1) for side in (-1, 1))
        canvas.segment(left, right, scene.stroke, colour)
    red_length = upper.where(blue_above == 0, lower)
    blue_length = lower.where(blue_above == 0, upper)
    return canvas, {
        "Item": items.ids,
        "UpperColour": ["blue" if b else "red" for b in blue_above.tolist()],
        "RedLength": red_length,
        "BlueLength": blue_length,
        "LengthDifference": red_length - blue_length,
        "RailSlope": rise,
    }


def _scattered_lines(scene: Scene, canvas: Canvas, count: int) -> None:
    draws = scene.draws("scattered")
    for _ in range(count):
        ends = draws.uniform(2, 2, high=float(scene.size))
        canvas.segment(ends[:, 0], ends[:, 1], scene.stroke, scene.ink)


def _rails(scene: Scene, canvas: Canvas, dx: Tensor, rise: Tensor, bands: Tensor) -> None:
    """Rails of a length of 0.78 sides through (middle -/+ dx), and sleepers that overhang them by a tenth."""
    half = 0.39 * scene.size
    norm = torch.hypot(rise, torch.ones_like(rise))
    reach_x, reach_y = half / norm, half * rise / norm
    middle = scene.middle()
    for sign in (-1.0, 1.0):
        foot = torch.stack([sign * (dx + reach_x), reach_y], 1)
        head = torch.stack([sign * (dx - reach_x), -reach_y], 1)
        canvas.segment(middle + foot, middle + head, scene.stroke, scene.ink)
    count = bands.shape[1]
    for k in range(count):
        level = -reach_y + 2 * reach_y * (k + bands[:, k]) / count
        half_width = (dx + level / rise).abs() * 1.1
        left, right = (torch.stack([s * half_width, level], 1) for s in (-1.0, 1.0))
        canvas.segment(middle + left, middle + right, scene.stroke, scene.ink)


def ebbinghaus(
    scene: Scene,
    *,
    target: Range = (0.1, 0.4),
    big: Range = (0.24, 0.3),
    small: Range = (0.04, 0.15),
    gap: float = 0.02,
    strength: float = 1.0,
) -> tuple[Canvas, Factors]:
    """A red disc among five large or eight small ones, or with five of any size anywhere behind it.

    Sizes are diameters. Target and flankers are drawn together until, in both conditions, no flanker touches another
    and all lie on the canvas: the smallest targets have no room for five large flankers.

    Args:
        scene: what to draw.
        target: diameter in canvas sides.
        big: diameter of the five.
        small: diameter of the eight.
        gap: between the rims of target and flankers.
        strength: of the flankers' diameter; 0 leaves the bare target.
    """
    require_within(0.0, 1.0, strength=strength)
    require_number(0.0, gap=gap)
    low = torch.tensor([target[0], big[0], small[0]], device=scene.device)
    high = torch.tensor([target[1], big[1], small[1]], device=scene.device)

    def fits(drawn: Tensor) -> Tensor:
        return _free(drawn[..., 0], drawn[..., 1], 5, gap) & _free(drawn[..., 0], drawn[..., 2], 8, gap)

    sizes = first_valid(
        scene.draws(), lambda draws: low + draws.uniform(32, 3) * (high - low), fits, "target and flankers"
    )
    draws, size, canvas = scene.draws("places"), scene.size, scene.canvas()
    phase = draws.uniform(high=math.pi)
    middle = scene.middle()
    if scene.condition == "scrambled_circles":
        count, flanker = 5, torch.zeros(scene.n, device=scene.device)
        scattered = scene.draws("scattered")
        for _ in range(count):
            diameter = scattered.uniform(low=small[0], high=big[1]) * size * strength
            place = between(scattered.uniform(2), diameter[:, None] / 2, size - diameter[:, None] / 2)
            canvas.disc(place, diameter / 2, scene.ink)
    else:
        many = scene.condition == "small_flankers"
        count, flanker = (8, sizes[:, 2]) if many else (5, sizes[:, 1])
        distance = (gap + (sizes[:, 0] + flanker) / 2) * size
        for k in range(count):
            place = polar(middle, distance, phase + 2 * math.pi * k / count)
            canvas.disc(place, flanker * size / 2 * strength, scene.ink)
    canvas.disc(middle, sizes[:, 0] * size / 2, RED)
    return canvas, {
        "TargetSize": sizes[:, 0] * size,
        "FlankerSize": flanker * size,
        "Flankers": torch.full((scene.n,), count),
        "Phase": torch.rad2deg(phase),
    }


def _free(target: Tensor, flanker: Tensor, count: int, gap: float) -> Tensor:
    """Whether flankers around a target touch neither each other nor the canvas's edge."""
    distance = gap + (target + flanker) / 2
    return (2 * distance * math.sin(math.pi / count) > flanker) & (distance + flanker / 2 < 0.5)
