"""Two relatives on the same trees: a Boltzmann machine with O(N) weights, and a cellular network in time.

Sources: H. Zambrano-Luna, W. A. Zuniga-Galindo, Z. He, p-adic convolutional deep Boltzmann machines, arXiv 2302.03817;
p-adic cellular neural networks, arXiv 2107.07980.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.nets.padic.radial import RadialOperator
from deepwright.nets.padic.trees import Tree

_MOST_ENUMERATED = 12


class PAdicRBM(nn.Module):
    """Visible and hidden bits on the leaves, E = -sum a(j) v(i) h(i + j) - sum b v - sum c h, sums in Z/p^l.

    A convolution in ring order: N weights where a plain machine has N^2. v and h come and go in tree order.

    Args:
        tree: whose leaves carry the bits.
        scale: of the first weights.

    Raises:
        InputError: a scale that isn't above 0.
    """

    order: Tensor
    back: Tensor

    def __init__(self, tree: Tree, scale: float = 0.01) -> None:
        super().__init__()
        require_positive(scale=scale)
        self.tree = tree
        n = tree.leaves
        self.weight = nn.Parameter(torch.randn(n) * scale)  # a, in ring order
        self.visible_bias = nn.Parameter(torch.zeros(n))
        self.hidden_bias = nn.Parameter(torch.zeros(n))
        self.register_buffer("order", tree.to_tree(torch.arange(n)), persistent=False)
        self.register_buffer("back", tree.to_ring(torch.arange(n)), persistent=False)

    def matrix(self) -> Float[Tensor, "visible hidden"]:
        """W(i, k) = a(k - i), in tree order: small trees, tests."""
        ring = self.back
        return self.weight[(ring[None, :] - ring[:, None]) % self.tree.leaves]

    def hidden_field(self, v: Float[Tensor, "*batch leaves"]) -> Float[Tensor, "*batch leaves"]:
        """sum_i v(i) a(k - i) + c(k).

        Args:
            v: visible values.
        """
        spectrum = torch.fft.rfft(v[..., self.order]) * torch.fft.rfft(self.weight)
        return torch.fft.irfft(spectrum, n=self.tree.leaves)[..., self.back] + self.hidden_bias

    def visible_field(self, h: Float[Tensor, "*batch leaves"]) -> Float[Tensor, "*batch leaves"]:
        """sum_k a(k - i) h(k) + b(i).

        Args:
            h: hidden values.
        """
        spectrum = torch.fft.rfft(h[..., self.order]) * torch.fft.rfft(self.weight).conj()
        return torch.fft.irfft(spectrum, n=self.tree.leaves)[..., self.back] + self.visible_bias

    def free_energy(self, v: Float[Tensor, "*batch leaves"]) -> Float[Tensor, "*batch"]:
        """-log sum_h exp(-E).

        Args:
            v: visible bits.
        """
        return -(v @ self.visible_bias) - F.softplus(self.hidden_field(v)).sum(-1)

    def gibbs(
        self, v: Float[Tensor, "*batch leaves"], steps: int, generator: torch.Generator
    ) -> Float[Tensor, "*batch leaves"]:
        """Steps of block sampling, h given v and v given h.

        Args:
            v: where the chains stand.
            steps: 1 or more.
            generator: draws the bits, on the device of v.

        Raises:
            InputError: no step.
        """
        require_whole(1, steps=steps)
        with torch.no_grad():
            for _ in range(steps):
                v = _bits(self.visible_field(_bits(self.hidden_field(v), generator)), generator)
        return v

    def contrastive_loss(
        self, data: Float[Tensor, "batch leaves"], chains: Float[Tensor, "chains leaves"]
    ) -> Float[Tensor, ""]:
        """Mean free energy of data less that of chains (persistent ones for PCD): its gradient is the likelihood's.

        Args:
            data: visible bits.
            chains: samples of the model, which count as constants.
        """
        return self.free_energy(data).mean() - self.free_energy(chains.detach()).mean()

    def log_partition(self) -> Float[Tensor, ""]:
        """log Z, by all states of the visible bits.

        Raises:
            InputError: more than 12 leaves.
        """
        n = self.tree.leaves
        if n > _MOST_ENUMERATED:
            raise InputError("log_partition", given=f"{n} leaves", expected=f"at most {_MOST_ENUMERATED}")
        states = (
            torch.arange(2**n, device=self.weight.device)[:, None] >> torch.arange(n, device=self.weight.device) & 1
        )
        return torch.logsumexp(-self.free_energy(states.to(self.weight)), 0)


def _bits(field: Tensor, generator: torch.Generator) -> Tensor:
    draws = torch.rand(field.shape, generator=generator, device=generator.device)
    return (draws.to(field) < field.sigmoid()).to(field)


class PAdicCellularNetwork(nn.Module):
    """dx/dt = -x + A f(x) + B u + z with radial A and B, f the usual clipping to [-1, 1].

    Args:
        tree: whose leaves carry the cells.
        feedback: kernel of A by the common prefix, (depth + 1,).
        control: kernel of B.
        threshold: z, one number or one a leaf.

    Raises:
        InputError: kernels of another shape.
    """

    threshold: Tensor

    def __init__(
        self,
        tree: Tree,
        feedback: Float[Tensor, " levels"],
        control: Float[Tensor, " levels"],
        threshold: float | Float[Tensor, " leaves"] = 0.0,
    ) -> None:
        super().__init__()
        self.tree = tree
        self.feedback = RadialOperator(tree, kernel=feedback)
        self.control = RadialOperator(tree, kernel=control)
        self.register_buffer("threshold", torch.as_tensor(threshold, dtype=self.feedback.weight.dtype))

    def rate(
        self, x: Float[Tensor, "*batch leaves"], u: Float[Tensor, "*batch leaves"]
    ) -> Float[Tensor, "*batch leaves"]:
        """dx/dt.

        Args:
            x: state of the cells.
            u: input.
        """
        fed = self.feedback(x.clamp(-1, 1)[..., None, :])[..., 0, :]
        return fed - x + self.control(u[..., None, :])[..., 0, :] + self.threshold

    def run(
        self, x: Float[Tensor, "*batch leaves"], u: Float[Tensor, "*batch leaves"], time: float, steps: int
    ) -> Float[Tensor, "*batch leaves"]:
        """The state after a time, by Runge and Kutta's fourth order.

        Args:
            x: state at first.
            u: input, constant in time.
            time: above 0.
            steps: of equal length.

        Raises:
            InputError: numbers out of range.
        """
        require_positive(time=time)
        require_whole(1, steps=steps)
        h = time / steps
        for _ in range(steps):
            a = self.rate(x, u)
            b = self.rate(x + h / 2 * a, u)
            c = self.rate(x + h / 2 * b, u)
            x = x + h / 6 * (a + 2 * b + 2 * c + self.rate(x + h * c, u))
        return x

    def stationary(
        self,
        x: Float[Tensor, "*batch leaves"],
        u: Float[Tensor, "*batch leaves"],
        tol: float = 1e-9,
        most: int = 10_000,
    ) -> Float[Tensor, "*batch leaves"]:
        """A state that doesn't move, reached from x in time.

        Args:
            x: state at first.
            u: input.
            tol: largest |dx/dt| that counts as rest.
            most: steps of 0.1.

        Raises:
            ArithmeticError: it still moves after them.
        """
        for _ in range(0, most, 50):
            x = self.run(x, u, 5.0, 50)
            if float(self.rate(x, u).abs().max()) <= tol:
                return x
        raise ArithmeticError(f"the state still moves by {float(self.rate(x, u).abs().max()):.3g} after {most} steps")

    def contraction(self) -> float:
        """|A| as an operator, times f's slope of 1: below 1 two states were always seen to approach (not a theorem)."""
        return float(self.feedback.spectrum().abs().max())
