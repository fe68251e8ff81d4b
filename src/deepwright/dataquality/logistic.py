"""Logistic regression whose answer for a sample comes from a fit that never saw it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_finite, require_positive, require_same_length, require_whole

_STEPS = 40


def folds_of(labels: Int64[Tensor, " n"], folds: int = 5, seed: int = 0) -> Int64[Tensor, " n"]:
    """(N,) the fold of each sample, the classes spread evenly over them.

    Args:
        labels: of classes.
        folds: how many.
        seed: of the draw.
    """
    require_whole(2, folds=folds)
    shuffled = torch.randperm(len(labels), generator=generator(seed, "folds")).to(labels.device)
    order = shuffled[labels[shuffled].argsort(stable=True)]
    found = torch.empty_like(order)
    found[order] = torch.arange(len(labels), device=labels.device) % folds
    return found


def out_of_fold(
    features: Float[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    classes: int | None = None,
    *,
    folds: int = 5,
    penalty: float = 1e-3,
    seed: int = 0,
) -> Float[Tensor, "n classes"]:
    """Probabilities of classes, of each sample by the fit to the other folds.

    All fits are one: their losses don't touch each other, so one L-BFGS over their sum fits them side by side.

    Args:
        features: of samples; each is standardised here.
        labels: of classes 0, 1, ...
        classes: how many; told from the labels when None.
        folds: how many.
        penalty: of the squared weights, beside the mean cross-entropy.
        seed: of the folds.

    Raises:
        InputError: fewer samples than folds, features that aren't finite, labels out of range.
    """
    require_positive(penalty=penalty)
    if features.ndim != 2 or not features.is_floating_point():
        raise InputError("features", given=f"shape {tuple(features.shape)}", expected="floats (N, d)")
    require_same_length(features, labels, "features and labels")
    if len(features) < folds:
        raise InputError("samples", given=len(features), expected=f"{folds} or more, one a fold")
    require_finite(features, "features")
    labels = labels.to(features.device)
    count = int(labels.max()) + 1 if classes is None else classes
    if int(labels.min()) < 0 or int(labels.max()) >= count:
        raise InputError("labels", given=f"{int(labels.min())} to {int(labels.max())}", expected=f"0 to {count - 1}")
    x = features.double() if features.dtype == torch.float64 else features.float()
    x = (x - x.mean(0)) / x.std(0, correction=0).clamp_min(1e-6)
    fold = folds_of(labels, folds, seed)
    weight, bias = _fitted(x, labels, fold, folds, count, penalty)
    scores = torch.einsum("nd,ndk->nk", x, weight[fold]) if len(x) * weight[0].numel() < 1 << 24 else None
    if scores is None:
        scores = x.new_zeros(len(x), count)
        for k in range(folds):
            scores[fold == k] = x[fold == k] @ weight[k]
    return (scores + bias[fold]).softmax(1)


def _fitted(x: Tensor, y: Tensor, fold: Tensor, folds: int, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Weights (folds, d, classes) and biases (folds, classes), each fitted without its fold."""
    weight = x.new_zeros(x.shape[1], folds * classes, requires_grad=True)
    bias = x.new_zeros(folds, classes, requires_grad=True)
    seen = (fold[:, None] != torch.arange(folds, device=x.device)).to(x.dtype)
    seen = seen / seen.sum(0)
    target = y[:, None].expand(-1, folds)
    solver = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe", tolerance_grad=1e-4)

    def closure() -> Tensor:
        solver.zero_grad()
        scores = (x @ weight).view(len(x), folds, classes) + bias
        losses = F.cross_entropy(scores.transpose(1, 2), target, reduction="none")
        loss = (losses * seen).sum() + penalty * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach().view(-1, folds, classes).transpose(0, 1), bias.detach()


def random_features(rows: Float[Tensor, "n d"], count: int = 256, seed: int = 0) -> Float[Tensor, "n count"]:
    """Rectified random projections of standardised rows: a linear fit to them bends.

    Args:
        rows: of samples.
        count: of features.
        seed: of the projections.
    """
    require_whole(1, count=count)
    source = generator(seed, "random features")
    x = (rows - rows.mean(0)) / rows.std(0, correction=0).clamp_min(1e-6)
    weight = torch.randn(rows.shape[1], count, generator=source).to(x) / max(1, rows.shape[1]) ** 0.5
    return torch.relu(x @ weight + torch.randn(count, generator=source).to(x))
