"""A predictor built of parts: a network for each latent attribute, and a table of the label by their values.

p(y | x) = sum over z of p(y | z) prod_i p(z_i | x), at the sum of the parts' costs: the line of a predictor that reads
several attributes together, which no single isolated curve gives.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_same_length, require_whole
from deepwright.interpret.prequential.curves import UNITS
from deepwright.interpret.prequential.learners import FLOOR
from deepwright.interpret.prequential.lines import CompressionLine


@dataclass(frozen=True)
class BayesPredictor:
    """The label as a table of attributes that are read from the inputs.

    Attributes:
        table: (values of attribute 1, ..., values of attribute m, classes) probabilities p(y | z).
    """

    table: Float[Tensor, "..."]

    def log_prob(self, attributes: Sequence[Float[Tensor, "n _"]], y: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
        """(n,) natural logarithm of the probability of each label, in float64.

        Args:
            attributes: log-probabilities of each attribute's values, as networks that read it give them.
            y: (n,) labels.

        Raises:
            InputError: other attributes than the table has, or what isn't log-probabilities.
        """
        shape = tuple(self.table.shape[:-1])
        if tuple(a.shape[1] for a in attributes) != shape:
            shapes = [tuple(a.shape) for a in attributes]
            raise InputError("attributes", given=shapes, expected=f"(n, values) for each of {shape} values")
        if any(len(a) and float((a.double().exp().sum(1) - 1).abs().max()) > 1e-3 for a in attributes):
            given = "rows whose exponentials don't sum to 1"
            raise InputError("attributes", given=given, expected="log-probabilities", hint="log_softmax(1) of logits")
        names = string.ascii_lowercase[: len(shape)]
        terms = ",".join(f"N{name}" for name in names)
        p = torch.einsum(f"{terms},{names}Y->NY", *(a.double().exp() for a in attributes), self.table.double())
        return p.gather(1, y[:, None])[:, 0].log().clamp_min(FLOOR)

    def line(
        self, name: str, costs_bits: Sequence[float], attributes: Sequence[Tensor], y: Int64[Tensor, " n"]
    ) -> CompressionLine:
        """The predictor as a line: the costs of its parts, and its loss on these samples.

        Args:
            name: of the line.
            costs_bits: of the network of each attribute; the table isn't charged.
            attributes: as in `log_prob`, on the original test data.
            y: (n,) their labels.
        """
        require_same_length(costs_bits, attributes, "costs and attributes")
        return CompressionLine(name, math.fsum(costs_bits), -float(self.log_prob(attributes, y).mean()) * UNITS["bits"])


def tabulated(
    attributes: Sequence[Int64[Tensor, " n"]],
    y: Int64[Tensor, " n"],
    values: Sequence[int],
    classes: int,
    prior: float = 0.5,
) -> BayesPredictor:
    """The table p(y | z) counted on samples whose attributes are known, with a count of `prior` added to every cell.

    Args:
        attributes: (n,) values of each attribute, from 0 on.
        y: (n,) labels.
        values: how many each attribute has.
        classes: of the labels.
        prior: added to every count; Krichevsky and Trofimov's is 1/2.
    """
    require_same_length(attributes, values, "attributes and their numbers of values")
    require_positive(prior=prior)
    require_whole(2, classes=classes)
    cell = torch.zeros_like(y)
    for a, count in zip([*attributes, y], [*values, classes]):
        if len(a) != len(y) or (len(a) and not (int(a.min()) >= 0 and int(a.max()) < count)):
            raise InputError("values of an attribute", given=f"{len(a)} of them", expected=f"{len(y)} below {count}")
        cell = cell * count + a
    counts = torch.bincount(cell, minlength=math.prod([*values, classes])).double() + prior
    table = counts.view(*values, classes)
    return BayesPredictor(table / table.sum(-1, keepdim=True))
