"""Differential operators of a network at points, by jets where its modules allow it and nested gradients where not.

Points are never changed, and never asked for gradients: what comes out depends on the network's parameters only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.derivatives.elementary import ElementaryLayerNorm
from deepwright.physics.derivatives.jets import Jet, Operators, Unsupported, propagate, transforming

Network = nn.Module | Callable[[Tensor], Tensor]
ENGINES = ("auto", "jet", "autograd", "func")
_warned: set[str] = set()


def jet(
    network: Network,
    x: Shaped[Tensor, "n d"],
    directions: int | Float[Tensor, "k axes"] | None = None,
    operators: str | Sequence[Tensor] | Tensor | None = None,
    *,
    order: int | None = None,
    engine: str = "auto",
) -> Jet:
    """Value, slopes and second-order operators of a network at points.

    Args:
        network: (N, d) -> (N, C). A module takes part in jets when it defines `forward_jet(Jet) -> Jet`, is an
            `nn.Linear`, a common activation, or an `nn.Sequential` of such; anything else is differentiated by nested
            gradients.
        x: points.
        directions: (k, d) of the derivatives; an integer k means the first k axes; all axes by default.
        operators: "laplacian", "hessian" (all d_i d_j, i <= j, row by row), "diagonal" (each d_i d_i), or symmetric
            (k, k) matrices A, each one channel sum_ij A_ij d_i d_j; None: first derivatives only.
        order: 1, 2 or 3; by what `operators` asks for where not given. 3 carries third derivatives along each direction
            (operators must be "diagonal").
        engine: "auto", "jet" (an error instead of the fall-back), "autograd", or "func" (`torch.func`; for
            cross-checks).

    Raises:
        InputError: points that aren't (N, d) floating point, operators that don't fit the directions, an order that
            doesn't fit the operators.
        TypeError: engine "jet" and a module without a rule.
    """
    if engine not in ENGINES:
        raise InputError("engine", given=repr(engine), expected=", ".join(ENGINES))
    if x.ndim != 2 or not x.is_floating_point():
        raise InputError("points", given=f"{x.dtype} of shape {tuple(x.shape)}", expected="floats of shape (N, d)")
    d = x.shape[1]
    eye = torch.eye(d, dtype=x.dtype, device=x.device)
    if isinstance(directions, int) and not 1 <= directions <= d:
        raise InputError("directions", given=directions, expected=f"1 to {d} axes")
    along = eye if directions is None else eye[:directions] if isinstance(directions, int) else directions.to(x)
    if along.ndim != 2 or along.shape[1] != d or len(along) == 0:
        raise InputError("directions", given=tuple(along.shape), expected=f"(k, {d})")
    asked = _operators(operators, len(along), x)
    level = _order(order, asked)
    if engine in ("auto", "jet") and isinstance(network, nn.Module):
        try:
            return _filled(propagate(network, Jet(x, along[:, None], None, asked, None, level)))
        except Unsupported as missing:
            if engine == "jet":
                raise TypeError(
                    f"no rule for {missing} in jets; define forward_jet, or use engine='autograd'"
                ) from None
            _warn_once(str(missing))
    # nested gradients don't work inside torch.func's transforms
    if engine == "func" or (engine == "auto" and transforming()):
        return _by_func(network, x, along, asked, level)
    return _by_gradients(network, x, along, asked, level)


def _order(order: int | None, asked: Operators | None) -> int:
    """The order of the derivatives that are carried, 1 to 3."""
    least = 1 if asked is None else 2
    if order is None:
        return least
    if order == 3 and (asked is None or not asked.own):
        raise InputError("operators", given="others", expected="'diagonal', for third derivatives")
    if order not in (least, 3):
        what = "without operators" if asked is None else "with second-order operators"
        raise InputError("order", given=f"{order} {what}", expected=f"{least} (or 3, with operators='diagonal')")
    return order


def _operators(asked: str | Sequence[Tensor] | Tensor | None, k: int, x: Tensor) -> Operators | None:
    if asked is None:
        return None
    if isinstance(asked, str):
        eye = torch.eye(k, dtype=x.dtype, device=x.device)
        if asked == "laplacian":
            return Operators(eye[None], "laplacian")
        if asked == "diagonal":
            return Operators(torch.diag_embed(eye), "diagonal")
        if asked == "hessian":
            pairs = [(i, j) for i in range(k) for j in range(i, k)]
            mixed = [0.5 * (torch.outer(eye[i], eye[j]) + torch.outer(eye[j], eye[i])) for i, j in pairs]
            return Operators(torch.stack(mixed), "hessian")
        raise InputError("operators", given=repr(asked), expected="'laplacian', 'hessian', 'diagonal' or matrices")
    matrices = asked if isinstance(asked, Tensor) else torch.stack(list(asked))
    matrices = matrices.to(x)
    if matrices.ndim != 3 or matrices.shape[1:] != (k, k) or not torch.equal(matrices, matrices.mT):
        raise InputError("operators", given=tuple(matrices.shape), expected=f"symmetric matrices (s, {k}, {k})")
    return Operators(matrices)


def _warn_once(kind: str) -> None:
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(f"{kind} has no rule for jets: nested gradients instead, which are slower", stacklevel=4)


def _filled(out: Jet) -> Jet:
    """Every part in full: what is zero or the same everywhere is spelled out for the caller."""
    n, c = out.v.shape
    J = out.J.expand(len(out.J), n, c)
    S, T = out.S, out.T
    if out.operators is not None:
        S = out.v.new_zeros(out.operators.count, n, c) if S is None else S.expand(len(S), n, c)
    if out.order == 3:
        T = out.v.new_zeros(len(J), n, c) if T is None else T.expand(len(T), n, c)
    return out._replace(J=J, S=S, T=T)


def _by_gradients(network: Network, x: Tensor, along: Tensor, asked: Operators | None, order: int) -> Jet:
    """Nested reverse mode: one backward pass a channel for J, and one a channel and direction for each more."""
    with torch.enable_grad():
        own = x.detach().clone().requires_grad_(True)
        with ElementaryLayerNorm():
            v = network(own)

        def slopes(values: Tensor) -> Tensor:  # (N, C) -> (k, N, C)
            columns = []
            for c in range(values.shape[1]):
                (g,) = torch.autograd.grad(values[:, c].sum(), own, create_graph=True, allow_unused=True)
                columns.append(torch.zeros(len(own), len(along)).to(own) if g is None else g @ along.T)
            return torch.stack(columns, -1).transpose(0, 1)

        J = slopes(v)
        S = T = None
        if asked is not None:
            second = torch.stack([slopes(j) if j.requires_grad else torch.zeros_like(J) for j in J])  # (i, j, N, C)
            S = torch.tensordot(asked.matrices, second, 2)
            if order == 3:
                T = torch.stack(
                    [slopes(S[i])[i] if S[i].requires_grad else torch.zeros_like(S[i]) for i in range(len(J))]
                )
    return Jet(v, J, S, asked, T, order)


def _by_func(network: Network, x: Tensor, along: Tensor, asked: Operators | None, order: int) -> Jet:
    """torch.func, point by point under vmap."""
    from torch.func import hessian, jacrev, vmap

    def one(p: Tensor) -> Tensor:
        with ElementaryLayerNorm():
            return network(p[None])[0]

    v = network(x)
    J = torch.einsum("ncd,kd->knc", vmap(jacrev(one))(x), along)
    if asked is None:
        return Jet(v, J, None, None, None, 1)
    second = torch.einsum("ncde,id,je->ijnc", vmap(hessian(one))(x), along, along)
    S = torch.tensordot(asked.matrices, second, 2)
    T = None
    if order == 3:
        T = torch.einsum("ncdef,kd,ke,kf->knc", vmap(jacrev(hessian(one)))(x), along, along, along)
    return Jet(v, J, S, asked, T, order)


def jacobian(network: Network, x: Float[Tensor, "n d"], *, engine: str = "auto") -> Float[Tensor, "n c d"]:
    """du_c / dx_d.

    Args:
        network: see `jet`.
        x: points.
        engine: see `jet`.
    """
    return jet(network, x, engine=engine).J.permute(1, 2, 0)


def laplacian(
    network: Network, x: Float[Tensor, "n d"], axes: int | None = None, *, engine: str = "auto"
) -> Float[Tensor, "n c"]:
    """Sum of the second derivatives over all axes, or the first few (space before time).

    Args:
        network: see `jet`.
        x: points.
        axes: how many of the first ones; all where not given.
        engine: see `jet`.
    """
    out = jet(network, x, axes, "laplacian", engine=engine)
    assert out.S is not None
    return out.S[0]


def hessian_diag(network: Network, x: Float[Tensor, "n d"], *, engine: str = "auto") -> Float[Tensor, "n c d"]:
    """d^2 u_c / dx_d^2.

    Args:
        network: see `jet`.
        x: points.
        engine: see `jet`.
    """
    out = jet(network, x, None, "diagonal", engine=engine)
    assert out.S is not None
    return out.S.permute(1, 2, 0)


def divergence(network: Network, x: Float[Tensor, "n d"], *, engine: str = "auto") -> Float[Tensor, " n"]:
    """sum_d du_d / dx_d of a field with as many components as it takes axes (or fewer: space before time).

    Args:
        network: see `jet`.
        x: points.
        engine: see `jet`.

    Raises:
        InputError: more components than axes.
    """
    J = jet(network, x, engine=engine).J
    if J.shape[2] > len(J):
        raise InputError("field", given=f"{J.shape[2]} components", expected=f"at most {len(J)}, one an axis")
    return sum((J[c, :, c] for c in range(J.shape[2])), start=J.new_zeros(J.shape[1]))


def curl2d(network: Network, x: Float[Tensor, "n d"], *, engine: str = "auto") -> Float[Tensor, " n"]:
    """dv/dx - du/dy of (u, v, ...) at (x, y, ...).

    Args:
        network: see `jet`.
        x: points.
        engine: see `jet`.

    Raises:
        InputError: fewer than two components or axes.
    """
    J = jet(network, x, engine=engine).J
    if len(J) < 2 or J.shape[2] < 2:
        raise InputError("field", given=f"{J.shape[2]} components on {len(J)} axes", expected="2 or more of each")
    return J[0, :, 1] - J[1, :, 0]
