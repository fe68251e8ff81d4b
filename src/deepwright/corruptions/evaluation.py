"""Errors of networks on perturbed samples: read by the task, one perturbed batch for all networks, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import back_to, device_of, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.spreading import spread_map
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Binary, Classification, Detection, MultiLabel, Segmentation, Task, mean_score
from deepwright.core.tasks.reading import TELLING_ROWS
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.guided.perturbation import Guided
from deepwright.corruptions.moving import move_boxes, move_labels, reason_to_leave_out
from deepwright.corruptions.results import CorruptionReport
from deepwright.corruptions.series import SeriesPerturbation
from deepwright.corruptions.tables import TablePerturbation
from deepwright.corruptions.text import TextPerturbation

Wrong = Callable[[Any, Any], Tensor]
AnyPerturbation = Perturbation | Guided | TablePerturbation | SeriesPerturbation | TextPerturbation
_MEASURES = ("score", "right")


@dataclass(frozen=True)
class ErrorOf:
    """The error of each sample in [0, 1], from raw outputs.

    Args:
        task: reads and measures the outputs; None where `wrong` does.
        measure: "score" for 1 - `task.score`, "right" for 1 where `task.right` is False.
        wrong: (outputs, targets) -> errors; used as it is.
        keep_targets: whether targets stay as they are where pixels move.
        headline: whether the task's headline metric is measured beside it, over all samples together.
    """

    task: Task | None = None
    measure: str = "score"
    wrong: Wrong | None = None
    keep_targets: bool = False
    headline: bool = False

    def __post_init__(self) -> None:
        if self.measure not in _MEASURES:
            raise unknown_name("measure", self.measure, _MEASURES)
        if self.wrong is not None and (self.task is not None or self.measure != "score"):
            raise InputError("wrong", given="beside a task or a measure", expected="one way of counting errors")
        if self.headline and self.wrong is not None:
            raise InputError("headline", given="beside `wrong`", expected="a task, which has one")

    def made_from(self) -> dict[str, Any]:
        """What determines it, for an identity."""
        task = None if self.task is None else self.task.identity()
        options = {name: getattr(self, name) for name in ("measure", "keep_targets", "headline")}
        return {"wrong": self.wrong, "task": task, **options}

    def targets(self, y: Any, n: int) -> Any:
        """Targets in the task's form."""
        return y if self.task is None else self.task.check_targets(y, n)

    def __call__(self, out: Any, y: Any, n: int, clean: bool) -> Float[Tensor, " n"]:
        """Errors; a network that gives NaN or infinity for a perturbed sample is wrong on it.

        Args:
            out: raw outputs.
            y: targets in the task's form.
            n: number of samples.
            clean: unperturbed samples, for which outputs must be finite logits.
        """
        if self.task is None:
            assert self.wrong is not None
            return _shares(self.wrong(out, y), n)
        out = self.task.read(out, n, strict=clean)
        right = self.task.score(out, y) if self.measure == "score" else self.task.right(out, y)
        return 1 - torch.where(self.task.finite(out), right.double(), 0.0)


