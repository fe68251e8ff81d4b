"""Read a quantity out of a frozen network, and see how its read-out is deceived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, NotFittedError
from deepwright.interpret.mindset.experiment import Contrast
from deepwright.interpret.mindset.observing import FEATURES, Preprocess, observe
from deepwright.interpret.mindset.ridge import Ridge, fit_ridge
from deepwright.interpret.mindset.stimulus_set import StimulusSet

TASKS = ("regression", "circular", "classification")


@dataclass(frozen=True)
class Readout:
    """What a linear map makes of features, as values of a target.

    Attributes:
        ridge: the map.
        task: "regression"; "circular" for orientations in degrees, which return after 180; "classification".
        classes: of a classification, in the order of the map's outputs.
    """

    ridge: Ridge
    task: str
    classes: tuple[Any, ...] = ()

    @classmethod
    def fit(cls, x: Float[Tensor, "n d"], values: np.ndarray, task: str = "regression") -> Readout:
        """Fit a read-out.

        Args:
            x: features.
            values: (n,) of the target.
            task: one of `TASKS`.

        Raises:
            InputError: another task; a target that isn't known of each picture, or is the same for all.
        """
        if len(set(values.tolist())) == 1:
            raise InputError("target", given="the same for every picture", expected="values that vary")
        classes = tuple(np.unique(values).tolist()) if task == "classification" else ()
        return cls(fit_ridge(x, encoded(values, task, classes).to(x.device)), task, classes)

    def predict(self, x: Float[Tensor, "n d"]) -> Any:
        """(n,) values: numbers, degrees in [-90, 90), or classes.

        Args:
            x: features.
        """
        return decoded(self.ridge(x), self.task, self.classes)

    def score(self, x: Float[Tensor, "n d"], values: np.ndarray) -> dict[str, float]:
        """R2 and RMSE on pictures that were not learned from; of a classification, accuracy.

        Args:
            x: features.
            values: (n,) of the target.
        """
        if self.task == "classification":
            return {"accuracy": float(np.mean(np.asarray(self.predict(x)) == values))}
        wanted = encoded(values, self.task, ()).to(x.device)
        left = (self.ridge(x) - wanted).square().sum()
        spread = (wanted - wanted.mean(0)).square().sum()
        error = errors(self.predict(x), values, self.task)
        r2 = float("nan") if float(spread) == 0 else float(1 - left / spread)
        return {"r2": r2, "rmse": float(error.square().mean().sqrt())}


def encoded(values: np.ndarray, task: str, classes: tuple[Any, ...]) -> Float[Tensor, "n k"]:
    """A target as what is regressed on: itself, (sin 2t, cos 2t), or one column a class.

    Args:
        values: (n,).
        task: one of `TASKS`.
        classes: of a classification.
    """
    if task not in TASKS:
        raise InputError("task", given=repr(task), expected=" or ".join(map(repr, TASKS)))
    if task == "classification":
        if len(classes) < 2:
            raise InputError("classes", given=list(classes), expected="two or more")
        return torch.from_numpy(np.stack([values == c for c in classes], 1).astype(np.float64))
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError("target", given="values that aren't finite numbers", expected="a number of each picture")
    target = torch.from_numpy(values.astype(np.float64))
    if task == "regression":
        return target[:, None]
    twice = torch.deg2rad(target) * 2
    return torch.stack([twice.sin(), twice.cos()], 1)


def decoded(outputs: Tensor, task: str, classes: tuple[Any, ...] = ()) -> Any:
    """The inverse of `encoded`, over the last axis.

    Args:
        outputs: (..., k).
        task: one of `TASKS`.
        classes: of a classification.
    """
    if task == "classification":
        return [classes[k] for k in outputs.argmax(-1).tolist()]
    if task == "regression":
        return outputs[..., 0]
    return torch.rad2deg(torch.atan2(outputs[..., 0], outputs[..., 1])) / 2


def errors(predicted: Tensor, values: np.ndarray, task: str) -> Tensor:
    """Predicted less true; of orientations the shorter way round, in [-90, 90).

    Args:
        predicted: (..., n).
        values: (n,).
        task: "regression" or "circular".
    """
    wrong = predicted - torch.from_numpy(values.astype(np.float64)).to(predicted.device)
    return wrong if task == "regression" else (wrong + 90) % 180 - 90


def contrast_rows(stimuli: StimulusSet, contrast: Contrast) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """The pictures of an effect, in pairs by "Item": of the larger, of the smaller, and the sign of each.

    Args:
        stimuli: pictures.
        contrast: of a decoding experiment.

    Raises:
        InputError: no pair.
    """
    if isinstance(contrast.larger, tuple):
        raise InputError("contrast", given="pairs of pictures", expected="one kind of picture: that is a similarity")
    larger = stimuli.rows(contrast.larger)
    if contrast.smaller is None:
        sign = np.ones(len(larger)) if contrast.sign is None else stimuli.factor(contrast.sign)[larger]
        kept = larger[sign != 0]
        _require_pairs(len(kept))
        return kept, None, sign[sign != 0].astype(np.float64)
    assert isinstance(contrast.smaller, Mapping)
    smaller = stimuli.rows(contrast.smaller)
    items = stimuli.factor("Item")
    _, a, b = np.intersect1d(items[larger], items[smaller], return_indices=True)
    _require_pairs(len(a))
    return larger[a], smaller[b], np.ones(len(a))


def _require_pairs(count: int) -> None:
    if count == 0:
        raise InputError("pairs of pictures", given="none with the same Item", expected="one or more")


class StimulusDecoder:
    """Linear read-outs of one quantity from the layers of a frozen network.

    Args:
        model: any network; it is left as found.
        target: the factor to read.
        layers: see `observe`.
        task: "regression", "circular" (orientations in degrees) or "classification".
        pool: maps are averaged down to so many positions a side; None keeps them whole.
        preprocess: see `observe`.
        batch_size: pictures a pass.

    Source: "MindSet: Vision. A toolbox for testing DNNs on key psychological experiments", arXiv 2404.05290 (whose
    linear decoders are trained by gradient steps; here each is solved).
    """

    def __init__(
        self,
        model: nn.Module,
        target: str,
        layers: Sequence[str] = (FEATURES,),
        *,
        task: str = "regression",
        pool: int | None = 1,
        preprocess: Preprocess | None = None,
        batch_size: int = 64,
    ) -> None:
        if task not in TASKS:
            raise InputError("task", given=repr(task), expected=" or ".join(map(repr, TASKS)))
        if isinstance(layers, str):
            raise InputError("layers", given=repr(layers), expected="a sequence of names", hint=f"[{layers!r}]")
        self.model, self.target, self.layers, self.task = model, target, tuple(layers), task
        self.pool, self.preprocess, self.batch_size = pool, preprocess, batch_size
        self.readouts: dict[str, Readout] = {}
        self._learned: tuple[str, frozenset[Any]] = ("", frozenset())

    def fit(self, stimuli: StimulusSet) -> StimulusDecoder:
        """Solve a read-out for each layer.

        Args:
            stimuli: to learn from.
        """
        values = stimuli.factor(self.target)
        if self.task == "regression" and "rientation" in self.target:
            raise InputError("task", given="'regression' of an orientation", expected="'circular'")
        self.readouts = {k: Readout.fit(x, values, self.task) for k, x in self._seen(stimuli).items()}
        self._learned = (stimuli.name, frozenset(stimuli.factors.get("Type", np.array([])).tolist()))
        return self

    def predict(self, stimuli: StimulusSet) -> dict[str, Any]:
        """What each layer's read-out says of each picture.

        Args:
            stimuli: pictures.
        """
        return {name: self._fitted()[name].predict(x) for name, x in self._seen(stimuli).items()}

    def score(self, stimuli: StimulusSet) -> dict[str, dict[str, float]]:
        """How well each layer is read; see `Readout.score`.

        Args:
            stimuli: pictures that were not learned from.
        """
        values = stimuli.factor(self.target)
        return {name: self._fitted()[name].score(x, values) for name, x in self._seen(stimuli).items()}

    def bias(self, stimuli: StimulusSet, contrast: Contrast) -> dict[str, Float[Tensor, " items"]]:
        """By how much more each layer's read-out overstates the larger of each pair, in units of the target.

        Args:
            stimuli: pictures of both kinds.
            contrast: the two kinds.

        Raises:
            InputError: a classification; pictures of a condition that was learned from.
        """
        if self.task == "classification":
            raise InputError("bias", given="of a classification", expected="of a regression or of orientations")
        both, learned = set(stimuli.factors.get("Type", np.array([])).tolist()), self._learned
        if stimuli.name == learned[0] and both & learned[1]:
            raise InputError(
                "stimuli", given=f"{sorted(both & learned[1])}, which were learned from", expected="others"
            )
        larger, smaller, sign = contrast_rows(stimuli, contrast)
        return {
            name: item_bias(read, stimuli.factor(self.target), larger, smaller, sign, self.task)
            for name, read in self.predict(stimuli).items()
        }

    def _seen(self, stimuli: StimulusSet) -> dict[str, Tensor]:
        return observe(
            self.model,
            stimuli,
            self.layers,
            preprocess=self.preprocess,
            batch_size=self.batch_size,
            pool=self.pool,
        )

    def _fitted(self) -> dict[str, Readout]:
        if not self.readouts:
            raise NotFittedError("StimulusDecoder")
        return self.readouts


def item_bias(
    predicted: Tensor,
    values: np.ndarray,
    larger: np.ndarray,
    smaller: np.ndarray | None,
    sign: np.ndarray,
    task: str = "regression",
) -> Tensor:
    """(..., items): error on the larger less error on the smaller.

    Args:
        predicted: (..., n) read-outs of all pictures.
        values: (n,) of the target.
        larger: rows.
        smaller: rows, or None for the truth itself.
        sign: of each.
        task: "regression" or "circular".
    """
    wrong = errors(predicted, values, task)
    first = wrong[..., torch.as_tensor(larger, device=wrong.device)]
    if smaller is not None:
        first = first - wrong[..., torch.as_tensor(smaller, device=wrong.device)]
    return first * torch.as_tensor(sign, device=wrong.device)
