"""The tree of balls: its leaves, their two orders, distances, morphisms between depths, wavelets.

Source: W. A. Zuniga-Galindo, "Deep Neural Networks: A Formulation Via Non-Archimedean Analysis", arXiv 2402.00094.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

MOST_LEAVES = 1 << 26


@dataclass(frozen=True)
class Tree:
    """Balls within balls: each has `q` of the next depth, and the N = q^depth smallest are the leaves.

    A leaf is the digits i_0, ..., i_(l-1) of x = sum_s i_s p^s, |x| = q^(-index of the first digit that isn't 0).
    Leaves have two orders. **Tree order** t = sum_s i_s q^(l-1-s) puts siblings beside each other; all tensors of this
    package are in it. **Ring order** n = sum_s i_s q^s is the integer modulo p^l, in which addition is that of the
    ring: the leaves of `Tree(2, 3)` are, in tree order, the integers 0, 4, 2, 6, 1, 5, 3, 7.

    Args:
        q: balls in a ball; 2 or more.
        depth: l, 0 or more.

    Raises:
        InputError: numbers out of range, or more than 2^26 leaves.

    Example:
        >>> tree = Tree(2, 3)
        >>> tree.to_ring(torch.arange(8)).tolist()
        [0, 4, 2, 6, 1, 5, 3, 7]
        >>> float(tree.distance(torch.tensor(4), torch.tensor(6)))  # 100 and 110 share one digit
        0.5
    """

    q: int
    depth: int

    def __post_init__(self) -> None:
        require_whole(2, q=self.q)
        require_whole(0, depth=self.depth)
        if self.depth * math.log2(self.q) > 26 + 1e-9:
            raise InputError(
                "tree", given=f"{self.q}^{self.depth} leaves", expected=f"at most {MOST_LEAVES}", hint="fewer levels"
            )

    @property
    def leaves(self) -> int:
        """N = q^depth."""
        return int(self.q**self.depth)

    @property
    def nodes(self) -> int:
        """Balls of all depths, the whole one first: (q^(depth + 1) - 1) / (q - 1)."""
        return int((self.q ** (self.depth + 1) - 1) // (self.q - 1))

    @cached_property
    def multiplicities(self) -> tuple[int, ...]:
        """Wavelets of each level: 1 constant, then q^s - q^(s-1)."""
        return (1, *(self.q**s - self.q ** (s - 1) for s in range(1, self.depth + 1)))

    def at(self, depth: int) -> Tree:
        """The tree of the same branching with another depth.

        Args:
            depth: of it.
        """
        return Tree(self.q, depth)

    def measure(self, depth: int) -> float:
        """Haar measure of a ball.

        Args:
            depth: of the ball, 0 for the whole.

        Raises:
            InputError: a depth outside the tree.
        """
        return float(self.q) ** -self._depth("depth", depth)

    def digits(self, leaves: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch depth"]:
        """Digits of leaves, the coarsest first.

        Args:
            leaves: in tree order.

        Raises:
            InputError: no leaves of this tree.
        """
        return self.require_leaves(leaves)[..., None] // self._powers(leaves, falling=True) % self.q

    def to_ring(self, leaves: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
        """Leaves in tree order as integers modulo p^l.

        Args:
            leaves: in tree order.

        Raises:
            InputError: no leaves of this tree.
        """
        return (self.digits(leaves) * self._powers(leaves, falling=False)).sum(-1)

    def to_tree(self, integers: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
        """Integers modulo p^l as leaves in tree order.

        Args:
            integers: in ring order.

        Raises:
            InputError: numbers outside 0..N-1.
        """
        found = self.require_leaves(integers)[..., None] // self._powers(integers, falling=False) % self.q
        return (found * self._powers(integers, falling=True)).sum(-1)

    def common_prefix(self, t: Int[Tensor, "*#batch"], u: Int[Tensor, "*#batch"]) -> Int[Tensor, "*both"]:
        """Digits that two leaves share before the first that differs, `depth` for one leaf.

        Args:
            t: leaves in tree order.
            u: others.

        Raises:
            InputError: no leaves of this tree.
        """
        return (self.digits(t) == self.digits(u)).long().cumprod(-1).sum(-1)

    def distance(self, t: Int[Tensor, "*#batch"], u: Int[Tensor, "*#batch"]) -> Float[Tensor, "*both"]:
        """|t - u| = q^(-common prefix), 0 for one leaf: an ultrametric.

        Args:
            t: leaves in tree order.
            u: others.

        Raises:
            InputError: no leaves of this tree.
        """
        common = self.common_prefix(t, u)
        return (float(self.q) ** -common.double()).where(common < self.depth, 0.0)

    def monna(self, leaves: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Left ends of the leaves' cells [t/N, (t+1)/N): the measure-preserving map onto [0, 1].

        Args:
            leaves: in tree order.

        Raises:
            InputError: no leaves of this tree.
        """
        return self.require_leaves(leaves).double() / self.leaves

    def restrict(
        self, x: Float[Tensor, "*batch fine"], to: int, mask: Bool[Tensor, " fine"] | None = None
    ) -> Float[Tensor, "*batch coarse"]:
        """Means over the balls of a depth: the conditional expectation.

        Args:
            x: values on the leaves of this tree.
            to: depth of the balls.
            mask: leaves that are there: means are over them alone, and 0 where a ball has none.

        Raises:
            InputError: another number of values, a depth outside the tree, a mask of anything but a truth value a leaf.
        """
        self.require_values(x)
        if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[-1:]):
            given, expected = f"{mask.dtype} of shape {tuple(mask.shape)}", f"({self.leaves},) of truth values"
            raise InputError("mask", given=given, expected=expected)
        balls = (self.q ** self._depth("to", to), -1)
        if mask is None:
            return x.unflatten(-1, balls).mean(-1)
        present = mask.unflatten(-1, balls)
        return x.where(mask, 0.0).unflatten(-1, balls).sum(-1) / present.sum(-1).clamp_min(1)

    def lift(self, x: Float[Tensor, "*batch fine"], to: int) -> Float[Tensor, "*batch finer"]:
        """The same function on smaller balls.

        Args:
            x: values on the leaves of this tree.
            to: depth of the balls, at least this tree's.

        Raises:
            InputError: another number of values, a smaller depth.
        """
        self.require_values(x)
        if not isinstance(to, int) or to < self.depth:
            raise InputError("to", given=to, expected=f"a depth of {self.depth} or more", hint="restrict goes up")
        finer = self.at(to)  # which refuses too many leaves
        return x[..., None].expand(*x.shape, finer.leaves // self.leaves).flatten(-2)

    def wavelets(self, x: Float[Tensor, "*batch leaves"]) -> Float[Tensor, "*batch leaves"]:
        """Coefficients in the orthonormal Haar-Kozyrev basis of the inner product q^-l sum x y, in O(N q).

        First the constant, then level by level; a node of depth s - 1 has the q - 1 mean-zero combinations of its
        children as level s, in the order of the nodes (Helmert's contrasts; for q = 2 Haar's).

        Args:
            x: values on the leaves.

        Raises:
            InputError: another number of values.
        """
        self.require_values(x)
        contrasts = helmert(self.q).to(x)
        found: list[Tensor] = []
        for s in range(self.depth, 0, -1):
            children = x.unflatten(-1, (-1, self.q))
            found.append((children @ contrasts.T).flatten(-2) * float(self.q) ** (-s / 2))
            x = children.mean(-1)
        return torch.cat([x, *reversed(found)], -1)

    def inverse_wavelets(self, coefficients: Float[Tensor, "*batch leaves"]) -> Float[Tensor, "*batch leaves"]:
        """The function that has these coefficients.

        Args:
            coefficients: see `wavelets`.

        Raises:
            InputError: another number of them.
        """
        self.require_values(coefficients)
        contrasts = helmert(self.q).to(coefficients)
        x, *levels = coefficients.split(self.multiplicities, -1)
        for s, level in enumerate(levels, 1):
            details = level.unflatten(-1, (-1, self.q - 1)) @ contrasts * float(self.q) ** (s / 2)
            x = (x[..., None] + details).flatten(-2)
        return x

    def morton(self, height: int, width: int) -> Int[Tensor, " leaves"]:
        """Which pixel each leaf is, row by row: pictures as trees of squares.

        `x.flatten(-2)[..., tree.morton(h, w)]` has siblings beside each other. q = 4 is the quadtree, q = b^2 the same
        with b x b squares; q = 2 halves rows and columns in turn, rows first.

        Args:
            height: of the picture.
            width: of it.

        Raises:
            InputError: a picture that this tree doesn't cover.
        """
        side = math.isqrt(self.q)
        t = torch.arange(self.leaves)
        if side**2 == self.q:
            digits = self.digits(t)
            rows, columns, base = digits // side, digits % side, side
        elif self.q == 2:
            digits = self.digits(t)
            rows, columns, base = digits[..., 0::2], digits[..., 1::2], 2
        else:
            raise InputError("morton", given=f"q = {self.q}", expected="2, or a square as 4 or 9")
        if (height, width) != (base ** rows.shape[-1], base ** columns.shape[-1]):
            raise InputError(
                "picture",
                given=f"{height} x {width}",
                expected=f"{base ** rows.shape[-1]} x {base ** columns.shape[-1]} for {self}",
                hint="pad it",
            )
        return _number(rows, base) * width + _number(columns, base)

    def ancestors(self, leaves: Int[Tensor, " n"]) -> Int[Tensor, "n levels"]:
        """Numbers of the balls that hold each leaf, from the whole (0) down to itself, of `nodes` in all.

        Args:
            leaves: in tree order.

        Raises:
            InputError: no leaves of this tree.
        """
        leaves = self.require_leaves(leaves)
        depths = range(self.depth + 1)
        columns = [leaves // self.q ** (self.depth - s) + (self.q**s - 1) // (self.q - 1) for s in depths]
        return torch.stack(columns, -1)

    def require_leaves(self, leaves: Tensor) -> Tensor:
        """Leaves of this tree as int64.

        Args:
            leaves: in either order.

        Raises:
            InputError: numbers with fractions, or outside 0..N-1.
        """
        if not isinstance(leaves, Tensor) or leaves.is_floating_point() or leaves.dtype == torch.bool:
            given = f"{leaves.dtype}" if isinstance(leaves, Tensor) else type(leaves).__name__
            raise InputError("leaves", given=given, expected="a tensor of whole numbers", hint="codes: TreeIndex")
        if leaves.numel():
            low, high = (int(v) for v in leaves.aminmax())
            if low < 0 or high >= self.leaves:
                raise InputError("leaves", given=f"{low}..{high}", expected=f"0..{self.leaves - 1}")
        return leaves.long()

    def require_values(self, x: Tensor) -> None:
        """Refuse what isn't a number for each leaf.

        Args:
            x: values, leaves last.

        Raises:
            InputError: another shape or whole numbers.
        """
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        if not isinstance(x, Tensor) or x.ndim == 0 or x.shape[-1] != self.leaves:
            raise InputError("x", given=f"shape {shape}", expected=f"(..., {self.leaves}), the leaves of {self}")
        if not (x.is_floating_point() or x.is_complex()):
            raise InputError("x", given=str(x.dtype), expected="floating point", hint="x.float()")

    def _depth(self, name: str, depth: int) -> int:
        if not isinstance(depth, int) or not 0 <= depth <= self.depth:
            raise InputError(name, given=depth, expected=f"a depth in 0..{self.depth}")
        return depth

    def _powers(self, like: Tensor, falling: bool) -> Tensor:
        exponents = range(self.depth - 1, -1, -1) if falling else range(self.depth)
        return torch.tensor([self.q**e for e in exponents], dtype=torch.int64, device=like.device)


def helmert(q: int) -> Float[Tensor, "contrasts q"]:
    """q - 1 orthonormal rows, each orthogonal to the constant: row k is (1, ..., 1, -k, 0, ...) / sqrt(k (k + 1)).

    Args:
        q: numbers that are contrasted.
    """
    k = torch.arange(1, q, dtype=torch.float64)[:, None]
    j = torch.arange(q, dtype=torch.float64)
    rows = (j < k).double() - k * (j == k)
    return rows / (k * (k + 1)).sqrt()


def _number(digits: Tensor, base: int) -> Tensor:
    """Digits, the coarsest first, as a number."""
    places = base ** torch.arange(digits.shape[-1] - 1, -1, -1)
    return (digits * places).sum(-1)
