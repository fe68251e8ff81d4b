"""Which columns does the network use, and which do the labels ask for? Of pictures: which of its last features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.core.requirements import require_whole
from deepwright.core.results import Figure, Table
from deepwright.core.tasks import Binary, Classification, Regression
from deepwright.data.dataset import stratified_order

if TYPE_CHECKING:
    import pandas as pd

_LEAST, _SHOWN = 50, 12
_ALPHA = 0.05


@dataclass(frozen=True)
class _Rows:
    """What is explained.

    Attributes:
        x: training and test rows.
        out: the network's numbers on the training rows.
        y: labels of both.
        names: of the columns.
        what: what a column is.
    """

    x: tuple[np.ndarray, np.ndarray]
    out: np.ndarray
    y: tuple[np.ndarray, np.ndarray]
    names: list[str]
    what: str


def check_reliance(subject: Subject, rows: int = 1500, splits: int = 3) -> Finding:
    """DeepIn twice: on the network's own outputs, which says what it uses, and on the labels, for what they need.

    A column that the outputs need and the labels don't is one that the network could be broken by without having gained
    from it; its variables' p-values are of test rows, which had no part in the selection.

    Args:
        subject: of a table; of pictures, whose last features stand for columns.
        rows: training rows at most.
        splits: of the test rows.

    Raises:
        NotApplicableError: another task or kind of data, or too few rows.
    """
    require_whole(_LEAST, rows=rows)
    require_whole(1, splits=splits)
    from deepwright.interpret import DeepInClassifier, DeepInRegressor

    data = _rows(subject, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say stands in the values
        network = DeepInRegressor(hidden=(32, 32), random_state=subject.seed).fit(_frame(data, 0), data.out)
        classes = not isinstance(subject.task, Regression)
        kind = DeepInClassifier if classes else DeepInRegressor
        labels = kind(hidden=(32, 32), random_state=subject.seed).fit(_frame(data, 0), data.y[0])
        tested = _tested(labels, data, splits, subject.seed)
    used, needed = network.selected_, labels.selected_
    extra = _without(used, needed, network.correlation_groups_)
    values: dict[str, Any] = {
        "columns": len(data.names),
        "used_by_network": len(used),
        "needed_by_labels": len(needed),
        "used_but_not_needed": len(extra),
        "needed_but_not_used": len(_without(needed, used, network.correlation_groups_)),
        "directions_of_network": network.dim_,
        "directions_of_labels": labels.dim_,
    }
    return Finding(
        check="reliance",
        grade="info",
        summary=_summary(data, network, labels, extra),
        values=values,
        rule="Not graded: which columns a network may use is for those to say who know where they come from.",
        remedy=_remedy(extra, data),
        tables=[_columns(data, network, labels, tested), _alike(network, data)],
        figures=_figures(network),
        conditions={"rows": len(data.x[0]), "what": data.what},
    )


def _rows(subject: Subject, most: int) -> _Rows:
    task, kind = subject.task, subject.data.kind
    if not isinstance(task, Regression | Classification | Binary):
        raise NotApplicableError(f"columns are asked about for one number or class a row, and this is {task.kind}")
    if kind not in ("tabular", "image"):
        raise NotApplicableError(f"of {kind} no columns stay the same from row to row")
    if subject.without_scores:
        raise NotApplicableError(subject.without_scores)
    train, test = subject.data.train, subject.data.test
    if min(len(train), len(test)) < _LEAST:
        raise NotApplicableError(f"{len(train)} training and {len(test)} test rows, fewer than {_LEAST} of one")
    part, judged = (stratified_order(s.y, subject.seed)[:most].sort().values.cpu() for s in (train, test))
    out = subject.outputs("train")
    numbers = out.detach().double().cpu()[part].reshape(len(part), -1)
    if isinstance(task, Classification):
        numbers = numbers - numbers.mean(1, keepdim=True)  # a common shift of the logits says nothing
    if kind == "tabular":
        x = tuple(s.inputs(p).flatten(1) for s, p in ((train, part), (test, judged)))
        names = list(subject.data.features)
        what = "column"
    else:
        x = tuple(_features(subject, s.inputs(p)) for s, p in ((train, part), (test, judged)))
        names, what = [], "feature"
    names = names if len(names) == x[0].shape[1] else [f"{what} {k}" for k in range(x[0].shape[1])]
    y = train.y.cpu()[part], test.y.cpu()[judged]
    return _Rows((_array(x[0]), _array(x[1])), numbers.numpy(), (_array(y[0]), _array(y[1])), names, what)


def _features(subject: Subject, x: Tensor) -> Tensor:
    """Inputs of the network's last linear map."""
    found = extract(subject.network, x.split(subject.batch_size), layers=()).features
    if found is None:
        raise NotApplicableError("the network doesn't end in a linear map, whose inputs would be its features")
    return found


