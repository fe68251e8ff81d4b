"""Which labels are likely wrong: where a classifier that didn't learn them is sure of another class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.statistics import Interval
from deepwright.dataquality.label_noise import fit_label_noise, require_probabilities


@dataclass(frozen=True)
class LabelErrors:
    """Labels that are likely wrong.

    Attributes:
        rows: indices of the samples, likeliest first.
        suggested: the class that each of them seems to have.
        margin: (N,) p(label) - largest other p, of all samples: the lower, the likelier its label is wrong.
        wrong: (N,) probability that a label is wrong, as far as the classifier's confident errors are few; NaN where
            it isn't identified.
        confident: (classes, classes) how many samples of each label are confidently of each class.
        joint: (classes, classes) estimated share of samples by label and true class.
        expected: number of wrong labels that is likeliest, with its 95 % interval; see `fit_label_noise`. NaN in an
            interval up to N where it isn't identified.
        identified: whether it is.
    """

    rows: Int64[Tensor, " found"]
    suggested: Int64[Tensor, " found"]
    margin: Float[Tensor, " n"]
    wrong: Float[Tensor, " n"]
    confident: Int64[Tensor, "classes classes"]
    joint: Float[Tensor, "classes classes"]
    expected: Interval
    identified: bool


def find_label_errors(probabilities: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]) -> LabelErrors:
    """Confident learning: a sample is confidently of class j if p_j >= t_j, the mean p_j of the samples labelled j.

    The confident joint counts C_ij samples labelled i that are confidently of j (of the most probable such j). With its
    rows scaled to the labels' counts and divided by N it estimates the joint Q of label and true class. Found are the
    samples off the diagonal of C, by margin.

    How many labels are wrong is told by a fit beside it: the mass of Q off its diagonal counts every confident error of
    the classifier (of a classifier that is right on 88 % of 3,500 digits whose labels are all right, 100 of them).

    Args:
        probabilities: of a classifier that didn't learn these labels (`out_of_fold`, or a network on samples that it
            never saw).
        labels: as they were given.

    Raises:
        InputError: rows that aren't probabilities, labels out of range, no samples.

    Source: C. Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", arXiv 1911.00068.
    """
    p = require_probabilities(probabilities, labels)
    labels = labels.to(p.device).long()
    classes = p.shape[1]
    own = p.gather(1, labels[:, None])[:, 0]
    others = p.scatter(1, labels[:, None], -1.0)
    margin = own - others.max(1).values
    confident = _confident(p, labels)
    counts = _counts(confident, labels, classes)
    joint = _joint(counts.to(p.dtype), torch.bincount(labels, minlength=classes).to(p.dtype))
    off = (confident >= 0) & (confident != labels)
    rows = off.nonzero().flatten()
    rows = rows[margin[rows].argsort(stable=True)]
    noise, n = fit_label_noise(p, labels), len(p)
    expected = Interval(n * noise.rate.value, n * noise.rate.low, n * noise.rate.high)
    return LabelErrors(rows, confident[rows], margin, noise.wrong, counts, joint, expected, noise.identified)


def _confident(p: Tensor, labels: Tensor) -> Int64[Tensor, " n"]:
    """The class that each sample is confidently of, -1 for none."""
    count = torch.bincount(labels, minlength=p.shape[1])
    total = torch.zeros(p.shape[1], dtype=p.dtype, device=p.device)
    total.index_add_(0, labels, p.gather(1, labels[:, None])[:, 0])
    threshold = torch.where(count > 0, total / count.clamp_min(1), torch.inf)  # without samples nothing is known
    best = torch.where(p >= threshold - 1e-9, p, -1.0).max(1)
    return torch.where(best.values >= 0, best.indices, -1)


def _counts(confident: Tensor, labels: Tensor, classes: int) -> Int64[Tensor, "classes classes"]:
    known = confident >= 0
    cells = labels[known] * classes + confident[known]
    return torch.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def _joint(counts: Tensor, of_label: Tensor) -> Tensor:
    """Rows scaled to the labels' counts; a label of which nothing is confident counts as right."""
    empty = counts.sum(1) == 0
    counts = counts + torch.diag(empty.to(counts))
    return counts / counts.sum(1, keepdim=True) * (of_label / of_label.sum())[:, None]
