"""A network, its data and its preprocessing: what every check looks at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.inference import device_of, logits_of, require_labels
from deepwright.core.progress import track
from deepwright.data.companions import ood_companions
from deepwright.data.dataset import Data, Split, split_three


@dataclass
class Subject:
    """A network under audit.

    Attributes:
        model: takes pixels in [0, 1] (or standardised features) and gives logits; its preprocessing is inside.
        data: train, validation and test splits with class names.
        name: for the report.
        batch_size: for every pass.
        seed: of every draw.
        attack_limit: at most so many samples are attacked; corruption_limit: perturbed.
        ood_limit: of each set that belongs to no class.
        eps: budgets of the robustness curve (chosen by the kind of data when None).
    """

    model: nn.Module
    data: Data
    name: str = "network"
    batch_size: int = 250
    seed: int = 0
    attack_limit: int = 400
    corruption_limit: int = 300
    ood_limit: int = 400
    eps: tuple[float, ...] | None = None
    _logits: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.data.kind not in ("image", "tabular"):
            raise InputError(
                "data", given=f"{self.data.kind} data {self.data.name!r}", expected="classes of images or of table rows"
            )
        _require_module(self.model)
        x = self.data.test.x
        if self.data.kind == "image" and x.is_floating_point() and len(x):
            low, high = float(x.min()), float(x.max())
            if not (low >= -1e-6 and high <= 1 + 1e-6):
                raise InputError(
                    "test images",
                    given=f"range {low:.4g}..{high:.4g}",
                    expected="[0, 1]",
                    hint="divide by 255, and put the normalisation into the model",
                )
        probe = logits_of(self.model, [self.data.test.inputs(slice(0, 2))])
        if probe.shape[1] != self.classes:
            raise InputError(
                "the network's outputs",
                given=f"{probe.shape[1]}",
                expected=f"{self.classes}, one for each class of {self.data.name!r}",
                hint="a single logit needs wrapping into two columns; folders are classes in alphabetical order",
            )
        for part in ("train", "validation", "test"):
            split: Split = getattr(self.data, part)
            require_labels(split.y, self.classes, len(split), f"{part} labels")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.data.classes)

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return device_of(self.model)

    @property
    def bounds(self) -> tuple[float, float]:
        """The box that inputs live in."""
        return (0.0, 1.0) if self.data.kind == "image" else (-float("inf"), float("inf"))

    def logits(self, part: str = "test") -> Float[Tensor, "n classes"]:
        """Outputs on a split, computed once."""
        if part not in self._logits:
            split: Split = getattr(self.data, part)
            batches = (x for x, _ in split.batches(self.batch_size))
            total = -(-len(split) // self.batch_size)
            self._logits[part] = logits_of(self.model, track(batches, f"{part} outputs", total))
        return self._logits[part]

    @cached_property
    def right(self) -> Tensor:
        """(N,) whether each test sample is classified right."""
        return self.logits().argmax(1) == self.data.test.y

    @cached_property
    def chance(self) -> float:
        """Accuracy of always naming the most frequent class."""
        return float(torch.bincount(self.data.test.y, minlength=self.classes).max()) / len(self.data.test)

    @cached_property
    def baseline(self) -> NearestMean | None:
        """Nearest class mean on the training split: the simple baseline of every grade. None when a class is missing."""
        counts = torch.bincount(self.data.train.y, minlength=self.classes)
        if bool((counts[self.data.test.y.unique()] == 0).any()):
            return None
        return NearestMean.fit(self.data.train, self.classes).to(self.device)

    @cached_property
    def baseline_logits(self) -> Tensor | None:
        """The baseline's outputs on the test split."""
        if self.baseline is None:
            return None
        return logits_of(self.baseline, (x for x, _ in self.data.test.batches(self.batch_size)))

    @cached_property
    def ood(self) -> dict[str, Tensor]:
        """Inputs that belong to no class."""
        return ood_companions(self.data, min(self.ood_limit, len(self.data.test)), self.seed)

    def settings(self) -> dict[str, Any]:
        """What the findings depend on, by name. An interrupted audit goes on only where all are the same."""
        names = ("batch_size", "seed", "attack_limit", "corruption_limit", "ood_limit", "eps")
        return {
            "model": self.model,
            "train": self.data.train,
            "validation": self.data.validation,
            "test": self.data.test,
            "foreign data": self.data.ood,
            "classes": self.data.classes,
            "options": {name: getattr(self, name) for name in names},
        }

    def describe(self) -> dict[str, Any]:
        """Plain facts for the report."""
        return {
            "name": self.name,
            "network": type(getattr(self.model, "network", self.model)).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "data": self.data.name,
            "kind": self.data.kind,
            "input": list(self.data.shape),
            "classes": self.classes,
            "class_names": list(self.data.classes[:50]),
            "train": len(self.data.train),
            "validation": len(self.data.validation),
            "test": len(self.data.test),
            "device": str(self.device),
            "notes": list(self.data.notes),
        }


