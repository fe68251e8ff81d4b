"""What every method of this room is given: embeddings, labels, groups and a head; looked at once, and standardised."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.inference import require_labels
from deepwright.core.requirements import require_finite
from deepwright.core.tasks.reading import looks_like_probabilities
from deepwright.shift.groups import require_group_ids, spread, totals

FEW = 25
"""A validation group of fewer samples makes steps of more than 0.04 in its accuracy."""
SELECTS = ("worst_group", "worst_class", "hard_loss", "last")


class ShiftWarning(UserWarning):
    """A number of this room says less than it seems to."""


@dataclass(frozen=True)
class Scale:
    """Standardisation of features: z = (x - mean) / std; features without spread keep theirs.

    Attributes:
        mean: (d,) taken off.
        std: (d,) divided by.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Scale:
        """That of some rows.

        Args:
            x: (n, d) features.
        """
        return cls(x.mean(0), spread(x))

    @classmethod
    def none(cls, x: Tensor) -> Scale:
        """The one that changes nothing.

        Args:
            x: (n, d) features.
        """
        return cls(torch.zeros_like(x[0]), torch.ones_like(x[0]))

    def __call__(self, x: Tensor) -> Tensor:
        """Standardised rows."""
        return (x - self.mean) / self.std

    def undo(self, z: Tensor) -> Tensor:
        """Rows as they were."""
        return z * self.std + self.mean

    def into(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The head on standardised rows that equals one on raw rows.

        Args:
            weight: (classes, d).
            bias: (classes,).
        """
        return weight * self.std, bias + weight @ self.mean

    def out_of(self, weight: Tensor, bias: Tensor) -> nn.Linear:
        """The head on raw rows that equals one on standardised rows.

        Args:
            weight: (classes, d).
            bias: (classes,).
        """
        raw = weight / self.std
        return linear(raw, bias - raw @ self.mean)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with these parameters.

    Args:
        weight: (classes, d).
        bias: (classes,).
    """
    made = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device=weight.device).to(weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(bias)
    return made


@dataclass(frozen=True)
class Problem:
    """Standardised rows of training and validation, and the head that a method starts from.

    Attributes:
        x: (n, d) training rows.
        y: (n,) their classes.
        val_x: (m, d) validation rows.
        val_y: (m,) their classes.
        val_groups: (m,) their groups, or None.
        train_groups: (n,) groups of the training rows, or None.
        classes: how many.
        groups: how many, over both; 0 without.
        scale: how rows were standardised.
        head: the head on standardised rows that was given, or None.
    """

    x: Tensor
    y: Tensor
    val_x: Tensor
    val_y: Tensor
    val_groups: Tensor | None
    train_groups: Tensor | None
    classes: int
    groups: int
    scale: Scale
    head: tuple[Tensor, Tensor] | None

    def worst(self, logits: Tensor, by: str = "worst_group") -> Tensor:
        """The least accuracy of a group (or class) on the validation rows, on their device.

        Args:
            logits: (m, classes).
            by: "worst_group" or "worst_class".
        """
        return least_accuracy(logits, self.val_y, *self.parts(by))

    def parts(self, by: str) -> tuple[Tensor, int]:
        """Which part each validation row belongs to, and how many parts there are.

        Args:
            by: "worst_group" or "worst_class".
        """
        if by == "worst_group" and self.val_groups is not None:
            return self.val_groups, self.groups
        return self.val_y, self.classes


def least_accuracy(logits: Tensor, y: Tensor, parts: Tensor, size: int) -> Tensor:
    """Accuracy of the worst part that has rows.

    Args:
        logits: (n, classes).
        y: (n,) classes.
        parts: (n,) which part.
        size: how many parts there are.
    """
    sums, counts = totals((logits.argmax(1) == y).to(logits.dtype), parts, size)
    return (sums / counts).nan_to_num(nan=math.inf).min()


def pose(
    train_x: Tensor,
    train_y: Tensor,
    val_x: Tensor,
    val_y: Tensor,
    val_groups: Tensor | None = None,
    train_groups: Tensor | None = None,
    head: Any = None,
    *,
    standard: bool = True,
) -> Problem:
    """Look at what a method is given, and standardise it by the training rows.

    Everything is brought to where the training rows are; half precision becomes float32.

    Args:
        train_x: (n, d) embeddings.
        train_y: (n,) classes from 0.
        val_x: (m, d) embeddings that the head wasn't trained on.
        val_y: (m,) classes.
        val_groups: (m,) groups of them.
        train_groups: (n,) groups of the training rows.
        head: `nn.Linear`, or (weight, bias), on raw rows; a weight (1, d) is the logit of the second class over the
            first.
        standard: whether rows are standardised.

    Raises:
        InputError: what isn't a matrix of finite features (or looks like probabilities), labels that aren't classes, a
            class without training or validation rows, groups that hold two classes, groups that training rows have and
            validation rows lack, a head of another shape.
    """
    train_x, val_x = _rows(train_x, "train_x"), _rows(val_x, "val_x").to(train_x.device)
    train_x, val_x = train_x.to(_wide(train_x)), val_x.to(_wide(train_x))
    if train_x.shape[1] != val_x.shape[1]:
        given = f"{train_x.shape[1]} features of training and {val_x.shape[1]} of validation rows"
        raise InputError("features", given=given, expected="as many")
    y = _labels(train_y, len(train_x), "train_y").to(train_x.device)
    val_y = _labels(val_y, len(val_x), "val_y").to(train_x.device)
    given_head = None if head is None else read_head(head, train_x)
    classes = _classes(y, val_y, given_head)
    val_groups = _groups(val_groups, val_y, "val_groups")
    train_groups = _groups(train_groups, y, "train_groups")
    groups = _count_groups(val_groups, train_groups)
    _warn_leaks(train_x, val_x)
    scale = Scale.of(train_x) if standard else Scale.none(train_x)
    return Problem(
        scale(train_x),
        y,
        scale(val_x),
        val_y,
        val_groups,
        train_groups,
        classes,
        groups,
        scale,
        None if given_head is None else scale.into(*given_head),
    )


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _rows(x: Any, what: str) -> Tensor:
    if not isinstance(x, Tensor) or x.ndim != 2 or not x.is_floating_point():
        given = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(
            what, given=given, expected="floats (n, d), embeddings one a row", hint="extract_features(model, batches)"
        )
    if len(x) == 0:
        raise InputError(what, given="no rows", expected="at least one")
    require_finite(x, what)
    if x.shape[1] > 1 and looks_like_probabilities(x):
        given = "rows that are 0 or more and sum to 1: these look like a softmax's outputs"
        raise InputError(what, given=given, expected="what enters the last layer, not what comes out of it")
    return x.detach()


def _labels(y: Any, n: int, what: str) -> Tensor:
    if not isinstance(y, Tensor):
        y = torch.as_tensor(y)
    if y.ndim == 2 and y.shape[1] == 1:
        raise InputError(what, given=f"shape {tuple(y.shape)}", expected="(n,) classes", hint="y.squeeze(1)")
    if y.ndim == 2:
        raise InputError(what, given=f"shape {tuple(y.shape)}", expected="(n,) classes", hint="one-hot? y.argmax(1)")
    if not y.is_floating_point() and len(y) and int(y.min()) == -1 and set(y.unique().tolist()) <= {-1, 1}:
        raise InputError(what, given="labels -1 and 1", expected="classes from 0", hint="(y + 1) // 2")
    require_labels(y, None, n, what)
    return y.long()


def read_head(head: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """(classes, d) weight and (classes,) bias where some rows are.

    Args:
        head: `nn.Linear`, or (weight, bias); one row is the logit of the second class over the first.
        like: (n, d) rows that it is for.

    Raises:
        InputError: anything else, another width, numbers that aren't finite.
    """
    weight, bias = (head.weight, head.bias) if isinstance(head, nn.Linear) else _pair(head)
    weight = weight.detach().to(like)
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach().to(like)
    if weight.ndim != 2 or weight.shape[1] != like.shape[1] or bias.shape != (len(weight),):
        given = f"weight {tuple(weight.shape)} and bias {tuple(bias.shape)}"
        raise InputError("head", given=given, expected=f"weight (classes, {like.shape[1]}) and bias (classes,)")
    require_finite(weight, "head")
    require_finite(bias, "head")
    if len(weight) == 1:
        return torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
    return weight, bias


def _pair(head: Any) -> tuple[Tensor, Tensor | None]:
    pair = isinstance(head, tuple | list) and len(head) == 2 and isinstance(head[0], Tensor)
    if not pair or not (head[1] is None or isinstance(head[1], Tensor)):
        raise InputError("head", given=type(head).__name__, expected="nn.Linear, or (weight, bias) tensors")
    return head[0], head[1]


def _classes(y: Tensor, val_y: Tensor, head: tuple[Tensor, Tensor] | None) -> int:
    seen = max(int(y.max()), int(val_y.max())) + 1
    classes = seen if head is None else len(head[0])
    if seen > classes:
        raise InputError("head", given=f"{classes} outputs for labels up to {seen - 1}", expected="an output a class")
    if classes < 2:
        raise InputError("labels", given="one class", expected="two or more")
    for part, labels in (("training", y), ("validation", val_y)):
        lost = (torch.bincount(labels, minlength=classes) == 0).nonzero().flatten().tolist()
        if lost:
            given = f"no {part} row of class {', '.join(map(str, lost[:5]))}"
            raise InputError("labels", given=given, expected=f"rows of each of the {classes} classes (0, 1, ...)")
    return classes


def _groups(groups: Any, y: Tensor, what: str) -> Tensor | None:
    """Groups of one class each, where the labels are."""
    if groups is None:
        return None
    groups = groups if isinstance(groups, Tensor) else torch.as_tensor(groups)
    require_group_ids(groups, what)
    if len(groups) != len(y):
        raise InputError(what, given=f"{len(groups)} groups for {len(y)} rows", expected="one a row")
    groups = groups.to(y.device).long()
    pairs = torch.stack([groups, y], 1).unique(dim=0)[:, 0]
    twice = (torch.bincount(pairs) > 1).nonzero().flatten().tolist()
    if twice:
        raise InputError(
            what,
            given=f"group {twice[0]} with rows of several classes",
            expected="groups of one class each",
            hint="make_groups(y, attribute) tells classes apart within an attribute",
        )
    return groups


def _count_groups(val_groups: Tensor | None, train_groups: Tensor | None) -> int:
    given = [g for g in (val_groups, train_groups) if g is not None]
    if not given:
        return 0
    size = max(int(g.max()) for g in given) + 1
    if val_groups is not None:
        counts = torch.bincount(val_groups, minlength=size)
        if train_groups is not None:
            lost = ((torch.bincount(train_groups, minlength=size) > 0) & (counts == 0)).nonzero().flatten().tolist()
            if lost:
                given_words = f"no row of group {lost[0]}, which training rows have"
                hint = "the least over fewer groups looks better than it is: give rows of each"
                raise InputError("val_groups", given=given_words, expected="every group of training", hint=hint)
        least = int(counts[counts > 0].min())
        if least < FEW:
            warnings.warn(
                f"the smallest validation group has {least} samples: its accuracy moves in steps of {1 / least:.3f}, "
                "and a selection by it is as coarse",
                ShiftWarning,
                stacklevel=4,
            )
    return size


def _warn_leaks(train_x: Tensor, val_x: Tensor) -> None:
    """Identical rows in both splits, found by sorting a random projection of them."""
    direction = torch.linspace(0.5, 1.5, train_x.shape[1], device=train_x.device, dtype=train_x.dtype).sin()
    known = (train_x * direction).sum(1).sort()  # a matmul of the same row may differ in its last bits
    at = torch.searchsorted(known.values, (val_x * direction).sum(1)).clamp_max(len(train_x) - 1)
    rows = known.indices[at]
    same = int((train_x[rows] == val_x).all(1).sum())
    if same:
        warnings.warn(
            f"{same} validation rows are training rows, too: what is selected on them was trained on",
            ShiftWarning,
            stacklevel=4,
        )
