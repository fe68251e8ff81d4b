"""The representation `z = B^T x`, the network on it, and what of them doesn't depend on the choice of a basis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


class RepresentationLayer(nn.Module):
    """A linear map without bias or activation: rows are variables, columns the dimensions of the representation.

    Args:
        variables: p, numbers in.
        dimensions: D, numbers out.

    Attributes:
        weight: B, (p, D).

    Raises:
        InputError: fewer than one variable, or a negative number of dimensions.
    """

    def __init__(self, variables: int, dimensions: int) -> None:
        super().__init__()
        require_whole(variables=variables, dimensions=dimensions)
        if variables < 1 or dimensions < 0:
            given = f"{variables} variables, {dimensions} dimensions"
            raise InputError("representation", given=given, expected="at least one variable")
        self.weight = nn.Parameter(torch.empty(variables, dimensions))
        nn.init.normal_(self.weight, std=1 / math.sqrt(variables))

    def forward(self, x: Float[Tensor, "rows variables"]) -> Float[Tensor, "rows dimensions"]:
        """z for each row.

        Args:
            x: rows.
        """
        return x @ self.weight

    def extra_repr(self) -> str:
        """Its size."""
        return f"variables={self.weight.shape[0]}, dimensions={self.weight.shape[1]}"


class RepresentationNet(nn.Module):
    """f(x) = g(B^T x), g a ReLU network.

    Args:
        variables: p.
        dimensions: D.
        hidden: widths of g's hidden layers.
        outputs: numbers out of g.

    Attributes:
        representation: B.
        head: g, an `nn.Sequential` of linear layers and ReLUs.
    """

    def __init__(self, variables: int, dimensions: int, hidden: Sequence[int] = (64, 64), outputs: int = 1) -> None:
        super().__init__()
        self.representation = RepresentationLayer(variables, dimensions)
        layers: list[nn.Module] = []
        wide = dimensions
        for width in hidden:
            layers += [nn.Linear(wide, width), nn.ReLU()]
            wide = width
        self.head = nn.Sequential(*layers, nn.Linear(wide, outputs))

    def forward(self, x: Float[Tensor, "rows variables"]) -> Float[Tensor, "rows outputs"]:
        """Raw outputs.

        Args:
            x: rows.
        """
        return self.head(self.representation(x))


def projection(b: Tensor) -> Tensor:
    """The orthogonal projection on the columns' span, P_B = B (B^T B)^-1 B^T, from a rank-revealing decomposition.

    Args:
        b: (p, d), of any rank.
    """
    basis = orthonormal(b)
    return basis @ basis.T


def orthonormal(b: Tensor) -> Tensor:
    """An orthonormal basis of the columns' span, (p, rank).

    Args:
        b: (p, d), of any rank.

    Raises:
        InputError: no matrix, or numbers that aren't finite.
    """
    if b.ndim != 2 or not bool(torch.isfinite(b).all()):
        raise InputError("basis", given=f"shape {tuple(b.shape)}", expected="a finite matrix (variables, dimensions)")
    if b.shape[1] == 0:
        return b
    u, s, _ = torch.linalg.svd(b, full_matrices=False)
    return u[:, s > s.amax() * max(b.shape) * torch.finfo(b.dtype).eps]


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between the spans of two sets of columns, in degrees, from the smallest on.

    The sine is taken where the cosine has no digits left, so that equal spans are at 0 and not at 0.02 degrees.

    Args:
        a: (p, d).
        b: (p, e); it goes where `a` is.

    Returns:
        min(rank, rank) angles.

    Raises:
        InputError: other numbers of rows.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[0]:
        raise InputError("bases", given=f"shapes {tuple(a.shape)} and {tuple(b.shape)}", expected="the same variables")
    p, q = orthonormal(a.double()), orthonormal(b.to(a.device).double())
    if min(p.shape[1], q.shape[1]) == 0:
        return torch.zeros(0, dtype=torch.float64, device=a.device)
    if p.shape[1] < q.shape[1]:
        p, q = q, p
    cosines = torch.linalg.svdvals(p.T @ q).clamp(max=1.0)
    sines = torch.linalg.svdvals(q - p @ (p.T @ q)).clamp(max=1.0).flip(0)
    return torch.where(cosines > math.sqrt(0.5), torch.asin(sines), torch.acos(cosines)).rad2deg()


def subspace_distance(a: Tensor, b: Tensor) -> float:
    """The spectral norm of the difference of two projections: 0 for equal spans, 1 where a direction is missing.

    Args:
        a: (p, d).
        b: (p, e); its basis doesn't matter.

    Example:
        >>> plane = torch.eye(3)[:, :2]
        >>> subspace_distance(plane, plane @ torch.tensor([[1.0, 2.0], [0.0, 3.0]])) < 1e-6
        True
    """
    angles = principal_angles(a, b)
    if orthonormal(a.double()).shape[1] != orthonormal(b.double()).shape[1]:
        return 1.0
    return float(angles.amax().deg2rad().sin()) if len(angles) else 0.0


def patch_groups(height: int, width: int, patch: int = 1, channels: int = 1) -> Tensor:
    """The group of each pixel of flattened pictures: one a patch, over all channels; the variables of a picture.

    Args:
        height: of the pictures.
        width: of them.
        patch: side of a patch; the last ones may be smaller.
        channels: of the pictures, the slowest index.

    Returns:
        (channels * height * width,) numbers of groups.
    """
    if min(height, width, patch, channels) < 1:
        raise InputError("pictures", given=f"{channels} x {height} x {width}, patch {patch}", expected="positive sizes")
    rows, columns = torch.arange(height) // patch, torch.arange(width) // patch
    groups = rows[:, None] * math.ceil(width / patch) + columns
    return groups.flatten().repeat(channels)
