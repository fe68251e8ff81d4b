"""Heads for the worst group or the worst share of samples: GroupDRO, CVaR-DRO, and JTT, which trains twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Sampler

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_number, require_positive, require_whole, require_within
from deepwright.shift.adam import Adam
from deepwright.shift.convex import fit_l2
from deepwright.shift.groups import require_group_ids, totals
from deepwright.shift.last_layer.retraining import by, everything, strengths
from deepwright.shift.methods import (
    Head,
    HeadMethod,
    LabelUse,
    chosen_on_halves,
    chosen_on_validation,
    erm_head,
    zeros,
)
from deepwright.shift.problems import Problem


class GroupDROLoss(nn.Module):
    """sum_g q_g loss_g, where q grows by exp(eta loss_g) at each call in training mode and sums to 1.

    For whole networks, too: call it in any training loop, with strong weight decay; q is a buffer, and is stored with
    the module. Groups that a batch lacks keep their share.

    Args:
        groups: how many there are.
        eta: rate of q.
        counts: training samples of each group; with `adjustment`, each loss grows by adjustment / sqrt(count).
        adjustment: for small groups, on which a network is most optimistic; 0 for none.

    Source: S. Sagawa et al., "Distributionally robust neural networks for group shifts", arXiv 1911.08731.
    """

    q: Tensor
    extra: Tensor

    def __init__(
        self, groups: int, eta: float = 0.01, *, counts: Sequence[int] | Tensor | None = None, adjustment: float = 0.0
    ) -> None:
        super().__init__()
        require_whole(1, groups=groups)
        require_number(0, eta=eta, adjustment=adjustment)
        if adjustment and counts is None:
            raise InputError("adjustment", given="without counts", expected="the training samples of each group")
        self.groups, self.eta, self.adjustment = groups, eta, adjustment
        sizes = torch.ones(groups) if counts is None else torch.as_tensor(counts).float()
        if sizes.shape != (groups,) or bool((sizes < 0).any()) or not bool((sizes > 0).any()):
            raise InputError("counts", given=sizes.tolist(), expected=f"{groups} counts of 0 or more, not all 0")
        self.register_buffer("q", torch.where(sizes > 0, 1.0, 0.0) / (sizes > 0).sum().clamp_min(1))
        self.register_buffer("extra", adjustment / sizes.clamp_min(1).sqrt())

    def forward(
        self, logits: Float[Tensor, "n classes"], y: Int64[Tensor, " n"], groups: Int64[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The robust loss of a batch.

        Args:
            logits: of the network.
            y: classes.
            groups: of the samples.

        Raises:
            InputError: a group beyond their number.
        """
        require_group_ids(groups, "groups")
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bfloat16 counts no further than 256
        losses = F.cross_entropy(wide, y, reduction="none")
        if len(groups) != len(losses):
            raise InputError("groups", given=f"{len(groups)} for {len(losses)} samples", expected="one a sample")
        if len(groups) and int(groups.max()) >= self.groups:
            raise InputError("groups", given=f"group {int(groups.max())}", expected=f"0..{self.groups - 1}")
        q = self.grown(losses.detach(), groups) if self.training else self.q
        return (q.to(losses) * self._means(losses, groups)).sum()

    def _means(self, losses: Tensor, groups: Tensor) -> Tensor:
        sums, counts = totals(losses, groups, self.groups)
        return sums / counts.clamp_min(1) + torch.where(counts > 0, self.extra.to(losses), torch.zeros_like(counts))

    def grown(self, losses: Float[Tensor, " n"], groups: Int64[Tensor, " n"]) -> Float[Tensor, " groups"]:
        """q after a batch.

        Args:
            losses: of its samples.
            groups: of them.
        """
        means = self._means(losses, groups).to(self.q)
        above = torch.where(self.q > 0, means, -torch.inf).max()
        grown = self.q * torch.exp(self.eta * (means - above).clamp_max(0))  # at most 1: no large loss overflows
        self.q.copy_(grown / grown.sum())
        return self.q.to(losses)


