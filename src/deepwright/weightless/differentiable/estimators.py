"""DWN and ULEEN as scikit-learn's users know classifiers: bits and labels in, labels out; trained by `core.fit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from torch import Tensor, nn

from deepwright.core.devices import device_of, resolve
from deepwright.core.errors import InputError
from deepwright.core.fit import fit
from deepwright.core.requirements import require_positive
from deepwright.weightless.differentiable.dwn import DWN
from deepwright.weightless.differentiable.uleen import ULEEN
from deepwright.weightless.inputs import (
    UnfittedError,
    as_bits,
    as_classes,
    as_labels,
    integer,
    known_labels,
    warn_constant,
)

_AT_ONCE = 4096


def adam(lr: float) -> Callable[[Any], torch.optim.Optimizer]:
    """A factory of Adam for `core.fit`.

    Args:
        lr: learning rate.
    """
    require_positive(lr=lr)
    return lambda parameters: torch.optim.Adam(parameters, lr=lr)


def two_drops(optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """A tenth of the rate after 14/30 and after 28/30 of the steps.

    Args:
        optimizer: whose rate it is.
        steps: in all.
    """
    at = sorted({steps * 14 // 30, steps * 28 // 30})
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, at, gamma=0.1)


class GradientClassifier(ClassifierMixin, BaseEstimator):
    """A subclass makes its network in `network`, and may do more after the first training in `finish`."""

    epochs: int
    batch_size: int
    lr: float
    random_state: Any
    device: str
    module_: nn.Module

    def fit(self, X: Any, y: Any) -> Self:
        """Train from the beginning.

        Args:
            X: Boolean features (samples, features).
            y: a class of each.
        """
        bits = as_bits(X)
        warn_constant(bits)
        labels = as_labels(y, len(bits))
        self.classes_, self.n_features_in_ = as_classes(labels), bits.shape[1]
        if isinstance(self.random_state, int | np.integer) and not isinstance(self.random_state, bool):
            self.seed_ = integer(self.random_state, "random_state", 0, 2**63 - 1)
        else:
            self.seed_ = int(check_random_state(self.random_state).randint(2**31))
        epochs = integer(self.epochs, "epochs", 1, 10**9)
        module = self.network().to(resolve(self.device, "device"))
        x = torch.from_numpy(bits).to(torch.float32)
        truth = torch.from_numpy(known_labels(labels, self.classes_)).long()
        self.history_ = self.train(module, x, truth, epochs) + self.finish(module, x, truth)
        self.module_ = module.eval()
        return self

    def train(self, module: nn.Module, x: Tensor, y: Tensor, epochs: int) -> list[dict[str, float]]:
        """Rows of the history.

        Args:
            module: trained in place.
            x: bits.
            y: places of the classes.
            epochs: passes.
        """
        options: dict[str, Any] = {"optimizer": adam(self.lr), "scheduler": two_drops, "seed": self.seed_}
        batch = integer(self.batch_size, "batch_size", 1, 1 << 30)
        result = fit(module, (x, y), epochs=epochs, batch_size=batch, description=type(self).__name__, **options)
        return result.history

    def network(self) -> nn.Module:
        """A fresh one, for `n_features_in_` bits and `classes_`."""
        raise NotImplementedError

    def finish(self, module: nn.Module, x: Tensor, y: Tensor) -> list[dict[str, float]]:
        """What comes after the training: nothing. Rows of the history.

        Args:
            module: changed in place.
            x: bits.
            y: places of the classes.
        """
        del module, x, y
        return []

    @property
    def nbytes(self) -> int:
        """Bytes of the tables, at one bit an entry."""
        return int(self._fitted().nbytes)  # type: ignore[arg-type]

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64, for two classes too.

        Args:
            X: Boolean features (samples, features).
        """
        module = self._fitted()
        bits = torch.from_numpy(as_bits(X, self.n_features_in_))
        own = device_of(module)
        parts = [module.votes(part.to(own, torch.float32)) for part in bits.split(_AT_ONCE)]  # type: ignore[operator]
        return torch.cat(parts).cpu().numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The class with the most votes, the first on a tie.

        Args:
            X: Boolean features (samples, features).
        """
        best = self.decision_function(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Softmax of the logits, votes / tau, which the loss was of; not calibrated.

        Args:
            X: Boolean features (samples, features).
        """
        scaled = self.decision_function(X) / float(self.tau)  # type: ignore[attr-defined]
        exps = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return exps / exps.sum(axis=1, keepdims=True)

    def _fitted(self) -> nn.Module:
        if not hasattr(self, "module_"):
            raise UnfittedError(type(self).__name__)
        return self.module_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")


