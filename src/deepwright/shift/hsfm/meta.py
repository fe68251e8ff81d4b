"""HSFM: edits of a small support set, learned so that a head trained on it does well on the hardest samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.core.resume import Resume
from deepwright.shift.adam import Adam
from deepwright.shift.groups import totals
from deepwright.shift.hsfm.adjoint import gradient_by_support
from deepwright.shift.hsfm.hard import HardSet, drawn_support
from deepwright.shift.methods import Head, HeadMethod, LabelUse, erm_head
from deepwright.shift.problems import SELECTS, Problem, ShiftWarning, least_accuracy

VARIANTS = ("hsfm", "frozen-support", "direct-hard")


@dataclass(frozen=True)
class Epoch:
    """What one epoch of HSFM left behind.

    Attributes:
        epoch: its number; 0 is the head before.
        outer_loss: mean cross-entropy on the hard set of a head trained on the support, before its last edit; NaN for
            epoch 0 and for variants without edits.
        average: accuracy on the validation rows.
        worst: accuracy of their worst group, or class where groups aren't known.
        hard: rows of each group (or class) in the hard set.
    """

    epoch: int
    outer_loss: float
    average: float
    worst: float
    hard: tuple[int, ...]


class HSFM(HeadMethod):
    """Hard-set-guided feature-space meta-learning of a last layer.

    Each epoch takes the validation rows of each class that the head finds hardest, moves the support (embeddings of
    some training rows) by the exact gradient of the loss that a head has there after a few steps on the support, and
    then trains the head on the support. Training sees no group label. The head that is kept is chosen by `select`; with
    "worst_group" that choice looks at the groups of the validation rows, and the gain rests on it.

    Args:
        n_support: training rows of each class in the support.
        inner_steps: T, gradient steps of a head between which the loss is differentiated.
        inner_lr: their rate.
        outer_lr: rate of the support's edits; 0 leaves it as it was drawn.
        outer_steps: edits an epoch.
        k_hard: hard rows of each class.
        epochs: how many.
        head_lr_rel: rate of the head as a share of the root mean square of its weights (with scale="standard").
        clip: largest norm of the support's gradient (with scale="raw").
        scale: "standard" works on standardised features, where `outer_lr` counts deviations, and hands n/(lr T) times
            the gradient to Adam, whose eps would swallow it otherwise; "raw" is as published: features as they are,
            rates as given, `inner_lr` that of the head, too.
        select: which epoch's head is kept: "worst_group" (least accuracy of a validation group), "worst_class",
            "hard_loss" (least loss on its own hard set), "last". The head before counts as epoch 0 (not for "last").
        variant: "hsfm", or one of two ablations on the same schedule: "frozen-support" makes no edits, "direct-hard"
            trains the head on the hard set itself.
        seed: of the support.

    Attributes:
        head_: `nn.Linear` on raw features, in place of the network's last layer.
        support_: (n, d) the support after the edits of the last epoch, raw features.
        support_init_: (n, d) as it was drawn.
        support_index_: (n,) which training rows these are.
        support_y_: (n,) their classes.
        history_: one entry an epoch, the head before first.
        best_epoch_: which one was kept.

    Source: A. Yazdan Parast et al., "HSFM: Hard-set-guided feature-space meta-learning for robust classification under
    spurious correlations", arXiv 2603.29313.
    """

    support_: Tensor
    support_init_: Tensor
    support_index_: Tensor
    support_y_: Tensor
    history_: list[Epoch]
    best_epoch_: int

    def __init__(
        self,
        n_support: int = 64,
        inner_steps: int = 5,
        inner_lr: float = 1e-3,
        outer_lr: float = 0.1,
        outer_steps: int = 3,
        k_hard: int = 64,
        epochs: int = 30,
        head_lr_rel: float = 0.01,
        clip: float = 10.0,
        scale: str = "standard",
        select: str = "worst_group",
        variant: str = "hsfm",
        seed: int = 0,
    ) -> None:
        require_whole(1, n_support=n_support, k_hard=k_hard, epochs=epochs)
        require_whole(0, inner_steps=inner_steps, outer_steps=outer_steps, seed=seed)
        require_number(0, inner_lr=inner_lr, outer_lr=outer_lr, head_lr_rel=head_lr_rel)
        require_positive(clip=clip)
        _require_word("scale", scale, ("standard", "raw"))
        _require_word("select", select, SELECTS)
        _require_word("variant", variant, VARIANTS)
        self.n_support, self.inner_steps, self.inner_lr, self.outer_lr = n_support, inner_steps, inner_lr, outer_lr
        self.outer_steps, self.k_hard, self.epochs, self.head_lr_rel = outer_steps, k_hard, epochs, head_lr_rel
        self.clip, self.scale, self.select, self.variant, self.seed = clip, scale, select, variant, seed
        self.standard = scale == "standard"

    def require_groups(self, val_groups: Any, train_groups: Any) -> None:
        """See `HeadMethod`; a choice without groups is warned of."""
        super().require_groups(val_groups, train_groups)
        if self.select != "worst_group":
            warnings.warn(
                f"select={self.select!r}: what HSFM gains rests on choosing the head by the groups of validation rows; "
                "by anything else it gained a third of that or less in our study",
                ShiftWarning,
                stacklevel=3,
            )

    def resumed(self, problem: Problem, checkpoint: Path | str | None) -> Head:
        """See `HeadMethod`; a checkpoint is written after each epoch."""
        given = {
            "training features": (problem.x, problem.scale.mean, problem.scale.std),
            "training labels": problem.y,
            "validation features": problem.val_x,
            "validation labels": problem.val_y,
            "validation groups": problem.val_groups,
            "training groups": problem.train_groups,
            "head": problem.head,
        }
        with Resume(checkpoint, {**given, "options": dict(self.options())}, kind="hsfm") as kept:
            run = _Run(self, problem)
            state = kept.load(map_location=problem.x.device)
            if state is not None:
                run.load(state)
            while run.epoch < self.epochs:
                run.advance()
                kept.save(run.state())
            if not kept.finished:
                kept.finish(run.state())
        self.keep(run.ended())
        return run.best

    def require_trained(self, weight: Tensor) -> None:
        """Refuse a head whose rate would be 0.

        Args:
            weight: (classes, d) that a fit begins from.
        """
        if self.standard and self.head_lr_rel > 0 and not bool(weight.any()):
            given = "a head of zeros: head_lr_rel is a share of its weights, and it would stay as it is"
            raise InputError("head", given=given, expected="a trained one, or scale='raw'")

    def options(self) -> dict[str, Any]:
        """All arguments by name."""
        names = (
            "n_support inner_steps inner_lr outer_lr outer_steps k_hard epochs head_lr_rel clip scale select variant"
        )
        return {name: getattr(self, name) for name in (*names.split(), "seed")}

    def label_use(self, problem: Problem) -> LabelUse:
        """See `HeadMethod`: training sees no group label."""
        return LabelUse(False, self.select == "worst_group")

    def keep(self, run: Ended) -> None:
        """Take what a run ended with, but for its head.

        Args:
            run: of all epochs.
        """
        problem = run.problem
        self.support_ = problem.scale.undo(run.support)
        self.support_init_ = problem.scale.undo(problem.x[run.index])
        if self.outer_lr == 0 or self.variant != "hsfm":
            self.support_ = self.support_init_.clone()
        self.support_index_, self.support_y_ = run.index, problem.y[run.index]
        self.history_ = run.history
        self.best_epoch_ = run.best_epoch
        if self.select == "last" or self.epochs == 1:
            return
        if self.best_epoch_ == 0:
            self._warn("no epoch is better on validation than the head before: a smaller head_lr_rel, or no such gain")
        elif self.best_epoch_ == self.epochs and run.alone:
            self._warn(f"the best epoch is the last of {self.epochs}: it hasn't converged; give it more epochs")

    @staticmethod
    def _warn(message: str) -> None:
        warnings.warn(message, ShiftWarning, stacklevel=5)


def _require_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(name, given=repr(value), expected=", ".join(map(repr, known)))


@dataclass(frozen=True)
class Ended:
    """What a run leaves.

    Attributes:
        problem: that was solved.
        support: (n, d) after its last edit.
        index: (n,) which training rows it was drawn from.
        best: the head that was chosen.
        best_epoch: when.
        alone: whether no earlier epoch does as well.
        history: one entry an epoch.
    """

    problem: Problem
    support: Tensor
    index: Tensor
    best: Head
    best_epoch: int
    alone: bool
    history: list[Epoch]


def history(numbers: Tensor, counts: Tensor) -> list[Epoch]:
    """One entry an epoch.

    Args:
        numbers: (epochs, 3) outer loss, average and worst accuracy.
        counts: (epochs, groups) rows in the hard set.
    """
    pairs = enumerate(zip(numbers.tolist(), counts.tolist(), strict=True))
    return [Epoch(i, row[0], row[1], row[2], tuple(hard)) for i, (row, hard) in pairs]


class _Run:
    """A fit between two epochs; all of it stays on the device.

    Args:
        method: its options.
        problem: its rows.
    """

    def __init__(self, method: HSFM, problem: Problem) -> None:
        self.method, self.problem, self.epoch = method, problem, 0
        head = erm_head(problem)
        self.W, self.b = head[0].clone(), head[1].clone()
        self.index = drawn_support(problem.y, problem.classes, method.n_support, method.seed)
        self.H = problem.x[self.index].clone()
        self.y = problem.y[self.index]
        self.Y = F.one_hot(self.y, problem.classes).to(self.H)
        self.hard = HardSet(problem.val_y, problem.classes, method.k_hard)
        method.require_trained(self.W)
        rate = method.head_lr_rel * self.W.square().mean().sqrt() if method.standard else method.inner_lr
        self.head_steps, self.edits = Adam([self.W, self.b], rate), Adam([self.H], method.outer_lr)
        self.parts, self.size = problem.parts("worst_group")
        self.numbers = self.H.new_full((method.epochs + 1, 3), torch.nan)
        self.counts = torch.zeros(method.epochs + 1, self.size, dtype=torch.long, device=self.H.device)
        self.best: Head = (self.W, self.b)
        self.best_score = self.H.new_tensor(-torch.inf)
        self.alone = torch.ones((), dtype=torch.bool, device=self.H.device)  # no earlier epoch does as well
        self.best_epoch = torch.zeros((), dtype=torch.long, device=self.H.device)
        self.rows = self._look()

    def advance(self) -> None:
        """One epoch."""
        self.epoch += 1
        method, Q = self.method, self.problem.val_x[self.rows]
        if method.variant == "hsfm":
            for _ in range(method.outer_steps):
                self.numbers[self.epoch, 0] = self._edit(Q)
        if method.variant == "direct-hard":
            self._train(Q, F.one_hot(self.hard.labels, self.problem.classes).to(Q))
        else:
            self._train(self.H, self.Y)
        self.rows = self._look()

    def _edit(self, Q: Tensor) -> Tensor:
        method = self.method
        loss, gradient = gradient_by_support(
            self.H, self.Y, self.W, self.b, Q, self.hard.labels, method.inner_steps, method.inner_lr
        )
        if method.scale == "standard":
            steps = method.inner_lr * method.inner_steps
            gradient = gradient * (len(self.H) / steps if steps > 0 else 1.0)
        else:
            gradient = gradient * (method.clip / gradient.norm().clamp_min(1e-30)).clamp_max(1.0)
        if method.outer_lr > 0:
            (self.H,) = self.edits.step([self.H], [gradient])
        return loss

    def _train(self, x: Tensor, hot: Tensor) -> None:
        for _ in range(self.method.inner_steps):
            off = (torch.softmax(x @ self.W.T + self.b, 1) - hot) / len(x)
            self.W, self.b = self.head_steps.step([self.W, self.b], [off.T @ x, off.sum(0)])

    def _look(self) -> Tensor:
        """Measure the head on validation rows, keep it if it is the best, and find what is hard for it now."""
        problem, now = self.problem, self.epoch
        logits = problem.val_x @ self.W.T + self.b
        losses = F.cross_entropy(logits, problem.val_y, reduction="none")
        rows = self.hard.rows(losses)
        self.numbers[now, 1] = (logits.argmax(1) == problem.val_y).to(logits.dtype).mean()
        self.numbers[now, 2] = least_accuracy(logits, problem.val_y, self.parts, self.size)
        ones = torch.ones_like(losses[rows])
        self.counts[now] = totals(ones, self.parts[rows], self.size)[1].long()
        score = self._score(logits, losses, rows)
        better = score >= self.best_score
        self.alone = torch.where(better, score > self.best_score, self.alone)
        self.best_score = torch.where(better, score, self.best_score)
        self.best = (torch.where(better, self.W, self.best[0]), torch.where(better, self.b, self.best[1]))
        self.best_epoch = torch.where(better, now, self.best_epoch)
        return rows

    def _score(self, logits: Tensor, losses: Tensor, rows: Tensor) -> Tensor:
        select = self.method.select
        if select == "last":
            return losses.new_tensor(float(self.epoch))
        if select == "hard_loss":
            return -losses[rows].mean()
        return self.problem.worst(logits, select)

    def ended(self) -> Ended:
        """What it leaves, read from the device once."""
        told = history(self.numbers, self.counts)
        return Ended(self.problem, self.H, self.index, self.best, int(self.best_epoch), bool(self.alone), told)

    def state(self) -> dict[str, Any]:
        """Plain data, from which `load` goes on."""
        names = ("epoch", "W", "b", "H", "rows", "numbers", "counts", "best", "best_score", "best_epoch", "alone")
        steps = {"head": self.head_steps.state(), "edits": self.edits.state()}
        return {**{name: getattr(self, name) for name in names}, **steps}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Args:
            state: of `state`.
        """
        self.head_steps.load(state["head"])
        self.edits.load(state["edits"])
        for name in ("epoch", "W", "b", "H", "rows", "numbers", "counts", "best_score", "best_epoch", "alone"):
            setattr(self, name, state[name])
        self.best = (state["best"][0], state["best"][1])
