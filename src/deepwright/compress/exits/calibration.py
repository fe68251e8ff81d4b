"""Thresholds of a network's exits from calibration data, for one goal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from deepwright.compress.exits.adaptive import AdaptiveModel
from deepwright.compress.exits.costs import path_macs
from deepwright.compress.exits.goals import Levels
from deepwright.compress.exits.inputs import magnitude, read_flags, require_scores
from deepwright.compress.exits.policy import ExitPolicy, certify
from deepwright.core.devices import back_to
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_within


@torch.no_grad()
def head_logits(model: AdaptiveModel, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Every head's logits on every sample, by the whole network: computed once, swept for free.

    Args:
        model: left as found.
        batches: of inputs.

    Returns:
        cut -> (N, outputs), where the inputs are.

    Raises:
        InputError: no batch; inputs that aren't finite floats of the example's shape; logits that are NaN.
    """
    rows: dict[str, list[Tensor]] = {c: [] for c in model.cuts}
    with evaluating(model):
        for x in batches:
            for c, z in model.exit_logits(x)[1].items():
                rows[c].append(back_to(z, x))
    if not all(rows.values()):
        raise InputError("batches", given="none", expected="at least one")
    found = {c: torch.cat(v) for c, v in rows.items()}
    for c, z in found.items():
        require_scores(z, f"logits of the exit after {c!r}")
    return found


def calibrate_exits(
    model: AdaptiveModel,
    batches: Iterable[Tensor],
    relevant: Tensor,
    *,
    max_false_skip: float | None = None,
    confidence: float = 0.95,
    harmful: dict[str, Tensor] | None = None,
    target_speedup: float | None = None,
    utility: tuple[float, float] | None = None,
    max_map_drop: float | None = None,
    metric: Callable[[Tensor], float] | None = None,
) -> ExitPolicy:
    """Thresholds for one goal; the model takes them at once.

    Only `max_false_skip` certifies a share chosen beforehand: P(leave in harm, at whichever cut | relevant) is at most
    alpha with the confidence asked for, as each of K cuts is certified at alpha / K and (1 - confidence) / K. The other
    goals pick a level on these data, and the policy's bounds are then wider ones that hold for every level. Samples
    that leave in harm save nothing: a speed-up counts them as run to the end.

    Args:
        model: with trained heads.
        batches: calibration inputs, never test data, at the scale that the network is used at.
        relevant: (N,) bool, frames with an object (or, for classifiers, all that count); -1 marks frames that hold only
            boxes that don't count, which are left out.
        max_false_skip: alpha, the largest P(leave in harm | relevant) over all cuts together; 0.05 where no other goal
            is given.
        confidence: 1 - delta, shared by the cuts.
        harmful: cut -> (N,) whether leaving there harms (all relevant samples by default).
        target_speedup: the safest thresholds with so many times fewer MACs on these data.
        utility: (cost of a harmful exit, cost of a sample run to the end): the least expected cost.
        max_map_drop: the boldest thresholds whose `metric` falls by no more.
        metric: (N,) the cut where each sample leaves (len(cuts): at the end) -> mAP, or any number to keep high.

    Raises:
        CalibrationError: too few relevant samples; no sample of one kind; a goal that can't be reached.
        InputError: two goals at once; max_map_drop without metric; a share or confidence outside (0, 1); inputs or
            scores with NaN; flags of another length or with other values.
    """
    require_within(0, 1, ends="()", confidence=confidence)
    if max_false_skip is not None:
        require_within(0, 1, ends="()", max_false_skip=max_false_skip)
    goal = _one_goal(
        max_false_skip=max_false_skip,
        target_speedup=target_speedup,
        utility=utility,
        max_map_drop=max_map_drop,
        metric=metric,
    )
    seen = _Largest(batches)
    logits = head_logits(model, seen)
    ready, relevant, harm = _defined(model, logits, relevant, harmful)
    if goal == "max_false_skip":
        alpha = 0.05 if max_false_skip is None else max_false_skip
        part, share = alpha / len(model.cuts), 1 - (1 - confidence) / len(model.cuts)
        found = [certify(ready[c], relevant, harm[c], max_harm=part, confidence=share) for c in model.cuts]
        thresholds, events, bounds = (tuple(column) for column in zip(*found))
    else:
        levels = Levels(
            torch.stack([ready[c] for c in model.cuts], 1),
            relevant,
            torch.stack([harm[c] for c in model.cuts], 1),
            path_macs(model),
        )
        if target_speedup is not None:
            level = levels.for_speedup(target_speedup, model.segments.macs)
        elif utility is not None:
            level = levels.for_utility(*utility)
        else:
            assert metric is not None
            assert max_map_drop is not None
            level = levels.for_metric(metric, max_map_drop)
        thresholds = levels.thresholds(level)
        events = tuple(levels.harms(levels.left(thresholds)))
        bounds = levels.bounds(events, confidence)
        alpha = min(1.0, sum(bounds))
    model.policy = ExitPolicy(
        cuts=model.cuts,
        thresholds=thresholds,
        max_harm=alpha,
        confidence=confidence,
        relevant=int(relevant.sum()),
        harmful=events,
        bounds=bounds,
        model_hash=model.fingerprint(),
        goal=goal,
        largest=seen.value,
    )
    return model.policy


class _Largest:
    """Batches, and the largest magnitude of those that have passed.

    Args:
        batches: of inputs.
    """

    def __init__(self, batches: Iterable[Tensor]) -> None:
        self.batches, self.value = batches, 0.0

    def __iter__(self) -> Iterator[Tensor]:
        """One after the other."""
        for x in self.batches:
            yield x
            self.value = max(self.value, magnitude(x))


def _defined(
    model: AdaptiveModel, logits: dict[str, Tensor], relevant: Tensor, harmful: dict[str, Tensor] | None
) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
    """Readiness, relevance and harm of the samples for which they are defined."""
    n = len(logits[model.cuts[0]])
    counts, defined = read_flags("relevant", relevant, n)
    harm = dict.fromkeys(model.cuts, counts)
    if harmful is not None:
        if set(harmful) != set(model.cuts):
            raise InputError("harmful", given=f"cuts {sorted(harmful)}", expected=f"{sorted(model.cuts)}")
        for c in model.cuts:
            harm[c], told = read_flags(f"harmful at {c!r}", harmful[c], n)
            defined = defined & told
    ready = {c: model.readiness(logits[c]).cpu()[defined] for c in model.cuts}
    return ready, counts[defined], {c: h[defined] for c, h in harm.items()}


def _one_goal(*, metric: object, **goals: object) -> str:
    """The name of the goal that was given; the share of harm where none was."""
    given = [name for name, value in goals.items() if value is not None]
    if len(given) > 1 or ("max_map_drop" in given) != (metric is not None):
        raise InputError(
            "calibrate_exits",
            given=", ".join(given + ["metric"] * (metric is not None)),
            expected="one goal (max_map_drop together with metric)",
        )
    return given[0] if given else "max_false_skip"
