"""Last steps whose outputs keep the order for every input; each gives logits, so that all else stays as it was.

Source: R. Cruz, R. Cristino, J. S. Cardoso, arXiv 2407.20959; "Unimodal Distributions for Ordinal Regression", arXiv
2303.04547.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network, require_whole


class HardOrdinalHead(nn.Module):
    """K - 1 columns z as the chances to go on inwards, q_k = prod_{i <= k} sigmoid(z_i), and P_k = q_{k-1} - q_k.

    The outputs are log P, exact in log space: their softmax is P, and cross-entropy on them is its likelihood.
    """

    def forward(self, z: Tensor) -> Tensor:
        """(N, K, *positions).

        Args:
            z: (N, K - 1, *positions).
        """
        _require_columns(z, 1)
        on, off = F.logsigmoid(z), F.logsigmoid(-z)
        reached = torch.cat([torch.zeros_like(on[:, :1]), on.cumsum(1)], 1)
        return reached + torch.cat([off, torch.zeros_like(off[:, :1])], 1)


class OrdinalEncodingHead(nn.Module):
    """K - 1 independent sigmoids "above class k?", renormalised over the answers that make sense: sum_{i < k} z_i.

    Args:
        classes: K, for the parallel version, in which one column serves all thresholds; None for K - 1 columns.

    The thresholds of the parallel version start evenly and rise from class to class.
    """

    def __init__(self, classes: int | None = None) -> None:
        super().__init__()
        if classes is not None:
            require_whole(2, classes=classes)
        biases = None if classes is None else nn.Parameter(torch.arange(classes - 1.0).flip(0) - (classes - 2) / 2)
        self.register_parameter("biases", biases)

    def forward(self, z: Tensor) -> Tensor:
        """(N, K, *positions).

        Args:
            z: (N, K - 1, *positions), or one column in the parallel version.
        """
        _require_columns(z, 1)
        if self.biases is not None:
            if z.shape[1] != 1:
                raise InputError("columns", given=z.shape[1], expected="one, in the parallel version")
            z = z + self.get_parameter("biases").to(z).reshape(1, -1, *[1] * (z.ndim - 2))
        return torch.cat([torch.zeros_like(z[:, :1]), z.cumsum(1)], 1)


class UnimodalHead(nn.Module):
    """K columns as steps a = softplus(z): logits min(sum_{i <= k} a_i, sum_{i >= k} a_i), with one peak always."""

    def forward(self, z: Tensor) -> Tensor:
        """(N, K, *positions).

        Args:
            z: (N, K, *positions).
        """
        _require_columns(z, 2)
        steps = F.softplus(z)
        return torch.minimum(steps.cumsum(1), steps.flip(1).cumsum(1).flip(1))


def _require_columns(z: Tensor, least: int) -> None:
    if z.ndim < 2 or z.shape[1] < least or not z.is_floating_point():
        given = f"{z.dtype} of shape {tuple(z.shape)}"
        raise InputError("outputs before the head", given=given, expected=f"floats (N, {least} or more, *positions)")


def wrap_logits(model: nn.Module, head: nn.Module) -> nn.Sequential:
    """The network with a head after it.

    Args:
        model: whose outputs have the columns that the head takes: K - 1, or K for `UnimodalHead`.
        head: of this module.
    """
    require_network(model)
    require_network(head, "head")
    return nn.Sequential(model, head)
