"""What is said of a fitted estimator: only what doesn't depend on the basis of its representation."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.results import Figure, Table
from deepwright.interpret.deepin.base import DeepIn

_CURVE = 61


@dataclass(frozen=True)
class DeepInReport:
    """What was found, as plain data.

    Attributes:
        selected: names of the variables.
        dimension: of the representation.
        at_cap: whether it is `max_dim`, and fewer than the columns: more may be needed.
        widths: hidden units that are left.
        parameters: numbers that are left.
        parameters_before: of the network with all variables, dimensions and units.
        selection_loss: by which the structure was chosen; no test loss.
        importances: variable -> root mean squared gradient of the standardised column.
        scree: eigenvalues of the pilot's mean outer product of gradients.
        alike: groups of columns that can't be told apart: any of a group may stand for the others.
        dropped: constant columns.
        path: the structures, as a table.
        figures: the path, the scree, and outputs along each direction.
    """

    selected: list[Any]
    dimension: int
    at_cap: bool
    widths: list[int]
    parameters: int
    parameters_before: int
    selection_loss: float
    importances: dict[Any, float]
    scree: list[float]
    alike: list[list[Any]]
    dropped: list[Any]
    path: Table
    figures: list[Figure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def sentence(self) -> str:
        """The result in words."""
        if not self.selected:
            return "Nothing was selected: constant outputs are as good on the held rows, within a standard error."
        cap = " (at the cap: more may be needed)" if self.at_cap else ""
        said = ", ".join(map(str, self.selected))
        return (
            f"{len(self.selected)} variables ({said}) in {self.dimension} directions{cap}; "
            f"{self.parameters} of {self.parameters_before} numbers are left."
        )

    def table(self) -> Table:
        """Variables by importance."""
        rows: list[list[Any]] = [[str(name), value] for name, value in self.importances.items()]
        caption = "root mean squared gradient by each standardised column; it doesn't depend on a basis"
        return Table(["variable", "importance"], rows, caption)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{c}</th>" for c in self.table().columns)
        body = "".join(f"<tr><td>{_escaped(a)}</td><td>{b:.4g}</td></tr>" for a, b in self.importances.items())
        return f"<p>{_escaped(self.sentence())}</p><table><tr>{head}</tr>{body}</table>"


def deepin_report(est: DeepIn) -> DeepInReport:
    """What a fitted estimator found.

    Args:
        est: fitted.

    Raises:
        NotFittedError: it isn't.
    """
    if not est.__sklearn_is_fitted__():
        raise NotFittedError(type(est).__name__)
    names = est._labels()
    order = np.argsort(-est.feature_importances_, kind="stable")
    found = {names[j]: float(est.feature_importances_[j]) for j in order if est.support_[j]}
    figures = [_path_figure(est), _scree_figure(est), *(_direction(est, k) for k in range(min(est.dim_, 3)))]
    return DeepInReport(
        selected=list(est.selected_),
        dimension=est.dim_,
        at_cap=bool(est.at_cap_),
        widths=list(est.widths_),
        parameters=est.n_params_,
        parameters_before=_before(est),
        selection_loss=est.selection_loss_,
        importances=found,
        scree=[float(v) for v in est.scree_],
        alike=est.correlation_groups_,
        dropped=est.dropped_,
        path=path_table(est),
        figures=figures,
    )


def path_table(est: DeepIn) -> Table:
    """The structures that the fit passed.

    Args:
        est: fitted.
    """
    rows: list[list[Any]] = [
        [
            None if np.isnan(row["lambda"]) else float(row["lambda"]),
            int(row["variables"]),
            int(row["dimensions"]),
            int(row["parameters"]),
            float(row["selection"]),
            bool(row["chosen"]),
        ]
        for _, row in est.path_.iterrows()
    ]
    columns = ["lambda", "variables", "dimensions", "parameters", "selection loss", "chosen"]
    return Table(columns, rows, f"by {est.path_.attrs['selection']}")


def _before(est: DeepIn) -> int:
    p = est.n_features_in_ - len(est.dropped_)
    outputs = len(est.module_.offset)
    sizes = [min(est.max_dim, p), *est.hidden, outputs]
    return p * sizes[0] + sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def _path_figure(est: DeepIn) -> Figure:
    table = est.path_[est.path_["lambda"].notna()]
    x = [float(v) for v in table["lambda"]]
    series: list[dict[str, Any]] = [
        {"name": name, "x": x, "y": [float(v) for v in table[name]]} for name in ("variables", "dimensions")
    ]
    return Figure("scatter", "What each lambda left", series, "lambda", "how many", log_x=True)


def _scree_figure(est: DeepIn) -> Figure:
    values = [float(v) for v in est.scree_]
    labels = [str(k + 1) for k in range(len(values))]
    return Figure(
        "bar", "How much the pilot's outputs change along each direction", [{"name": "", "x": labels, "y": values}]
    )


def _direction(est: DeepIn, k: int) -> Figure:
    """Outputs along one canonical direction, the others at their means: g is a function of few numbers."""
    network = est.module_.network
    assert network is not None
    spread = float(np.linalg.norm(est.B_[:, k]))
    along = np.linspace(-2.5, 2.5, _CURVE) * max(spread, 1e-12)
    z = torch.zeros(_CURVE, est.dim_, dtype=torch.float64)
    z[:, k] = torch.from_numpy(along)
    with torch.no_grad():
        out = est.module_.offset + est.module_.factor * network.head(z)
    if out.shape[1] == 2:
        out = out[:, 1:] - out[:, :1]
    series = [
        {"name": f"output {c + 1}", "x": along.tolist(), "y": out[:, c].tolist(), "smooth": True}
        for c in range(min(out.shape[1], 6))
    ]
    return Figure("line", f"Outputs along direction {k + 1}", series, f"z{k + 1}, the others at 0", "output")


def partial_surface(est: DeepIn, first: int = 0, second: int = 1, points: int = 31) -> tuple[np.ndarray, ...]:
    """Outputs over two canonical directions, the others at 0.

    Args:
        est: fitted, of at least two directions.
        first: the direction of the rows.
        second: of the columns.
        points: each way.

    Returns:
        (points,) of each direction, and (points, points, outputs).

    Raises:
        InputError: directions that it hasn't.
    """
    if not est.__sklearn_is_fitted__():
        raise NotFittedError(type(est).__name__)
    if not 0 <= first < est.dim_ or not 0 <= second < est.dim_ or first == second or est.module_.network is None:
        raise InputError("directions", given=f"{first} and {second}", expected=f"two of {est.dim_}")
    ends = [2.5 * float(np.linalg.norm(est.B_[:, k])) for k in (first, second)]
    a, b = (np.linspace(-e, e, points) for e in ends)
    z = torch.zeros(points * points, est.dim_, dtype=torch.float64)
    z[:, first], z[:, second] = torch.from_numpy(np.repeat(a, points)), torch.from_numpy(np.tile(b, points))
    with torch.no_grad():
        out = est.module_.offset + est.module_.factor * est.module_.network.head(z)
    return a, b, out.numpy().reshape(points, points, -1)


def _escaped(text: object) -> str:
    from html import escape

    return escape(str(text))