class NearestMean(nn.Module):
    """logits_k = -||x - m_k||^2 / (2 s^2): nearest class mean as a differentiable classifier."""

    means: Tensor
    scale: Tensor

    def __init__(self, means: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.register_buffer("scale", scale)

    @classmethod
    def fit(cls, split: Split, classes: int, batch: int = 512) -> NearestMean:
        """Means of the training inputs; s^2 the mean squared distance to the own class's mean per dimension."""
        d = split.x[0].numel()
        total = torch.zeros(classes, d, dtype=torch.float64)
        squares = 0.0
        for x, y in split.batches(batch):
            flat = x.flatten(1).double()
            total.index_add_(0, y, flat)
            squares += float(flat.square().sum())
        counts = torch.bincount(split.y, minlength=classes).double()
        means = total / counts.clamp_min(1)[:, None]
        within = squares - float((means.square().sum(1) * counts).sum())
        means[counts == 0] = 1e3  # never the nearest
        network = cls(means.float(), torch.tensor(max(within / len(split), 1e-6)).float())
        return network.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(N, classes) logits."""
        flat = x.flatten(1)
        squared = flat.square().sum(1, keepdim=True) - 2 * flat @ self.means.T + self.means.square().sum(1)
        return -squared / (2 * self.scale) * flat.shape[1] ** 0.5


def subject_from_loaders(
    model: nn.Module,
    test: Iterable[Any] | Data,
    train: Iterable[Any] | None = None,
    validation: Iterable[Any] | None = None,
    class_names: tuple[str, ...] | None = None,
    name: str = "network",
    **options: Any,
) -> Subject:
    """A subject from loaders of (inputs, labels); a missing validation or training split is cut from the test split.

    With only a test loader, its first 30 % (stratified) fit what needs fitting and the rest is measured.
    """
    _require_module(model)
    if isinstance(test, Data):
        return Subject(model, test, name, **options)
    whole = _gather(test, "test")
    if train is None:
        train_part, validation_part, test_part = split_three(whole.x, whole.y, (0.2, 0.1))
        note = "no training data was given: 30 % of the test data fit detectors and temperatures, 70 % are measured"
    else:
        train_part, test_part, note = _gather(train, "train"), whole, ""
        if validation is None:
            validation_part = train_part.take(max(1, len(train_part) // 5))
        else:
            validation_part = _gather(validation, "validation")
    outputs = logits_of(model, [test_part.inputs(slice(0, 2))]).shape[1]
    names = class_names or tuple(str(i) for i in range(outputs))
    kind = "image" if whole.x.ndim == 4 else "tabular"
    data = Data(name, kind, names, train_part, validation_part, test_part, notes=(note,) if note else ())
    return Subject(model, data, name, **options)


def _require_module(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise InputError("model", given=type(model).__name__, expected="an nn.Module")


def _gather(loader: Iterable[Any], what: str) -> Split:
    xs, ys = [], []
    for batch in loader:
        if not isinstance(batch, list | tuple) or len(batch) < 2:
            raise InputError(f"{what} loader", given=type(batch).__name__, expected="batches of (inputs, labels)")
        xs.append(torch.as_tensor(batch[0]).cpu())
        ys.append(torch.as_tensor(batch[1]).cpu().reshape(-1).long())
    if not xs:
        raise InputError(f"{what} loader", given="no batch", expected="at least one")
    x = torch.cat(xs)
    if x.dtype == torch.uint8 and x.ndim != 4:
        raise InputError(
            f"{what} inputs", given=f"uint8 of shape {tuple(x.shape)}", expected="floats, or images (N, C, H, W)"
        )
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise InputError(f"{what} inputs", given="NaN or infinity", expected="finite numbers")
    return Split(x if x.dtype == torch.uint8 else x.float(), torch.cat(ys))
