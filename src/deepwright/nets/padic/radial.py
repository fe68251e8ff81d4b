"""Kernels of the distance alone: l + 1 numbers, O(N) to apply, eigenvalues and functions in closed form."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive
from deepwright.nets.padic.operators import TreeOperator
from deepwright.nets.padic.passes import radial_pass
from deepwright.nets.padic.trees import Tree


class RadialOperator(TreeOperator):
    """K(i, j) = k(|i - j|), k_s for leaves whose common prefix has s digits.

    With the increments c_0 = k_0, c_s = k_s - k_(s-1) and the ball integrals S_s, y = sum_s c_s lift(S_s). Every
    wavelet of level s is an eigenfunction, lambda_s = sum_(t >= s) c_t q^-t, so that inverse, determinant and powers
    take l + 1 numbers.

    Args:
        tree: whose leaves carry the values.
        in_channels: of x.
        out_channels: of K x.
        kernel: k, (out, in, depth + 1), or (depth + 1,) for one pair of channels; random of unit gain when None.

    Raises:
        InputError: a kernel of another shape, or that isn't finite.

    Example:
        >>> identity = RadialOperator.from_spectrum(Tree(3, 2), torch.ones(3, dtype=torch.float64))
        >>> x = torch.arange(9.0, dtype=torch.float64)[None]
        >>> bool(torch.allclose(identity(x), x))
        True
    """

    gain: Tensor

    def __init__(
        self,
        tree: Tree,
        in_channels: int = 1,
        out_channels: int = 1,
        kernel: Float[Tensor, "*channels levels"] | None = None,
    ) -> None:
        super().__init__(tree, in_channels, out_channels)
        levels = tree.depth + 1
        # the share of level s in the variance of y is that of c_s^2 q^(-l-s): weights are c_s in these units
        exponents = torch.arange(levels, dtype=torch.float64).add(tree.depth) / 2
        gain = float(tree.q) ** exponents
        if kernel is None:
            self.register_buffer("gain", gain.to(torch.get_default_dtype()))
            start = torch.randn(out_channels, in_channels, levels) / (levels * in_channels) ** 0.5
        else:
            kernel = self._shaped(kernel)
            self.register_buffer("gain", gain.to(kernel))
            start = torch.diff(kernel, dim=-1, prepend=torch.zeros_like(kernel[..., :1])) / self.gain
        self.weight = nn.Parameter(start)

    def _shaped(self, kernel: Tensor) -> Tensor:
        wanted = (self.out_channels, self.in_channels, self.tree.depth + 1)
        kernel = torch.as_tensor(kernel)
        if kernel.ndim == 1 and wanted[:2] == (1, 1):
            kernel = kernel[None, None]
        if tuple(kernel.shape) != wanted or not kernel.is_floating_point():
            given = f"{kernel.dtype} of shape {tuple(kernel.shape)}"
            raise InputError("kernel", given=given, expected=f"floating point of shape {wanted}")
        if not bool(kernel.isfinite().all()):
            raise InputError("kernel", given="NaN or infinite values", expected="finite ones")
        return kernel.detach().clone()

    @classmethod
    def from_spectrum(cls, tree: Tree, spectrum: Float[Tensor, "*channels levels"]) -> RadialOperator:
        """The operator with these eigenvalues: c_t = q^t (lambda_t - lambda_(t+1)).

        Args:
            tree: whose leaves carry the values.
            spectrum: (depth + 1,), or (out, in, depth + 1).

        Raises:
            InputError: another number of levels.
        """
        spectrum = torch.as_tensor(spectrum)
        if spectrum.ndim not in (1, 3) or spectrum.shape[-1] != tree.depth + 1:
            expected = f"({tree.depth + 1},) or (out, in, {tree.depth + 1})"
            raise InputError("spectrum", given=f"shape {tuple(spectrum.shape)}", expected=expected)
        full = spectrum if spectrum.ndim == 3 else spectrum[None, None]
        after = torch.cat([full[..., 1:], torch.zeros_like(full[..., :1])], -1)
        scale = float(tree.q) ** torch.arange(tree.depth + 1, device=full.device).to(full.dtype)
        return cls(tree, full.shape[1], full.shape[0], ((full - after) * scale).cumsum(-1))

    def increments(self) -> Float[Tensor, "outputs inputs levels"]:
        """c, differentiable."""
        return self.weight * self.gain

    def kernel(self) -> Float[Tensor, "outputs inputs levels"]:
        """k by the length of the common prefix, differentiable."""
        return self.increments().cumsum(-1)

    def spectrum(self) -> Float[Tensor, "outputs inputs levels"]:
        """lambda_s of each pair of channels, differentiable."""
        c = self.increments()
        scaled = c * float(self.tree.q) ** -torch.arange(c.shape[-1], device=c.device).to(c.dtype)
        return scaled.flip(-1).cumsum(-1).flip(-1)

    def inverse(self) -> RadialOperator:
        """The operator that undoes this one.

        Raises:
            InputError: unlike channels, or a level that is lost.
        """
        return self.from_spectrum(self.tree, torch.linalg.inv(self._invertible("inverse")).permute(1, 2, 0))

    def logdet(self) -> Float[Tensor, ""]:
        """log |det| of the whole matrix: sum_s multiplicity_s log |det lambda_s|.

        Raises:
            InputError: unlike channels, or a level that is lost.
        """
        logs = torch.linalg.slogdet(self._invertible("logdet")).logabsdet
        return (logs * torch.tensor(self.tree.multiplicities, dtype=logs.dtype, device=logs.device)).sum()

    def power(self, exponent: float) -> RadialOperator:
        """lambda_s^exponent at each level.

        Args:
            exponent: any number; whole ones of 0 or more where the spectrum isn't positive.

        Raises:
            InputError: several channels, an exponent or a power that isn't a finite number.
        """
        if (self.in_channels, self.out_channels) != (1, 1):
            given = f"{self.in_channels} to {self.out_channels} channels"
            raise InputError("power", given=given, expected="one channel", hint="inverse() and logdet() take several")
        if not math.isfinite(exponent):
            raise InputError("exponent", given=exponent, expected="a finite number")
        spectrum = self.spectrum()[0, 0].detach()
        lost = torch.finfo(spectrum.dtype).eps * spectrum.abs().amax()  # what rounding leaves of a 0
        if exponent != int(exponent):
            self._require_levels("power", spectrum > lost, spectrum)
        elif exponent < 0:
            self._require_levels("power", spectrum.abs() > lost, spectrum)
        return self.from_spectrum(self.tree, spectrum**exponent)

    def _invertible(self, what: str) -> Tensor:
        """(levels, channels, channels), none singular."""
        if self.in_channels != self.out_channels:
            raise InputError(what, given=f"{self.in_channels} to {self.out_channels} channels", expected="as many")
        spectrum = self.spectrum().detach().permute(2, 0, 1)
        smallest = torch.linalg.svdvals(spectrum)
        self._require_levels(what, smallest[:, -1] > torch.finfo(smallest.dtype).eps * smallest.amax(), smallest[:, -1])
        return spectrum

    def _require_levels(self, what: str, fine: Tensor, values: Tensor) -> None:
        if bool(fine.all()):
            return
        level = int((~fine).long().argmax())
        hint = "add a multiple of the identity to the spectrum, as resolvent(tree, alpha, mass) does"
        raise InputError(
            what, given=f"eigenvalue {float(values[level]):.4g} at level {level}", expected="one above 0", hint=hint
        )

    def forward(self, x: Float[Tensor, "*batch inputs leaves"]) -> Float[Tensor, "*batch outputs leaves"]:
        """K x.

        Args:
            x: values on the leaves, in tree order.

        Raises:
            InputError: another shape.
        """
        self.require_input(x)
        return radial_pass(x, self.increments(), self.tree.q)


def vladimirov_spectrum(tree: Tree, alpha: float) -> Float[Tensor, " levels"]:
    """Eigenvalues of D^alpha on the unit ball: 0 on constants, q^(alpha s) on level s.

    Args:
        tree: whose leaves carry the values.
        alpha: order, above 0.

    Raises:
        InputError: an order that isn't above 0.
    """
    require_positive(alpha=alpha)
    spectrum = float(tree.q) ** (alpha * torch.arange(tree.depth + 1, dtype=torch.float64))
    spectrum[0] = 0.0
    return spectrum


def vladimirov(tree: Tree, alpha: float) -> RadialOperator:
    """The Vladimirov operator D^alpha, a derivative of order alpha; it kills constants.

    Args:
        tree: whose leaves carry the values.
        alpha: order, above 0.

    Raises:
        InputError: an order that isn't above 0.
    """
    return RadialOperator.from_spectrum(tree, vladimirov_spectrum(tree, alpha))


def heat(tree: Tree, alpha: float, time: float) -> RadialOperator:
    """exp(-time D^alpha): positive, keeps constants, and heat(t) heat(s) = heat(t + s).

    Args:
        tree: whose leaves carry the values.
        alpha: order, above 0.
        time: 0 or more.

    Raises:
        InputError: numbers out of range.
    """
    if not time >= 0:
        raise InputError("time", given=time, expected="0 or more")
    return RadialOperator.from_spectrum(tree, torch.exp(-time * vladimirov_spectrum(tree, alpha)))


def resolvent(tree: Tree, alpha: float, mass: float) -> RadialOperator:
    """(mass^2 + D^alpha)^-1: the covariance of the free field on the tree.

    Args:
        tree: whose leaves carry the values.
        alpha: order, above 0.
        mass: above 0, without which constants are lost.

    Raises:
        InputError: numbers out of range.
    """
    require_positive(mass=mass)
    return RadialOperator.from_spectrum(tree, 1 / (mass**2 + vladimirov_spectrum(tree, alpha)))
