"""Detectors on the penultimate features: neighbours, subspaces, stored patterns and shaped activations."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.core.requirements import require_whole
from deepwright.ood.detector import Detector, require, require_classes
from deepwright.ood.neighbours import kth_distance, rows_at_once


def _features(acts: Activations) -> Tensor:
    assert acts.features is not None
    return acts.features


def _energy(acts: Activations, features: Tensor) -> Tensor:
    assert acts.weight is not None
    assert acts.bias is not None
    return -torch.logsumexp(features @ acts.weight.T + acts.bias, 1)


class KNN(Detector):
    """Distance to the k-th nearest of the training features. Source: arXiv 2204.06507.

    Args:
        k: which neighbour, from 1.
        scale: "length" compares features that are scaled to length 1, as published; "deviation" divides each dimension
            by its standard deviation in training, for features whose length or whose narrow dimensions tell.
    """

    needs = frozenset({"features"})

    def __init__(self, k: int = 50, scale: str = "length") -> None:
        super().__init__()
        require_whole(1, k=k)
        if scale not in ("length", "deviation"):
            raise InputError("scale", given=repr(scale), expected="'length' or 'deviation'")
        self.k, self.scale = k, scale

    def _fit(self, acts: Activations) -> None:
        self._store(_features(acts))

    def partial_fit(self, acts: Activations) -> Self:
        """Append to the bank."""
        if not self._has("fitted_"):
            return self.fit(acts)
        self._store(_features(acts), self.get_buffer("bank_"))
        return self

    def _store(self, new: Tensor, *known: Tensor) -> None:
        if self.scale == "length":
            self.remember(bank_=torch.cat([*known, F.normalize(new, dim=1)]))
            return
        bank = torch.cat([*known, new])
        mean, std = bank.mean(0), bank.std(0, unbiased=False)
        rounding = 10 * torch.finfo(bank.dtype).eps * mean.abs()
        self.remember(bank_=bank, mean_=mean, std_=torch.where(std > rounding, std, torch.ones_like(std)))

    def _scaled(self, h: Tensor) -> Tensor:
        return (h - self.get_buffer("mean_")) / self.get_buffer("std_")

    def _pair(self, acts: Activations) -> tuple[Tensor, Tensor]:
        """What is scored and the bank, in one scale."""
        bank = self.get_buffer("bank_")
        if self.scale == "length":
            return F.normalize(_features(acts), dim=1), bank
        return self._scaled(_features(acts)), self._scaled(bank)

    def _score(self, acts: Activations) -> Tensor:
        rows, bank = self._pair(acts)
        return torch.cat([kth_distance(part, bank, self.k) for part in rows.split(rows_at_once(bank))])

    def graph_score(self, acts: Activations) -> Tensor:
        """All samples at once; see `Detector.graph_score`."""
        return kth_distance(*self._pair(acts), self.k)


class ViM(Detector):
    """alpha ||R'(h - o)|| - logsumexp(z), o = -pinv(W) b, R the directions of least variance.

    Args:
        dimensions: of the principal space; by the number of features when None.

    Source: arXiv 2203.10807.
    """

    needs = frozenset({"features", "weights"})

    def __init__(self, dimensions: int | None = None) -> None:
        super().__init__()
        require("dimensions", dimensions or 0, dimensions is None or dimensions >= 1, "1 or more")
        self.dimensions = dimensions

    def _fit(self, acts: Activations) -> None:
        h = _features(acts).double()
        assert acts.weight is not None
        assert acts.bias is not None
        d = h.shape[1]
        principal = self.dimensions or (1000 if d >= 2048 else 512 if d >= 768 else d // 2)
        if principal >= d:
            raise InputError("ViM dimensions", given=principal, expected=f"below the {d} features")
        origin = -torch.linalg.pinv(acts.weight.double()) @ acts.bias.double()
        centred = h - origin
        _, vectors = torch.linalg.eigh(centred.T @ centred / len(h))
        residual = vectors[:, : d - principal]
        norm = (centred @ residual).norm(dim=1).mean()
        if not norm > 1e-6 * centred.norm(dim=1).mean():  # float32 can't tell less from nothing
            raise InputError(
                "ViM: activations",
                given=f"nothing outside of the {principal} principal directions",
                expected="features of more dimensions",
                hint=f"fewer, as in ViM(dimensions={max(1, principal // 2)}), or another detector",
            )
        alpha = acts.logits.double().amax(1).mean() / norm.clamp_min(1e-12)
        self.remember(origin_=origin.float(), residual_=residual.float(), alpha_=alpha.float())

    def _score(self, acts: Activations) -> Tensor:
        virtual = self.get_buffer("alpha_") * (
            (_features(acts) - self.get_buffer("origin_")) @ self.get_buffer("residual_")
        ).norm(dim=1)
        return virtual - torch.logsumexp(acts.logits, 1)


class SHE(Detector):
    """-<h, m_yhat>, m_k the mean feature of class k's correctly classified samples. Source: ICLR 2023, SHE."""

    needs = frozenset({"features", "labels"})

    def _fit(self, acts: Activations) -> None:
        assert acts.labels is not None
        right = acts.logits.argmax(1) == acts.labels
        classes = acts.logits.shape[1]
        require_classes(acts.labels[right], classes, "SHE (correctly classified samples)")
        h, y = _features(acts)[right].double(), acts.labels[right]
        total = torch.zeros(classes, h.shape[1], dtype=torch.float64, device=h.device).index_add_(0, y, h)
        self.remember(total_=total, count_=torch.bincount(y, minlength=classes).double())

    def partial_fit(self, acts: Activations) -> Self:
        """Add to the sums."""
        if not self._has("fitted_"):
            return self.fit(acts)
        assert acts.labels is not None
        right = acts.logits.argmax(1) == acts.labels
        self.get_buffer("total_").index_add_(0, acts.labels[right], _features(acts)[right].double())
        self.get_buffer("count_").add_(torch.bincount(acts.labels[right], minlength=len(self.get_buffer("count_"))))
        return self

    def _score(self, acts: Activations) -> Tensor:
        patterns = (self.get_buffer("total_") / self.get_buffer("count_")[:, None]).float()
        return -(_features(acts) * patterns[acts.logits.argmax(1)]).sum(1)