class DWNClassifier(GradientClassifier):
    """`DWN`, trained by cross-entropy, with Adam and a rate that drops to a tenth after 14/30 and 28/30 of the steps.

    Args:
        layers: tables of each layer; the last number is raised to a multiple of the classes.
        n_inputs: bits that a table reads, 1..6.
        mapping: of the first layer, `learnable` or `random`.
        tau: votes are divided by it before the softmax.
        decay: of the finite difference, `exponential` or `linear`.
        epochs: passes.
        batch_size: samples of a step.
        lr: learning rate.
        random_state: seed of entries, mappings and order; None for another one each time.
        device: where it trains and predicts.
        mapping_tau: temperature of the learnable mapping's gradient.

    Attributes:
        module_: the `DWN`.
        history_: rows of `core.fit`.
    """

    def __init__(
        self,
        layers: Sequence[int] = (500,),
        n_inputs: int = 6,
        mapping: str = "learnable",
        tau: float = 1 / 0.3,
        decay: str = "exponential",
        epochs: int = 30,
        batch_size: int = 32,
        lr: float = 1e-2,
        random_state: Any = None,
        device: str = "cpu",
        mapping_tau: float = 0.1,
    ) -> None:
        self.layers, self.n_inputs, self.mapping, self.tau, self.decay = layers, n_inputs, mapping, tau, decay
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        self.random_state, self.device, self.mapping_tau = random_state, device, mapping_tau

    def network(self) -> nn.Module:
        """A `DWN` of `n_features_in_` bits."""
        if isinstance(self.layers, str) or not isinstance(self.layers, Sequence):
            raise InputError("layers", given=repr(self.layers), expected="numbers of tables, as (500,)")
        sizes = [integer(size, "layers", 1, 1 << 24) for size in self.layers]
        count = len(self.classes_)
        if sizes:
            sizes[-1] = -(-sizes[-1] // count) * count
        choices = (self.n_inputs, self.mapping, self.tau, self.decay, self.seed_, self.mapping_tau)
        return DWN(self.n_features_in_, count, sizes, *choices)


class ULEENClassifier(GradientClassifier):
    """`ULEEN`, trained by cross-entropy with dropout on nodes, pruned, and trained on.

    Args:
        n_inputs: of each submodel's tables, 1..32.
        n_luts: tables of each submodel; None reads each bit once.
        entries: of a filter, a power of two; tables of no more addresses are plain ones.
        hashes: places of an address in its filter.
        dropout: chance that a node is left out while training.
        tau: votes are divided by it before the softmax.
        prune: share of each class's nodes to leave out.
        epochs: passes before pruning; a third of them follow it.
        batch_size: samples of a step.
        lr: learning rate.
        random_state: seed of mappings, hashes, entries, order and dropout; None for another one each time.
        device: where it trains and predicts.

    Attributes:
        module_: the `ULEEN`.
        history_: rows of `core.fit`.
    """

    def __init__(
        self,
        n_inputs: Sequence[int] = (12, 16, 20),
        n_luts: int | None = None,
        entries: int = 64,
        hashes: int = 2,
        dropout: float = 0.5,
        tau: float = 1.0,
        prune: float = 0.3,
        epochs: int = 30,
        batch_size: int = 32,
        lr: float = 1e-2,
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.n_inputs, self.n_luts, self.entries, self.hashes = n_inputs, n_luts, entries, hashes
        self.dropout, self.tau, self.prune, self.epochs, self.batch_size = dropout, tau, prune, epochs, batch_size
        self.lr, self.random_state, self.device = lr, random_state, device

    def network(self) -> nn.Module:
        """A `ULEEN` of `n_features_in_` bits."""
        share = self.prune
        if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 <= share < 1:
            raise InputError("prune", given=repr(share), expected="a share in [0, 1)")
        if isinstance(self.n_inputs, str) or not isinstance(self.n_inputs, Sequence):
            raise InputError("n_inputs", given=repr(self.n_inputs), expected="a number for each submodel, as (12, 16)")
        sizes = (self.n_inputs, self.n_luts, self.entries, self.hashes)
        return ULEEN(self.n_features_in_, len(self.classes_), *sizes, self.dropout, self.tau, self.seed_)

    def finish(self, module: nn.Module, x: Tensor, y: Tensor) -> list[dict[str, float]]:
        """Prune, and train on.

        Args:
            module: changed in place.
            x: bits.
            y: places of the classes.
        """
        if not self.prune:
            return []
        assert isinstance(module, ULEEN)
        module.prune(x, y, self.prune)
        return self.train(module, x, y, max(1, self.epochs // 3))