def _shares(found: Any, n: int) -> Float[Tensor, " n"]:
    """What a user's function says of n samples, checked."""
    if not isinstance(found, Tensor) or found.shape != (n,):
        given = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError("wrong(outputs, targets)", given=given, expected=f"a tensor of shape ({n},), one a sample")
    values = found.double()
    if not bool(((values >= 0) & (values <= 1)).all()):
        given = f"values {float(values.min()):.4g}..{float(values.max()):.4g}"
        raise InputError("wrong(outputs, targets)", given=given, expected="shares in [0, 1], 1 where a sample is wrong")
    return values


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
    given = [_pair(batch) for batch in batches]
    _require_samples(given)
    if error.task is not None and (isinstance(error.task, type) or not isinstance(error.task, Task)):
        what = error.task.__name__ if isinstance(error.task, type) else repr(error.task)
        raise InputError("task", given=what, expected="a task of core.tasks, such as Classification(10)")
    if error.wrong is None and error.task is None:
        error = replace(error, task=_classification(model, given[0][0]))
    data = [(x, error.targets(y, len(x))) for x, y in given]
    models = [model] if baseline is None else [model, baseline]
    made_from = {"model": model, "baseline": baseline, "data": data, "seed": seed, "perturbations": perturbations}
    cells = _Cells(models, data, error, seed)
    skipped = cells.left_out(perturbations)
    kept = [p for p in perturbations if p.name not in skipped]
    blind = cells.without_attention(kept)
    if not kept:
        reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise InputError("perturbations", given=f"none that can be measured ({reasons})", expected="at least one")
    log = Journal(checkpoint, made_from | error.made_from(), kind="corruptions")
    with bar(description, len(kept) * len(severities) + 1) as running:
        with _opened(cells):
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

        spread_map(partial(_opened, cells), waiting, kept=keep)
    found = _report(
        log.rows, [p.name for p in kept], tuple(severities), skipped, _chance(error.task, data), len(models), blind
    )
    if error.headline and error.task is not None:
        found.headline = error.task.headline
    return found


@contextmanager
def _opened(cells: _Cells) -> Iterator[Callable[[int, Any], Any]]:
    """What is measured in one cell."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for each in cells.models:
            stack.enter_context(evaluating(each))
        yield lambda number, cell: cells.perturbed(*cell)


def _rows(out: Any, y: Any, kept: Tensor | None) -> tuple[Any, Any]:
    """Outputs and targets of the samples that count."""
    if kept is None or bool(kept.all()):
        return out, y
    return tuple(each[kept.to(each.device) if isinstance(each, Tensor) else kept.cpu()] for each in (out, y))


def _chance(task: Task | None, data: list[tuple[Any, Any]]) -> float:
    """Score of the best constant answer, where there is one; 0 otherwise."""
    if not isinstance(task, Classification | Binary | MultiLabel | Segmentation):
        return 0.0
    return task.chance(torch.cat([y for _, y in data]))


def _floats(x: Tensor) -> Tensor:
    """Pixels of 0..255 as numbers in [0, 1], as perturbations take both."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


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
    with evaluating(model), torch.no_grad():
        out = model(to_model(_floats(x[:1]), model).clone())
    if not isinstance(out, Tensor) or out.ndim != 2 or out.shape[1] < 2:
        given = f"outputs of shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise InputError(
            "task",
            given=f"none, and {given}",
            expected="(N, classes), which need no task",
            hint="say what they are: task=Binary(), Segmentation(classes), ... of deepwright.core.tasks",
        )
    return Classification(out.shape[1], outputs="logits")  # the largest column is the same in any scale


