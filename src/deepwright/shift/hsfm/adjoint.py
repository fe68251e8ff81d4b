"""The exact gradient of a head's loss by the samples it was trained on: an adjoint, and no graph over the steps.

The inner loop is plain gradient descent of a linear head on n samples H (rows) with labels y, from theta = (W, b):

    P_t = softmax(H W_t' + b_t),  R_t = (P_t - Y) / n,  W_{t+1} = W_t - lr R_t' H,  b_{t+1} = b_t - lr colsum(R_t),

and J(H) = CE(W_T, b_T; Q) on other samples Q. With lambda = dJ/dW_t, mu = dJ/db_t (from t = T down to 0),

    U = H lambda' + mu,  V = P_t * (U - rowsum(P_t * U)) / n,
    dH -= lr (R_t lambda + V W_t),  lambda -= lr V' H,  mu -= lr colsum(V).

Two ways, alike to rounding. *Direct* passes over H four times a step. *Gram* uses that all W_t lie in W_0 + span(rows
of H): with K = H H' + 1, C = Q H' + 1 the loop runs on (n, classes) numbers alone,

    Z_t = Z_0 - lr K A_t,  A_t = sum_{s<t} R_s;   U_t = C' G - lr K B_t,  B_t = sum_{s>t} V_s,

and one pass assembles dH = -lr (A_T G' Q + B W_0 - lr (sum_t R_t B_t' + V_t A_t') H), where G = dJ / d(logits of Q) and
B is the sum of all V. All work for batches of problems, too: dimensions in front are kept.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.inference import require_labels
from deepwright.core.requirements import require_finite, require_number, require_whole

PATHS = ("auto", "gram", "direct")


def hypergradient(
    H: Float[Tensor, "*runs n d"],
    y: Int64[Tensor, " n"],
    W: Float[Tensor, "*runs classes d"],
    b: Float[Tensor, "*runs classes"],
    hard_x: Float[Tensor, "*runs m d"],
    hard_y: Int64[Tensor, "*runs m"],
    steps: int,
    lr: float,
    *,
    path: str = "auto",
) -> tuple[Float[Tensor, "*runs"], Float[Tensor, "*runs n d"]]:
    """Loss on the hard samples of a head that took `steps` gradient steps on H, and its exact gradient by H.

    Args:
        H: (n, d) samples that the head is trained on; several runs stand in front.
        y: (n,) their classes.
        W: (classes, d) the head before.
        b: (classes,) its offsets.
        hard_x: (m, d) samples that it is measured on.
        hard_y: (m,) their classes.
        steps: of gradient descent; 0 gives a gradient of 0.
        lr: its rate.
        path: "gram" (in n dimensions), "direct", or "auto": the one with less work.

    Returns:
        Mean cross-entropy J on the hard samples, and dJ/dH.

    Raises:
        InputError: half precision (dH lies near 1e-9, below what it resolves), numbers that aren't finite, shapes that
            don't fit, labels out of range.
    """
    require_whole(0, steps=steps)
    require_number(0, lr=lr)
    _require_problem(H, y, W, b, hard_x, hard_y)
    if path not in PATHS:
        raise InputError("path", given=repr(path), expected=", ".join(map(repr, PATHS)))
    return gradient_by_support(H, F.one_hot(y, W.shape[-2]).to(H), W, b, hard_x, hard_y, steps, lr, path)


def gradient_by_support(
    H: Tensor, Y: Tensor, W: Tensor, b: Tensor, Q: Tensor, hard_y: Tensor, steps: int, lr: float, path: str = "auto"
) -> tuple[Tensor, Tensor]:
    """As `hypergradient`, of what was looked at already.

    Args:
        H: (n, d) samples.
        Y: (n, classes) one-hot.
        W: (classes, d).
        b: (classes,).
        Q: (m, d).
        hard_y: (m,).
        steps: of gradient descent.
        lr: its rate.
        path: "auto", "gram" or "direct".
    """
    n, classes = Y.shape[-2:]
    if path == "auto":
        path = "gram" if n <= 4 * max(steps, 1) * classes else "direct"
    way = _direct if path == "direct" else _gram_of_two if classes == 2 and H.ndim == 2 else _gram
    return way(H, Y, W, b, Q, hard_y, steps, lr)


def _outer(logits: Tensor, hard_y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and its gradient by the logits."""
    log_p = logits.log_softmax(-1)
    hot = F.one_hot(hard_y, logits.shape[-1]).to(logits)
    m = logits.shape[-2]
    return -(log_p * hot).sum((-2, -1)) / m, (log_p.exp() - hot) / m


def _adjoint(P: Tensor, U: Tensor) -> Tensor:
    """V: the softmax's Jacobian applied to U, over n."""
    PU = P * U
    return (PU - P * PU.sum(-1, keepdim=True)) / P.shape[-2]


