"""What a network relies on: how far its accuracy falls when one attribute is permuted among the samples.

Attributes with few values make most permuted samples alike: each different one is rendered and read once, and the
permutations are looked up. One plan reads any number of networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating, require_labels
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.interpret.prequential.views import Exchangeable

_AT_ONCE = 1 << 24  # looked-up labels of one pass


@dataclass(frozen=True)
class Reliance:
    """Of one network on one attribute.

    Attributes:
        drop: accuracy less its mean over the permutations.
        p_value: (1 + permutations that leave as much or more) / (1 + permutations): never 0.
        accuracy: as the samples are.
    """

    drop: float
    p_value: float
    accuracy: float


@dataclass(frozen=True)
class ReliancePlan:
    """The different samples that the permutations make, and where each of them stands.

    Attributes:
        inputs: (different, ...) inputs.
        own: (n,) place of each sample as it is.
        places: (permutations, n) place of each permuted sample.
        y: (n,) labels.
    """

    inputs: Tensor
    own: Int64[Tensor, " n"]
    places: Int64[Tensor, "permutations n"]
    y: Int64[Tensor, " n"]

    def read(
        self, labels: Int64[Tensor, "networks different"]
    ) -> tuple[Float[Tensor, " networks"], Float[Tensor, " networks"], Float[Tensor, " networks"]]:
        """Drop, p-value and accuracy of each network, in float64.

        Args:
            labels: that each network gives each of the inputs.
        """
        n = len(self.y)
        places, own, y = (t.to(labels.device) for t in (self.places, self.own, self.y))
        right = (labels[:, own] == y).sum(1)
        each = max(1, _AT_ONCE // places.numel())
        permuted = torch.cat([(some[:, places] == y).sum(2) for some in labels.split(each)])
        p = (1 + (permuted >= right[:, None]).sum(1)).double() / (1 + len(places))
        return (right - permuted.double().mean(1)) / n, p.double(), right.double() / n


def reliance_plan(
    view: Exchangeable, attribute: str, n_permutations: int = 200, seed: int = 0, examples: int | None = None
) -> ReliancePlan:
    """Draw the permutations and render what is different.

    Args:
        view: samples whose attributes can be exchanged.
        attribute: which is permuted; the others and the labels stay.
        n_permutations: how many.
        seed: of samples and permutations.
        examples: so many samples, drawn without replacement; all when None.

    Raises:
        InputError: an attribute that the view doesn't have, no samples, labels that aren't classes from 0 on.
    """
    require_whole(1, n_permutations=n_permutations)
    codes = view.codes
    if attribute not in codes:
        raise unknown_name("attribute", attribute, codes)
    y = view.y
    require_labels(y, None)
    if not len(y):
        raise InputError("samples of a view", given="none", expected="at least one")
    rows = torch.arange(len(y))
    if examples is not None:
        require_whole(1, examples=examples)
        rows = torch.randperm(len(y), generator=generator(seed, "examples"))[:examples].sort().values
    orders = [torch.arange(len(rows)), *_permutations(len(rows), n_permutations, seed)]
    donors = rows[torch.stack(orders)]
    mine = codes[attribute].cpu()
    rest = [code.cpu() for name, code in codes.items() if name != attribute]
    others = torch.unique(torch.stack(rest, 1), dim=0, return_inverse=True)[1] if rest else torch.zeros_like(mine)
    key = others[rows] * (int(mine.max()) + 1) + mine[donors]
    kinds, places = torch.unique(key, return_inverse=True)
    first = torch.full((len(kinds),), key.numel()).scatter_reduce(
        0, places.flatten(), torch.arange(key.numel()), "amin"
    )
    chosen, given = rows.expand_as(donors).flatten()[first], donors.flatten()[first]
    inputs = view.exchanged(attribute, chosen.to(y.device), given.to(y.device))
    there = places.to(y.device)
    return ReliancePlan(inputs, there[0], there[1:], y[rows.to(y.device)])


def _permutations(n: int, count: int, seed: int) -> list[Tensor]:
    draw = generator(seed, "permutations")
    return [torch.randperm(n, generator=draw) for _ in range(count)]


def permutation_reliance(
    model: nn.Module | Callable[[Tensor], Tensor],
    view: Exchangeable,
    attribute: str,
    n_permutations: int = 200,
    seed: int = 0,
    examples: int | None = None,
) -> Reliance:
    """How far a network's accuracy falls when an attribute is permuted among the samples.

    Args:
        model: inputs -> (n, classes) logits; it is left as found.
        view: samples whose attributes can be exchanged.
        attribute: which is permuted.
        n_permutations: how many.
        seed: of samples and permutations.
        examples: so many samples, drawn without replacement; all when None.

    Raises:
        InputError: an attribute that the view doesn't have; outputs that aren't (n, classes), or are NaN; labels that
            none of them is for.
    """
    plan = reliance_plan(view, attribute, n_permutations, seed, examples)
    drop, p, accuracy = plan.read(_labels(model, plan)[None])
    return Reliance(float(drop[0]), float(p[0]), float(accuracy[0]))


@torch.no_grad()
def _labels(model: Any, plan: ReliancePlan) -> Tensor:
    parts = plan.inputs.split(4096)
    if isinstance(model, nn.Module):
        with evaluating(model):
            found = [model(to_model(part, model)) for part in parts]
    else:
        found = [model(part) for part in parts]
    for part, out in zip(parts, found):
        if not isinstance(out, Tensor) or out.ndim != 2 or out.shape[1] < 2 or len(out) != len(part):
            given = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
            raise InputError("outputs", given=given, expected="(n, classes), two classes or more")
    out = torch.cat(found)
    if bool(out.isnan().any()):
        raise InputError("outputs", given="NaN", expected="numbers")
    require_labels(plan.y, out.shape[1])
    return out.argmax(1)
