"""Are there copies among the samples, and do test samples have any in the training part?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError, grade_down
from deepwright.checks.quality.samples import SHOWN, are_pictures, floats_of, name_of
from deepwright.checks.subjects.graphs import GraphNetwork, graph_colours
from deepwright.checks.subjects.subject import PARTS, Subject
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import wilson
from deepwright.core.texts import joined_tokens, to_texts
from deepwright.data import Split
from deepwright.dataquality import (
    Duplicates,
    Fingerprints,
    find_duplicates,
    groups_of,
    picture_fingerprints,
    row_fingerprints,
    text_fingerprints,
)

_STEPS = (0.001, 0.01, 0.05, 0.1)
_PAIRS = 6
_LEAST = 20  # test samples whose share of leaks is graded


def check_duplicates(subject: Subject) -> Finding:
    """Are there copies among the samples, equal or nearly, and how good is the network without those that leaked?

    Applies to every task.
    """
    splits = {part: getattr(subject.data, part) for part in PARTS}
    sizes = [len(splits[part]) for part in PARTS]
    if sum(sizes) < 2:
        raise NotApplicableError("there is one sample only")
    part_of = torch.repeat_interleave(torch.arange(len(PARTS)), torch.tensor(sizes))
    found = find_duplicates(_fingerprints(subject, splits), near=_can_be_near(subject), seed=subject.seed)
    test, fitted = part_of == 2, part_of < 2
    leaked = found.with_copy(test, fitted)[test]
    equal_only = _only_exact(found)
    values: dict[str, Any] = {
        "equal_pairs": int(found.exact.sum()),
        "near_pairs": int((~found.exact).sum()),
        "copies_within_test": float(found.with_copy(test, test)[test].double().mean()),
    }
    labels = _labels(subject, splits)
    if labels is not None:
        values["conflicting_pairs"] = int(found.conflicting(labels).sum())
    if bool(fitted.any()):
        values["leaked"] = float(leaked.double().mean())
        values["leaked_equal"] = float(equal_only.with_copy(test, fitted)[test].double().mean())
        if 0 < int(leaked.sum()) < len(leaked):
            clean = subject.right[~leaked]
            values["accuracy_without_leaked"] = wilson(int(clean.sum()), len(clean))
    grade, rule = _grade(subject, found, part_of, leaked)
    return Finding(
        check="duplicates",
        grade=grade,
        summary=_summary(subject, values, sizes, int(leaked.sum())),
        values=values,
        rule=rule,
        remedy=_remedy(values, int(leaked.sum())),
        tables=_tables(subject, found, splits, part_of, labels),
        figures=_figures(found, splits, part_of),
        lower_is_better=tuple(name for name in values if name != "accuracy_without_leaked"),
        graded_by=("leaked",) if "leaked" in values else (),
    )


def _fingerprints(subject: Subject, splits: dict[str, Split]) -> Fingerprints:
    if are_pictures(subject.data.test):
        parts = [picture_fingerprints(split.batches(500).inputs) for split in splits.values() if len(split)]
        return Fingerprints.cat(parts)
    if subject.data.kind == "text":
        return text_fingerprints([text for split in splits.values() for text in to_texts(split.x)], subject.seed)
    if subject.data.kind == "tokens":  # equal is what is equal token by token
        return row_fingerprints(joined_tokens([split.x for split in splits.values()]).double(), subject.seed)
    if subject.data.kind == "graphs":
        return row_fingerprints(_colours(subject, splits), subject.seed)
    rows = torch.cat([floats_of(split) for split in splits.values() if len(split)])
    return row_fingerprints(rows, subject.seed)


def _colours(subject: Subject, splits: dict[str, Split]) -> Tensor:
    """Graphs as rows that are equal where Weisfeiler-Lehman colours of their nodes are: of the same graph they are."""
    model = cast(GraphNetwork, subject.model)
    graphs = model.graphs[torch.cat([split.x for split in splits.values()]).flatten()].to("cpu")
    return graph_colours(graphs)


def _can_be_near(subject: Subject) -> bool:
    """Whether inputs are amounts, or words: codes and tokens are equal or not."""
    return (
        bool(subject.data.test.x.is_floating_point()) or are_pictures(subject.data.test) or subject.data.kind == "text"
    )


def _only_exact(found: Duplicates) -> Duplicates:
    kept = found.exact
    pairs, distance = found.pairs[kept], found.distance[kept]
    return replace(found, pairs=pairs, exact=kept[kept], distance=distance, group=groups_of(pairs, len(found.group)))


def _labels(subject: Subject, splits: dict[str, Split]) -> Tensor | None:
    return torch.cat([splits[part].y for part in PARTS]) if subject.has_classes else None


def _grade(subject: Subject, found: Duplicates, part_of: Tensor, leaked: Tensor) -> tuple[str, str]:
    train = part_of == 0
    if not bool((part_of < 2).any()):
        return "info", "Not graded: there is no training part that a test sample could have a copy in."
    if len(leaked) < _LEAST:
        return (
            "info",
            f"Not graded: {len(leaked)} test samples say little about the share that leaks ({_LEAST} at least).",
        )
    share = float(leaked.double().mean())
    rule = (
        f"{share:.2%} of the test samples have a copy in the training or validation part: A up to 0.1 %, B up to 1 %, "
        "C up to 5 %, D up to 10 %, E beyond."
    )
    own = float(found.with_copy(train, train)[train].double().mean()) if bool(train.any()) else 0.0
    if not are_pictures(subject.data.test) and share > 0 and wilson(int(leaked.sum()), len(leaked)).low <= own:
        return "info", (
            f"Not graded: {own:.2%} of the training rows have a copy among the training rows, and {share:.2%} of the "
            "test rows have one there: rows of few values repeat, whoever draws them."
        )
    return grade_down(share, _STEPS), rule


def _summary(subject: Subject, values: dict[str, Any], sizes: list[int], leaked: int) -> str:
    looked = f"Among {sizes[0]:,} training, {sizes[1]:,} validation and {sizes[2]:,} test samples that were given"
    pairs = f"{looked} are {values['equal_pairs']} equal and {values['near_pairs']} nearly equal pairs."
    if "leaked" not in values:
        return f"{pairs} No training sample was given, so leaks can't be seen."
    leaks = f" {leaked} test samples ({values['leaked']:.2%}) have a copy in the training or validation part"
    clean = values.get("accuracy_without_leaked")
    if clean is None:
        return f"{pairs}{leaks}."
    word = "right" if subject.has_classes else "within what counts as right"
    return (
        f"{pairs}{leaks}; without them it is {word} on {clean.value:.1%} (95 % interval {clean.low:.1%} to "
        f"{clean.high:.1%}) and with them on {float(subject.right.double().mean()):.1%}."
    )


def _remedy(values: dict[str, Any], leaked: int) -> str:
    if leaked:
        return (
            "Take these test samples out, or their copies out of the training part and train anew: on what a network "
            "has seen, every number in this report is too good."
        )
    if values.get("conflicting_pairs"):
        return "Look at the pairs whose labels differ: one of the two labels is wrong, or the classes overlap."
    if values["equal_pairs"] + values["near_pairs"]:
        return "Nothing leaks; keep one of each group of copies, so that no sample counts twice."
    return "Nothing to do here."


def _tables(
    subject: Subject, found: Duplicates, splits: dict[str, Split], part_of: Tensor, labels: Tensor | None
) -> list[Table]:
    if not len(found.pairs):
        return []
    rows: list[list[Any]] = []
    start = torch.tensor([0, *torch.bincount(part_of, minlength=len(PARTS)).cumsum(0).tolist()])
    for k in _most_telling(found, part_of).tolist():
        row: list[Any] = []
        for i in sorted(found.pairs[k].tolist(), key=lambda i: -int(part_of[i])):
            part = PARTS[int(part_of[i])]
            row += [part, name_of(splits[part], i - int(start[int(part_of[i])]))]
            row += [subject.class_names[int(labels[i])]] if labels is not None else []
        rows.append([*row, "equal" if found.exact[k] else f"{float(found.distance[k]):.3g} apart"])
    words = ["part", "sample"] + (["label"] if labels is not None else [])
    columns = [*words, *(f"copy's {word}" for word in words), "how"]
    more = f" ({len(rows)} of {len(found.pairs)})" if len(rows) < len(found.pairs) else ""
    return [Table(columns, rows, f"pairs of copies, those that leak first{more}")]


def _most_telling(found: Duplicates, part_of: Tensor) -> Tensor:
    """Pairs between the test and another part first, then those within it."""
    a, b = part_of[found.pairs[:, 0]], part_of[found.pairs[:, 1]]
    order = 2 * ((a == 2) != (b == 2)).long() + ((a == 2) | (b == 2)).long()
    return order.argsort(descending=True, stable=True)[:SHOWN]


def _figures(found: Duplicates, splits: dict[str, Split], part_of: Tensor) -> list[Figure]:
    if not len(found.pairs) or not are_pictures(splits["test"]):
        return []
    start = torch.tensor([0, *torch.bincount(part_of, minlength=len(PARTS)).cumsum(0).tolist()])
    rows = []
    for k in _most_telling(found, part_of)[:_PAIRS].tolist():
        pair = sorted(found.pairs[k].tolist(), key=lambda i: -int(part_of[i]))
        places = [(PARTS[int(part_of[i])], i - int(start[int(part_of[i])])) for i in pair]
        images = torch.cat([splits[part].inputs(torch.tensor([i])) for part, i in places])
        how = "equal" if found.exact[k] else "nearly equal"
        rows.append(Strip(how, images, [f"{part}: {name_of(splits[part], i)}" for part, i in places]))
    return [strips("Copies", rows)]
