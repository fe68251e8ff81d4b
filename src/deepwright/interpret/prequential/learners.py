"""What can be charged by the label: anything that is fitted on a prefix and gives probabilities of what comes next.

`TorchLearner` and `SklearnLearner` adapt networks and estimators; `KTEstimator` and `TableLearner` are Bayesian
learners whose code lengths are known in closed form, `UniformLearner` the one that knows nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.requirements import require_callable, require_positive, require_same_length, require_whole
from deepwright.interpret.prequential.stacking import FitConfig, Pair
from deepwright.interpret.prequential.stacks import Stack, make_networks, train_stack

FLOOR = -40 * math.log(2)
"""No label costs more than 40 bits: a probability of 0 is taken for 2^-40, and counted."""
_ABOVE = 1e-3  # what rounding may put a logarithm of a probability above 0


@runtime_checkable
class Learner(Protocol):
    """Fitted on a prefix, it gives the log-probability of labels."""

    def fit(self, x: Tensor, y: Tensor, validation: Pair | None = None) -> Any:
        """Learn anew from a prefix.

        Args:
            x: (n, ...) inputs.
            y: (n,) labels.
            validation: for stopping, where the learner stops.
        """

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """(n,) natural logarithm of the probability of each label.

        Args:
            x: (n, ...) inputs.
            y: (n,) labels.
        """


class UniformLearner:
    """Every class is as likely as any other: N log2 C bits.

    Args:
        classes: how many.
    """

    def __init__(self, classes: int = 2) -> None:
        require_whole(2, classes=classes)
        self.classes = classes

    def fit(self, x: Tensor, y: Tensor, validation: Pair | None = None) -> UniformLearner:
        """Nothing to learn.

        Args:
            x: inputs.
            y: labels.
            validation: not looked at.
        """
        require_same_length(x, y, "inputs and labels")
        return self

    def log_prob(self, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
        """(n,) of -ln C.

        Args:
            x: inputs.
            y: labels.
        """
        _require_classes(y, self.classes)
        return torch.full((len(y),), -math.log(self.classes), dtype=torch.float64, device=y.device)


class KTEstimator:
    """Labels as throws of one die, (count + prior) / (n + C prior): Krichevsky and Trofimov's with a prior of 1/2.

    With `relative_to` the throws are y - s mod C, s being that column of the inputs: a shortcut that is right with a
    chance that is learnt.

    Args:
        classes: of the labels.
        prior: added to every count.
        relative_to: column of the inputs, a whole number each; None throws the labels themselves.
    """

    def __init__(self, classes: int = 2, prior: float = 0.5, relative_to: int | None = None) -> None:
        require_whole(2, classes=classes)
        require_positive(prior=prior)
        self.classes, self.prior, self.relative_to = classes, prior, relative_to
        self.counts = torch.zeros(classes, dtype=torch.float64)

    def fit(self, x: Tensor, y: Tensor, validation: Pair | None = None) -> KTEstimator:
        """Count anew.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels.
            validation: not looked at.
        """
        self.counts = torch.zeros(self.classes, dtype=torch.float64, device=y.device)
        return self.update(x, y)

    def update(self, x: Tensor, y: Tensor) -> KTEstimator:
        """Count more.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels.
        """
        self.counts = self.counts.to(y.device) + torch.bincount(self._throws(x, y), minlength=self.classes)
        return self

    def log_prob(self, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
        """(n,) log-probabilities under the counts so far.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels.
        """
        counts = self.counts.to(y.device) + self.prior
        return (counts / counts.sum()).log()[self._throws(x, y)]

    def code_length(self, x: Tensor, y: Tensor) -> float:
        """Bits of a whole sequence, each label coded under all before it, from no count on: a quotient of Betas.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels.
        """
        counts = torch.bincount(self._throws(x, y), minlength=self.classes).double()
        prior = torch.tensor(self.prior, dtype=torch.float64, device=counts.device)
        ours = torch.lgamma(counts + prior).sum() - torch.lgamma((counts + prior).sum())
        before = self.classes * torch.lgamma(prior) - torch.lgamma(self.classes * prior)
        return float(before - ours) / math.log(2)

    def _throws(self, x: Tensor, y: Tensor) -> Int64[Tensor, " n"]:
        _require_classes(y, self.classes)
        return y if self.relative_to is None else (y - _whole(x, self.relative_to).to(y.device)) % self.classes


class TableLearner:
    """Remembers the label of every key: nothing is known of unseen ones, and those seen are certain.

    Args:
        classes: of the labels.
        column: of the inputs that holds the key, a whole number from 0 on.
    """

    def __init__(self, classes: int = 2, column: int = 0) -> None:
        require_whole(2, classes=classes)
        require_whole(0, column=column)
        self.classes, self.column = classes, column
        self.labels = torch.full((0,), -1)

    def fit(self, x: Tensor, y: Tensor, validation: Pair | None = None) -> TableLearner:
        """Remember anew.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels; of several of one key the last counts.
            validation: not looked at.
        """
        self.labels = torch.full((0,), -1, device=y.device)
        return self.update(x, y)

    def update(self, x: Tensor, y: Tensor) -> TableLearner:
        """Remember more.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels; of several of one key the last counts.
        """
        _require_classes(y, self.classes)
        keys = self._keys(x, y)
        longest = max(len(self.labels), int(keys.max()) + 1 if len(keys) else 0)
        self.labels = torch.cat([self.labels.to(y.device), y.new_full((longest - len(self.labels),), -1)])
        order = keys.argsort(stable=True)
        last = torch.ones(len(keys), dtype=torch.bool, device=y.device)
        last[:-1] = keys[order][1:] != keys[order][:-1]
        self.labels[keys[order][last]] = y[order][last]
        return self

    def log_prob(self, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
        """(n,) log-probabilities: -ln C of unseen keys, 0 of remembered labels, -inf of contradicted ones.

        Args:
            x: (n, columns) inputs.
            y: (n,) labels.
        """
        _require_classes(y, self.classes)
        keys = self._keys(x, y)
        labels = torch.cat([self.labels.to(y.device), y.new_full((1,), -1)])[keys.clamp_max(len(self.labels))]
        sure = torch.zeros(len(y), dtype=torch.float64, device=y.device).masked_fill(labels != y, -math.inf)
        return sure.masked_fill(labels < 0, -math.log(self.classes))

    def _keys(self, x: Tensor, y: Tensor) -> Int64[Tensor, " n"]:
        keys = _whole(x, self.column).to(y.device)
        if bool((keys < 0).any()):
            raise InputError("keys of a table", given=int(keys.min()), expected="whole numbers from 0 on")
        return keys


class TorchLearner:
    """A network that is made and trained anew at every `fit`.

    Args:
        module_fn: seed -> network of logits; the global generator is seeded for it.
        config: of the training.
        seed: of start and batches.
    """

    def __init__(self, module_fn: Callable[[int], nn.Module], config: FitConfig | None = None, seed: int = 0) -> None:
        require_callable("module_fn", module_fn, "a function from a seed to a network")
        require_whole(seed=seed)
        self.module_fn, self.config, self.seed = module_fn, config or FitConfig(), seed
        self.stack: Stack | None = None

    def fit(self, x: Tensor, y: Tensor, validation: Pair | None = None) -> TorchLearner:
        """Train a new network.

        Args:
            x: (n, ...) inputs.
            y: (n,) classes.
            validation: (inputs, classes) for stopping and calibration.
        """
        rows = torch.arange(len(y), device=y.device)
        networks = make_networks(self.module_fn, [self.seed])
        self.stack = train_stack(networks, (x, y), [rows], validation, self.config, [self.seed])
        return self

    def logits(self, x: Tensor) -> Float[Tensor, "n classes"]:
        """Raw logits, where the inputs are.

        Args:
            x: (n, ...) inputs.
        """
        return self._fitted().logits(x)[0].to(x.device)

    def log_prob(self, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
        """(n,) log-probabilities, calibrated where the config says so.

        Args:
            x: (n, ...) inputs.
            y: (n,) classes.
        """
        return self._fitted().log_probs(x, y, self.config.calibrate)[0].to(y.device)

    def _fitted(self) -> Stack:
        if self.stack is None:
            raise NotFittedError("TorchLearner")
        return self.stack


class SklearnLearner:
    """A scikit-learn classifier, cloned at every `fit`; a class that its prefix lacks has probability 0.

    Before there are two classes it says those counts: (count + 1/2) / (n + C / 2).

    Args:
        estimator: with `predict_proba`.
        classes: of the labels.
    """

    def __init__(self, estimator: Any, classes: int = 2) -> None:
        if not hasattr(estimator, "predict_proba"):
            given = type(estimator).__name__
            raise InputError("estimator", given=given, expected="one with predict_proba", hint="SVC(probability=True)")
        require_whole(2, classes=classes)
        self.estimator, self.classes = estimator, classes
        self._counts, self.fitted_ = KTEstimator(classes), None

    def fit(self, x: Tensor, y: Tensor, validation: Pair | None = None) -> SklearnLearner:
        """Fit a clone.

        Args:
            x: (n, features) inputs.
            y: (n,) classes.
            validation: not looked at.
        """
        from sklearn.base import clone

        self._counts.fit(x, y)
        several = int((self._counts.counts > 0).sum()) > 1
        self.fitted_ = clone(self.estimator).fit(_rows(x), y.cpu().numpy()) if several else None
        return self

    def log_prob(self, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
        """(n,) log-probabilities.

        Args:
            x: (n, features) inputs.
            y: (n,) classes.
        """
        if self.fitted_ is None:
            return self._counts.log_prob(x, y)
        _require_classes(y, self.classes)
        p = np.zeros((len(y), self.classes))
        p[:, self.fitted_.classes_.astype(int)] = self.fitted_.predict_proba(_rows(x))
        return torch.from_numpy(p).log().gather(1, y.cpu().long()[:, None])[:, 0].to(y.device)


def charged(learner: Learner, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
    """What a learner gives labels, looked at: natural logarithms in float64; NaN is taken for a probability of 0.

    Args:
        learner: a fitted one.
        x: (n, ...) inputs.
        y: (n,) labels.

    Raises:
        InputError: not one number a label, or numbers above 0, which are no logarithms of probabilities.
    """
    p = learner.log_prob(x, y)
    if not isinstance(p, Tensor) or p.shape != (len(y),):
        given = f"shape {tuple(p.shape)}" if isinstance(p, Tensor) else type(p).__name__
        raise InputError(
            "log_prob of a learner", given=f"{given} for {len(y)} labels", expected="a tensor, one a label"
        )
    if bool((p > _ABOVE).any()):
        given = f"up to {float(p.nan_to_num(nan=-math.inf).max()):.4g}"
        raise InputError("log_prob of a learner", given=given, expected="logarithms of probabilities: 0 at most")
    return p.double().nan_to_num(nan=-math.inf, neginf=-math.inf)


def _whole(x: Tensor, column: int) -> Int64[Tensor, " n"]:
    values = x[:, column]
    whole = values.long()
    if not bool((values == whole).all()):
        raise InputError(f"column {column} of the inputs", given="NaN or fractions", expected="whole numbers")
    return whole


def _rows(x: Tensor) -> np.ndarray:
    return x.flatten(1).detach().cpu().numpy()


def _require_classes(y: Tensor, classes: int) -> None:
    if y.is_floating_point() or (len(y) and not (int(y.min()) >= 0 and int(y.max()) < classes)):
        given = y.dtype if y.is_floating_point() else f"{int(y.min())} to {int(y.max())}"
        raise InputError("labels", given=given, expected=f"whole numbers from 0 to {classes - 1}")
