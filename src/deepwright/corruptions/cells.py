"""What is measured one perturbation and severity at a time: every sample is perturbed once, for all networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.devices import back_to, device_of, to_model
from deepwright.core.inference import answering, evaluating
from deepwright.core.tasks import Detection, Segmentation
from deepwright.core.tasks.reading import TELLING_ROWS
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.guided.perturbation import Guided
from deepwright.corruptions.moving import move_boxes, move_labels, reason_to_leave_out
from deepwright.corruptions.sample_errors import ErrorOf
from deepwright.corruptions.series import SeriesPerturbation
from deepwright.corruptions.tables import TablePerturbation
from deepwright.corruptions.text import TextPerturbation

AnyPerturbation = Perturbation | Guided | TablePerturbation | SeriesPerturbation | TextPerturbation


@contextmanager
def opened(cells: Cells) -> Iterator[Callable[[int, Any], Any]]:
    """What is measured in one cell."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for each in cells.models:
            stack.enter_context(evaluating(each))
        yield lambda _number, cell: cells.perturbed(*cell)


def floats(x: Tensor) -> Tensor:
    """Pixels of 0..255 as numbers in [0, 1], as perturbations take both."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


def _rows(out: Any, y: Any, kept: Tensor | None) -> tuple[Any, Any]:
    """Outputs and targets of the samples that count."""
    if kept is None or bool(kept.all()):
        return out, y
    return tuple(each[kept.to(each.device) if isinstance(each, Tensor) else kept.cpu()] for each in (out, y))


class Cells:
    """What is measured one perturbation and severity at a time.

    Args:
        models: the network and its baseline, in eval mode.
        data: (samples, targets in the task's form).
        error: of each sample.
        seed: of the streams.
    """

    def __init__(self, models: list[nn.Module], data: list[tuple[Tensor, Any]], error: ErrorOf, seed: int) -> None:
        self.models, self.data, self.error, self.seed = models, data, error, seed
        self._with_attention: dict[str, list[Tensor]] = {}

    def left_out(self, perturbations: Sequence[AnyPerturbation]) -> dict[str, str]:
        """Perturbations that say nothing on these data, with the reason."""
        reasons = {p.name: self._reason(p) for p in perturbations if isinstance(p, Perturbation | Guided)}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _reason(self, p: Perturbation | Guided) -> str | None:
        channels = self.data[0][0].shape[1]
        if channels not in (1, 3) and (p.color or p.category == "codec"):
            return f"{channels} channels"
        if isinstance(p, Guided) and not any(bool(rows.any()) for rows in self._attended(p)):
            return "no attention: its saliency map is flat or not finite for all samples"
        if self.error.keep_targets or self.error.task is None:
            return None
        found = (reason_to_leave_out(p, self.error.task, x, y) for x, y in self.data)
        return next((reason for reason in found if reason is not None), None)

    def without_attention(self, perturbations: Sequence[AnyPerturbation]) -> dict[str, int]:
        """Guided perturbations that leave samples out, and how many."""
        guided = [p for p in perturbations if isinstance(p, Guided)]
        counts = {p.name: sum(int((~rows).sum()) for rows in self._attended(p)) for p in guided}
        return {name: count for name, count in counts.items() if count}

    def _attended(self, p: Guided) -> list[Tensor]:
        """Whether the map of each sample points anywhere, batch by batch: at all severities it is the same map."""
        if p.name not in self._with_attention:
            self._with_attention[p.name] = [p.attended(x) for x, _ in self.data]
        return self._with_attention[p.name]

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

    def perturbed(self, p: AnyPerturbation, severity: float) -> list[float | None]:
        """Summed error of each network, and the headline of the first; every sample is perturbed once.

        Where a map shows no attention, a sample is left out: the sum is as of all, if they were as the others.
        """
        totals, start, counted = [0.0] * len(self.models), 0, 0
        read: list[tuple[Any, Any]] = []
        attended: Sequence[Tensor | None] = [None] * len(self.data)
        if isinstance(p, Guided):
            attended = self._attended(p)
        for (x, y), kept in zip(self.data, attended):
            ids = torch.arange(start, start + len(x))
            moved = p(x, severity, self.seed, ids=ids)
            along = self._along(p, x, y, severity, ids)
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

    def _along(self, p: AnyPerturbation, x: Tensor, y: Any, severity: float, ids: Tensor) -> Any:
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
        with answering(x, "batches"):
            return model(to_model(floats(x), model).clone())  # a copy: it may write into its input

    def _error_of(self, model: nn.Module, out: Any, y: Any, n: int, clean: bool) -> Tensor:
        beside = y.to(device_of(model)) if hasattr(y, "to") else back_to(y, model)
        return self.error(out, beside, n, clean)
