"""The Fragility Index over a stream of batches, merged across processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.tasks.targets import Labels, Rows, as_tensor, whole_labels
from deepwright.risk.fragility.index import fragility_index, kl_roots
from deepwright.risk.fragility.misjudgment_scores import Score, misjudgment


class FragilityIndex(Metric):
    """FI as a torchmetrics metric.

    Args:
        tau: target.
        score: see `fragility.misjudgment`.
        input: see `fragility.misjudgment`.
        bins: None keeps every score and is exact; a number keeps a histogram over [-1, 1] and gives an interval that
            surely contains the exact value (mass moved to the left and to the right edges of the bins).
        ignore_index: label of positions to leave out (dense targets).
        normalize: divided by the distance of the mean from the target; exact mode only.

    `compute()` gives a float64 scalar, or {"low", "high"} with `bins`; `compute_groups()` the index of each group.
    """

    xi: list[Tensor]
    group: list[Tensor]
    histogram: Tensor
    full_state_update = False
    higher_is_better = False

    def __init__(
        self,
        tau: float = 0.0,
        score: Score = "prob_margin",
        input: str = "logits",
        bins: int | None = None,
        ignore_index: int | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if bins is not None and bins < 2:
            raise InputError("bins", given=bins, expected="None, or 2 and more")
        if bins is not None and normalize:
            raise InputError("normalised FI", given=f"bins={bins}", expected="bins=None")
        self.normalize = normalize
        self.tau, self.score, self.input, self.bins, self.ignore_index = tau, score, input, bins, ignore_index
        if bins is None:
            self.add_state("xi", default=[], dist_reduce_fx="cat")
            self.add_state("group", default=[], dist_reduce_fx="cat")
        else:
            self.add_state("histogram", default=torch.zeros(bins, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, scores: Rows, target: Labels, group: Labels | None = None) -> None:
        """Add a batch.

        Args:
            scores: (N, K, ...).
            target: (N, ...) labels.
            group: (N, ...) integer ids, for `compute_groups`.
        """
        scores, target = as_tensor(scores, "scores"), whole_labels(target, "target")
        group = None if group is None else whole_labels(group, "group")
        if scores.ndim > 2:
            scores = scores.movedim(1, -1).reshape(-1, scores.shape[1])
            target = target.reshape(-1)
            group = None if group is None else group.reshape(-1)
        if self.ignore_index is not None:
            keep = target != self.ignore_index
            scores, target = scores[keep], target[keep]
            group = None if group is None else group[keep]
        xi = misjudgment(scores.detach(), target, self.score, self.input)
        if self.bins is None:
            self.xi.append(xi)
            self.group.append(torch.zeros_like(target) if group is None else group)
            return
        if float(xi.min()) < -1 or float(xi.max()) > 1:
            raise InputError(
                "scores",
                given=f"range {float(xi.min()):.3g}..{float(xi.max()):.3g}",
                expected="[-1, 1] with bins",
                hint="bins=None",
            )
        index = ((xi + 1) / 2 * self.bins).long().clamp(0, self.bins - 1)
        self.histogram += torch.bincount(index, minlength=self.bins).double()

    def compute(self) -> Tensor | dict[str, Tensor]:
        """FI of everything seen."""
        if self.bins is None:
            return self._of(self._seen()[0])
        if float(self.histogram.sum()) == 0:
            raise InputError("FragilityIndex", given="no data", hint="call update first")
        edges = torch.linspace(-1, 1, self.bins + 1, dtype=torch.float64, device=self.histogram.device)
        log_p = (self.histogram / self.histogram.sum()).log()[None].expand(2, -1)
        both = torch.stack([edges[:-1], edges[1:]])
        low, high = kl_roots(both, torch.full((2,), self.tau, dtype=torch.float64, device=both.device), log_p)
        return {"low": low, "high": high}

    def compute_groups(self) -> dict[int, Tensor]:
        """FI of each group (exact mode only), normalised where that was asked for."""
        if self.bins is not None:
            raise InputError("per-group FI", given=f"bins={self.bins}", expected="bins=None")
        xi, group = self._seen()
        return {int(g): self._of(xi[group == g]) for g in group.unique()}

    def _of(self, xi: Tensor) -> Tensor:
        return fragility_index(xi, input="xi", tau=self.tau, normalize=self.normalize)

    def _seen(self) -> tuple[Tensor, Tensor]:
        if isinstance(self.xi, Tensor):  # merged across processes already
            return self.xi, torch.as_tensor(self.group)
        if not self.xi:
            raise InputError("FragilityIndex", given="no data", hint="call update first")
        return torch.cat(self.xi), torch.cat(self.group)
