"""Several fits of HSFM on the same rows side by side: seeds, rates and ways to choose cost little beside the first."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.shift.adam import Adam
from deepwright.shift.hsfm.adjoint import gradient_by_support
from deepwright.shift.hsfm.hard import HardSet, drawn_support
from deepwright.shift.hsfm.meta import HSFM, Ended, history
from deepwright.shift.methods import Head, erm_head
from deepwright.shift.problems import Problem, pose

_SHARED = ("n_support", "inner_steps", "inner_lr", "outer_steps", "k_hard", "epochs", "scale", "variant")


def fit_together(
    methods: Sequence[HSFM],
    train_x: Float[Tensor, "n d"],
    train_y: Int64[Tensor, " n"],
    val_x: Float[Tensor, "m d"],
    val_y: Int64[Tensor, " m"],
    val_groups: Int64[Tensor, " m"] | None = None,
    *,
    train_groups: Int64[Tensor, " n"] | None = None,
    head: Any = None,
) -> list[HSFM]:
    """Fit several HSFMs on the same rows; each ends as its own `fit` would leave it, to rounding.

    Those that share sizes, steps, inner rate, scale and variant run as one, so that sixteen seeds or rates take about
    as long as a few; what differs in these runs after one another.

    Args:
        methods: to fit, with seeds, `outer_lr`, `head_lr_rel`, `clip` and `select` of their own.
        train_x: (n, d) embeddings.
        train_y: (n,) classes from 0.
        val_x: (m, d) embeddings that the network wasn't trained on.
        val_y: (m,) classes.
        val_groups: (m,) groups of one class each.
        train_groups: (n,) groups of the training rows.
        head: the network's own; fitted to the training rows where none is given.

    Returns:
        The methods, fitted.

    Raises:
        InputError: no method, one method twice, or what `HSFM.fit` refuses.
    """
    if not methods or len({id(method) for method in methods}) < len(methods):
        given = f"{len(methods)} methods" + (", one of them twice" if methods else "")
        raise InputError("methods", given=given, expected="one or more, each once")
    problems: dict[bool, Problem] = {}
    start: dict[bool, Head] = {}
    for method in methods:
        method.require_groups(val_groups, train_groups)
        if method.standard not in problems:
            rows = (train_x, train_y, val_x, val_y, val_groups, train_groups, head)
            problems[method.standard] = pose(*rows, standard=method.standard)
    with torch.no_grad():
        for standard, problem in problems.items():
            start[standard] = erm_head(problem)
        for alike in _alike(methods):
            runs = _Runs(alike, problems[alike[0].standard], start[alike[0].standard])
            for _ in range(alike[0].epochs):
                runs.advance()
            for method, ended in zip(alike, runs.ended(), strict=True):
                method.chosen_ = {}
                method.keep(ended)
                method.accept(ended.problem, ended.best)
    return list(methods)


def _alike(methods: Sequence[HSFM]) -> list[list[HSFM]]:
    parts: dict[tuple[Any, ...], list[HSFM]] = {}
    for method in methods:
        key = (*(getattr(method, name) for name in _SHARED), method.outer_lr > 0)
        parts.setdefault(key, []).append(method)
    return list(parts.values())


class _Runs:
    """Several fits between two epochs: runs stand in front of every tensor, offsets are (runs, 1, classes)."""

    def __init__(self, methods: list[HSFM], problem: Problem, head: Head) -> None:
        self.methods, self.problem, self.epoch, self.one_of = methods, problem, 0, methods[0]
        size = len(methods)
        self.W, self.b = head[0].expand(size, -1, -1).clone(), head[1].expand(size, 1, -1).clone()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            drawn = [drawn_support(problem.y, problem.classes, m.n_support, m.seed) for m in methods]
        for one in caught[:1]:  # a class of few rows is the same for all seeds
            warnings.warn(one.message, stacklevel=4)
        self.index = torch.stack(drawn)
        self.H, self.y = problem.x[self.index], problem.y[self.index[0]]  # classes come in turn for every seed
        self.Y = F.one_hot(self.y, problem.classes).to(self.H).expand(size, -1, -1)
        self.hard = HardSet(problem.val_y, problem.classes, self.one_of.k_hard)
        self.one_of.require_trained(head[0])
        rms = head[0].square().mean().sqrt()
        rates = [m.head_lr_rel * rms if m.standard else rms.new_tensor(m.inner_lr) for m in methods]
        self.head_steps = Adam([self.W, self.b], torch.stack(rates)[:, None, None])
        self.edits = Adam([self.H], self._each("outer_lr"))
        self.parts, self.size = problem.parts("worst_group")
        self.numbers = self.H.new_full((self.one_of.epochs + 1, size, 3), torch.nan)
        self.counts = torch.zeros(self.one_of.epochs + 1, size, self.size, dtype=torch.long, device=self.H.device)
        self.best: Head = (self.W, self.b)
        self.best_score = self.H.new_full((size,), -torch.inf)
        self.alone = torch.ones(size, dtype=torch.bool, device=self.H.device)
        self.best_epoch = torch.zeros(size, dtype=torch.long, device=self.H.device)
        self.hot = {select: self._parts(select) for select in ("worst_group", "worst_class")}
        self.selects = {
            select: torch.tensor([i for i, m in enumerate(methods) if m.select == select], device=self.H.device)
            for select in dict.fromkeys(m.select for m in methods)
        }
        self.rows = self._look()

    def _parts(self, select: str) -> tuple[Tensor, Tensor]:
        """(m, parts) which part each validation row is of, and (parts,) one over their rows, NaN without any."""
        parts, size = self.problem.parts(select)
        hot = F.one_hot(parts, size).to(self.H)
        rows = hot.sum(0)
        return hot, torch.where(rows > 0, 1 / rows, torch.nan)

    def _each(self, name: str) -> Tensor:
        """(runs, 1, 1) an option of each method."""
        return self.problem.x.new_tensor([getattr(m, name) for m in self.methods])[:, None, None]

    def advance(self) -> None:
        """One epoch of all."""
        self.epoch += 1
        Q = self.problem.val_x[self.rows]
        if self.one_of.variant == "hsfm":
            for _ in range(self.one_of.outer_steps):
                self.numbers[self.epoch, :, 0] = self._edit(Q)
        if self.one_of.variant == "direct-hard":
            hot = F.one_hot(self.hard.labels, self.problem.classes).to(Q)
            self._train(Q, hot)
        else:
            self._train(self.H, self.Y)
        self.rows = self._look()

    def _edit(self, Q: Tensor) -> Tensor:
        method = self.one_of
        labels = self.hard.labels.expand(len(Q), -1)
        loss, gradient = gradient_by_support(
            self.H, self.Y, self.W, self.b[:, 0], Q, labels, method.inner_steps, method.inner_lr
        )
        if method.standard:
            steps = method.inner_lr * method.inner_steps
            gradient = gradient * (self.H.shape[1] / steps if steps > 0 else 1.0)
        else:
            norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None]
            gradient = gradient * (self._each("clip") / norm).clamp_max(1.0)
        if method.outer_lr > 0:
            (self.H,) = self.edits.step([self.H], [gradient])
        return loss

    def _train(self, x: Tensor, hot: Tensor) -> None:
        for _ in range(self.one_of.inner_steps):
            off = (torch.softmax(x @ self.W.mT + self.b, -1) - hot) / x.shape[1]
            slopes = [off.mT @ x, off.sum(1, keepdim=True)]
            self.W, self.b = self.head_steps.step([self.W, self.b], slopes)

    def _look(self) -> Tensor:
        """Measure all heads on validation rows, keep those that are best, and find what is hard for each now."""
        problem, now = self.problem, self.epoch
        logits = problem.val_x @ self.W.mT + self.b
        y = problem.val_y.expand(len(logits), -1)
        losses = F.cross_entropy(logits.mT, y, reduction="none")
        rows = self.hard.rows(losses)
        right = (logits.argmax(-1) == y).to(logits.dtype)
        self.numbers[now, :, 1] = right.mean(1)
        self.numbers[now, :, 2] = self._least(right, *self.hot["worst_group"])
        self.counts[now] = F.one_hot(self.parts[rows], self.size).sum(1)
        scores = self._scores(right, losses, rows)
        better = scores >= self.best_score
        self.alone = torch.where(better, scores > self.best_score, self.alone)
        self.best_score = torch.where(better, scores, self.best_score)
        wide = better[:, None, None]
        self.best = (torch.where(wide, self.W, self.best[0]), torch.where(wide, self.b, self.best[1]))
        self.best_epoch = torch.where(better, now, self.best_epoch)
        return rows

    def _scores(self, right: Tensor, losses: Tensor, rows: Tensor) -> Tensor:
        """(runs,) what each method chooses its epoch by."""
        found = torch.empty_like(self.best_score)
        for select, which in self.selects.items():
            if select == "last":
                found[which] = float(self.epoch)
            elif select == "worst_group":
                found[which] = self.numbers[self.epoch, which, 2]
            elif select == "hard_loss":
                found[which] = -losses[which].gather(1, rows[which]).mean(1)
            else:
                found[which] = self._least(right[which], *self.hot[select])
        return found

    @staticmethod
    def _least(right: Tensor, hot: Tensor, share: Tensor) -> Tensor:
        """(runs,) the accuracy of the worst part that has rows."""
        return (right @ hot * share).nan_to_num(nan=torch.inf).amin(1)

    def ended(self) -> list[Ended]:
        """What each leaves."""
        best_epochs, alone = self.best_epoch.tolist(), self.alone.tolist()
        return [
            Ended(
                self.problem,
                self.H[i],
                self.index[i],
                (self.best[0][i], self.best[1][i, 0]),
                best_epochs[i],
                alone[i],
                history(self.numbers[:, i], self.counts[:, i]),
            )
            for i in range(len(self.methods))
        ]
