"""What is measured of many networks at once, raw and at the temperature that held-out data ask for."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.tasks.ranking import auroc
from deepwright.risk import ece, kl_roots
from deepwright.risk.fragility.index import normalised

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)  # on the matched temperature
CONFIDENT = 0.8
_FOLDS = 10
_PRIOR = 2.0  # standard deviation of log T: of no weight on hundreds of rows, a bound where all held-out rows are right


def temperatures(z: Float[Tensor, "m n k"], y: Int64[Tensor, " n"]) -> Float[Tensor, " m"]:
    """The T of least likelihood loss on held-out rows, under a wide normal prior on log T, for each member.

    Without the prior a network that has no held-out row wrong would ask for T = 0; `fit_temperature` refuses there.

    Args:
        z: logits.
        y: labels.
    """
    z = z.double().transpose(1, 2).contiguous()  # classes before rows: sums over two classes run along the rows
    true, n = z.gather(1, y.expand(len(z), 1, -1))[:, 0], z.shape[2]

    def slopes(log_t: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative by log T of the loss with its prior."""
        scale = (-log_t).exp()
        p = (z * scale[:, None, None]).softmax(1)
        first, second = (p * z).sum(1), (p * z.square()).sum(1)
        gap, spread = (true - first).mean(1) * scale, (second - first.square()).mean(1) * scale.square()
        return gap + log_t / _PRIOR**2 / n, spread - gap + 1 / _PRIOR**2 / n

    low, high = z.new_full((len(z),), -5.0), z.new_full((len(z),), 5.0)
    at = (low + high) / 2
    for turn in range(12):  # halves first, then Newton's steps as long as they stay inside
        slope, bend = slopes(at)
        low, high = torch.where(slope < 0, at, low), torch.where(slope < 0, high, at)
        newton = at - slope / bend
        inside = (bend > 0) & (newton >= low) & (newton <= high)
        at = torch.where(inside & (turn > 1), newton, (low + high) / 2)
    return at.exp()


def at_matched(
    held: tuple[Tensor, Tensor], z: Float[Tensor, "m n k"], y: Int64[Tensor, " n"], few: bool
) -> tuple[Float[Tensor, "m n k"], Float[Tensor, " m"]]:
    """Test logits at the temperature of held-out rows, and that temperature.

    Where a set is so small that the held-out rows hold a handful of errors, the test rows join them: each tenth has the
    temperature of the held-out rows and the other nine. Else every arm is judged by how its temperature happened to
    fall. No arm is selected by these.

    Args:
        held: logits and labels of the held-out rows.
        z: logits of the test rows.
        y: their labels.
        few: whether the test rows join.

    Source: "Pitfalls of In-Domain Uncertainty Estimation and Ensembling in Deep Learning", arXiv 2002.06470.
    """
    z = z.double()
    if not few:
        temperature = temperatures(*held)
        return z / temperature[:, None, None], temperature
    matched, found = torch.empty_like(z), []
    tenth = torch.arange(len(y)) % _FOLDS
    for fold in range(_FOLDS):
        mine, rest = tenth == fold, tenth != fold
        joined = torch.cat([held[0].double(), z[:, rest]], 1), torch.cat([held[1], y[rest]])
        found.append(temperatures(*joined))
        matched[:, mine] = z[:, mine] / found[-1][:, None, None]
    return matched, torch.stack(found).log().mean(0).exp()


def margins(z: Float[Tensor, "m n k"], y: Int64[Tensor, " n"]) -> Float[Tensor, "m n"]:
    """The misjudgment scores xi of each member: the largest wrong probability minus the true class's."""
    p = z.double().softmax(2)
    at = y.expand(len(z), -1)[..., None]
    return p.scatter(2, at, -math.inf).amax(2) - p.gather(2, at)[..., 0]


def cross_entropy(z: Float[Tensor, "m n k"], y: Int64[Tensor, " n"]) -> Float[Tensor, " m"]:
    """Mean loss of each member, in nats."""
    return -z.double().log_softmax(2).gather(2, y.expand(len(z), -1)[..., None])[..., 0].mean(1)


def indices(xi: Float[Tensor, "m n"]) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """FI and normalised FI at tau = 0 of each member."""
    k = kl_roots(xi, xi.new_zeros(len(xi)))
    return k, normalised(k, -xi.mean(1))


def measured(
    z: Float[Tensor, "m n k"],
    y: Int64[Tensor, " n"],
    matched: Float[Tensor, "m n k"],
    temperature: Float[Tensor, " m"],
) -> list[dict[str, float | list[float]]]:
    """All measures of each member on test rows.

    Args:
        z: raw logits.
        y: labels.
        matched: see `at_matched`.
        temperature: of each member.
    """
    z = z.double()
    columns: dict[str, Tensor] = {"accuracy": (z.argmax(2) == y).double().mean(1), "temperature": temperature}
    for name, logits in (("", z), ("_matched", matched)):
        xi = margins(logits, y)
        columns[f"fi{name}"], columns[f"nfi{name}"] = indices(xi)
        columns[f"ce{name}"] = cross_entropy(logits, y)
        columns[f"confident{name}"] = (xi > CONFIDENT).double().mean(1)
        worst = xi.sort(1, descending=True).values[:, : max(1, round(0.05 * xi.shape[1]))]
        columns[f"cvar95{name}"] = worst.mean(1)
        columns[f"ece{name}"] = torch.tensor([ece(member, y) for member in logits], dtype=torch.float64)
    columns["auc"] = torch.tensor([_auc(member, y) for member in matched], dtype=torch.float64)
    softer = [(cross_entropy(matched / f, y), (margins(matched / f, y) > CONFIDENT).double().mean(1)) for f in FACTORS]
    rows: list[dict[str, float | list[float]]] = [
        {k: float(v[i]) for k, v in columns.items()}
        | {"softer ce": [float(ce[i]) for ce, _ in softer], "softer confident": [float(c[i]) for _, c in softer]}
        for i in range(len(z))
    ]
    return rows


def _auc(z: Tensor, y: Tensor) -> float:
    """One against the rest, averaged over the classes."""
    p = z.softmax(1)
    classes = range(1, 2) if z.shape[1] == 2 else range(z.shape[1])
    return sum(auroc(p[:, k], y == k) for k in classes) / len(classes)
