"""Ordered classes: are classes put beside each other that can't touch, and what would a repair change?"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.worst_pictures import mask_strips
from deepwright.core.pictures import strips
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, weighted_bootstrap
from deepwright.core.tasks import ClassOrder, Segmentation
from deepwright.risk import decode, forbidden_pairs, repair_labels

_WORST, _PAIRS = 3, 10
_OWN = 0.05  # contacts of the true labels above which the order isn't theirs


def check_plausibility(subject: Subject) -> Finding:
    """Contacts that the order of the classes forbids, parts and holes of each region, and what a repair would change.

    Args:
        subject: of a segmentation whose task has an order.

    Raises:
        NotApplicableError: another task, one without an order, or labels that aren't maps.
    """
    from deepwright.risk import InvalidContactRate

    task, order = _ordered(subject)
    y, out = subject.data.test.y, subject.outputs()
    valid, labels = task.valid(y), task.prediction(out)
    if labels.shape != y.shape:
        raise NotApplicableError("the outputs' positions aren't the labels'")
    counts = task.contacts(out, y).sum(1)
    own = InvalidContactRate(order)
    own.update(y.where(valid, 0), valid)
    absent = sorted(set(y[valid].unique().tolist()) - set(labels[valid].unique().tolist()))
    p = task.probabilities(out)
    ways = _ways(p, labels, order)
    read = {name: _measured(maps, y, valid, task, order) for name, maps in ways.items()}
    values: dict[str, Any] = {
        "macro_dice": read["as it is"][1],
        "contact_rate_repaired": read["repaired (icm)"][0],
        "macro_dice_repaired": read["repaired (icm)"][1],
        "vanished_classes": len(absent),
    }
    rate = _rate(subject, counts)
    if rate is not None:
        values = {"contact_rate": rate} | values
    if bool(own.counts[:, 1].any()):
        values["contact_rate_of_labels"] = float(own.compute())
    tables = [_pairs(subject, labels, order, valid), _reading(read), _regions(subject, labels, y, valid, order)]
    return Finding(
        check="plausibility",
        grade="info",
        summary=_summary(subject, rate, values, absent, order),
        values=values,
        rule="Not graded: what share of forbidden contacts may stay is the application's to say.",
        remedy=_remedy(values),
        tables=tables,
        figures=_worst(subject, counts, p, order),
        lower_is_better=("contact_rate", "contact_rate_repaired", "vanished_classes"),
        higher_is_better=("macro_dice", "macro_dice_repaired"),
        conditions={"order": order.text},
    )


def _ordered(subject: Subject) -> tuple[Segmentation, ClassOrder]:
    task = subject.task
    if not isinstance(task, Segmentation):
        raise NotApplicableError(f"only the classes of a segmentation touch, and this is {task.kind}")
    if task.order is None:
        raise NotApplicableError('no order of the classes was said: --order "background<iris<pupil"')
    return task, task.order


def _rate(subject: Subject, counts: Tensor) -> Interval | None:
    """The pooled rate with its bootstrap over images; None where nothing touches."""
    if not bool(counts[:, 1].any()):
        return None

    def pooled(w: Tensor) -> dict[str, Tensor]:
        forbidden, total = (w @ counts.to(w)).unbind(1)
        return {"rate": forbidden / total}

    n = len(counts)
    return weighted_bootstrap(n, pooled, seed=subject.seed, shares={"rate": n}, device=counts.device)["rate"]


def _ways(p: Tensor, labels: Tensor, order: ClassOrder) -> dict[str, Tensor]:
    ways = {"as it is": labels}
    if order.is_chain:
        ways["median class"] = decode(p, order, "median")
    ways["repaired (icm)"] = repair_labels(p, order)
    if order.is_chain:
        ways["repaired (path)"] = repair_labels(p, order, "path")
    return ways


def _measured(maps: Tensor, y: Tensor, valid: Tensor, task: Segmentation, order: ClassOrder) -> tuple[float, ...]:
    from deepwright.risk import InvalidContactRate, OrdinalScores

    contacts, scores = InvalidContactRate(order), OrdinalScores(order, task.ignore_index)
    contacts.update(maps, valid)
    scores.update(maps, y)
    found = scores.compute()
    rate = float(contacts.compute().nan_to_num(0.0))
    return rate, float(found["macro_dice"]), float(found["dice"].nan_to_num(1.0).min())


def _reading(read: dict[str, tuple[float, ...]]) -> Table:
    rows: list[list[Any]] = [[name, *found] for name, found in read.items()]
    columns = ["labels", "contact rate", "macro Dice", "worst class's Dice"]
    return Table(columns, rows, "what other readings of the same outputs would change")


def _pairs(subject: Subject, labels: Tensor, order: ClassOrder, valid: Tensor) -> Table:
    names = subject.class_names
    found = forbidden_pairs(labels, order, valid)
    rows: list[list[Any]] = [[names[k], names[j], n] for k, j, n in found[:_PAIRS]]
    caption = f"classes that touch and may not, commonest first ({len(found)} pairs of them)"
    return Table(["class", "class", "contacts"], rows, caption)


def _regions(subject: Subject, labels: Tensor, y: Tensor, valid: Tensor, order: ClassOrder) -> Table:
    from deepwright.risk import ContainmentViolation

    found = [ContainmentViolation(order, border=False) for _ in range(2)]
    for metric, maps in zip(found, (labels, y), strict=True):
        metric.update(maps, valid)
    called, true = (metric.regions() for metric in found)
    rows: list[list[Any]] = []
    for k, mine in called.items():
        cells = [None if v != v else v for v in (mine["extra"], true[k]["extra"], mine["holes"], true[k]["holes"])]
        rows.append([subject.class_names[k], *cells])
    columns = ["class and all inside it", "extra parts", "of the true labels", "holes", "of the true labels, holes"]
    caption = "parts beyond the first and holes of each region, a picture that holds it"
    if not bool(valid.all()):
        caption += "; positions that don't count take the nearest label that does, in outputs and in true labels"
    return Table(columns, rows, caption)


def _summary(
    subject: Subject, rate: Interval | None, values: dict[str, Any], absent: list[int], order: ClassOrder
) -> str:
    gone = ", ".join(subject.class_names[k] for k in absent)
    vanished = f" Predicted nowhere: {gone}; where a class is gone a low rate is no merit." if absent else ""
    if rate is None:
        return f"No related classes touch in the outputs, so that the order {order.text} says nothing.{vanished}"
    labels = values.get("contact_rate_of_labels", 0.0)
    own = f" The true labels' own rate is {labels:.2%}."
    if labels > _OWN:
        own += " That is much: the order may not be that of these classes."
    return (
        f"Of neighbours of different classes {rate.value:.2%} lie more than one level apart in the order {order.text} "
        f"(95 % interval by images {rate.low:.2%} to {rate.high:.2%}), at a macro Dice of {values['macro_dice']:.3f}. "
        f"A repair of the labels leaves {values['contact_rate_repaired']:.2%} at a Dice of "
        f"{values['macro_dice_repaired']:.3f}.{own}{vanished}"
    )


def _remedy(values: dict[str, Any]) -> str:
    if "contact_rate" not in values or values["contact_rate"].value == 0:
        return ""
    return (
        "Repair the labels of the network as it is: `deepwright.risk.repair_labels(probabilities, task.order)`. Or "
        "train on with `OrdinalSegmentationLoss(terms={'contact': (ContactNeighborLoss(task.order), 10.0)})`."
    )


def _worst(subject: Subject, counts: Tensor, p: Tensor, order: ClassOrder) -> list[Figure]:
    """The maps with most forbidden contacts: picture, target, output, and where the order is contradicted."""
    from deepwright.risk import ordinal_inconsistency

    most = counts[:, 0].argsort(descending=True, stable=True)[:_WORST].tolist()
    rows = [i for i in most if float(counts[i, 0]) > 0]
    if not rows:
        return []
    heat = ordinal_inconsistency(p[torch.tensor(rows, device=p.device)], order).cpu()
    heat = heat / heat.amax().clamp_min(1e-9)
    words = [f"{int(counts[i, 0])} of {int(counts[i, 1])} contacts" for i in rows]
    made = mask_strips(subject, cast(Segmentation, subject.task), rows, heat, words)
    if made is None:
        return []
    drawn, note = made
    return [strips("The maps with most forbidden contacts", drawn, note=note)]
