"""Mahalanobis distances of a pass to clean ones: of the whole image, and of every position to its predicted class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.adversarial.semantic.detector import InputDetector
from deepwright.adversarial.semantic.features import classes_at, dense_features, image_features, require_statistics
from deepwright.adversarial.semantic.watching import Seen
from deepwright.core.covariances import inverse_root, ledoit_wolf
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_within

_DEAD = 1e-8  # standard deviation below which a number says nothing
_RIDGE = 1e-6  # of the mean eigenvalue, where samples are many


class Standardised(InputDetector):
    """Base of those that compare one vector phi(x) an image with those of clean images; see `features.image_features`.

    Numbers that are alike on all clean images are dropped.

    Args:
        stats: what each channel's map is reduced to: some of "mean", "std", "max", "quantiles".
    """

    mean_: Tensor
    deviation_: Tensor
    kept_: Tensor

    def __init__(self, stats: Sequence[str] = ("mean", "std")) -> None:
        super().__init__()
        self.stats = require_statistics(stats)
        self._vectors: list[Tensor] = []

    @property
    def dropped(self) -> int:
        """How many numbers were alike on all clean images."""
        return int((~self.kept_).sum())

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        self._vectors = []

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        self._vectors.append(image_features(seen.maps, self.stats))

    def _standards(self) -> Float[Tensor, "n m"]:
        """The clean images' vectors, standardised; their means and deviations are remembered."""
        phi = torch.cat(self._vectors).double()
        self._vectors = []
        if len(phi) < 3:
            raise InputError("inputs to fit on", given=len(phi), expected="three or more")
        deviation = phi.std(0, correction=0)
        self.remember(mean_=phi.mean(0), deviation_=deviation.clamp_min(_DEAD), kept_=deviation >= _DEAD)
        if not bool(self.kept_.any()):
            raise InputError("inputs to fit on", given="images that are all alike to the network", expected="others")
        return self.standardised(phi)

    def standardised(self, phi: Float[Tensor, "n m"]) -> Float[Tensor, "n k"]:
        """(phi - mean) / deviation, of the numbers that are kept.

        Args:
            phi: vectors of images.
        """
        return ((phi.double() - self.mean_) / self.deviation_)[:, self.kept_]

    def _phi(self, seen: Seen) -> Float[Tensor, "n k"]:
        return self.standardised(image_features(seen.maps, self.stats))


class ImageFeatures(Standardised):
    """(phi - mu)' S^-1 (phi - mu): channel means and deviations of all layers against those of clean images.

    S is Ledoit and Wolf's estimate, so that fewer images than numbers will do.

    Args:
        stats: see `Standardised`.
    """

    whiten_: Tensor
    shrinkage_: Tensor

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        covariance, shrinkage = ledoit_wolf(self._standards())
        self.remember(whiten_=inverse_root(covariance), shrinkage_=torch.tensor(shrinkage, device=covariance.device))

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        return (self._phi(seen) @ self.whiten_).square().sum(1, keepdim=True)


class DenseFeatures(InputDetector):
    """The Mahalanobis distance of every position's features to the class predicted there, and where it is large.

    d(p) = (F(p) - mu_k)' S^-1 (F(p) - mu_k), k the class predicted at p and S one covariance within classes, all from
    running sums. A class that was never predicted has the mean of all.

    Args:
        top: the score is the mean of d over this share of the positions, those where it is largest; 1 for all. A small
            share is for patches.
    """

    means_: Tensor
    whiten_: Tensor
    unseen_: Tensor
    heat_: Tensor

    def __init__(self, top: float = 1.0) -> None:
        super().__init__()
        require_within(0.0, 1.0, ends="(]", top=top)
        self.top = float(top)
        self._sums: dict[str, Tensor] = {}

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        self._sums = {}

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        field = dense_features(seen.maps)
        rows, classes = _rows(field), classes_at(seen.logits, field).flatten()
        count = 1 if seen.logits is None else seen.logits.shape[1]
        sums = self._sums
        if not sums:
            d = rows.shape[1]
            sums["shift"] = rows.mean(0)  # sums of squares about a point nearby keep their digits
            sums["count"] = rows.new_zeros(count)
            sums["sum"] = rows.new_zeros(count, d)
            sums["outer"] = rows.new_zeros(d, d)
        moved = rows - sums["shift"]
        sums["count"] += torch.bincount(classes, minlength=count).to(rows)
        sums["sum"].index_add_(0, classes, moved)
        sums["outer"] += moved.T @ moved

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`."""
        sums, self._sums = self._sums, {}
        count, total = sums["count"], sums["count"].sum()
        means = sums["sum"] / count.clamp_min(1)[:, None]
        within = (sums["outer"] - (means * count[:, None]).T @ means) / total
        scale = within.diagonal().mean().clamp_min(1e-12)
        covariance = within + _RIDGE * scale * torch.eye(len(within), dtype=within.dtype, device=within.device)
        never = count == 0
        means = torch.where(never[:, None], sums["sum"].sum(0) / total, means) + sums["shift"]
        self.remember(means_=means, whiten_=inverse_root(covariance), unseen_=never)

    def field(self, seen: Seen) -> Float[Tensor, "n ..."]:
        """d at every position of the coarsest map that is looked at.

        Args:
            seen: a pass.
        """
        features = dense_features(seen.maps)
        rows = (_rows(features) - self.means_[classes_at(seen.logits, features).flatten()]) @ self.whiten_
        return rows.square().sum(1).reshape(features.shape[0], *features.shape[2:])

    def _parts(self, seen: Seen) -> Float[Tensor, "n one"]:
        d = self.field(seen).flatten(1)
        if self.top < 1:
            d = d.topk(max(1, round(self.top * d.shape[1])), 1).values
        return d.mean(1, keepdim=True)

    @property
    def unseen(self) -> list[int]:
        """Classes that were predicted nowhere in the fit."""
        return self.unseen_.nonzero().flatten().tolist()


def _rows(field: Float[Tensor, "n d *positions"]) -> Float[Tensor, "rows d"]:
    return field.flatten(2).transpose(1, 2).flatten(0, 1).double()


def upsampled(field: Float[Tensor, "n ..."], size: Sequence[int]) -> Float[Tensor, "n ..."]:
    """A field at the size of the images, by linear interpolation.

    Args:
        field: at positions of a map.
        size: of as many axes.

    Raises:
        InputError: maps that have no places in the image.
    """
    if field.ndim - 1 != len(size):
        raise InputError(
            "heat map", given=f"features at {tuple(field.shape[1:])}", expected=f"positions in an image {tuple(size)}"
        )
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    return F.interpolate(field[:, None], size=tuple(size), mode=mode, align_corners=False)[:, 0]
