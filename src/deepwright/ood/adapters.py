"""Detectors of other libraries behind our interface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.ood.detector import Detector


class WrappedDetector(Detector):
    """A pytorch-ood detector that works on features or logits (`fit_features`, `predict_features`).

    Args:
        inner: the detector.
        on: "features" or "logits".
    """

    exports = False  # its insides are another library's

    def __init__(self, inner: Any, on: str = "features") -> None:
        super().__init__()
        if on not in ("features", "logits"):
            raise InputError("on", given=repr(on), expected="'features' or 'logits'")
        for method in ("predict_features",):
            if not hasattr(inner, method):
                raise InputError("detector", given=type(inner).__name__, expected=f"an object with {method}()")
        self.inner, self.on = inner, on
        self.needs = frozenset({on})

    @property
    def name(self) -> str:
        """The wrapped class's name."""
        return type(self.inner).__name__

    def _values(self, acts: Activations) -> Tensor:
        values = acts.features if self.on == "features" else acts.logits
        assert values is not None
        return values

    def _fit(self, acts: Activations) -> None:
        if hasattr(self.inner, "fit_features"):
            labels = acts.labels if acts.labels is not None else acts.logits.new_zeros(len(acts), dtype=torch.long)
            self.inner.fit_features(self._values(acts), labels)

    def _score(self, acts: Activations) -> Tensor:
        return self.inner.predict_features(self._values(acts))


def wrap_pytorch_ood(detector: Any, on: str = "features") -> WrappedDetector:
    """A pytorch-ood detector (larger = more anomalous there too) as one of ours.

    Args:
        detector: the detector.
        on: "features" or "logits".
    """
    return WrappedDetector(detector, on)
