"""Derivatives carried through a network in one forward pass: a value, directional slopes, second-order operators.

Per point a jet holds the value v, k directional first derivatives J_i and s channels S_A = sum_ij A_ij d_i d_j, each
for a symmetric matrix A. Linear maps act on each part alike; an element-wise function sigma gives

    J' = sigma'(v) J,      S' = sigma'(v) S + sigma''(v) sum_ij A_ij J_i J_j,

and a product f g gives S = f S_g + g S_f + 2 sum_ij A_ij J_f,i J_g,j. Third derivatives along single directions are
carried where every S is the second derivative along its own direction: T' = sigma' T + 3 sigma'' J S + sigma''' J^3.

Source of the idea: forward Laplacian (arXiv 2307.08214) and collapsed Taylor mode (arXiv 2505.13644).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

Rule = Callable[[Tensor, int], tuple[Tensor, ...]]


class Operators:
    """Second-order operators in k directions, by what is cheapest: own directions, weighted squares, pairs, or any
    matrices.

    Args:
        matrices: (s, k, k) symmetric.
        kind: "laplacian", "diagonal" or "hessian" where the matrices are known to be that.
    """

    def __init__(self, matrices: Float[Tensor, "s k k"], kind: str = "") -> None:
        self.matrices = matrices
        self.count, self.directions = matrices.shape[:2]
        diagonal = matrices.diagonal(dim1=1, dim2=2)
        if kind:  # known beforehand: looking at values would break a compiled graph
            self.diagonal = None if kind == "hessian" else diagonal
            self.laplacian, self.own = kind == "laplacian", kind == "diagonal"
            k = self.directions
            every = [(i, j) for i in range(k) for j in range(i, k)]
            self.pairs = ([i for i, _ in every], [j for _, j in every]) if kind == "hessian" else None
            return
        self.diagonal = diagonal if torch.equal(matrices, torch.diag_embed(diagonal)) else None
        self.laplacian = self.diagonal is not None and self.count == 1 and bool((diagonal == 1).all())
        self.own = self.diagonal is not None and torch.equal(diagonal, torch.eye(self.directions).to(diagonal))
        self.pairs = self._as_pairs() if self.diagonal is None else None

    def _as_pairs(self) -> tuple[list[int], list[int]] | None:
        """(i, j) of each channel when all are d_i d_j."""
        left, right = [], []
        for a in self.matrices.tolist():
            entries = [(i, j) for i, row in enumerate(a) for j, v in enumerate(row) if v and i <= j]
            if len(entries) != 1 or a[entries[0][0]][entries[0][1]] != (1.0 if entries[0][0] == entries[0][1] else 0.5):
                return None
            left.append(entries[0][0])
            right.append(entries[0][1])
        return left, right

    def pair(self, a: Float[Tensor, "k n c"], b: Float[Tensor, "k n c"]) -> Float[Tensor, "s n c"]:
        """sum_ij A_ij a_i b_j, made symmetric in a and b.

        Args:
            a: first derivatives of one.
            b: first derivatives of the other.
        """
        if self.own:
            return a * b
        if self.laplacian:
            return (a * b).sum(0, keepdim=True)
        if self.diagonal is not None:
            return torch.tensordot(self.diagonal.to(a), a * b, 1)
        if self.pairs is not None:
            i, j = self.pairs
            return a[i] * b[j] if a is b else 0.5 * (a[i] * b[j] + a[j] * b[i])
        products = torch.einsum("inc,jnc->ijnc", a, b)
        return torch.tensordot(self.matrices.to(a), products, 2)


class Jet(NamedTuple):
    """A value with its derivatives.

    Attributes:
        v: (N, C).
        J: (k, N, C), or (k, 1, C) where it doesn't depend on the point.
        S: (s, N, C), or None where it is zero or isn't asked for.
        operators: what S holds; None asks for first derivatives only.
        T: (k, N, C) third derivatives along each direction; None where they are zero or aren't asked for.
        order: 1, 2 or 3.
    """

    v: Tensor
    J: Tensor
    S: Tensor | None = None
    operators: Operators | None = None
    T: Tensor | None = None
    order: int = 2

    def map(self, linear: Callable[[Tensor], Tensor], bias: Tensor | None = None) -> Jet:
        """A linear map of the channels, and a constant.

        Args:
            linear: the map.
            bias: the constant.
        """
        v = linear(self.v) if bias is None else linear(self.v) + bias
        return self._replace(
            v=v,
            J=linear(self.J),
            S=None if self.S is None else linear(self.S),
            T=None if self.T is None else linear(self.T),
        )

    def channels(self, part: slice | int) -> Jet:
        """Some channels.

        Args:
            part: which (an integer keeps the axis).
        """
        chosen = slice(part, part + 1 or None) if isinstance(part, int) else part
        return self.map(lambda t: t[..., chosen])

    def times(self, other: Jet) -> Jet:
        """The product, channel by channel.

        Args:
            other: the second factor.
        """
        f, g = self, other
        J = f.v * g.J + g.v * f.J
        S = T = None
        if f.operators is not None:
            S = 2 * f.operators.pair(f.J, g.J)
            for a, b in ((f, g), (g, f)):
                S = S if b.S is None else S + a.v * b.S
        if f.order == 3:
            T = torch.zeros_like(f.v * g.v * f.J)
            for a, b in ((f, g), (g, f)):
                T = T if b.T is None else T + a.v * b.T
                T = T if b.S is None else T + 3 * a.J * b.S
        return Jet(f.v * g.v, J, S, f.operators, T, f.order)

    def plus(self, other: Jet) -> Jet:
        """The sum.

        Args:
            other: the second summand.
        """

        def add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
            return a if b is None else b if a is None else a + b

        return self._replace(v=self.v + other.v, J=self.J + other.J, S=add(self.S, other.S), T=add(self.T, other.T))

    def apply(self, rule: Rule) -> Jet:
        """An element-wise function.

        Args:
            rule: (values, order) -> its derivatives up to that order, the function itself first.
        """
        d = rule(self.v, self.order)
        J = d[1] * self.J
        S = T = None
        if self.operators is not None:
            S = d[2] * self.operators.pair(self.J, self.J)
            S = S if self.S is None else S + d[1] * self.S
        if self.order == 3:
            T = d[3] * self.J**3
            T = T if self.S is None else T + 3 * d[2] * self.J * self.S
            T = T if self.T is None else T + d[1] * self.T
        return Jet(d[0], J, S, self.operators, T, self.order)


def concatenate(jets: list[Jet]) -> Jet:
    """Channels side by side.

    Args:
        jets: of the same points and operators.
    """
    first, n = jets[0], max(len(j.v) for j in jets)

    def whole(t: Tensor) -> Tensor:
        return t.expand(*t.shape[:-2], n, t.shape[-1])

    def join(parts: list[Tensor | None]) -> Tensor | None:
        if all(p is None for p in parts):
            return None
        like = next(p for p in parts if p is not None)
        filled = [j.v.new_zeros(len(like), 1, j.v.shape[-1]) if p is None else p for p, j in zip(parts, jets)]
        return torch.cat([whole(p) for p in filled], -1)

    J = join([j.J for j in jets])
    assert J is not None
    return first._replace(
        v=torch.cat([whole(j.v) for j in jets], -1), J=J, S=join([j.S for j in jets]), T=join([j.T for j in jets])
    )


# --- element-wise functions: (sigma, sigma', sigma'', sigma''') up to the order
# -----------------------------------------


def tanh(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """a = tanh v: 1 - a^2, -2 a (1 - a^2), (6 a^2 - 2)(1 - a^2).

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    a = torch.tanh(v)
    slope = 1 - a * a
    more = (-2 * a * slope,) if order > 1 else ()
    return (a, slope, *more, (6 * a * a - 2) * slope) if order > 2 else (a, slope, *more)


