"""One detector with exits, and everything that it is held against, on scenes half of which are empty."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress import (
    AdaptiveModel,
    BlankSkipLoss,
    ExitHead,
    attach_exits,
    certify,
    expected_cost,
    head_logits,
    layers,
)
from deepwright.core.boxes import Detections, mean_average_precision
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.inference import evaluating
from deepwright.core.randomness import generator, local_rng
from deepwright.core.statistics import wilson
from deepwright.data import Scenes, make_scenes, stream_scenes
from deepwright.nets import SSD, small_ssd, ssd_loss
from deepwright.ood.metrics import auroc

CUTS = ("features.stage0", "features.stage1", "features.stage2")
ALPHAS = (0.02, 0.05, 0.10)


def trial(seed: int, epochs: int, frames: int) -> dict[str, Any]:
    """Train detector and heads together; certify; measure; and the same for everything it is held against."""
    train, calibration, test = (make_scenes(n, seed=1000 * seed + k) for k, n in enumerate((frames, 1200, 1000)))
    with local_rng(seed):
        model = attach_exits(small_ssd(), CUTS, train.images[:2])
        narrow, tiny = small_ssd(width=0.5), ExitHead(1, 16)
    _train(model, train, epochs, seed)
    _train(narrow, train, epochs, seed)
    _train_tiny(tiny, train, epochs, seed)
    detector: SSD = model.model  # type: ignore[assignment]
    whole = detector.detect(test.images)
    static = mean_average_precision(whole, test.truth)
    dense = model.segments.macs
    seen, held = head_logits(model, calibration.images.split(200)), head_logits(model, test.images.split(200))
    occupied = test.occupied
    out: dict[str, Any] = {
        "static": static,
        "macs": dense,
        "narrow": mean_average_precision(narrow.detect(test.images), test.truth),
        "narrow macs": sum(x.macs for x in layers(narrow, test.images[:1])),
        "oracle": mean_average_precision(_skipped(detector, whole, ~occupied), test.truth),
        "auc": {c: auc(held[c][:, 0], occupied) for c in CUTS},
        "before": {c: m / dense for c, m in zip(CUTS, _prefixes(model))},
        "exits": {},
    }
    for k, c in enumerate(CUTS):
        alone = _only(model, k)
        for alpha in ALPHAS:
            threshold, _, bound = certify(-seen[c][:, 0], calibration.occupied, calibration.occupied, max_harm=alpha)
            skip = -held[c][:, 0] >= threshold
            out["exits"][f"{c} {alpha}"] = _measured(detector, whole, test, skip, static) | {
                "bound": bound,
                "speedup in calibration": _speedup(alone, -seen[c][:, 0] >= threshold, calibration),
                "speedup": _speedup(alone, skip, test),
                "random": _random_skip(detector, whole, test, float(skip.double().mean()), static, seed),
            }
    out["tiny"] = _separate(tiny, detector, whole, calibration, test, static, dense)
    nothing_empty = make_scenes(400, empty=0.0, seed=1000 * seed + 7)
    threshold = certify(-seen[CUTS[1]][:, 0], calibration.occupied, calibration.occupied, max_harm=0.05)[0]
    left = torch.where(-head_logits(model, nothing_empty.images.split(200))[CUTS[1]][:, 0] >= threshold, 0, 1)
    out["full frames"] = expected_cost(_only(model, 1), left, harmful=nothing_empty.occupied).speedup
    out["film"] = _film(model, threshold, seed)
    return out


def _train(model: nn.Module, data: Scenes, epochs: int, seed: int) -> None:
    loss = BlankSkipLoss()
    detector: SSD = model.model if isinstance(model, AdaptiveModel) else model  # type: ignore[assignment]

    def step(network: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
        truth = [data.truth[i] for i in rows.tolist()]
        if isinstance(model, AdaptiveModel):
            raw, exits = network(x)
            own = ssd_loss(raw, detector.anchors, truth, detector.image_size)
            return loss(own, exits, torch.tensor([float(len(t) > 0) for t in truth]))
        return ssd_loss(network(x), detector.anchors, truth, detector.image_size)

    batches = epochs * len(data) // 24
    fit(
        model,
        (data.images, torch.arange(len(data))),
        epochs=epochs,
        batch_size=24,
        step=step,
        optimizer=adamw(4e-3, 1e-4),
        scheduler=one_cycle(4e-3),
        clip_norm=10.0,
        seed=seed,
        drop_last=True,
        description=f"{batches} steps",
    )
    model.eval()


def _train_tiny(network: nn.Module, data: Scenes, epochs: int, seed: int) -> None:
    """A separate "is anything there?" network in front of the detector."""
    fit(
        network,
        (data.images, data.occupied.float()),
        epochs=epochs,
        batch_size=24,
        loss=lambda z, y: nn.functional.binary_cross_entropy_with_logits(z[:, 0], y),
        optimizer=adamw(4e-3, 1e-4),
        scheduler=one_cycle(4e-3),
        seed=seed,
        drop_last=True,
        description="separate",
    )
    network.eval()


def _only(model: AdaptiveModel, k: int) -> AdaptiveModel:
    """The same network with one of its exits."""
    return AdaptiveModel(model.model, [model.cuts[k]], [model.heads[k]], model.example, "blank", model.empty).eval()


def _speedup(model: AdaptiveModel, skip: Tensor, frames: Scenes) -> float:
    """Static over expected MACs; a frame that is missed saves nothing."""
    return expected_cost(model, torch.where(skip, 0, 1), harmful=frames.occupied).speedup


def _prefixes(model: AdaptiveModel) -> list[int]:
    segments = model.segments
    return [sum(x.macs for x in segments.between(0, segments.position(c))) for c in CUTS]


def _skipped(detector: SSD, whole: list[Detections], skip: Tensor) -> list[Detections]:
    return [detector.no_detections() if s else d for d, s in zip(whole, skip.tolist())]


def _measured(detector: SSD, whole: list[Detections], test: Scenes, skip: Tensor, static: float) -> dict[str, Any]:
    """What skipping costs, beyond mean average precision: whole frames missed, and false boxes on empty frames."""
    kept = _skipped(detector, whole, skip)
    occupied = test.occupied
    small = torch.tensor([len(t) > 0 and float((t.boxes[:, 3] - t.boxes[:, 1]).max()) < 16 for t in test.truth])
    false = [
        sum(int((d.scores > 0.3).sum()) for d, o in zip(ds, occupied.tolist()) if not o and d.scores is not None)
        for ds in (whole, kept)
    ]
    return {
        "skipped": float(skip.double().mean()),
        "of empty": float((skip & ~occupied).sum() / (~occupied).sum()),
        "false skip": float((skip & occupied).sum() / occupied.sum()),
        "false skip, low": wilson(int((skip & occupied).sum()), int(occupied.sum())).low,
        "false skip, small objects": float((skip & small).sum() / small.sum().clamp_min(1)),
        "change": mean_average_precision(kept, test.truth) - static,
        "false boxes before": false[0],
        "false boxes after": false[1],
    }


def _random_skip(detector: SSD, whole: list[Detections], test: Scenes, rate: float, static: float, seed: int) -> float:
    skip = torch.rand(len(test), generator=generator(seed, "random skip")) < rate
    return mean_average_precision(_skipped(detector, whole, skip), test.truth) - static


def _separate(
    tiny: nn.Module,
    detector: SSD,
    whole: list[Detections],
    calibration: Scenes,
    test: Scenes,
    static: float,
    dense: int,
) -> dict[str, Any]:
    with evaluating(tiny), torch.no_grad():
        seen, held = tiny(calibration.images)[:, 0], tiny(test.images)[:, 0]
    threshold = certify(-seen, calibration.occupied, calibration.occupied, max_harm=0.05)[0]
    skip = -held >= threshold
    own = sum(x.macs for x in layers(tiny, test.images[:1]))
    share = float((skip & ~test.occupied).double().mean())
    return _measured(detector, whole, test, skip, static) | {
        "auc": auc(held, test.occupied),
        "speedup": dense / (own + (1 - share) * dense),  # of frames without an object: a miss is no saving
        "macs": own,
    }


def _film(model: AdaptiveModel, threshold: float, seed: int) -> dict[str, float]:
    """A film with a moving camera (another background each frame): the exit against a frame-difference trigger."""
    film = stream_scenes(600, seed=77 + seed)
    exits = -head_logits(model, film.images.split(200))[CUTS[1]][:, 0]
    change = torch.cat([torch.ones(1), (film.images[1:] - film.images[:-1]).abs().mean((1, 2, 3))])
    return {
        "exit": auc(-exits, film.occupied),
        "difference": auc(change, film.occupied),
        "skipped": float((exits >= threshold).double().mean()),
    }


def auc(score: Tensor, positive: Tensor) -> float:
    """Chance that a positive scores above a negative."""
    return auroc(score[~positive], score[positive])
