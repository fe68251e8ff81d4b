"""What the literature has on the same features: neighbours, intrinsic dimension, class distances, learnt weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.adversarial.semantic.detector import InputDetector, Inputs, spread
from deepwright.adversarial.semantic.features import classes_at, image_features
from deepwright.adversarial.semantic.gaussians import Standardised
from deepwright.adversarial.semantic.watching import Seen
from deepwright.core.covariances import inverse_root
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole

_MOST = 2000  # clean images that neighbours are sought among
_SMALLEST = 1e-12


class NearestFeatures(Standardised):
    """Distance of phi(x) to its k-th neighbour among clean images.

    Args:
        k: which neighbour.
        stats: see `Standardised`.
    """

    known_: Tensor

    def __init__(self, k: int = 5, stats: Sequence[str] = ("mean", "std")) -> None:
        super().__init__(stats)
        require_whole(1, k=k)
        self.k = int(k)

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        self.remember(known_=spread(_at_least(self._standards(), self.k), _MOST))

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        gaps = (self._phi(seen)[:, None] - self.known_).square().sum(2) if torch.is_grad_enabled() else None
        distances = torch.cdist(self._phi(seen), self.known_) if gaps is None else (gaps + _SMALLEST).sqrt()
        return distances.kthvalue(self.k, 1, keepdim=True).values


class LocalDimension(InputDetector):
    """Local intrinsic dimension among clean images, summed over layers: -1 / mean_i log(r_i / r_k), i = 1..k.

    r_i is the distance of the layer's channel means to the i-th neighbour. The published use learns weights of the
    layers from attacked images; here none are asked for, and layers count alike.

    Args:
        k: neighbours.

    Source: X. Ma et al., "Characterizing Adversarial Subspaces Using Local Intrinsic Dimensionality", arXiv 1801.02613.
    """

    def __init__(self, k: int = 20) -> None:
        super().__init__()
        require_whole(2, k=k)
        self.k = int(k)
        self._layers: list[list[Tensor]] = []

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        self._layers = []

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        self._layers.append(_channel_means(seen))

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        layers, self._layers = [spread(torch.cat(parts), _MOST) for parts in zip(*self._layers)], []
        _at_least(layers[0], self.k)
        self.remember(**{f"known{i}_": layer for i, layer in enumerate(layers)})

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        total = []
        for i, rows in enumerate(_channel_means(seen)):
            gaps = (rows[:, None] - self.get_buffer(f"known{i}_")).square().sum(2)
            near = gaps.topk(self.k, 1, largest=False).values.clamp_min(_SMALLEST).log() / 2
            total.append(1 / (near[:, -1:] - near).mean(1).clamp_min(_SMALLEST))
        return torch.stack(total).sum(0)[:, None]


class ClassDistances(InputDetector):
    """Least Mahalanobis distance of a layer's channel means to a class, after a step towards that class; over layers.

    Classes are those that the network predicts on clean images, each layer has one covariance within them. The step is
    against the sign of the distance's gradient. The published use learns weights of the layers and the step from
    attacked images; here none are asked for, and layers count alike.

    Args:
        epsilon: length of the step in the input; 0 for none.

    Source: K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial
    Attacks", arXiv 1807.03888.
    """

    def __init__(self, epsilon: float = 0.0014) -> None:
        super().__init__()
        if epsilon:
            require_positive(epsilon=epsilon)
        self.epsilon = float(epsilon)
        self._kept: list[tuple[Tensor, list[Tensor]]] = []

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        self._kept = []

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        means = _channel_means(seen)
        classes = classes_at(seen.logits, means[0][:, :, None])[:, 0]
        self._kept.append((classes, means))

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        classes = torch.cat([c for c, _ in self._kept])
        layers, self._kept = [torch.cat(parts) for parts in zip(*(m for _, m in self._kept))], []
        there = classes.unique()
        for i, rows in enumerate(layers):
            means = torch.stack([rows[classes == k].mean(0) for k in there])
            inner = rows - means[torch.searchsorted(there, classes)]
            covariance = inner.T @ inner / len(rows)
            ridge = 1e-3 * covariance.diagonal().mean().clamp_min(_SMALLEST)
            covariance = covariance + ridge * torch.eye(len(covariance), dtype=rows.dtype, device=rows.device)
            self.remember(**{f"means{i}_": means, f"whiten{i}_": inverse_root(covariance)})

    def _distances(self, seen: Seen) -> Float[Tensor, " n"]:
        total = []
        for i, rows in enumerate(_channel_means(seen)):
            gaps = (rows[:, None] - self.get_buffer(f"means{i}_")) @ self.get_buffer(f"whiten{i}_")
            total.append(gaps.square().sum(2).amin(1))
        return torch.stack(total).sum(0)

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        if not self.epsilon:
            return self._distances(seen)[:, None]
        with torch.enable_grad():
            point = seen.x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self._distances(self.watch(point)).sum(), point)
        return self._distances(self.watch(seen.x - self.epsilon * gradient.sign()))[:, None]


class SupervisedFeatures(Standardised):
    """Logistic regression on phi(x) between clean and attacked images: what is possible when the attack is known.

    It must be shown attacked images (`attacked`) before it is fitted; on another attack it may know nothing.

    Args:
        penalty: of the squared weights, over the number of images.
        stats: see `Standardised`.
    """

    weights_: Tensor

    def __init__(self, penalty: float = 1e-2, stats: Sequence[str] = ("mean", "std")) -> None:
        super().__init__(stats)
        require_positive(penalty=penalty)
        self.penalty = float(penalty)
        self._attacked: list[Tensor] = []

    def attacked(self, x: Inputs) -> Self:
        """Show attacked images, before `fit`.

        Args:
            x: inputs (N, ...), or batches of them.
        """
        self._attacked = [image_features(seen.maps, self.stats) for seen, _ in self._passes(x)]
        return self

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        if not self._attacked:
            hint = "detector.attacked(images).fit(clean)"
            raise InputError(self.name, given="no attacked images", expected="some to tell from clean ones", hint=hint)
        clean = self._standards()
        rows = torch.cat([clean, self.standardised(torch.cat(self._attacked))])
        truth = torch.arange(len(rows), device=rows.device) >= len(clean)
        self._attacked = []
        self.remember(weights_=logistic(rows, truth, self.penalty))

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        return self._phi(seen) @ self.weights_[:-1, None] + self.weights_[-1]


def logistic(
    rows: Float[Tensor, "n d"], positive: Bool[Tensor, " n"], penalty: float = 1e-2, steps: int = 50
) -> Float[Tensor, " d_and_one"]:
    """Weights and intercept of least mean cross-entropy + penalty/2 |w|^2, both classes counting alike; Newton's steps.

    Args:
        rows: standardised numbers.
        positive: which are of the second class.
        penalty: of the weights.
        steps: at most.
    """
    x = torch.cat([rows.double(), torch.ones(len(rows), 1, dtype=torch.float64, device=rows.device)], 1)
    y = positive.double()
    share = torch.where(positive, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    ridge = torch.full((x.shape[1],), penalty, dtype=torch.float64, device=rows.device)
    ridge[-1] = 1e-9
    w = x.new_zeros(x.shape[1])
    for _ in range(steps):
        p = (x @ w).sigmoid()
        slope = x.T @ (share * (p - y)) + ridge * w
        curve = (x * (share * p * (1 - p))[:, None]).T @ x + torch.diag(ridge)
        step = torch.linalg.solve(curve, slope)
        size = float(step.norm())
        w = w - step * min(1.0, 5.0 / max(size, 1e-12))
        if size < 1e-8:
            break
    return w


def _channel_means(seen: Seen) -> list[Tensor]:
    """(N, channels) of each layer, float64."""
    return [(m if m.ndim == 2 else m.flatten(2).mean(2)).double() for m in seen.maps.values()]


def _at_least(rows: Tensor, k: int) -> Tensor:
    if len(rows) < k:
        raise InputError("inputs to fit on", given=len(rows), expected=f"{k} or more, as many as neighbours are sought")
    return rows
