"""A network taken apart into factors of which something can be proved: affine, diagonal, pointwise, residual, unknown.

All is in float64 and on flat vectors. An element maps `(batch, inputs)` to `(batch, outputs)`; a chain is a tuple of
elements, applied from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.interpret.tunnel.activations import Activation

Vectors = Float[Tensor, "batch inputs"]
Images = Float[Tensor, "batch outputs"]


@dataclass(frozen=True)
class Affine:
    """W x + b.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,).
        name: of the module.
    """

    weight: Tensor
    bias: Tensor
    name: str = ""

    @property
    def widths(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.weight.shape[1], self.weight.shape[0]

    def __call__(self, x: Vectors) -> Images:
        """Values."""
        return x @ self.weight.T + self.bias


@dataclass(frozen=True)
class Diagonal:
    """s x + b, feature by feature: a multiplier, or a BatchNorm that no longer learns.

    Attributes:
        factor: (width,).
        bias: (width,).
        name: of the module.
    """

    factor: Tensor
    bias: Tensor
    name: str = ""

    @property
    def widths(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return len(self.factor), len(self.factor)

    def __call__(self, x: Vectors) -> Images:
        """Values."""
        return x * self.factor + self.bias


@dataclass(frozen=True)
class Pointwise:
    """An activation, feature by feature.

    Attributes:
        activation: which.
        width: features.
        name: of the module.
    """

    activation: Activation
    width: int
    name: str = ""

    @property
    def widths(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.width, self.width

    def __call__(self, x: Vectors) -> Images:
        """Values."""
        return self.activation.function(x)


@dataclass(frozen=True)
class Opaque:
    """What isn't taken apart; at most its Lipschitz constant is known.

    Attributes:
        name: of the module or function.
        why: it isn't taken apart.
        inputs: flat features.
        outputs: flat features.
        upper: a bound from above of its Lipschitz constant in the 2-norm; infinite where none is known.
    """

    name: str
    why: str
    inputs: int
    outputs: int
    upper: float = float("inf")

    @property
    def widths(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.inputs, self.outputs


@dataclass(frozen=True)
class Residual:
    """skip(x) + branch(x).

    Attributes:
        name: of the block.
        skip: chain; a multiplier alone is a `Diagonal`, none at all is the identity.
        branch: chain.
        width: inputs, which an empty chain doesn't tell.
    """

    name: str
    skip: tuple[Element, ...]
    branch: tuple[Element, ...]
    width: int

    @property
    def widths(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.width, self.branch[-1].widths[1] if self.branch else self.width

    def __call__(self, x: Vectors) -> Images:
        """Values."""
        return run(self.skip, x) + run(self.branch, x)


Element = Affine | Diagonal | Pointwise | Opaque | Residual
Chain = tuple[Element, ...]


def run(chain: Chain, x: Vectors) -> Images:
    """Values of a chain.

    Args:
        chain: without unknown elements.
        x: flat inputs in float64.

    Raises:
        InputError: an element that isn't taken apart.
    """
    for element in chain:
        if isinstance(element, Opaque):
            raise InputError(f"{element.name} can't be evaluated apart from its network", given=element.why)
        x = element(x)
    return x


def flat(chain: Chain) -> list[Element]:
    """Every element, those inside residual blocks included.

    Args:
        chain: of elements.
    """
    found: list[Element] = []
    for element in chain:
        found.append(element)
        if isinstance(element, Residual):
            found += flat(element.skip) + flat(element.branch)
    return found


def unknown(chain: Chain) -> list[Opaque]:
    """The elements that aren't taken apart.

    Args:
        chain: of elements.
    """
    return [element for element in flat(chain) if isinstance(element, Opaque)]


def is_known(chain: Chain | None) -> TypeGuard[Chain]:
    """Whether all of it is taken apart.

    Args:
        chain: or None where there is none.
    """
    return chain is not None and not unknown(chain)


def is_smooth(chain: Chain) -> bool:
    """Whether it is infinitely often differentiable, as far as it is known.

    Args:
        chain: of elements.
    """
    return all(e.activation.smooth for e in flat(chain) if isinstance(e, Pointwise)) and not unknown(chain)


def skip_factor(block: Residual) -> Tensor | None:
    """The multiplier of a skip that is one, feature by feature; None where the skip is another map.

    Args:
        block: any.
    """
    if len(block.skip) > 1 or not all(isinstance(e, Diagonal) for e in block.skip):
        return None
    like = _like(block)
    return next((e.factor for e in block.skip if isinstance(e, Diagonal)), torch.ones(block.width, **like))


def no_skip(block: Residual) -> bool:
    """Whether the skip's multiplier is 0 throughout: a plain layer of a perceptron.

    Args:
        block: any.
    """
    factor = skip_factor(block)
    return factor is not None and not bool(factor.any())


def _like(block: Residual) -> dict[str, Any]:
    for element in flat(block.branch):
        tensor = element.weight if isinstance(element, Affine) else getattr(element, "factor", None)
        if tensor is not None:
            return {"dtype": tensor.dtype, "device": tensor.device}
    return {"dtype": torch.float64}


def device_of_chain(chain: Chain) -> torch.device:
    """Where its tensors are.

    Args:
        chain: of elements.
    """
    for element in flat(chain):
        tensor = element.weight if isinstance(element, Affine) else getattr(element, "factor", None)
        if tensor is not None:
            return torch.device(tensor.device)
    return torch.device("cpu")