class GroupDRO(HeadMethod):
    """The head with the least loss of its worst group: on training rows where these have groups, else on validation.

    Args:
        l2: strengths of the pull to 0 to choose from.
        eta: rate of the groups' weights.
        adjustment: see `GroupDROLoss`.
        steps: full passes of Adam.
        lr: rate of Adam.
        seed: of the halves on which the choice is made, where it trains on validation rows.

    Attributes:
        q_: (G,) the groups' weights at the end.
    """

    needs_groups = True
    select = "worst_group"
    q_: Tensor

    def __init__(
        self,
        *,
        l2: Sequence[float] = (1e-3, 1e-2, 1e-1),
        eta: float = 0.01,
        adjustment: float = 0.0,
        steps: int = 500,
        lr: float = 0.01,
        seed: int = 0,
    ) -> None:
        require_whole(1, steps=steps)
        require_number(0, eta=eta, adjustment=adjustment)
        require_positive(lr=lr)
        self.l2, self.eta, self.adjustment = strengths("l2", l2), eta, adjustment
        self.steps, self.lr, self.seed = steps, lr, seed

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""
        if problem.train_groups is not None:
            groups = problem.train_groups

            def on_training(l2: float) -> Head:
                return self._fitted(problem, problem.x, problem.y, groups, l2)

            l2, head = chosen_on_validation(problem, self.l2, on_training, "worst_group")
            self.chosen_ = {"l2": l2}
            return on_training(l2) if len(self.l2) > 1 else head  # q_ is that of the chosen head
        assert problem.val_groups is not None
        groups = problem.val_groups

        def fitted(rows: Tensor, l2: float) -> Head:
            return self._fitted(problem, problem.val_x[rows], problem.val_y[rows], groups[rows], l2)

        l2 = chosen_on_halves(problem, self.l2, fitted, "worst_group", self.seed)
        self.chosen_ = {"l2": l2}
        return fitted(everything(problem), l2)

    def _fitted(self, problem: Problem, x: Tensor, y: Tensor, groups: Tensor, l2: float) -> Head:
        counts = torch.bincount(groups, minlength=problem.groups)
        loss = GroupDROLoss(problem.groups, self.eta, counts=counts.cpu(), adjustment=self.adjustment).to(x.device)
        size = counts.clamp_min(1).to(x)

        def weigh(losses: Tensor) -> Tensor:
            return (loss.grown(losses, groups) / size)[groups]

        head = descend(weigh, x, y, erm_head(problem), self.steps, self.lr, l2)
        self.q_ = loss.q
        return head


class CVaRDRO(HeadMethod):
    """The head with the least mean loss of the worst share alpha of training rows (CVaR); no group label.

    Args:
        alpha: shares to choose from, on validation rows.
        l2: pull to 0.
        select: by "worst_group", or "worst_class" (no group label).
        steps: full passes of Adam.
        lr: rate of Adam.

    Source: D. Levy et al., "Large-scale methods for distributionally robust optimization", arXiv 2010.05893.
    """

    def __init__(
        self,
        *,
        alpha: Sequence[float] = (0.05, 0.1, 0.2, 0.5),
        l2: float = 1e-3,
        select: str = "worst_group",
        steps: int = 500,
        lr: float = 0.01,
    ) -> None:
        self.alpha, self.select = strengths("alpha", alpha), by(select)
        for value in self.alpha:
            require_within(0, 1, ends="(]", alpha=value)
        require_number(0, l2=l2)
        require_whole(1, steps=steps)
        require_positive(lr=lr)
        self.l2, self.steps, self.lr = l2, steps, lr

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""

        def fitted(alpha: float) -> Head:
            worst = max(1, math.ceil(alpha * len(problem.y)))

            def weigh(losses: Tensor) -> Tensor:
                return torch.zeros_like(losses).index_fill_(0, losses.topk(worst).indices, 1 / worst)

            return descend(weigh, problem.x, problem.y, erm_head(problem), self.steps, self.lr, self.l2)

        alpha, head = chosen_on_validation(problem, self.alpha, fitted, self.select)
        self.chosen_ = {"alpha": alpha}
        return head


