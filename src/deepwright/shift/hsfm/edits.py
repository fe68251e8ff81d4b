"""What HSFM did to its support: how far each class went, and whether along the attribute or along the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.requirements import require_finite
from deepwright.core.results import Table
from deepwright.shift.hsfm.meta import HSFM


@dataclass(frozen=True)
class EditReport:
    """Mean shifts of the support's classes.

    Attributes:
        shift: (classes, d) mean of support - support as drawn, in raw features.
        length: (classes,) its norm in deviations of the support as drawn.
        attribute_cosine: (classes,) cosine with the attribute's direction, in those deviations.
        class_cosine: (classes,) cosine with the direction from the other classes' mean to the class's own.
        margin_cosine: cosine of the two directions: where it is near 1 they can't be told apart.
    """

    shift: Float[Tensor, "classes d"]
    length: Float[Tensor, " classes"]
    attribute_cosine: Float[Tensor, " classes"]
    class_cosine: Float[Tensor, " classes"]
    margin_cosine: float

    def table(self) -> Table:
        """A row a class."""
        columns = (self.length, self.attribute_cosine, self.class_cosine)
        rows: list[list[Any]] = [[k, *(float(c[k]) for c in columns)] for k in range(len(self.length))]
        heads = ["class", "shift (deviations)", "cosine with the attribute", "cosine with the class"]
        return Table(heads, rows, "edits of the support")


def edit_report(hsfm: HSFM, probe: Float[Tensor, " d"]) -> EditReport:
    """Where the edits point.

    Args:
        hsfm: fitted.
        probe: (d,) direction of the attribute in raw features: weights of a linear probe, a difference of means, or the
            embedding of a text. It is read as a probe's weights w: a sample's attribute rises along std^2 w.

    Raises:
        NotFittedError: before `fit`.
        InputError: a probe of another width, or of zeros.
    """
    if not hasattr(hsfm, "support_"):
        raise NotFittedError("HSFM")
    before, after, y = hsfm.support_init_, hsfm.support_, hsfm.support_y_
    if probe.shape != before.shape[1:] or not bool(probe.any()):
        given = f"shape {tuple(probe.shape)}" + ("" if bool(probe.any()) else ", all 0")
        raise InputError("probe", given=given, expected=f"a direction of {before.shape[1]} features")
    require_finite(probe, "probe")
    std = before.std(0, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    shift = _class_means(after - before, y)
    means = _class_means(before, y)
    own = (means - (means.sum(0) - means) / (len(means) - 1)) / std
    attribute = probe.to(std) * std
    moved = shift / std
    return EditReport(
        shift,
        moved.norm(dim=1),
        torch.cosine_similarity(moved, attribute[None].expand_as(moved)),
        torch.cosine_similarity(moved, own),
        float(torch.cosine_similarity(attribute, own[-1], dim=0)),
    )


def _class_means(x: Tensor, y: Tensor) -> Tensor:
    classes = int(y.max()) + 1
    sums = x.new_zeros(classes, x.shape[1]).index_add_(0, y, x)
    return sums / torch.bincount(y, minlength=classes)[:, None].to(x)
