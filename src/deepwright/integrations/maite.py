"""MAITE's image-classification protocols, both ways.

In: `MaiteNetwork` is their model as an `nn.Module` (scores only), `MaiteBatches` their data set or loader as batches
for `deepwright.audit`. Out: `MaiteModel`, `MaiteDataset`, `MaiteMetric` and `MaiteAugmentation` are a network, a split,
the house's numbers and its perturbations and attacks as their objects. The protocols are structural: the package
`maite` (the extra `maite`) is needed to run its workflows, not here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_network, require_whole
from deepwright.core.tasks import Classification, Task
from deepwright.data import Split, to_float
from deepwright.integrations.arrays import array_of, images_of, metadata_of
from deepwright.integrations.metrics import Accuracy, CalibrationError, FragilityIndex
from deepwright.nets import as_network

Batch = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]
"""Inputs, targets and metadata of some samples, one each."""


class MaiteNetwork(nn.Module):
    """A MAITE model as a network that gives (N, classes), scores only: nothing has a gradient.

    Args:
        model: takes a sequence of (C, H, W) arrays and gives one (classes,) array each.
    """

    scores_only = True

    def __init__(self, model: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        super().__init__()
        if not callable(model):
            raise InputError("model", given=type(model).__name__, expected="a MAITE model: arrays in, arrays out")
        self.model = model
        self.training = False  # but not the model, which may be a module of theirs

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        """What the model gives for each.

        Args:
            x: (N, C, H, W).
        """
        out = self.model(list(np.array(x.detach().cpu().numpy())))  # a copy: the model may work in place
        rows = [array_of(row, "the model's output") for row in out]
        if len(rows) != len(x) or any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
            given = f"{len(rows)} outputs of shapes {sorted({tuple(r.shape) for r in rows})} for {len(x)} inputs"
            raise InputError("the model's output", given=given, expected="one (classes,) array an input")
        return torch.stack(rows).to(x)


class MaiteBatches:
    """A MAITE data set, or a loader of it, as batches of (images, labels), read anew each time.

    Args:
        source: a data set (with its `metadata`; (image, target, metadata) by number), or batches of these.
        batch_size: of a data set's.
    """

    def __init__(self, source: Any, batch_size: int = 32) -> None:
        require_whole(1, batch_size=batch_size)
        self.source, self.batch_size = source, batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        for inputs, targets, _ in self._batches():
            yield images_of(inputs), self.read_targets(targets)

    def read_targets(self, targets: Sequence[Any]) -> Any:
        """Labels (N,) of one-hot targets."""
        return torch.stack([_label(target) for target in targets])

    def _batches(self) -> Iterable[Batch]:
        if not (hasattr(self.source, "__getitem__") and hasattr(self.source, "metadata")):  # a list is a loader
            yield from self.source
            return
        for start in range(0, len(self.source), self.batch_size):
            rows = [self.source[i] for i in range(start, min(start + self.batch_size, len(self.source)))]
            yield tuple(zip(*rows))  # type: ignore[misc]


class MaiteModel:
    """A network as a MAITE model: a sequence of images in, one array of probabilities each out.

    Args:
        network: gives (N, classes) logits, or what `task` reads them from; left as found.
        name: the `id` of its metadata.
        classes: names, index = label.
        task: see `core.features.extract`.
    """

    def __init__(self, network: nn.Module, name: str, classes: Sequence[str] = (), task: Task | None = None) -> None:
        network = as_network(network).network  # models of transformers among them
        require_network(network, "network")
        self.network, self.task = network, task
        self.metadata = metadata_of(name, classes)

    def __call__(self, batch: Sequence[Any], /) -> list[np.ndarray]:
        """(classes,) probabilities of each image."""
        read = read_outputs(self.network, [images_of(batch)], lambda out, n: read_logits(out, self.task, strict=True))[
            0
        ]
        return list(read.detach().double().softmax(1).cpu().numpy())


class MaiteDataset:
    """A split as a MAITE data set: (image, one-hot target, {"id": number}) by number.

    Args:
        split: images with one class each.
        name: the `id` of its metadata.
        classes: names, index = label.
    """

    def __init__(self, split: Split, name: str, classes: Sequence[str]) -> None:
        labels = split.y
        whole = isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()
        if not whole or split.x.ndim != 4 or (len(split) and int(labels.max()) >= len(classes)):
            told = f"targets {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
            if whole and len(split):
                told = f"labels up to {int(labels.max())}"
            given = f"inputs of {split.x.ndim} axes, {told}"
            raise InputError("split", given=given, expected=f"images, each of one of {len(classes)} classes")
        self.split = split
        self.metadata = metadata_of(name, classes)
        self._classes = len(classes)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self)
        target = np.zeros(self._classes, np.float32)
        target[int(self.split.y[row])] = 1
        return to_float(self.split.x[row]).cpu().numpy(), target, {"id": row}


class MaiteMetric:
    """Numbers of the house as one MAITE metric: accuracy, debiased calibration error and Fragility Index by default.

    Args:
        classes: how many there are.
        outputs: what predictions are: "probabilities", "log-probabilities" or "logits".
        numbers: metrics of (logits, labels) by name: of `integrations.metrics`, of torchmetrics or your own.
    """

    def __init__(
        self, classes: int, outputs: str = "probabilities", numbers: Mapping[str, Metric] | None = None
    ) -> None:
        self.task = Classification(classes, outputs=outputs)
        default = {"accuracy": Accuracy(), "ece": CalibrationError(), "fi": FragilityIndex()}
        self.numbers = dict(default if numbers is None else numbers)
        if not self.numbers or not all(isinstance(each, Metric) for each in self.numbers.values()):
            given = ", ".join(type(each).__name__ for each in self.numbers.values()) or "none"
            raise InputError(
                "numbers", given=given, expected="torchmetrics.Metric by name", hint="integrations.metrics"
            )
        self.metadata = {"id": f"deepwright: {', '.join(self.numbers)}"}
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen = 0
        for number in self.numbers.values():
            number.reset()

    def update(self, predictions: Sequence[Any], targets: Sequence[Any], metadata: Sequence[Any] = (), /) -> None:
        """Add a batch: (classes,) arrays of predictions and of targets."""
        if len(predictions) != len(targets) or not len(targets):
            given = f"{len(predictions)} predictions and {len(targets)} targets"
            raise InputError("a batch", given=given, expected="as many of both, one at least")
        out = torch.stack([array_of(row, "predictions") for row in predictions])
        logits = read_logits(out, self.task, strict=True)
        labels = torch.stack([_label(target) for target in targets])
        for number in self.numbers.values():
            number.update(logits, labels)
        self._seen += len(labels)

    def compute(self) -> dict[str, float]:
        """The numbers of everything seen; where one metric gives several, `name_its name`."""
        if not self._seen:
            raise InputError("MaiteMetric", given="no data", hint="call update first")
        found: dict[str, float] = {}
        for name, number in self.numbers.items():
            value = number.compute()
            several = (
                {f"{name}_{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
            )
            found |= {key: float(each) for key, each in several.items()}
        return found


class MaiteAugmentation:
    """A perturbation or an attack as a MAITE augmentation; what is drawn belongs to a sample's id, not to its batch.

    Args:
        change: (images (N, C, H, W), labels (N,), ids (N,)) -> images; see `of_perturbation` and `of_attack`.
        name: the `id` of its metadata.
    """

    def __init__(self, change: Callable[[Tensor, Tensor, Tensor], Tensor], name: str) -> None:
        self.change, self.metadata = change, {"id": name}

    @classmethod
    def of_perturbation(cls, perturbation: Any, severity: int, seed: int = 0) -> MaiteAugmentation:
        """A perturbation of `deepwright.corruptions` at one severity.

        Args:
            perturbation: as `Perturbation` objects are called.
            severity: 0..5.
            seed: of the streams.
        """
        name = f"{getattr(perturbation, 'name', type(perturbation).__name__)} at severity {severity}, seed {seed}"
        return cls(lambda x, y, ids: perturbation(x, severity, seed, ids=ids), name)

    @classmethod
    def of_attack(cls, attack: Any, network: nn.Module) -> MaiteAugmentation:
        """An attack of `deepwright.adversarial` on a network.

        Args:
            attack: as `Attack` objects are called.
            network: the network that shall fail.
        """
        require_network(network, "network")
        return cls(lambda x, y, ids: attack(network, x, y, ids=ids).x_adv, type(attack).__name__)

    def __call__(self, batch: Batch, /) -> Batch:
        """The batch with other images; targets and metadata are the same."""
        inputs, targets, metadata = batch
        ids = torch.tensor([zlib.crc32(repr(row["id"]).encode()) for row in metadata])
        changed = self.change(images_of(inputs), torch.stack([_label(target) for target in targets]), ids)
        return list(changed.detach().cpu().numpy()), targets, metadata


def _label(target: Any) -> Tensor:
    """The class of a one-hot (or clearly largest) target."""
    row = array_of(target, "targets")
    if row.ndim != 1 or len(row) == 0 or int((row == row.max()).sum()) != 1:
        raise InputError("targets", given=f"{row.tolist()}"[:80], expected="(classes,) with one largest entry")
    return row.argmax()