class ReAct(Detector):
    """Energy of features clipped at a percentile of all training activations. Source: arXiv 2111.12797.

    Args:
        percentile: in (0, 100].
    """

    needs = frozenset({"features", "weights"})

    def __init__(self, percentile: float = 90.0) -> None:
        super().__init__()
        require("percentile", percentile, 0 < percentile <= 100, "in (0, 100]")
        self.percentile = percentile

    def _fit(self, acts: Activations) -> None:
        flat = _features(acts).reshape(-1)
        rank = max(1, round(self.percentile / 100 * len(flat)))
        self.remember(clip_=flat.kthvalue(rank).values)

    def _score(self, acts: Activations) -> Tensor:
        return _energy(acts, _features(acts).minimum(self.get_buffer("clip_")))


class DICE(Detector):
    """Energy with only the top (1 - p) share of the mean contributions W * mean(h) kept.

    Args:
        sparsity: p, in [0, 1).

    Source: arXiv 2111.09805.
    """

    needs = frozenset({"features", "weights"})

    def __init__(self, sparsity: float = 0.9) -> None:
        super().__init__()
        require("sparsity", sparsity, 0 <= sparsity < 1, "in [0, 1)")
        self.sparsity = sparsity

    def _fit(self, acts: Activations) -> None:
        assert acts.weight is not None
        contribution = acts.weight * _features(acts).mean(0)
        dropped = min(contribution.numel(), round(self.sparsity * contribution.numel()))
        below = contribution.reshape(-1).kthvalue(dropped).values if dropped else contribution.min() - 1
        self.remember(mask_=contribution > below)

    def _score(self, acts: Activations) -> Tensor:
        assert acts.weight is not None
        assert acts.bias is not None
        return -torch.logsumexp(_features(acts) @ (acts.weight * self.get_buffer("mask_")).T + acts.bias, 1)


class ASH(Detector):
    """ASH-S: keep the top (100 - p) % of each h and scale by exp(s1 / s2), sums before and after.

    Args:
        percentile: p, in [0, 100).

    Source: arXiv 2209.09858.
    """

    needs = frozenset({"features", "weights"})
    trainable = False

    def __init__(self, percentile: float = 90.0) -> None:
        super().__init__()
        require("percentile", percentile, 0 <= percentile < 100, "in [0, 100)")
        self.percentile = percentile

    def _score(self, acts: Activations) -> Tensor:
        kept, ratio = _top_share(_features(acts), self.percentile)
        return _energy(acts, kept * ratio.exp())


class SCALE(Detector):
    """h exp(s1 / s2) with the sums of ASH-S, nothing zeroed. Source: arXiv 2310.00227.

    Args:
        percentile: p, in [0, 100).
    """

    needs = frozenset({"features", "weights"})
    trainable = False

    def __init__(self, percentile: float = 85.0) -> None:
        super().__init__()
        require("percentile", percentile, 0 <= percentile < 100, "in [0, 100)")
        self.percentile = percentile

    def _score(self, acts: Activations) -> Tensor:
        _, ratio = _top_share(_features(acts), self.percentile)
        return _energy(acts, _features(acts) * ratio.exp())


def _top_share(h: Tensor, percentile: float) -> tuple[Tensor, Tensor]:
    """h with all but its top (100 - percentile) % set to zero, and s1 / s2 as (N, 1), bounded so that exp is finite."""
    keep = max(1, h.shape[1] - round(percentile / 100 * h.shape[1]))
    top = h.topk(keep, dim=1)
    kept = torch.zeros_like(h).scatter(1, top.indices, top.values)
    after = kept.sum(1, keepdim=True)
    ratio = h.sum(1, keepdim=True) / torch.where(after.abs() < 1e-12, torch.full_like(after, 1e-12), after)
    return kept, ratio.clamp(-30, 30)
