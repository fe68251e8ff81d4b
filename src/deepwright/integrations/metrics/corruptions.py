"""Errors under perturbations against those of a reference, or against those without any, as metrics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.integrations.metrics.states import Sums, flags


class _Errors(Sums):
    """Wrong samples by perturbation, those without any last."""

    names = ("wrong", "count")
    higher_is_better = False

    def __init__(self, names: Sequence[str], clean: bool) -> None:
        self.perturbations: tuple[str | None, ...] = (*names, None) if clean else tuple(names)
        super().__init__((len(self.perturbations),), self.perturbations)

    def update(self, perturbation: str | None, wrong: Tensor) -> None:
        """Add a batch, of any severity; each severity should have the same samples.

        Args:
            perturbation: its name; None for samples without any.
            wrong: (N,) whether each sample is misjudged.
        """
        known = self.perturbations
        if perturbation not in known:
            raise InputError("perturbation", given=repr(perturbation), expected=", ".join(map(str, known)))
        missed = flags(wrong, "wrong")
        self._add("wrong", missed.sum(), known.index(perturbation))
        self._add("count", len(missed), known.index(perturbation))

    def _means(self) -> Tensor:
        count = self._sum("count")
        missing = [str(name or "clean samples") for name, n in zip(self.perturbations, count.tolist()) if not n]
        if missing:
            given = f"no samples of {', '.join(missing)}"
            raise InputError(type(self).__name__, given=given, hint="call update first")
        return self._sum("wrong") / count


class MeanCorruptionError(_Errors):
    """Mean over perturbations of their error over a reference's error; see `corruptions.CorruptionReport.mce`.

    With `clean` both errors are what the perturbation adds to those without any (relative mCE); such samples are then
    added as the perturbation `None`.

    Args:
        reference: perturbation -> mean error of the reference network; 1 for those that are asked for by a list.
        clean: the reference's error without perturbation.

    Source: "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", arXiv 1903.12261.
    """

    def __init__(self, reference: dict[str, float] | list[str], clean: float | None = None) -> None:
        self.clean, least = clean, clean or 0.0
        errors = dict(reference) if isinstance(reference, dict) else dict.fromkeys(reference, 1.0)
        if not errors or not all(value > least for value in errors.values()):
            expected = f"errors above {least:g} by perturbation, or their names"
            raise InputError("reference", given=reference, expected=expected)
        super().__init__(tuple(errors), clean is not None)
        self.reference = errors

    def compute(self) -> Tensor:
        """The mean, a float64 scalar."""
        errors = self._means()
        reference = torch.tensor(list(self.reference.values()), dtype=torch.float64, device=errors.device)
        if self.clean is None:
            return (errors / reference).mean()
        return ((errors[:-1] - errors[-1]) / (reference - self.clean)).mean()


class RelativeError(_Errors):
    """Mean over perturbations of their error over that without any; see `corruptions.CorruptionReport.relative`.

    Args:
        perturbations: their names; samples without any are added as the perturbation `None`.
    """

    def __init__(self, perturbations: Sequence[str]) -> None:
        if not perturbations or isinstance(perturbations, str):
            raise InputError("perturbations", given=repr(perturbations), expected="a list of names")
        super().__init__(tuple(dict.fromkeys(perturbations)), True)

    def compute(self) -> Tensor:
        """The mean, a float64 scalar; no finite number where nothing is wrong without perturbation."""
        errors = self._means()
        return (errors[:-1] / errors[-1]).mean()
