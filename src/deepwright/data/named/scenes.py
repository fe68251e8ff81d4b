"""Synthetic grey scenes with bottles, cans, distractors and nothing at all: detection data whose answers are known.

Every scene is a function of (seed, index); a batch is drawn at once. Distractors are there so that finding *something*
isn't enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.boxes import Detections
from deepwright.core.devices import home
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams


@dataclass(frozen=True)
class Scenes:
    """Scenes with what is in them.

    Attributes:
        images: in [0, 1].
        truth: the boxes in each.
    """

    images: Float[Tensor, "n 1 h w"]
    truth: list[Detections]

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def occupied(self) -> Tensor:
        """(N,) whether a frame holds an object, where the images are."""
        return torch.tensor([len(t) > 0 for t in self.truth], device=self.images.device)

    def take(self, rows: Tensor | slice) -> Scenes:
        """Some of the frames.

        Args:
            rows: indices, a mask or a slice.
        """
        rows = rows.to(self.images.device) if isinstance(rows, Tensor) else rows
        index = torch.arange(len(self), device=self.images.device)[rows].tolist()
        return Scenes(self.images[rows], [self.truth[i] for i in index])


def make_scenes(
    n: int,
    *,
    empty: float = 0.5,
    seed: int = 0,
    size: tuple[int, int] = (48, 64),
    smallest: int = 10,
    largest: int = 26,
    contrast: float = 0.18,
    distractors: int = 3,
    noise: float = 0.03,
    occupied: Tensor | None = None,
) -> Scenes:
    """Scenes in which a share `empty` holds nothing.

    Args:
        n: how many.
        empty: share of frames without an object.
        seed: of all draws.
        size: height and width.
        smallest: least height of an object in pixels.
        largest: largest one.
        contrast: least difference between an object and what is behind it.
        distractors: at most so many discs and bars a frame.
        noise: deviation of the sensor's noise.
        occupied: (N,) which frames hold objects, instead of drawing it; the scenes are made where it is.

    Raises:
        InputError: shares and sizes out of range.
    """
    h, w = size
    if n < 1 or not 0 <= empty <= 1 or not 4 <= smallest <= largest < h:
        raise InputError(
            "scenes",
            given=f"n={n}, empty={empty}, heights {smallest}..{largest} of {h}",
            expected="n >= 1, a share, 4 <= smallest <= largest < height",
        )
    place = home(occupied)
    streams = Streams(seed, n, "scenes", device=place)
    y = torch.linspace(0, 1, h, device=place).view(1, h, 1)
    x = torch.linspace(0, 1, w, device=place).view(1, 1, w)
    image = _background(streams, x, y)
    for _ in range(distractors):
        image = _distract(streams, image, x, y, size)
    count = 1 + streams.integers(0, 2)
    present = streams.uniform() >= empty if occupied is None else occupied
    count = torch.where(present, count, torch.zeros_like(count))
    boxes = _place(streams, size, smallest, largest)
    labels = streams.integers(0, 2, 2)
    free = torch.ones(n, 2, dtype=torch.bool, device=place)
    free[:, 1] = ~_overlap(boxes[:, 0], boxes[:, 1])  # a second object that would touch the first is left out
    shown = (torch.arange(2, device=place)[None] < count[:, None]) & free
    boxes[..., [0, 2]] = _with_width(boxes, labels, streams, w)
    for k in range(2):
        image = _paint(streams, image, boxes[:, k], labels[:, k], shown[:, k], contrast)
    image = image + noise * streams.normal(h, w)
    truth = [Detections(boxes[i][shown[i]], labels[i][shown[i]]) for i in range(n)]
    return Scenes(image.clamp(0, 1)[:, None], truth)


def stream_scenes(n: int, *, empty: float = 0.5, dwell: float = 20.0, seed: int = 0, **options: Any) -> Scenes:
    """A film: empty and occupied spells follow each other (a Markov chain).

    Args:
        n: frames.
        empty: share of frames without an object.
        dwell: mean length of a spell in frames.
        seed: of all draws.
        **options: of `make_scenes`, but for `occupied`.

    Raises:
        InputError: what `make_scenes` refuses; a dwell of 1 or less.
    """
    if dwell <= 1:
        raise InputError("dwell", given=dwell, expected="above 1 frame")
    u = Streams(seed, n, "film").uniform()
    state = bool(u[0] >= empty)
    states = []
    leave = {True: min(1.0, 2 * empty / dwell), False: min(1.0, 2 * (1 - empty) / dwell)}
    for value in u.tolist():
        states.append(state)
        if value < leave[state]:
            state = not state
    return make_scenes(n, empty=empty, seed=seed, occupied=torch.tensor(states), **options)


def _background(streams: Streams, x: Tensor, y: Tensor) -> Tensor:
    """A level, a slope and four waves."""
    base = streams.uniform(1, 1, low=0.2, high=0.7)
    slope = streams.uniform(2, 1, 1, low=-0.2, high=0.2)
    image = base + slope[:, 0] * (x - 0.5) + slope[:, 1] * (y - 0.5)
    for _ in range(4):
        p = streams.uniform(4, 1, 1)
        wave = torch.sin(2 * math.pi * (6 * p[:, 0] * x + 6 * p[:, 1] * y + p[:, 2]))
        image = image + 0.06 * p[:, 3] * wave
    return image


def _distract(streams: Streams, image: Tensor, x: Tensor, y: Tensor, size: tuple[int, int]) -> Tensor:
    """A disc or a bar, or nothing, on every frame."""
    h, w = size
    p = streams.uniform(7, 1, 1)
    there, disc = p[:, 0] < 0.6, p[:, 1] < 0.5
    dx, dy = (x - p[:, 2]) * w, (y - p[:, 3]) * h
    radius = 2 + 6 * p[:, 4]
    round_ = dx.square() + dy.square() <= radius.square()
    angle = math.pi * p[:, 5]
    across, along = dx * angle.cos() + dy * angle.sin(), -dx * angle.sin() + dy * angle.cos()
    bar = (across.abs() <= 1.2) & (along.abs() <= 2.5 * radius)
    mask = there & torch.where(disc, round_, bar)
    return image + mask * (p[:, 6] * 0.5 - 0.25)


def _place(streams: Streams, size: tuple[int, int], smallest: int, largest: int) -> Tensor:
    """(N, 2, 4) boxes of two candidate objects; the width is a stand-in until the class is known."""
    h, w = size
    height = streams.uniform(2, low=smallest, high=largest)
    u = streams.uniform(2, 2)
    top = u[..., 0] * (h - height)
    wide = height  # room for the wider class
    left = u[..., 1] * (w - wide).clamp_min(1)
    return torch.stack([left, top, (left + wide).clamp_max(w), top + height], -1)


def _with_width(boxes: Tensor, labels: Tensor, streams: Streams, w: int) -> Tensor:
    """Left and right edges: bottles are .36 as wide as high, cans .8, give or take 15 %."""
    height = boxes[..., 3] - boxes[..., 1]
    ratio = torch.where(labels == 0, 0.36, 0.8) * streams.uniform(2, low=0.85, high=1.15)
    width = height * ratio
    left = boxes[..., 0] + (boxes[..., 2] - boxes[..., 0] - width).clamp_min(0) / 2
    return torch.stack([left, (left + width).clamp_max(w)], -1)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    return (torch.minimum(a[:, 2], b[:, 2]) > torch.maximum(a[:, 0], b[:, 0]) - 1) & (
        torch.minimum(a[:, 3], b[:, 3]) > torch.maximum(a[:, 1], b[:, 1]) - 1
    )


def _paint(streams: Streams, image: Tensor, box: Tensor, label: Tensor, shown: Tensor, contrast: float) -> Tensor:
    """One object a frame: a bottle with a neck or a can with bright rims, shaded at the sides, blended 60 : 40."""
    n, h, w = image.shape
    rows, columns = (torch.arange(size, device=image.device) + 0.5 for size in (h, w))
    left, top, right, bottom = (v.view(n, 1, 1) for v in box.unbind(1))
    u = (columns.view(1, 1, w) - left) / (right - left).clamp_min(1e-3)
    v = (rows.view(1, h, 1) - top) / (bottom - top).clamp_min(1e-3)
    inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    bottle = (label == 0).view(n, 1, 1)
    neck = (v >= 0.3) | ((u - 0.5).abs() <= 0.2)
    mask = inside & (~bottle | neck) & shown.view(n, 1, 1)
    p = streams.uniform(2, 1, 1)
    change = (contrast + (0.4 - contrast) * p[:, 0]) * torch.where(p[:, 1] < 0.5, -1.0, 1.0)
    behind = (image * inside).sum((1, 2), keepdim=True) / inside.sum((1, 2), keepdim=True).clamp_min(1)
    body = (behind + change).clamp(0.02, 0.98) * (1 - 0.5 * (u - 0.5).square() * 4 * 0.5)
    rim = ~bottle & ((v < 0.12) | (v > 0.88))
    body = torch.where(rim, (body + 0.25).clamp_max(1), body)
    return torch.where(mask, 0.6 * body + 0.4 * (behind + change).clamp(0, 1), image)