class _Cells:
    """What is measured one perturbation and severity at a time.

    Args:
        models: the network and its baseline, in eval mode.
        data: (samples, targets in the task's form).
        error: of each sample.
        seed: of the streams.
    """

    def __init__(self, models: list[nn.Module], data: list[tuple[Tensor, Any]], error: ErrorOf, seed: int) -> None:
        self.models, self.data, self.error, self.seed = models, data, error, seed

    def left_out(self, perturbations: Sequence[AnyPerturbation]) -> dict[str, str]:
        """Perturbations that say nothing on these data, with the reason."""
        reasons = {p.name: self._reason(p) for p in perturbations if isinstance(p, Perturbation | Guided)}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _reason(self, p: Perturbation | Guided) -> str | None:
        channels = self.data[0][0].shape[1]
        if channels not in (1, 3) and (p.color or p.category == "codec"):
            return f"{channels} channels"
        if isinstance(p, Guided) and not any(bool(p.attended(x).any()) for x, _ in self.data):
            return "no attention: its saliency map is flat or not finite for all samples"
        if self.error.keep_targets or self.error.task is None:
            return None
        found = (reason_to_leave_out(p, self.error.task, x, y) for x, y in self.data)
        return next((reason for reason in found if reason is not None), None)

    def without_attention(self, perturbations: Sequence[AnyPerturbation]) -> dict[str, int]:
        """Guided perturbations that leave samples out, and how many."""
        guided = [p for p in perturbations if isinstance(p, Guided)]
        counts = {p.name: sum(int((~p.attended(x)).sum()) for x, _ in self.data) for p in guided}
        return {name: count for name, count in counts.items() if count}

    def clean(self) -> list[list[float]]:
        """Error of each sample, for each network."""
        rows: list[list[float]] = [[] for _ in self.models]
        outputs: list[list[Any]] = [[] for _ in self.models]
        for x, y in self.data:
            for i, model in enumerate(self.models):
                out = self._outputs(model, x)
                # No more than tells: outputs may be dense.
                if isinstance(out, Tensor) and sum(map(len, outputs[i])) < TELLING_ROWS:
                    outputs[i].append(out)
                rows[i] += self._error_of(model, out, y, len(x), clean=True).tolist()
        for parts in outputs:
            self._look_at_all(parts)
        return rows

    def _look_at_all(self, parts: list[Any]) -> None:
        """Whether outputs are probabilities shows in many of them, whatever the size of a batch."""
        if self.error.task is not None and len(parts) > 1 and all(isinstance(part, Tensor) for part in parts):
            self.error.task.read(torch.cat(parts), strict=True)

    def perturbed(self, p: AnyPerturbation, severity: int) -> list[float | None]:
        """Summed error of each network, and the headline of the first; every sample is perturbed once.

        Where a map shows no attention, a sample is left out: the sum is as of all, if they were as the others.
        """
        totals, start, counted = [0.0] * len(self.models), 0, 0
        read: list[tuple[Any, Any]] = []
        for x, y in self.data:
            ids = torch.arange(start, start + len(x))
            moved = p(x, severity, self.seed, ids=ids)
            along = self._along(p, x, y, severity, ids)
            kept = p.attended(x) if isinstance(p, Guided) else None
            counted += len(x) if kept is None else int(kept.sum())
            for i, model in enumerate(self.models):
                out = self._outputs(model, moved)
                errors = self._error_of(model, out, along, len(x), clean=False)
                totals[i] += float((errors if kept is None else errors[kept.to(errors.device)]).sum())
                if i == 0 and self.error.headline and self.error.task is not None:
                    read.append(_rows(self.error.task.read(out, len(x), strict=False), along, kept))
            start += len(x)
        totals = [total * start / counted for total in totals]
        return [*totals, *([self._headline(read)] if self.error.headline else [])]

    def headline(self) -> float | None:
        """The headline metric of the network on the samples as they are."""
        task = self.error.task
        assert task is not None
        return self._headline([(task.read(self._outputs(self.models[0], x), len(x)), y) for x, y in self.data])

    def _headline(self, read: list[tuple[Any, Any]]) -> float | None:
        """Of all batches together; None where it isn't defined, as where outputs aren't finite."""
        task = self.error.task
        assert task is not None
        out, y = (task.join(parts) for parts in zip(*read))
        if not bool(task.finite(out).all()):
            return None
        value = task.headline_value(out, y.to(device_of(self.models[0])))
        return None if np.isnan(value) else value

    def _along(self, p: AnyPerturbation, x: Tensor, y: Any, severity: int, ids: Tensor) -> Any:
        """The targets beside the perturbed samples: label maps and boxes move along."""
        task = self.error.task
        if self.error.keep_targets or not isinstance(p, Perturbation) or not p.moves_pixels:
            return y
        if isinstance(task, Detection):
            return move_boxes(p, y, (x.shape[-2], x.shape[-1]), severity, self.seed, ids=ids)
        if not isinstance(task, Segmentation) or task.ignore_index is None:
            return y
        return move_labels(p, y, severity, self.seed, ids=ids, outside=task.ignore_index)

    @staticmethod
    def _outputs(model: nn.Module, x: Tensor) -> Any:
        return model(to_model(_floats(x), model).clone())  # a copy: it may write into its input

    def _error_of(self, model: nn.Module, out: Any, y: Any, n: int, clean: bool) -> Tensor:
        beside = y.to(device_of(model)) if hasattr(y, "to") else back_to(y, model)
        return self.error(out, beside, n, clean)


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
