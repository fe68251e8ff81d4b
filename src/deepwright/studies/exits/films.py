"""Films: what a trigger that compares frames can do where the camera stands, and where it doesn't."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.randomness import generator
from deepwright.data import Scenes, make_scenes, stream_scenes
from deepwright.studies.exits.detectors import auc
from deepwright.studies.exits.measures import CONFIDENCE, certified

FILMS = ("camera stands", "camera moves")
FRAMES = 800
NOISE = 0.03


@functools.lru_cache(maxsize=4)
def film(kind: str, seed: int) -> Scenes:
    """A film of which half is empty, in spells of 20 frames; objects move from frame to frame.

    Args:
        kind: "camera moves", each frame has another background; "camera stands", all have the first one's.
        seed: of everything.
    """
    moving = stream_scenes(FRAMES, seed=seed)
    if kind == "camera moves":
        return moving
    empty = make_scenes(FRAMES, occupied=torch.zeros(FRAMES, dtype=torch.bool), noise=0.0, seed=seed)
    full = make_scenes(FRAMES, occupied=moving.occupied, noise=0.0, seed=seed)
    noise = NOISE * torch.randn(moving.images.shape, generator=generator(seed, "film"))
    objects = full.images - empty.images  # the same draws: only the objects differ
    return Scenes((empty.images[:1] + objects + noise).clamp(0, 1), moving.truth)


def _from_the_last(x: Tensor) -> Tensor:
    """Absolute change from the frame before."""
    return (x - torch.cat([x[:1], x[:-1]])).abs()


def _from_the_median(x: Tensor) -> Tensor:
    """Absolute difference from the median of the first 50 frames, as a background that was learned."""
    return (x - x[:50].median(0, keepdim=True).values).abs()


def _largest_block(change: Tensor) -> Tensor:
    return F.avg_pool2d(change, 8, 4).amax((1, 2, 3))


TRIGGERS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean change from the last frame": lambda x: _from_the_last(x).mean((1, 2, 3)),
    "largest change of a block from the last frame": lambda x: _largest_block(_from_the_last(x)),
    "largest difference of a block from a learned background": lambda x: _largest_block(_from_the_median(x)),
}


def trigger_trial(group: str, arm: str, place: str, seed: int) -> dict[str, Any]:
    """A trigger with a threshold that was certified on another film of its kind.

    Args:
        group: the kind of film.
        arm: "frame difference", in words.
        place: one of `TRIGGERS`.
        seed: of everything.
    """
    del arm
    seen, held = (film(group, 1000 * seed + k) for k in (8, 9))
    return told(TRIGGERS[place](seen.images), seen, TRIGGERS[place](held.images), held)


def told(seen: Tensor, calibration: Scenes, held: Tensor, test: Scenes) -> dict[str, Any]:
    """What a score that is large where something is there skips, at 5 %, on the film of the test.

    Args:
        seen: scores of the calibration's frames.
        calibration: that film.
        held: scores of the test's frames.
        test: that film.
    """
    threshold, bound = certified(-seen, calibration, 0.05)
    skip, there = -held >= threshold, test.occupied
    return {
        "auc": auc(held, there),
        "bound": bound,
        "confidence": CONFIDENCE,
        "empty skipped in calibration": float((-seen >= threshold)[~calibration.occupied].double().mean()),
        "empty skipped": float(skip[~there].double().mean()),
        "false skip": float(skip[there].double().mean()),
    }