def sine(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """sin, cos, -sin, -cos.

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    s, c = torch.sin(v), torch.cos(v)
    return (s, c, -s, -c)[: order + 1]


def cosine(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """cos, -sin, -cos, sin.

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    s, c = torch.sin(v), torch.cos(v)
    return (c, -s, -c, s)[: order + 1]


def sigmoid(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """p, p q, p q (q - p), p q (1 - 6 p q) with q = 1 - p.

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    p = torch.sigmoid(v)
    pq = p * (1 - p)
    return (p, pq, pq * (1 - 2 * p), pq * (1 - 6 * pq))[: order + 1]


def silu(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """v p: the product rule on the sigmoid.

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    d = sigmoid(v, order)
    return (v * d[0], *(v * d[n] + n * d[n - 1] for n in range(1, order + 1)))


def softplus(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """ln(1 + e^v), whose slope is the sigmoid.

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    return (torch.nn.functional.softplus(v), *sigmoid(v, order - 1))


def gelu(v: Tensor, order: int) -> tuple[Tensor, ...]:
    """v Phi(v), with phi' = -v phi.

    Args:
        v: values.
        order: of the last derivative, 1 to 3.
    """
    density = torch.exp(-0.5 * v * v) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + torch.erf(v / math.sqrt(2)))
    return (v * below, below + v * density, (2 - v * v) * density, (v**3 - 4 * v) * density)[: order + 1]


ACTIVATIONS: dict[type[nn.Module], Rule] = {
    nn.Tanh: tanh,
    nn.Sigmoid: sigmoid,
    nn.SiLU: silu,
    nn.Softplus: softplus,
    nn.GELU: gelu,
}


class Unsupported(TypeError):
    """A module that no rule covers.

    Args:
        module: which one.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__(type(module).__name__)
        self.module = module


def transforming() -> bool:
    """Whether this runs inside a transform of torch.func (vmap, jacrev), where values can't be looked at."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def propagate(module: nn.Module, jet: Jet) -> Jet:
    """A jet through a module that has `forward_jet`, is a linear map, a known activation, or a sequence of such.

    Args:
        module: that it goes through.
        jet: that comes in.

    Raises:
        Unsupported: anything else.
    """
    own = getattr(module, "forward_jet", None)
    if own is not None:
        return own(jet)
    if isinstance(module, nn.Linear):
        weight = module.weight
        return jet.map(lambda t: t @ weight.T, module.bias)
    if isinstance(module, nn.Sequential):
        for part in module:
            jet = propagate(part, jet)
        return jet
    if isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and not module.training):
        return jet
    rule = ACTIVATIONS.get(type(module))
    approximate = isinstance(module, nn.GELU) and module.approximate != "none"
    scaled = isinstance(module, nn.Softplus) and (module.beta, module.threshold) != (1, 20)
    if rule is None or approximate or scaled:
        raise Unsupported(module)
    return jet.apply(rule)
