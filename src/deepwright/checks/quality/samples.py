"""Samples of a subject as these checks look at them: rows of numbers, what is known beside, names and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.checks.findings.finding import NotApplicableError
from deepwright.checks.subjects.columns import in_own_units
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.subjects.texts import bags, excerpt, has_words
from deepwright.core.pictures import encode
from deepwright.core.texts import are_codes, to_texts
from deepwright.data import Data, Split
from deepwright.dataquality import statistics_of

_BATCH = 500
_CHARACTERS = 80  # of a text, beside its place
SHOWN = 20


def floats_of(split: Split) -> Float[Tensor, "n d"]:
    """All inputs of a split as rows of numbers, read batch by batch; of texts how often each word or token comes.

    Args:
        split: of a table, of series or of texts.
    """
    split = bags(split) if has_words(split) else split
    parts = [x.flatten(1) for x, _ in split.batches(_BATCH)]
    if not parts:
        return torch.zeros(0, 0)
    return torch.cat([part if part.is_floating_point() else part.float() for part in parts])


def are_pictures(split: Split) -> bool:
    """Whether a split's inputs are pictures.

    Args:
        split: any.
    """
    return split.x.ndim == 4


def name_of(split: Split, i: int) -> str:
    """How the user finds a sample: its file where it is known, else its place; and the beginning of a text.

    Args:
        split: whose sample it is.
        i: its index.
    """
    name = str(split.columns["file"][i]) if "file" in split.columns else str(i)
    return f"{name}: {excerpt(split.x[i], _CHARACTERS)}" if are_codes(split.x) else name


def attributes_of(subject: Subject, split: Split, *, labels: bool = True, most: int | None = None) -> dict[str, Any]:
    """What the samples of a split can be sorted by: name -> values.

    Columns of a table in their own units, statistics of pictures, lengths of texts, what is known beside, and the
    class.

    Args:
        subject: whose split it is.
        split: one of its, or some of its samples.
        labels: with the class.
        most: columns of a table at most; None for all.
    """
    found: dict[str, Any] = {}
    if are_pictures(split):
        found |= statistics_of(split.batches(_BATCH).inputs)
    elif subject.data.kind == "text":
        texts = to_texts(split.x)
        found |= {"characters": torch.tensor([float(len(text)) for text in texts])}
        found |= {"words": torch.tensor([float(len(text.split())) for text in texts])}
    elif subject.data.kind == "tokens":
        found |= {"tokens": (split.x >= 0).sum(1).double()}
    elif subject.data.kind == "tabular":
        found |= dict(list(table_columns(subject, split).items())[:most])
    found |= {name: values for name, values in split.columns.items() if name != "file"}
    if labels and subject.has_classes:
        found["class"] = [subject.class_names[k] for k in split.y.tolist()]
    return found


def table_columns(subject: Subject, split: Split) -> dict[str, Tensor]:
    """Columns of a table in their own units.

    Args:
        subject: of a table.
        split: some of its rows.
    """
    data = subject.data
    if data.center is not None and data.scale is not None:
        split = in_own_units_of(data, split)
    return columns_as_given(subject, split)


def columns_as_given(subject: Subject, split: Split) -> dict[str, Tensor]:
    """Columns of a table as they are: of a reference that is the user's own units already.

    Args:
        subject: of a table.
        split: some of its rows.
    """
    x = floats_of(split)
    names = subject.data.features or tuple(f"column {i}" for i in range(x.shape[1]))
    return {name: x[:, i] for i, name in enumerate(names)}


def in_own_units_of(data: Data, split: Split) -> Split:
    """Rows of a standardised table as they were.

    Args:
        data: that says center and scale.
        split: some of its rows.
    """
    return in_own_units(replace(data, test=split, validation=split.where(torch.arange(0)), ood={})).test


def column_of(subject: Subject, name: str) -> Any:
    """A column of the test samples by its name.

    Args:
        subject: whose test samples.
        name: of a column of the table, of what is known beside, of a statistic of pictures, or "class".

    Raises:
        NotApplicableError: there is no such column; those that there are, are listed.
    """
    known = attributes_of(subject, subject.data.test)
    if name not in known:
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        there = ", ".join([*known][-SHOWN:]) + more if known else "none"
        raise NotApplicableError(f"the test samples have no column {name!r}; they have {there}")
    return known[name]


def pictures(split: Split, rows: Sequence[int], captions: Sequence[str]) -> list[dict[str, Any]]:
    """Pictures with their captions, as series of a figure of kind "images".

    Args:
        split: of pictures.
        rows: which ones.
        captions: of each.
    """
    x = split.inputs(torch.tensor(list(rows), dtype=torch.long))
    return [{"png": encode(image), "caption": caption} for image, caption in zip(x, captions)]
