"""The rotation: columns of B along the directions in which the network's outputs change, in order of how much."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.interpret.deepin.representation import RepresentationNet
from deepwright.interpret.deepin.stack import Stack

_RANK = 1e-12  # of the largest eigenvalue: below, nothing changes along a direction


def gradient_moments(stack: Stack, x: Tensor, center: bool = False) -> Tensor:
    """(K, D, D): means over rows of the outer products of g's gradients by z, summed over outputs.

    Rows don't meet in g, so that one backward pass an output gives the gradients of all.

    Args:
        stack: K networks.
        x: (1 or K, n, p).
        center: subtract the mean over outputs first: softmax leaves a common shift of the logits free.
    """
    with torch.enable_grad():
        z = torch.matmul(x, stack.b.detach()).requires_grad_()
        out = stack.head(z)
        if center:
            out = out - out.mean(2, keepdim=True)
        moments = torch.zeros(len(stack), stack.dims, stack.dims, dtype=torch.float64, device=x.device)
        for c in range(out.shape[2]):
            (g,) = torch.autograd.grad(out[:, :, c].sum(), z, retain_graph=c + 1 < out.shape[2])
            moments += (g.transpose(1, 2) @ g).double() / z.shape[1]
    return moments


def directions(b: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of M = B (moments) B^T, without ever making a (p, p) matrix.

    Args:
        b: (K, p, D).
        moments: (K, D, D), of gradients by z.

    Returns:
        (K, min(p, D)) eigenvalues, largest first, and (K, p, min(p, D)) directions in x.
    """
    q, r = torch.linalg.qr(b.double())
    small = r @ moments.double() @ r.transpose(1, 2)
    values, vectors = torch.linalg.eigh((small + small.transpose(1, 2)) / 2)
    return values.flip(1).clamp_min(0.0), q @ vectors.flip(2)


def rotated_basis(values: Tensor, vectors: Tensor, dim: int) -> Tensor:
    """(K, p, dim): column l is sqrt(ev_l) v_l; columns beyond the rank are zero.

    Args:
        values: (K, r).
        vectors: (K, p, r).
        dim: columns wanted.
    """
    b = vectors * values.sqrt()[:, None]
    missing = dim - b.shape[2]
    return torch.nn.functional.pad(b, (0, missing)) if missing > 0 else b[:, :, :dim]


def absorbed(stack: Stack, values: Tensor, vectors: Tensor) -> Stack:
    """The same functions with rotated columns: `z = z' T` goes into g's first layer.

    Directions along which nothing changes are left out.

    Args:
        stack: K networks.
        values: as `directions` gives them.
        vectors: as `directions` gives them.
    """
    made = stack.copy()
    new = rotated_basis(values, vectors, stack.dims)
    used = values[:, : stack.dims] > _RANK * values[:, :1].clamp_min(1e-300)
    scale = torch.where(used, values[:, : stack.dims].clamp_min(1e-300).rsqrt(), 0.0)
    t = (vectors[:, :, : scale.shape[1]] * scale[:, None]).transpose(1, 2) @ stack.b.detach().double()
    missing = stack.dims - t.shape[1]
    t = torch.nn.functional.pad(t, (0, 0, 0, missing)) if missing else t
    used = torch.nn.functional.pad(used, (0, missing)) if missing else used
    with torch.no_grad():
        made.b.copy_(new * used[:, None] * stack.variables()[:, :, None])  # a row of rounding isn't zero
        made.weights[0].copy_(t @ stack.weights[0].double())
    return made


def rotate_representation(
    model: RepresentationNet, x: Float[Tensor, "rows variables"], center: bool = False
) -> tuple[RepresentationNet, Tensor]:
    """The same function with columns of B along the eigenvectors of the mean outer product of its gradients by x.

    Args:
        model: f(x) = g(B^T x).
        x: the rows over which the mean is taken; they go where the model lives.
        center: for logits of classes, whose common shift says nothing.

    Returns:
        A new network, and the eigenvalues, largest first: its scree.

    Raises:
        InputError: rows of another width than B's.
    """
    from torch import nn

    b = model.representation.weight
    if x.ndim != 2 or x.shape[1] != b.shape[0]:
        raise InputError("x", given=f"shape {tuple(x.shape)}", expected=f"(rows, {b.shape[0]})")
    linears = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    widths = [layer.out_features for layer in linears[:-1]]
    stack = Stack(
        b.detach()[None].clone(),
        [layer.weight.detach().T[None].clone() for layer in linears],
        [layer.bias.detach()[None, None].clone() for layer in linears],
    )
    values, vectors = directions(stack.b.detach(), gradient_moments(stack, x.to(b)[None], center))
    turned = absorbed(stack, values, vectors)
    made = RepresentationNet(b.shape[0], b.shape[1], widths, linears[-1].out_features).to(b)
    with torch.no_grad():
        made.representation.weight.copy_(turned.b[0])
        for layer, w, c in zip((m for m in made.head if isinstance(m, nn.Linear)), turned.weights, turned.biases):
            layer.weight.copy_(w[0].T)
            layer.bias.copy_(c[0, 0])
    return made, values[0]
