"""The few protocols of the house. Structural: any object that fits will do."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn


@runtime_checkable
class Attack(Protocol):
    """Changes inputs within a budget so that the network fails.

    `x_adv` has the shape of `x`, lies within its norm ball and bounds; the model is left as found.
    """

    def __call__(self, model: nn.Module, x: Float[Tensor, "n ..."], y: Any, **options: Any) -> Any:
        """Attack a batch; the result has x_adv, success, loss, norm, queries per sample."""
        ...


@runtime_checkable
class Perturbation(Protocol):
    """Degrades images as the world does: severity 0 is the identity, 1..5 the field's levels."""

    def __call__(self, images: Tensor, severity: int | Tensor, seed: int = 0, t: int | None = None) -> Tensor:
        """Same shape, dtype and device out; per-sample streams."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Scores how foreign an input is. Larger = more anomalous; never NaN."""

    needs: frozenset[str]

    def fit(self, activations: Any) -> Any:
        """Learn what in-distribution looks like."""
        ...

    def score(self, activations: Any) -> Float[Tensor, " n"]:
        """One number a sample."""
        ...

    def calibrate(self, id_scores: Float[Tensor, " n"], tpr: float = 0.95) -> Any:
        """Set the threshold that accepts a share `tpr` of in-distribution data."""
        ...

    def predict(self, activations: Any) -> Bool[Tensor, " n"]:
        """True = out of distribution."""
        ...
