"""Errors of networks on perturbed samples: read by the task, one perturbed batch for all networks, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import answering, evaluating
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.spreading import spread_map
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Binary, Classification, MultiLabel, Segmentation, Task, mean_score
from deepwright.core.tasks.reading import unwrap
from deepwright.corruptions.cells import AnyPerturbation, Cells, floats, opened
from deepwright.corruptions.results import CorruptionReport
from deepwright.corruptions.sample_errors import ErrorOf


def evaluate_on(
    perturbations: Sequence[AnyPerturbation],
    severities: Sequence[int],
    seed: int,
    model: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    error: ErrorOf,
    *,
    checkpoint: Path | str | None = None,
    baseline: nn.Module | None = None,
    description: str = "corruptions",
) -> CorruptionReport:
    """Errors of a network on perturbed samples; `Suite.evaluate` says what is what.

    Args:
        perturbations: one row of the report each.
        severities: of 1..5.
        seed: of the streams.
        model: left as found.
        batches: (samples, targets).
        error: of each sample; without a task and a function, that of classes.
        checkpoint: where finished cells are kept.
        baseline: the reference of the mean corruption error.
        description: beside the bar.
    """
    data, error = paired(model, batches, error)
    models = [model] if baseline is None else [model, baseline]
    made_from = {"model": model, "baseline": baseline, "data": data, "seed": seed, "perturbations": perturbations}
    cells = Cells(models, data, error, seed)
    skipped = cells.left_out(perturbations)
    kept = [p for p in perturbations if p.name not in skipped]
    blind = cells.without_attention(kept)
    if not kept:
        reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise InputError("perturbations", given=f"none that can be measured ({reasons})", expected="at least one")
    log = Journal(checkpoint, made_from | error.made_from(), kind="corruptions")
    with bar(description, len(kept) * len(severities) + 1) as running:
        with opened(cells):
            if "clean" not in log.rows:
                log.add("clean", cells.clean())
            if error.headline and "headline" not in log.rows:
                log.add("headline", cells.headline())
        running.advance()
        asked = [(p, s) for p in kept for s in severities]
        waiting = [(p, s) for p, s in asked if f"{p.name}/{s}" not in log.rows]
        running.advance(len(asked) - len(waiting))

        def keep(number: int, value: Any) -> None:
            p, s = waiting[number]
            log.add(f"{p.name}/{s}", value)
            running.advance(1, p.name)

        spread_map(partial(opened, cells), waiting, kept=keep)
    found = _report(
        log.rows, [p.name for p in kept], tuple(severities), skipped, _chance(error.task, data), len(models), blind
    )
    if error.headline and error.task is not None:
        found.headline = error.task.headline
    return found


def paired(
    model: nn.Module, batches: Iterable[tuple[Any, Any]], error: ErrorOf
) -> tuple[list[tuple[Any, Any]], ErrorOf]:
    """Samples with targets in the task's form, looked through, and the error with the task that they are of.

    Args:
        model: asked for what its outputs are where no task says it.
        batches: (samples, targets).
        error: of each sample.

    Raises:
        InputError: no samples, others than tensors, or without as many targets; what is no task.
    """
    given = [_pair(batch) for batch in batches]
    _require_samples(given)
    if error.task is not None and (isinstance(error.task, type) or not isinstance(error.task, Task)):
        what = error.task.__name__ if isinstance(error.task, type) else repr(error.task)
        raise InputError("task", given=what, expected="a task of core.tasks, such as Classification(10)")
    if error.wrong is None and error.task is None:
        error = replace(error, task=_classification(model, given[0][0]))
    return [(x, error.targets(y, len(x))) for x, y in given], error


def _chance(task: Task | None, data: list[tuple[Any, Any]]) -> float:
    """Score of the best constant answer, where there is one; 0 otherwise."""
    if not isinstance(task, Classification | Binary | MultiLabel | Segmentation):
        return 0.0
    return task.chance(torch.cat([y for _, y in data]))


def _pair(batch: Any) -> tuple[Any, Any]:
    """(samples, targets) of a batch."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        given = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise InputError("batches", given=given, expected="pairs (samples, targets)", hint="[(x, y)]")
    return batch[0], batch[1]


def _require_samples(batches: Sequence[tuple[Any, Any]]) -> None:
    strange = next((x for x, _ in batches if not isinstance(x, Tensor) or x.ndim < 2), None)
    if strange is not None:
        given = f"shape {tuple(strange.shape)}" if isinstance(strange, Tensor) else type(strange).__name__
        raise InputError(
            "batches", given=given, expected="(N, C, H, W) images, (N, features) rows, series or texts, and targets"
        )
    if sum(len(x) for x, _ in batches) == 0:
        raise InputError("batches", given="no samples", expected="at least one")
    for x, y in batches:
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            rows = (~torch.isfinite(x)).flatten(1).any(1).nonzero().flatten()[:5].tolist()
            raise InputError("batches", given=f"NaN or infinity in samples {rows}", expected="finite numbers")
        if hasattr(y, "__len__") and not isinstance(y, Mapping) and len(y) != len(x):
            raise InputError("batches", given=f"{len(x)} samples and {len(y)} targets", expected="as many of both")


def _classification(model: nn.Module, x: Tensor) -> Task:
    """The default: the class with the largest output, of as many as there are columns."""
    with evaluating(model), torch.no_grad(), answering(x[:1], "batches"):
        out = model(to_model(floats(x[:1]), model).clone())
    out = unwrap(out, 1, lambda t: t.is_floating_point() and t.ndim == 2, "(N, classes)")
    if out.ndim != 2 or out.shape[1] < 2:
        given = f"outputs of shape {tuple(out.shape)}"
        raise InputError(
            "task",
            given=f"none, and {given}",
            expected="(N, classes), which need no task",
            hint="say what they are: task=Binary(), Segmentation(classes), ... of deepwright.core.tasks",
        )
    return Classification(out.shape[1], outputs="logits")  # the largest column is the same in any scale


def _report(
    rows: dict[str, Any],
    names: list[str],
    severities: tuple[int, ...],
    skipped: dict[str, str],
    chance: float,
    networks: int,
    blind: dict[str, int],
) -> CorruptionReport:
    """Means, ratios and intervals of what was summed."""
    clean = torch.tensor(rows["clean"][0], dtype=torch.float64)
    n = len(clean)
    tables = [{name: [rows[f"{name}/{s}"][i] / n for s in severities] for name in names} for i in range(networks)]
    errors = tables[0]
    reference = tables[1] if len(tables) > 1 else {name: [1.0] * len(severities) for name in names}
    ratios = [sum(values) / max(sum(reference[name]), 1 / n) for name, values in errors.items()]
    mean = float(np.mean([e for values in errors.values() for e in values]))
    least = n - max(blind.values(), default=0)
    spread = wilson(round(mean * least), least)
    before = mean_score(clean)
    return CorruptionReport(
        n,
        severities,
        before,
        errors,
        float(np.mean(ratios)),
        mean / before.value if 0 < before.value < 1 - chance else None,
        Interval(mean, min(mean, spread.low), max(mean, spread.high)),
        skipped,
        clean_headline=rows.get("headline"),
        headlines={name: [rows[f"{name}/{s}"][networks] for s in severities] for name in names}
        if "headline" in rows
        else {},
        without_attention=blind,
    )