def _array(values: Any) -> np.ndarray:
    return torch.as_tensor(values).detach().cpu().double().numpy()


def _frame(data: _Rows, part: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(data.x[part], columns=_different(data.names))


def _different(names: list[str]) -> list[str]:
    """Of equal names each bears its number: they are what columns are found by."""
    count = {name: names.count(name) for name in set(names)}
    return [name if count[name] == 1 else f"{name} ({k})" for k, name in enumerate(names)]


def _tested(labels: Any, data: _Rows, splits: int, seed: int) -> dict[str, tuple[float, float]]:
    """Column -> corrected p and relative increase of the loss, on the test rows; nothing where no test is possible."""
    from deepwright.interpret import test_variables

    if not labels.selected_:
        return {}
    try:
        table = test_variables(labels, _frame(data, 1), data.y[1], n_splits=splits, seed=seed)
    except InputError:  # rows that are in training and test, a class without a row: said by an empty column
        return {}
    return {row["variable"]: (float(row["p_adj"]), float(row["effect"])) for _, row in table.iterrows()}


def _columns(data: _Rows, network: Any, labels: Any, tested: dict[str, tuple[float, float]]) -> Table:
    names = _different(data.names)
    mine = dict(zip(names, network.feature_importances_, strict=True))
    theirs = dict(zip(names, labels.feature_importances_, strict=True))
    either = [n for n in names if n in network.selected_ or n in labels.selected_]
    either.sort(key=lambda n: -mine[n])
    rows: list[list[Any]] = [
        [n, float(mine[n]), float(theirs[n]), *(tested.get(n, (None, None)))] for n in either[: 2 * _SHOWN]
    ]
    heads = [data.what, "use by the network", "need of the labels", "corrected p", "loss without it, relative"]
    caption = (
        f"{data.what}s that the network's outputs or the labels change with: root mean squared gradients for "
        "deviations of 1; p of the labels' need, on test rows"
    )
    return Table(heads, rows, caption)


def _alike(network: Any, data: _Rows) -> Table:
    rows: list[list[Any]] = [[", ".join(map(str, group))] for group in network.correlation_groups_]
    return Table([f"{data.what}s"], rows, "groups that can't be told apart: any of a group may stand for the others")


def _without(names: list[str], others: list[str], alike: list[list[str]]) -> list[str]:
    """Those that aren't among the others, nor a copy of one that is."""
    stood_for = set(others).union(*(group for group in alike if set(group) & set(others)))
    return [name for name in names if name not in stood_for]


def _summary(data: _Rows, network: Any, labels: Any, extra: list[str]) -> str:
    text = (
        f"Of {len(data.names)} {data.what}s the network's outputs change with {len(network.selected_)}, in "
        f"{network.dim_} directions; the labels ask for {len(labels.selected_)}, in {labels.dim_}."
    )
    if extra:
        shown = ", ".join(extra[:5]) + (f" and {len(extra) - 5} more" if len(extra) > 5 else "")
        text += f" Used, and not shown to be needed: {shown}."
    return text


def _remedy(extra: list[str], data: _Rows) -> str:
    """Features can't be left out as columns can."""
    if not extra:
        return ""
    tried = f"Train without them and compare: {', '.join(extra[:5])}. " if data.what == "column" else ""
    return tried + (
        f"That a {data.what} isn't shown to be needed doesn't show that it isn't: look at p, and at the groups that "
        "can't be told apart."
    )


def _figures(network: Any) -> list[Figure]:
    """The network's outputs along its directions."""
    from deepwright.interpret import deepin_report

    drawn = deepin_report(network).figures
    return [figure for figure in drawn if figure.kind == "line"][:2]
