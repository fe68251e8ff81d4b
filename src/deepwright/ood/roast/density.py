"""Detectors of windows that learn a density: nearest neighbours, a one-class support vector machine, any of pyod's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.ood.neighbours import kth_distance, rows_at_once
from deepwright.ood.roast.windowed import WindowDetector


class KNNDetector(WindowDetector):
    """Distance to the k-th nearest of the training windows; a training window isn't its own neighbour.

    Args:
        k: which neighbour.
    """

    def __init__(self, k: int = 7) -> None:
        super().__init__()
        require_whole(1, k=k)
        self.k = int(k)
        self._bank = torch.zeros(0, 0)

    @property
    def fewest(self) -> int:
        """k + 1."""
        return self.k + 1

    def _fit(self, benign: Tensor, attacked: Tensor | None) -> Tensor:
        self._bank = benign.flatten(1).clone()
        return self._nearest(self._bank, self.k + 1)  # the first is the window itself, or a copy of it

    def _score(self, x: Tensor) -> Tensor:
        return self._nearest(x.flatten(1), self.k)

    def _nearest(self, rows: Tensor, k: int) -> Tensor:
        bank = self._bank.to(rows)
        found = [kth_distance(part, bank, k) for part in rows.split(rows_at_once(bank))]
        return torch.cat(found) if found else rows.new_zeros(0)


class OCSVMDetector(WindowDetector):
    """One-class support vector machine with a Gaussian kernel, by scikit-learn, on the CPU.

    Its training scores aren't held out: the machine itself leaves out the share `nu`.

    Args:
        nu: share of the training windows that may lie outside.
        gamma: of the kernel; "scale", "auto" or a number.
        max_train: at most so many windows, drawn.
        seed: of that draw.
    """

    def __init__(self, nu: float = 0.5, gamma: str | float = "scale", max_train: int = 20_000, seed: int = 0) -> None:
        super().__init__()
        require_within(0, 1, ends="(]", nu=nu)
        require_whole(2, max_train=max_train)
        require_whole(0, seed=seed)
        if not isinstance(gamma, str):
            require_positive(gamma=gamma)
        self.nu, self.gamma, self.max_train, self.seed = nu, gamma, max_train, seed
        self._machine: Any = None

    def _fit(self, benign: Tensor, attacked: Tensor | None) -> Tensor:
        from sklearn.svm import OneClassSVM

        if len(benign) > self.max_train:
            draws = torch.Generator().manual_seed(self.seed)
            benign = benign[torch.randperm(len(benign), generator=draws)[: self.max_train].to(benign.device)]
        self._machine = OneClassSVM(nu=self.nu, gamma=self.gamma, tol=1e-3).fit(benign.flatten(1).cpu().numpy())
        return self._score(benign)

    def _score(self, x: Tensor) -> Tensor:
        found = -self._machine.score_samples(x.flatten(1).cpu().numpy())
        return torch.from_numpy(found).to(x)


class PyODDetector(WindowDetector):
    """A detector of pyod's, or whatever has `fit(X)` and `decision_function(X)` with larger for stranger.

    Args:
        inner: unfitted; `fit` fits it on benign windows only, whatever its contamination is.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__()
        if not callable(getattr(inner, "fit", None)) or not callable(getattr(inner, "decision_function", None)):
            raise InputError("detector", given=type(inner).__name__, expected="fit() and decision_function()")
        self.inner = inner

    @property
    def name(self) -> str:
        """How tables call it."""
        return type(self.inner).__name__

    def _fit(self, benign: Tensor, attacked: Tensor | None) -> Tensor:
        rows = benign.flatten(1).cpu().numpy()
        self.inner.fit(rows)
        own = getattr(
            self.inner, "decision_scores_", None
        )  # some of pyod's leave a row out of its own neighbours there
        found = self.inner.decision_function(rows) if own is None else own
        return torch.as_tensor(found, dtype=benign.dtype, device=benign.device)

    def _score(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.inner.decision_function(x.flatten(1).cpu().numpy())).to(x)


def wrap_pyod(detector: Any) -> PyODDetector:
    """A detector of pyod's as one of this house.

    Args:
        detector: unfitted.
    """
    return PyODDetector(detector)
