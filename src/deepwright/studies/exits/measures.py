"""What skipping frames saves and costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.compress import AdaptiveModel, certify, expected_cost, path_macs
from deepwright.core.boxes import Detections, mean_average_precision
from deepwright.core.randomness import generator
from deepwright.core.statistics import wilson
from deepwright.data import Scenes
from deepwright.nets import SSD

CONFIDENCE = 1 - 0.05 / 3  # each of three candidates: whichever is taken, its certificate holds with 95 %
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)  # of empty frames


def certified(ready: Tensor, calibration: Scenes, alpha: float) -> tuple[float, float]:
    """(threshold, upper bound of false skips).

    Args:
        ready: one a frame, large where it may be skipped.
        calibration: the frames.
        alpha: the largest share of frames with objects that may be skipped.
    """
    there = calibration.occupied
    threshold, _, bound = certify(ready, there, there, max_harm=alpha, confidence=CONFIDENCE)
    return threshold, bound


def only(model: AdaptiveModel, k: int) -> AdaptiveModel:
    """The same network with one of its exits.

    Args:
        model: the network.
        k: the exit's number.
    """
    return AdaptiveModel(model.model, [model.cuts[k]], [model.heads[k]], model.example, "blank", model.empty).eval()


def speedup(model: AdaptiveModel, skip: Tensor, frames: Scenes) -> float:
    """Static over expected MACs; a frame that is missed saves nothing.

    Args:
        model: with one exit.
        skip: which frames leave there.
        frames: what they are.
    """
    return expected_cost(model, torch.where(skip, 0, 1), harmful=frames.occupied).speedup


def by_share(model: AdaptiveModel, skip: Tensor, frames: Scenes) -> dict[str, float]:
    """Static over expected MACs by the share of empty frames; a frame that is missed saves nothing.

    Args:
        model: with one exit.
        skip: which frames leave there.
        frames: what they are.
    """
    early, whole = path_macs(model)
    hit = float(skip[~frames.occupied].double().mean())
    return {str(share): model.segments.macs / (whole - share * hit * (whole - early)) for share in SHARES}


def skipped(detector: SSD, whole: list[Detections], skip: Tensor) -> list[Detections]:
    """Detections of which those of some frames are none.

    Args:
        detector: whose they are.
        whole: its detections.
        skip: of which frames there are none.
    """
    return [detector.no_detections() if s else d for d, s in zip(whole, skip.tolist())]


def measured(detector: SSD, whole: list[Detections], test: Scenes, skip: Tensor, seed: int) -> dict[str, Any]:
    """What skipping costs, beyond mean average precision: whole frames missed, and false boxes on empty frames.

    Args:
        detector: whose detections are kept.
        whole: all of them.
        test: the frames.
        skip: which are skipped.
        seed: of random skips at the same rate.
    """
    kept = skipped(detector, whole, skip)
    there, rate = test.occupied, float(skip.double().mean())
    small = torch.tensor([len(t) > 0 and float((t.boxes[:, 3] - t.boxes[:, 1]).max()) < 16 for t in test.truth])
    false = [_false_boxes(detections, there) for detections in (whole, kept)]
    any_skip = torch.rand(len(test), generator=generator(seed, "random skip")) < rate
    static = mean_average_precision(whole, test.truth)
    return {
        "skipped": rate,
        "of empty": float((skip & ~there).sum() / (~there).sum()),
        "false skip": float((skip & there).sum() / there.sum()),
        "false skip, low": wilson(int((skip & there).sum()), int(there.sum())).low,
        "false skip, small objects": float((skip & small).sum() / small.sum().clamp_min(1)),
        "precision": mean_average_precision(kept, test.truth),
        "change": mean_average_precision(kept, test.truth) - static,
        "random": mean_average_precision(skipped(detector, whole, any_skip), test.truth) - static,
        "false boxes before": false[0],
        "false boxes after": false[1],
    }


def _false_boxes(detections: list[Detections], there: Tensor) -> int:
    return sum(
        int((d.scores > 0.3).sum()) for d, o in zip(detections, there.tolist()) if not o and d.scores is not None
    )