class JTT(HeadMethod):
    """Just train twice: the training rows that a weak first head gets wrong weigh `up` times as much in the second.

    Args:
        up: weights to choose from, on validation rows.
        weakness: pull to 0 of the first head, in place of stopping early: one that fits everything has no mistakes.
        l2: pull to 0 of the second.
        select: by "worst_group", or "worst_class" (no group label).

    Attributes:
        errors_: (n,) which training rows the first head gets wrong.

    Source: E. Z. Liu et al., "Just train twice: improving group robustness without training group information", arXiv
    2107.09044.
    """

    errors_: Tensor

    def __init__(
        self,
        *,
        up: Sequence[float] = (5.0, 20.0, 50.0, 100.0),
        weakness: float = 1.0,
        l2: float = 1e-3,
        select: str = "worst_group",
    ) -> None:
        self.up, self.select = strengths("up", up), by(select)
        require_number(0, weakness=weakness, l2=l2)
        self.weakness, self.l2 = weakness, l2

    def solve(self, problem: Problem) -> Head:
        """See `HeadMethod`."""
        weight, bias = fit_l2(problem.x, problem.y, zeros(problem), l2=self.weakness)
        self.errors_ = (problem.x @ weight.T + bias).argmax(1) != problem.y
        if not bool(self.errors_.any()):
            hint = "a larger weakness, or features of an earlier network"
            raise InputError("JTT", given="a first head without a mistake", expected="some to weigh up", hint=hint)

        def fitted(up: float) -> Head:
            weights = torch.where(self.errors_, up, 1.0).to(problem.x)
            return fit_l2(problem.x, problem.y, zeros(problem), weights=weights, l2=self.l2)

        up, head = chosen_on_validation(problem, self.up, fitted, self.select)
        self.chosen_ = {"up": up}
        return head

    def label_use(self, problem: Problem) -> LabelUse:
        """See `HeadMethod`."""
        return LabelUse(False, self.select == "worst_group" and len(self.up) > 1)


class JTTSampler(Sampler[int]):
    """Indices for the second training of a whole network: each mistake comes `up` times an epoch, in an order drawn.

    Args:
        errors: (n,) which samples the first network got wrong.
        up: how often each of them comes.
        seed: of the order; call `set_epoch` for another one.

    Raises:
        InputError: no mistake: stop the first training earlier (a smaller rate, more weight decay).
    """

    def __init__(self, errors: Bool[Tensor, " n"], up: int = 20, *, seed: int = 0) -> None:
        require_whole(1, up=up)
        if not bool(errors.any()):
            hint = "stop the first training earlier: lr 1e-5 and weight decay 1 for Waterbirds"
            raise InputError("errors", given="none", expected="mistakes of the first network", hint=hint)
        repeats = torch.where(errors.cpu(), up, 1)
        self.rows = torch.arange(len(errors)).repeat_interleave(repeats)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Another order.

        Args:
            epoch: its number.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(len(self.rows), generator=generator(self.seed, "second training", self.epoch))
        return iter(self.rows[order].tolist())


def descend(
    weigh: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, start: Head, steps: int, lr: float, l2: float
) -> Head:
    """A head after full-batch Adam on a weighted sum of losses with a pull to 0; the rate falls to 0.

    Args:
        weigh: (n,) losses -> (n,) what each row weighs in this step.
        x: (n, d) rows.
        y: (n,) classes.
        start: weight and bias.
        steps: of Adam.
        lr: its first rate.
        l2: strength of the pull.
    """
    weight, bias = start
    hot = F.one_hot(y, len(weight)).to(x)
    adam = Adam([weight, bias], lr)
    for step in range(steps):
        log_p = torch.log_softmax(x @ weight.T + bias, 1)
        off = (log_p.exp() - hot) * weigh(-(log_p * hot).sum(1))[:, None]
        adam.lr = lr * (1 - step / steps)
        weight, bias = adam.step([weight, bias], [off.T @ x + l2 * weight, off.sum(0)])
    return weight, bias