def _gram(
    H: Tensor, Y: Tensor, W: Tensor, b: Tensor, Q: Tensor, hard_y: Tensor, steps: int, lr: float
) -> tuple[Tensor, Tensor]:
    n = H.shape[-2]
    K, C = H @ H.mT + 1, Q @ H.mT + 1
    Z0, hard0 = H @ W.mT + b[..., None, :], Q @ W.mT + b[..., None, :]
    A = torch.zeros_like(Z0)
    ps, rs, sums = [], [], []
    for _ in range(steps):
        P = torch.softmax(torch.sub(Z0, K @ A, alpha=lr), -1)
        R = (P - Y) / n
        ps.append(P)
        rs.append(R)
        sums.append(A)
        A = A + R
    loss, G = _outer(torch.sub(hard0, C @ A, alpha=lr), hard_y)
    U0, B = C.mT @ G, torch.zeros_like(Z0)
    left, right = [], []
    for P, R, S in zip(reversed(ps), reversed(rs), reversed(sums)):
        V = _adjoint(P, torch.sub(U0, K @ B, alpha=lr))
        left += [R, V]
        right += [B, S]
        B = B + V
    if not left:
        return loss, torch.zeros_like(H)
    M = torch.cat(left, -1) @ torch.cat(right, -1).mT
    return loss, -lr * (A @ (G.mT @ Q) + B @ W - lr * (M @ H))


def _gram_of_two(
    H: Tensor, Y: Tensor, W: Tensor, b: Tensor, Q: Tensor, hard_y: Tensor, steps: int, lr: float
) -> tuple[Tensor, Tensor]:
    """As `_gram`, on the difference w of the two rows, which steps by 2 lr: all is vectors of n."""
    rate = 2 * lr / H.shape[-2]
    w, c, y = W[1] - W[0], b[1] - b[0], Y[:, 1]
    K, C = H @ H.T + 1, Q @ H.T + 1
    z0 = H @ w + c
    a = torch.zeros_like(z0)
    ps, sums = [], [a]
    for _ in range(steps):
        p = torch.sigmoid(torch.addmv(z0, K, a, alpha=-rate))
        a = a + p - y
        ps.append(p)
        sums.append(a)
    z = torch.addmv(Q @ w + c, C, a, alpha=-rate)
    hot = hard_y.to(z)
    loss, g = F.binary_cross_entropy_with_logits(z, hot), (torch.sigmoid(z) - hot) / len(z)
    if not steps:
        return loss, torch.zeros_like(H)
    P = torch.stack(ps)
    slopes = P * (1 - P)
    u0, v_sum = C.T @ g, torch.zeros_like(z0)
    vs, beyond = [], []
    for slope in slopes.flip(0):
        v = slope * torch.addmv(u0, K, v_sum, alpha=-rate)
        beyond.append(v_sum)
        vs.append(v)
        v_sum = v_sum + v
    left = torch.cat([(P - y).flip(0), torch.stack(vs)])
    right = torch.cat([torch.stack(beyond), torch.stack(sums[:-1]).flip(0)])
    M = left.T @ right
    outside = torch.addmm(torch.outer(a, g @ Q) + torch.outer(v_sum, w), M, H, alpha=-rate)
    return loss, outside.mul_(-rate)


def _direct(
    H: Tensor, Y: Tensor, W: Tensor, b: Tensor, Q: Tensor, hard_y: Tensor, steps: int, lr: float
) -> tuple[Tensor, Tensor]:
    n = H.shape[-2]
    ps, rs, heads = [], [], []
    for _ in range(steps):
        P = torch.softmax(H @ W.mT + b[..., None, :], -1)
        R = (P - Y) / n
        ps.append(P)
        rs.append(R)
        heads.append(W)
        W, b = W - lr * (R.mT @ H), b - lr * R.sum(-2)
    loss, G = _outer(Q @ W.mT + b[..., None, :], hard_y)
    lam, mu = G.mT @ Q, G.sum(-2)
    left, right = [], []
    for P, R, S in zip(reversed(ps), reversed(rs), reversed(heads)):
        V = _adjoint(P, H @ lam.mT + mu[..., None, :])
        left += [R, V]
        right += [lam, S]
        lam, mu = lam - lr * (V.mT @ H), mu - lr * V.sum(-2)
    if not left:
        return loss, torch.zeros_like(H)
    return loss, -lr * (torch.cat(left, -1) @ torch.cat(right, -2))


def _require_problem(H: Tensor, y: Tensor, W: Tensor, b: Tensor, hard_x: Tensor, hard_y: Tensor) -> None:
    for name, value in (("H", H), ("W", W), ("b", b), ("hard_x", hard_x)):
        if value.dtype not in (torch.float32, torch.float64):
            expected = "float32 or float64: the gradient lies below what half precision resolves"
            raise InputError(name, given=str(value.dtype), expected=expected)
        require_finite(value, name)
    d = H.shape[-1]
    if W.shape[-1] != d or hard_x.shape[-1] != d or b.shape[-1] != W.shape[-2]:
        given = f"H {tuple(H.shape)}, W {tuple(W.shape)}, b {tuple(b.shape)}, hard_x {tuple(hard_x.shape)}"
        raise InputError("shapes", given=given, expected="H (n, d), W (classes, d), b (classes,), hard_x (m, d)")
    require_labels(y, W.shape[-2], H.shape[-2], "y")
    require_labels(hard_y.flatten(), W.shape[-2], hard_y.numel(), "hard_y")
    if not hard_y.numel():
        raise InputError("hard_x and hard_y", given="no sample", expected="one or more, of which a mean is taken")
    if hard_y.shape[-1] != hard_x.shape[-2]:
        given = f"{hard_x.shape[-2]} samples and {hard_y.shape[-1]} labels"
        raise InputError("hard_x and hard_y", given=given, expected="equal lengths")
