"""What every detector here shares: fit on activations, score (larger = more anomalous), calibrate, predict."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.core.devices import home
from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.features import Activations, extract
from deepwright.core.inference import require_labels
from deepwright.core.requirements import numbers, require_finite, require_within
from deepwright.core.tasks.reading import looks_like_probabilities
from deepwright.ood.metrics import acceptance_threshold

if TYPE_CHECKING:
    from deepwright.core.tasks import Task

EXTRA_STATE = "_extra_state"  # PyTorch's key for what isn't a buffer
_INCIDENTAL = ("fitted_", "threshold_", "sizes_")  # buffers that may live elsewhere than what was learnt


class Detector(nn.Module):
    """Base of all detectors.

    A subclass says what it `needs`, learns buffers in `_fit` (through `remember`) and scores activations in `_score`.
    All state lives in buffers: `state_dict`, `.to(device)` and `torch.save` round-trip. A state dict knows whose it is,
    and with which options it was made: another detector refuses it.
    """

    needs: frozenset[str] = frozenset({"logits"})
    trainable: bool = True
    incidental: frozenset[str] = frozenset()  # options that change no score
    exports: bool = True  # whether `graph_score` gives what `score` gives
    threshold_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._network: list[Any] = []  # (model, layers, task): in a list, so that it is no sub-module

    @property
    def name(self) -> str:
        """How tables call it."""
        return type(self).__name__

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that it was made with (each an attribute of the same name) and that its scores depend on."""
        names = inspect.signature(type(self)).parameters.keys() - self.incidental
        return {name: getattr(self, name) for name in sorted(names)}

    def get_extra_state(self) -> dict[str, Any]:
        """Whose state it is: class and options."""
        return {"detector": type(self).__name__, "options": self.options}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Refuse the state of another detector.

        Args:
            state: see `get_extra_state`.

        Raises:
            InputError: another class, or an option that differs, by name.
        """
        theirs, mine = ({"class": s["detector"], **s["options"]} for s in (state, Detector.get_extra_state(self)))
        other = [k for k in mine | theirs if theirs.get(k) != mine.get(k)]
        if other:
            raise InputError(
                f"state of {self.name}",
                given=f"{other[0]} {theirs.get(other[0])!r}",
                expected=repr(mine.get(other[0])),
                hint="load it into a detector of the same class, made with the same options",
            )

    def fit(self, acts: Activations) -> Self:
        """Learn from in-distribution activations.

        Raises:
            InputError: something that it needs is missing, a class without samples, numbers that aren't finite.
        """
        self._buffers.pop("sizes_", None)
        self._require(acts, fitting=True)
        self._fit(acts)
        width = 0 if acts.features is None else acts.features.shape[1]
        self.remember(
            fitted_=torch.ones((), dtype=torch.bool, device=acts.logits.device),
            sizes_=torch.tensor([acts.logits.shape[1], width]),
        )
        return self

    def partial_fit(self, acts: Activations) -> Self:
        """Add in-distribution activations, where the method allows it exactly."""
        raise InputError(
            f"{self.name}.partial_fit", given="not exact for this method", hint="call fit on all of the data"
        )

    def bind(self, model: nn.Module, layers: Any = "auto", task: Task | None = None) -> Self:
        """Remember the network, so that `score` and `predict` also take raw inputs.

        Args:
            model: the network that the detector was, or will be, fitted on.
            layers: see `core.features.Tap`.
            task: see `core.features.extract`.
        """
        self._network = [(model, layers, task)]
        return self

    def score(self, acts_or_x: Activations | Tensor) -> Float[Tensor, " n"]:
        """Scores of activations, or of raw inputs (N, ...) after `bind(model)`; they are where these were."""
        if self.trainable and not self._has("fitted_"):
            raise NotFittedError(self.name)
        acts = acts_or_x if isinstance(acts_or_x, Activations) else self._extract(acts_or_x)
        self._require(acts, fitting=False)
        scores = self._score(self._beside(acts))
        if torch.isnan(scores).any():
            raise InputError(f"{self.name}: activations", given="scores are NaN", hint="check the network's outputs")
        return scores.to(home(acts_or_x if isinstance(acts_or_x, Tensor) else acts_or_x.logits))

    def graph_score(self, acts: Activations) -> Float[Tensor, " n"]:
        """The scores of `score` in tensor operations alone, nothing checked: what `torch.export` can take.

        Args:
            acts: see `core.tracing.observed`.
        """
        return self._score(acts)

    def calibrate(self, id_scores: Float[Tensor, " n"], tpr: float = 0.95) -> Self:
        """Set the threshold at the `tpr` quantile of held-out in-distribution scores.

        Args:
            id_scores: (n,) the held-out scores.
            tpr: the share of them to accept.
        """
        require_within(0.0, 1.0, ends="()", tpr=tpr)
        flat = numbers(id_scores, "id_scores").cpu().double()
        self.remember(threshold_=torch.tensor(acceptance_threshold(flat, tpr), dtype=torch.float64))
        return self

    def predict(self, acts_or_x: Activations | Tensor) -> Bool[Tensor, " n"]:
        """True = out of distribution."""
        if not self._has("threshold_"):
            raise NotCalibratedError(self.name)
        scores = self.score(acts_or_x)
        return scores.double() > self.threshold_.to(scores.device)

    def remember(self, **tensors: Tensor) -> None:
        """Register fitted values as buffers."""
        for name, value in tensors.items():
            self.register_buffer(name, value)

    def _has(self, name: str) -> bool:
        return name in self._buffers

    def _beside(self, acts: Activations) -> Activations:
        """The activations where what was learnt lives."""
        learnt = (b for name, b in self._buffers.items() if b is not None and name not in _INCIDENTAL)
        device = next((b.device for b in learnt), acts.logits.device)
        return acts if device == acts.logits.device else acts.to(device)

    def _fit(self, acts: Activations) -> None:
        pass

    def _score(self, acts: Activations) -> Tensor:
        raise NotImplementedError

    def _require(self, acts: Activations, fitting: bool) -> None:
        missing = {
            "features": acts.features is None,
            "weights": acts.weight is None,
            "layers": not acts.layers,
            "labels": fitting and acts.labels is None,
        }
        for need in sorted(self.needs):
            if missing.get(need, False):
                raise InputError(
                    f"{self.name} needs {need}", given="activations without them", hint=_remedy(need, acts)
                )
        if len(acts) == 0:
            raise InputError("activations", given="0 samples", expected="at least one")
        self._require_values(acts)
        if fitting and "labels" in self.needs and acts.labels is not None:
            require_labels(acts.labels, acts.logits.shape[1], len(acts))

    def _require_values(self, acts: Activations) -> None:
        """Refuse what isn't finite, what is no logits, and other sizes than at fit."""
        require_finite(acts.logits, "logits")
        if looks_like_probabilities(acts.logits):
            raise InputError(
                "logits",
                given="rows that are 0 or more and sum to 1: these look like probabilities",
                expected="logits",
                hint="logits=probabilities.log(), or extract(..., task=Classification(C, outputs='probabilities'))",
            )
        if acts.features is not None and "features" in self.needs:
            require_finite(acts.features, "features")
        if not self._has("sizes_"):
            return
        classes, width = self.get_buffer("sizes_").tolist()
        if acts.logits.shape[1] != classes:
            raise InputError("logits", given=f"{acts.logits.shape[1]} classes", expected=f"{classes}, as at fit")
        if acts.features is not None and "features" in self.needs and acts.features.shape[1] != width:
            raise InputError("features", given=f"{acts.features.shape[1]} a sample", expected=f"{width}, as at fit")

    def _extract(self, x: Tensor) -> Activations:
        if not self._network:
            raise InputError(
                f"{self.name}.score", given="raw inputs", expected="activations", hint="call bind(model) first"
            )
        model, layers, task = self._network[0]
        return extract(model, [x], layers if "layers" in self.needs else (), task=task)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        own = state_dict.get(prefix + EXTRA_STATE)  # looked at before a buffer is made: a refused state changes nothing
        if not isinstance(own, Mapping) or not {"detector", "options"} <= own.keys():
            given, hint = (
                f"keys {', '.join(list(state_dict)[:4]) or 'none'}",
                "detector.state_dict() of one that was fitted",
            )
            raise InputError(f"state of {self.name}", given=given, expected="a detector's", hint=hint)
        self.set_extra_state(dict(own))
        for key, value in state_dict.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and "." not in name and name != EXTRA_STATE and isinstance(value, Tensor):
                self.register_buffer(name, torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[arg-type]


def _remedy(need: str, acts: Activations) -> str:
    """How to come by what is missing."""
    if need in ("features", "weights"):
        return "the network must end in a linear layer"
    if need == "layers":
        lost = f" (nothing was seen of {', '.join(acts.unmonitored[:8])})" if acts.unmonitored else ""
        return f"no non-linearity was recorded{lost}: extract(model, batches, layers=[...]) takes modules by name"
    return "extract from batches of (inputs, labels)"


def require_classes(labels: Tensor, classes: int, name: str) -> None:
    """Refuse a fit in which a class has no samples.

    Args:
        labels: (N,).
        classes: how many there are.
        name: of the detector.
    """
    count = torch.bincount(labels, minlength=classes)
    if (count == 0).any():
        empty = (count == 0).nonzero().flatten()[:5].tolist()
        raise InputError(f"{name}: classes {empty}", given="no samples to fit on", expected="some of every class")


def require(option: str, given: float, holds: bool, expected: str) -> None:
    """Refuse an option's value.

    Args:
        option: its name.
        given: the value.
        holds: whether it is allowed.
        expected: what is.
    """
    if not holds:
        raise InputError(option, given=given, expected=expected)
