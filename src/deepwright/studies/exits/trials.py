"""A detector with exits, and everything that it is held against, on scenes half of which are empty."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from deepwright.compress import AdaptiveModel, head_logits, layers, path_macs
from deepwright.core.boxes import Detections, mean_average_precision
from deepwright.core.inference import logits_of
from deepwright.core.randomness import local_rng
from deepwright.data import Scenes, make_scenes
from deepwright.nets import SSD
from deepwright.studies.exits.detectors import ALONE, CUTS, FRONT, FRONTS, JOINT, WIDTHS, auc, built, train
from deepwright.studies.exits.films import FILMS, film, told
from deepwright.studies.exits.measures import by_share, certified, measured, only, skipped, speedup
from deepwright.studies.exits.timing import batch_times, load

ALPHAS = (0.02, 0.05, 0.10)
CALIBRATION, TEST, PART = 1200, 1000, 200


def trial(seed: int, steps: int, frames: int, rates: dict[str, float], repeats: int) -> dict[str, Any]:
    """Train all; certify on calibration frames; measure on others.

    Args:
        seed: of everything.
        steps: of each training.
        frames: to train on.
        rates: learning rate of each arm.
        repeats: of timings.
    """
    sizes = (frames, CALIBRATION, TEST)
    training, calibration, test = (make_scenes(n, seed=1000 * seed + k) for k, n in enumerate(sizes))
    model = train(built(JOINT, seed), training, steps, rates[JOINT], seed)
    assert isinstance(model, AdaptiveModel)
    out: dict[str, Any] = _exits(model, calibration, test, seed)
    for arm in WIDTHS:
        static = train(built(arm, seed), training, steps, rates[arm], seed)
        assert isinstance(static, SSD)
        whole = static.detect(test.images)
        out[arm] = {
            "precision": mean_average_precision(whole, test.truth),
            "macs": sum(x.macs for x in layers(static, test.images[:1])),
        }
        if arm == ALONE:
            out[FRONT] = _in_front(static, whole, training, calibration, test, steps, rates[FRONT], seed)
    out["load"] = load()
    out["times"] = {cut: batch_times(only(model, k), seed, repeats) for k, cut in enumerate(CUTS)}
    return out


def _exits(model: AdaptiveModel, calibration: Scenes, test: Scenes, seed: int) -> dict[str, Any]:
    """Each exit at each bound; frames none of which is empty; films."""
    detector: SSD = model.model  # type: ignore[assignment]
    whole = detector.detect(test.images)
    seen, held = _logits(model, calibration), _logits(model, test)
    full = make_scenes(400, empty=0.0, seed=1000 * seed + 7)
    never_empty = _logits(model, full)
    films = {kind: tuple(film(kind, 1000 * seed + k) for k in (8, 9)) for kind in FILMS}
    film_logits = {kind: [_logits(model, each) for each in pair] for kind, pair in films.items()}
    dense, exits, on_films = model.segments.macs, {}, {}
    for k, cut in enumerate(CUTS):
        alone = only(model, k)
        for alpha in ALPHAS:
            threshold, bound = certified(-seen[cut], calibration, alpha)
            skip = -held[cut] >= threshold
            exits[f"{cut} {alpha}"] = measured(detector, whole, test, skip, seed) | {
                "bound": bound,
                "speedup in calibration": speedup(alone, -seen[cut] >= threshold, calibration),
                "speedup": speedup(alone, skip, test),
                "macs": dense / speedup(alone, skip, test),
                "never empty": 1 / speedup(alone, -never_empty[cut] >= threshold, full),
                "by share": by_share(alone, skip, test),
                "auc": auc(held[cut], test.occupied),
                "before": path_macs(alone)[0] / dense,
            }
        for kind, pair in films.items():
            one, other = (found[cut] for found in film_logits[kind])
            on_films[f"{kind} {cut}"] = told(one, pair[0], other, pair[1])
    return {
        "exits": exits,
        "films": on_films,
        "macs": dense,
        JOINT: {"precision": mean_average_precision(whole, test.truth)},
        "oracle": mean_average_precision(skipped(detector, whole, ~test.occupied), test.truth),
    }


def _logits(model: AdaptiveModel, frames: Scenes) -> dict[str, Tensor]:
    return {cut: found[:, 0] for cut, found in head_logits(model, frames.images.split(PART)).items()}


def _in_front(
    detector: SSD,
    whole: list[Detections],
    training: Scenes,
    calibration: Scenes,
    test: Scenes,
    steps: int,
    lr: float,
    seed: int,
) -> dict[str, Any]:
    """Networks in front of the static detector, with weights of their own."""
    dense, found = sum(x.macs for x in layers(detector, test.images[:1])), {}
    for size, make in FRONTS.items():
        with local_rng(seed):
            front = make()
        train(front, training, steps, lr, seed)
        seen, held = (logits_of(front, d.images.split(PART))[:, 0] for d in (calibration, test))
        threshold, bound = certified(-seen, calibration, 0.05)
        skip, would = -held >= threshold, -seen >= threshold
        own = sum(x.macs for x in layers(front, test.images[:1]))
        found[size] = measured(detector, whole, test, skip, seed) | {
            "auc": auc(held, test.occupied),
            "bound": bound,
            "before": own / dense,
            "speedup in calibration": _speedup(would, calibration, own, dense),
            "speedup": _speedup(skip, test, own, dense),
            "macs": dense / _speedup(skip, test, own, dense),
        }
    return found


def _speedup(skip: Tensor, frames: Scenes, own: int, dense: int) -> float:
    """Of skipped frames without an object alone: a miss is no saving."""
    share = float((skip & ~frames.occupied).double().mean())
    return dense / (own + (1 - share) * dense)
