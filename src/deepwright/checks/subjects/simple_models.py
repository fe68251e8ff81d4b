"""What a network must beat: simple classifiers of pixels or features, fitted in seconds on some training samples."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.checks.subjects.graphs import as_statistics
from deepwright.checks.subjects.texts import as_bags, bags, has_words
from deepwright.core.randomness import generator
from deepwright.data import Data, Split
from deepwright.data.dataset import stratified_order

MOST = 2000  # training samples that they are fitted on, and test samples that they are measured on
_SIDE = 32  # larger pictures are averaged down to it
_FILTERS = 128
_LONGEST, _PROJECTED = 4096, 1024  # numbers a row; distances survive a projection (Johnson and Lindenstrauss)
_STRENGTHS = (0.001, 0.1)  # of logistic regression's C, chosen on the validation samples
_PENALTIES = (0.03, 0.3, 3.0)  # a sample, of the random network's readout; chosen likewise


@dataclass(frozen=True)
class SimpleModels:
    """How often simple classifiers are right.

    Attributes:
        rows: (M,) the test samples that they were measured on.
        train: how many training samples they were fitted on.
        right: name -> (M,) whether it is right.
        right_of_half: likewise, fitted on half of these training samples; empty where there were `MOST` of them.
    """

    rows: Int64[Tensor, " m"]
    train: int
    right: dict[str, Bool[Tensor, " m"]] = field(default_factory=dict)
    right_of_half: dict[str, Bool[Tensor, " m"]] = field(default_factory=dict)

    def best(self) -> tuple[str, Bool[Tensor, " m"]]:
        """The one that is right most often on the test samples: the benefit of the doubt is theirs."""
        name = max(self.right, key=lambda n: int(self.right[n].sum()))
        return name, self.right[name]

    def error_of_more(self, name: str) -> float:
        """What a method would err with `MOST` training samples, by its learning curve: a power of their number.

        Each doubling is taken to lower the error by the factor by which the last one did.

        Args:
            name: of the method.
        """
        error = 1 - float(self.right[name].double().mean())
        if name not in self.right_of_half or error == 0:
            return error
        before = 1 - float(self.right_of_half[name].double().mean())
        factor = min(1.0, error / before) if before > 0 else 1.0
        return error * float(factor ** max(0.0, math.log2(MOST / self.train)))


def fit_simple_models(data: Data, seed: int = 0) -> SimpleModels:
    """Nearest class mean, 5 nearest neighbours, logistic regression, and a readout of a frozen random network.

    The random network is one layer of 128 random filters with rectified averages over nine parts of the picture, or 512
    random rectified features of a row; of texts they see how often each word comes. Logistic regression's penalty is
    chosen on the validation samples.

    Args:
        data: with labels of classes; at most 2,000 training and 2,000 test samples are used, in their classes' shares.
        seed: of the samples and of the random network.
    """
    if data.kind in ("text", "tokens"):
        data = as_bags(data)
    if data.kind == "graphs":
        data = as_statistics(data)
    train, validation = data.train.take(MOST, seed), data.validation.take(MOST // 4, seed)
    rows = stratified_order(data.test.y, seed)[:MOST].sort().values
    test = data.test.where(rows)
    found = SimpleModels(rows, len(train))
    parts = [feature_rows(part, seed) for part in (train, validation, test)]
    labels = [part.y for part in (train, validation, test)]
    scaled = _standardised(parts, by_feature=data.kind != "image")
    random = [_random_network(part, scaled[i], seed) for i, part in enumerate((train, validation, test))]
    features = (parts, scaled, _standardised(random, by_feature=True))
    found.right.update(_right(features, labels))
    if 2 <= len(train) < MOST:
        half = stratified_order(train.y, seed)[: len(train) // 2]
        fewer = tuple([each[0][half], *each[1:]] for each in features)
        found.right_of_half.update(_right(fewer, [labels[0][half], *labels[1:]]))
    return found


def _right(features: tuple[list[Tensor], ...], labels: list[Tensor]) -> dict[str, Bool[Tensor, " m"]]:
    """Which test samples each method is right on.

    Args:
        features: raw, standardised and of the random network; of the training, validation and test samples each.
        labels: of these parts.
    """
    raw, scaled, random = features
    numbers = [y.numpy() for y in labels]
    found = {
        "nearest class mean": _nearest_mean(raw[0], labels[0], raw[2]),
        "5 nearest neighbours": _neighbours(scaled[0], numbers[0], scaled[2]),
    }
    if len(labels[0].unique()) > 1:
        found["logistic regression"] = _logistic(scaled, numbers)
        found["a frozen random network"] = _ridge(random, labels[:2])
    return {name: predicted == labels[2] for name, predicted in found.items()}


def feature_rows(split: Split, seed: int) -> Float[Tensor, "n d"]:
    """Rows of numbers: features, pixels of at most 32 x 32, series, counts of words; of very long ones random
    projections.

    Args:
        split: of any inputs.
        seed: of the projections.
    """
    split = bags(split) if has_words(split) else split
    length = _small(split.inputs(slice(0, 0))).flatten(1).shape[1]
    weight = None
    if length > _LONGEST:
        weight = torch.randn(length, _PROJECTED, generator=generator(seed, "projection")) / _PROJECTED**0.5
    parts = [_small(x).flatten(1) for x, _ in split.batches(64 if weight is not None else 256)]
    parts = parts if weight is None else [part @ weight for part in parts]
    return torch.cat(parts) if parts else torch.zeros(0, length if weight is None else _PROJECTED)


def _small(x: Tensor) -> Tensor:
    if x.ndim != 4 or max(x.shape[2:]) <= _SIDE:
        return x.float()
    return F.adaptive_avg_pool2d(x.float(), (min(_SIDE, x.shape[2]), min(_SIDE, x.shape[3])))


def _standardised(parts: list[Tensor], *, by_feature: bool) -> list[Tensor]:
    """All parts in deviations of the training part, feature by feature or (pixels) of all together."""
    mean = parts[0].mean(0)
    deviation = (parts[0] - mean).square().mean(0 if by_feature else None).sqrt()
    return [(part - mean) / deviation.clamp_min(1e-6) for part in parts]


def _nearest_mean(x: Tensor, y: Tensor, test: Tensor) -> Tensor:
    classes = y.unique()
    means = torch.stack([x[y == k].mean(0) for k in classes])
    return classes[torch.cat([torch.cdist(part, means).argmin(1) for part in test.split(1024)])]


def _neighbours(x: Tensor, y: np.ndarray, test: Tensor) -> Tensor:
    from sklearn.neighbors import KNeighborsClassifier

    found = KNeighborsClassifier(min(5, len(x)), algorithm="brute").fit(x.numpy(), y)
    return torch.from_numpy(found.predict(test.numpy()))


def _logistic(parts: list[Tensor], labels: list[np.ndarray]) -> Tensor:
    """Predictions on the last part; of several penalties the one that is best on the second part."""
    from sklearn.linear_model import LogisticRegression

    x, held_out, test = (part.numpy() for part in parts)
    strengths = _STRENGTHS if len(held_out) else _STRENGTHS[:1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that is nearly done is a baseline too
        models = [LogisticRegression(C=c, max_iter=60, tol=1e-3).fit(x, labels[0]) for c in strengths]
    best = max(models, key=lambda m: m.score(held_out, labels[1])) if len(models) > 1 else models[0]
    return torch.from_numpy(best.predict(test))


def _ridge(parts: list[Tensor], labels: list[Tensor]) -> Tensor:
    """Least squares on one-hot labels: as good as logistic regression on so many features, and a tenth of the time."""
    x, held_out, test = parts
    classes = labels[0].unique()
    target = (labels[0][:, None] == classes).float()
    gram, moment = x.T @ x, x.T @ (target - target.mean(0))
    best, most = torch.zeros_like(test[:, 0]).long(), -1
    for penalty in _PENALTIES if len(held_out) else _PENALTIES[1:2]:
        weight = torch.linalg.solve(gram + penalty * len(x) * torch.eye(len(gram)), moment)
        hits = int((classes[(held_out @ weight + target.mean(0)).argmax(1)] == labels[1]).sum())
        if hits > most:
            best, most = classes[(test @ weight + target.mean(0)).argmax(1)], hits
    return best


def _random_network(split: Split, rows: Tensor, seed: int) -> Tensor:
    """Features of a network that was never trained.

    Args:
        split: of the pictures.
        rows: standardised features, which it takes where inputs aren't pictures.
        seed: of its weights.
    """
    draws = generator(seed, "random-network")
    if split.x.ndim != 4:
        weight = torch.randn(rows.shape[1], 512, generator=draws) / rows.shape[1] ** 0.5
        bias = torch.randn(512, generator=draws)
        return torch.relu(rows.float() @ weight + bias)
    channels, side = split.x.shape[1], min(split.x.shape[2:])
    size = 5 if side >= 12 else min(3, side)
    weight = torch.randn(_FILTERS, channels, size, size, generator=draws)
    weight = weight - weight.mean((1, 2, 3), keepdim=True)
    weight = weight / weight.flatten(1).norm(dim=1).clamp_min(1e-6)[:, None, None, None]
    return torch.cat([*_pooled(split, weight)]) if len(split) else torch.zeros(0, 9 * _FILTERS)


def _pooled(split: Split, weight: Tensor) -> Iterator[Tensor]:
    stride = 2 if min(split.x.shape[2:]) >= 24 else 1
    for x, _ in split.batches(250):
        hidden = torch.relu(F.conv2d(_small(x), weight, stride=stride, padding=weight.shape[-1] // 2))
        yield F.adaptive_avg_pool2d(hidden, 3).flatten(1)
