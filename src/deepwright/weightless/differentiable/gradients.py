"""How gradients pass lookup tables and hard choices: the Extended Finite Difference, and straight-through estimates.

Source: A. T. L. Bacellar et al., "Differentiable Weightless Neural Networks" (ICML 2024), arXiv 2410.11112.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from deepwright.core.errors import unknown_name
from deepwright.weightless.inputs import integer

DECAYS = ("exponential", "linear")


@cache
def difference_weights(inputs: int, decay: str = "exponential") -> Tensor:
    """W[a, k, j] = (2 k_j - 1) w(H), so that dA/da_j = sum_k U[k] W[a, k, j] at address a of a table U.

    H counts the bits in which k and a differ, without bit j. `exponential`: w = alpha 3^-H, alpha = 0.75^(n-1) / 2;
    `linear`: w = 1 / (H + 1). With one input these are (U[1] - U[0]) / 2 and U[1] - U[0]. Bit 0 is the highest.

    Args:
        inputs: n, 1..6.
        decay: of far entries.

    Returns:
        (2^n, 2^n, n) float64.
    """
    n = integer(inputs, "n_inputs", 1, 6)
    if decay not in DECAYS:
        raise unknown_name("decay", str(decay), DECAYS)
    bits = np.arange(1 << n)[:, None] >> np.arange(n - 1, -1, -1) & 1
    differ = bits[:, None] != bits[None]
    away = differ.sum(axis=2, keepdims=True) - differ
    weight = 1.0 / (away + 1) if decay == "linear" else 0.5 * 0.75 ** (n - 1) * 3.0**-away
    return torch.from_numpy((2.0 * bits[None] - 1.0) * weight)


class TableLookup(Function):
    """[U_j[a_j] >= 0] of each table j; gradients go straight to the entries, and to the bits by finite differences."""

    @staticmethod
    def forward(ctx: Any, bits: Tensor, tables: Tensor, weights: Tensor) -> Tensor:
        """Look up.

        Args:
            ctx: of autograd.
            bits: (samples, tables, n); above 1/2 is 1.
            tables: (tables, 2^n).
            weights: `difference_weights`.
        """
        luts, size = tables.shape
        powers = 1 << torch.arange(bits.shape[2] - 1, -1, -1, device=bits.device)
        at = ((bits > 0.5) * powers).sum(dim=2) + torch.arange(luts, device=bits.device) * size
        ctx.save_for_backward(at, tables, weights)
        return (tables.reshape(-1)[at] >= 0).to(tables.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        """Gradients of bits and tables.

        Args:
            ctx: of autograd.
            gradient: (samples, tables).
        """
        at, tables, weights = ctx.saved_tensors
        to_tables = torch.zeros_like(tables).reshape(-1).index_add_(0, at.reshape(-1), gradient.reshape(-1))
        to_bits = None
        if ctx.needs_input_grad[0]:  # for all addresses first: far fewer than samples x tables
            slopes = torch.einsum("lk,akj->laj", tables, weights).reshape(-1, weights.shape[2])
            to_bits = gradient[:, :, None] * slopes[at]
        return to_bits, to_tables.reshape(tables.shape), None


class HardChoice(Function):
    """For each output the input whose logit is largest; gradients are those of softmax(logits / tau)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor, tau: float) -> Tensor:
        """Choose.

        Args:
            ctx: of autograd.
            x: (samples, inputs).
            logits: (inputs, outputs).
            tau: temperature.
        """
        chosen = logits.argmax(dim=0)
        ctx.save_for_backward(x, logits, chosen)
        ctx.tau = tau
        return x[:, chosen]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        """Gradients of inputs (those of the chosen ones) and logits.

        Args:
            ctx: of autograd.
            gradient: (samples, outputs).
        """
        x, logits, chosen = ctx.saved_tensors
        soft = torch.softmax(logits / ctx.tau, dim=0)
        to_soft = x.to(gradient.dtype).T @ gradient
        to_logits = soft * (to_soft - (soft * to_soft).sum(dim=0)) / ctx.tau
        to_x = torch.zeros_like(x).index_add_(1, chosen, gradient.to(x.dtype)) if ctx.needs_input_grad[0] else None
        return to_x, to_logits, None


def straight_step(x: Tensor) -> Tensor:
    """[x >= 0], with the gradient of x itself.

    Args:
        x: of any shape.
    """
    return (x >= 0).to(x.dtype) + (x - x.detach())
