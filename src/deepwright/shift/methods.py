"""What all methods of this room share: one call that fits, a head on raw features, and which labels it has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.randomness import generator
from deepwright.shift.convex import fit_l2
from deepwright.shift.problems import Problem, least_accuracy, linear, pose

Head = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LabelUse:
    """Which group labels a head has seen: results are only alike where these are.

    Attributes:
        training: whether it was trained with group labels.
        selection: whether a setting or an epoch was chosen with group labels.
    """

    training: bool
    selection: bool

    def words(self) -> tuple[str, str]:
        """Both as yes or no."""
        return "yes" if self.training else "no", "yes" if self.selection else "no"


class HeadMethod:
    """A way to a new last layer: `fit`, then `head_`.

    A method of its own implements `solve`, which gets standardised rows, or `resumed`, where it can be interrupted.

    Attributes:
        head_: `nn.Linear` on raw features.
        label_use_: which group labels it has seen.
        chosen_: the setting that was chosen, by name.
    """

    needs_groups: bool = False
    select: str = "worst_class"
    standard: bool = True
    """Whether rows are standardised."""

    head_: nn.Linear
    label_use_: LabelUse
    chosen_: dict[str, float]

    def fit(
        self,
        train_x: Float[Tensor, "n d"],
        train_y: Int64[Tensor, " n"],
        val_x: Float[Tensor, "m d"],
        val_y: Int64[Tensor, " m"],
        val_groups: Int64[Tensor, " m"] | None = None,
        *,
        train_groups: Int64[Tensor, " n"] | None = None,
        head: Any = None,
        checkpoint: Path | str | None = None,
    ) -> Self:
        """Find a head.

        Args:
            train_x: (n, d) embeddings.
            train_y: (n,) classes from 0.
            val_x: (m, d) embeddings that the network wasn't trained on.
            val_y: (m,) classes.
            val_groups: (m,) groups of one class each (`make_groups`).
            train_groups: (n,) groups of the training rows, where they are known.
            head: the network's own, `nn.Linear` or (weight, bias); fitted to the training rows where none is given.
            checkpoint: a file that an interrupted fit goes on from; of HSFM only, as others are fitted in seconds.

        Returns:
            Itself; `head_` is where the training rows are.

        Raises:
            InputError: see `problems.pose`; no groups for a method or a selection that needs them; a checkpoint of a
                method that writes none.
            OtherWorkError: the checkpoint belongs to other data or options.
        """
        self.require_groups(val_groups, train_groups)
        problem = pose(train_x, train_y, val_x, val_y, val_groups, train_groups, head, standard=self.standard)
        self.chosen_ = {}
        with torch.no_grad():
            self.accept(problem, self.resumed(problem, checkpoint))
        return self

    def accept(self, problem: Problem, found: Head) -> None:
        """Take a head on standardised rows as what was found.

        Args:
            problem: that was solved.
            found: weight and bias.

        Raises:
            InputError: numbers that aren't finite.
        """
        if not all(bool(part.isfinite().all()) for part in found):
            given = f"{type(self).__name__} with a head that isn't finite"
            raise InputError("head", given=given, expected="smaller rates or a stronger pull")
        self.head_ = problem.scale.out_of(*found)
        self.label_use_ = self.label_use(problem)

    def resumed(self, problem: Problem, checkpoint: Path | str | None) -> Head:
        """Weight and bias, from where an interrupted fit was.

        Args:
            problem: to solve.
            checkpoint: a file, or None.
        """
        if checkpoint is not None:
            expected = f"none: {type(self).__name__} is fitted in one go"
            raise InputError("checkpoint", given=str(checkpoint), expected=expected)
        return self.solve(problem)

    def solve(self, problem: Problem) -> Head:
        """Weight (classes, d) and bias (classes,) on standardised rows.

        Args:
            problem: to solve.
        """
        raise NotImplementedError

    def label_use(self, problem: Problem) -> LabelUse:
        """Which group labels were looked at.

        Args:
            problem: that was solved.
        """
        return LabelUse(self.needs_groups, self.select == "worst_group")

    def require_groups(self, val_groups: Any, train_groups: Any) -> None:
        """Refuse to do without groups that are needed.

        Args:
            val_groups: of the validation rows.
            train_groups: of the training rows.

        Raises:
            InputError: none where some are needed.
        """
        name = type(self).__name__
        if self.needs_groups and val_groups is None and train_groups is None:
            hint = "LastLayerRetrain, AFR, JTT or CVaRDRO with select='worst_class' do without"
            raise InputError(f"{name} trains on groups", given="none", expected="val_groups", hint=hint)
        if self.select == "worst_group" and val_groups is None:
            hint = "select='worst_class' does without group labels"
            raise InputError("select='worst_group'", given="no group labels", expected="val_groups", hint=hint)

    def predict(self, x: Float[Tensor, "n d"]) -> Int64[Tensor, " n"]:
        """(n,) classes.

        Args:
            x: (n, d) raw features.

        Raises:
            NotFittedError: before `fit`.
        """
        if not hasattr(self, "head_"):
            raise NotFittedError(type(self).__name__)
        with torch.no_grad():
            return self.head_(x.to(self.head_.weight)).argmax(1)


def erm_head(problem: Problem, l2: float = 1e-6) -> Head:
    """The given head, or the one of least cross-entropy on the training rows.

    Args:
        problem: with or without a head.
        l2: strength of a pull to 0, which keeps it finite where classes can be told apart.
    """
    return problem.head if problem.head is not None else fit_l2(problem.x, problem.y, zeros(problem), l2=l2)


def zeros(problem: Problem) -> Head:
    """A head of zeros.

    Args:
        problem: that it is for.
    """
    weight = problem.x.new_zeros(problem.classes, problem.x.shape[1])
    return weight, weight.new_zeros(problem.classes)


def halves(problem: Problem, seed: int, by: str = "worst_group") -> tuple[Tensor, Tensor]:
    """Two halves of the validation rows, each with half of every group, or of every class.

    Args:
        problem: with validation rows.
        seed: of the draw.
        by: "worst_group" (where groups are known), or "worst_class", which looks at no group label.
    """
    parts = problem.val_groups if by == "worst_group" and problem.val_groups is not None else problem.val_y
    order = torch.randperm(len(parts), generator=generator(seed, "halves")).to(parts.device)
    order = order[parts[order].argsort(stable=True)]
    starts = torch.bincount(parts).cumsum(0) - torch.bincount(parts)
    rank = torch.arange(len(parts), device=parts.device) - starts[parts[order]]
    return order[rank % 2 == 0], order[rank % 2 == 1]


def chosen_on_halves(
    problem: Problem, settings: Sequence[Any], fit: Callable[[Tensor, Any], Head], by: str, seed: int
) -> Any:
    """The setting whose head, fitted on one half of the validation rows, does best on the other; both ways round.

    Args:
        problem: with validation rows.
        settings: to choose from; the first of several that do alike.
        fit: (rows, setting) -> head, fitted on some validation rows.
        by: "worst_group" or "worst_class".
        seed: of the halves.
    """
    if len(settings) == 1:
        return settings[0]
    first, second = halves(problem, seed, by)
    parts, size = problem.parts(by)
    scores = []
    for setting in settings:
        score = 0.0
        for rows, others in ((first, second), (second, first)):
            logits = linear(*fit(rows, setting))(problem.val_x[others])
            score += float(least_accuracy(logits, problem.val_y[others], parts[others], size))
        scores.append(score)
    return settings[scores.index(max(scores))]


def chosen_on_validation(problem: Problem, settings: Sequence[Any], fit: Callable[[Any], Head], by: str) -> Any:
    """The setting and head that do best on validation rows, of heads that were fitted on training rows.

    Args:
        problem: with validation rows.
        settings: to choose from; the first of several that do alike.
        fit: setting -> head.
        by: "worst_group" or "worst_class".
    """
    heads = [fit(setting) for setting in settings]
    scores = [float(problem.worst(linear(*head)(problem.val_x), by)) for head in heads]
    best = scores.index(max(scores))
    return settings[best], heads[best]
