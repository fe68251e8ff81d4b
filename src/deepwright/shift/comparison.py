"""All methods on one problem: one call, one table, each row with the group labels it has seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.results import Table
from deepwright.shift.groups import GroupMetrics, group_metrics
from deepwright.shift.hsfm import HSFM
from deepwright.shift.last_layer import AFR, DFR, ERM, JTT, CVaRDRO, GroupDRO, LastLayerRetrain
from deepwright.shift.methods import HeadMethod

ALL: tuple[type[HeadMethod], ...] = (ERM, LastLayerRetrain, AFR, JTT, CVaRDRO, HSFM, DFR, GroupDRO)
"""Every method, those that train on no group label first."""


@dataclass(frozen=True)
class HeadComparison:
    """Heads of several methods, on test rows that none has seen.

    Attributes:
        methods: name -> the fitted method.
        metrics: name -> accuracy by group.
        skipped: name -> why it doesn't apply.
    """

    methods: Mapping[str, HeadMethod]
    metrics: Mapping[str, GroupMetrics]
    skipped: Mapping[str, str]

    def table(self) -> Table:
        """A row a method: worst group with Wilson's interval, average, and the group labels it has seen."""
        rows: list[list[Any]] = []
        for name, found in self.metrics.items():
            worst = found.intervals()[found.worst_group_id]
            assert worst is not None
            use = self.methods[name].label_use_.words()
            rows.append([name, worst.value, worst.low, worst.high, found.worst_name, found.average, *use])
        rows += [[name, None, None, None, f"does not apply: {why}", None, "", ""] for name, why in self.skipped.items()]
        heads = ["head", "worst group", "95 % from", "95 % to", "which", "average"]
        heads += ["group labels in training", "group labels in selection"]
        return Table(heads, rows, "last layers, on test rows")


def compare_heads(
    train: tuple[Float[Tensor, "n d"], Int64[Tensor, " n"]],
    validation: tuple[Float[Tensor, "m d"], Int64[Tensor, " m"], Int64[Tensor, " m"]],
    test: tuple[Float[Tensor, "k d"], Int64[Tensor, " k"], Int64[Tensor, " k"]],
    *,
    methods: Sequence[HeadMethod | type[HeadMethod]] = ALL,
    head: Any = None,
    train_groups: Int64[Tensor, " n"] | None = None,
    names: Sequence[str] | None = None,
) -> HeadComparison:
    """Fit every method on the same rows and measure its head on the same others.

    Args:
        train: embeddings and classes.
        validation: embeddings, classes, groups (of which `discover_groups` makes some where nobody knows them).
        test: embeddings, classes, groups.
        methods: classes (with their defaults) or objects.
        head: the network's own; fitted to the training rows where none is given.
        train_groups: groups of the training rows.
        names: of the groups.

    Raises:
        InputError: rows that no method takes; of one method what it refuses is in `skipped`.
    """
    made = [method() if isinstance(method, type) else method for method in methods]
    fitted: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    skipped: dict[str, Any] = {}
    said: set[str] = set()
    for method in made:
        name = str(getattr(method, "variant", "") or type(method).__name__)
        name = "HSFM" if name == "hsfm" else name
        if name in fitted:
            raise InputError(
                "methods", given=f"two of {name}", expected="each once", hint="compare their heads by hand"
            )
        try:
            with _told_once(name, said):
                method.fit(*train, *validation, train_groups=train_groups, head=head)
        except InputError as error:
            if not fitted:
                raise
            skipped[name] = str(error)
            continue
        with torch.no_grad():
            logits = method.head_(test[0].to(method.head_.weight))
        fitted[name] = method
        metrics[name] = group_metrics(logits.to(test[1].device), test[1], test[2], names=names)
    return HeadComparison(fitted, metrics, skipped)


@contextmanager
def _told_once(name: str, said: set[str]) -> Iterator[None]:
    """Warnings of a method under its name; what was said before, as of the rows, isn't said again."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        for one in caught:
            if str(one.message) not in said:
                said.add(str(one.message))
                warnings.warn(f"{one.message} ({name})", one.category, stacklevel=4)
