"""How much texture a picture has, and whether it shows the blocks of JPEG."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.robustness import minimal_eps
from deepwright.adversarial.sharpening.pictures import require_pictures
from deepwright.adversarial.sharpening.stencil import laplacian
from deepwright.adversarial.suites import AttackSuite
from deepwright.core.errors import unknown_name

KINDS = ("laplacian", "gradient", "deviation", "contrast")
_WINDOW, _BLOCK = 7, 8


def texture_intensity(x: Float[Tensor, "n c h w"], kind: str = "laplacian") -> Float[Tensor, " n"]:
    """One number a picture: what the paper holds to go with robustness, and what else does.

    "laplacian" is mean |L x|, "gradient" the mean length of the gradient, "deviation" the mean of standard deviations
    in windows of 7 x 7, "contrast" the standard deviation of the whole picture.

    Args:
        x: pictures in [0, 1], floats or uint8.
        kind: "laplacian", "gradient", "deviation" or "contrast".

    Raises:
        InputError: what isn't a batch of pictures, an unknown kind.
    """
    if kind not in KINDS:
        raise unknown_name("kind", str(kind), KINDS)
    measures = dict(zip(KINDS, (_laplacian, _gradient, _deviation, _contrast)))
    return measures[kind](_floats(x))


def _floats(x: Tensor) -> Tensor:
    require_pictures(x)
    x = x if x.ndim == 4 else x[None]
    if x.dtype == torch.uint8:
        return x.to(torch.get_default_dtype()) / 255
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _laplacian(x: Tensor) -> Tensor:
    return laplacian(x).abs().flatten(1).mean(1)


def _gradient(x: Tensor) -> Tensor:
    down, across = (x[..., 1:, :-1] - x[..., :-1, :-1]), (x[..., :-1, 1:] - x[..., :-1, :-1])
    return (down.square() + across.square()).sqrt().flatten(1).mean(1)


def _deviation(x: Tensor) -> Tensor:
    window = min(_WINDOW, *x.shape[-2:])
    mean, square = F.avg_pool2d(x, window, 1), F.avg_pool2d(x * x, window, 1)
    return (square - mean * mean).clamp_min(0).sqrt().flatten(1).mean(1)


def _contrast(x: Tensor) -> Tensor:
    return x.flatten(1).std(1)


def texture_correlation(
    model: nn.Module, x: Float[Tensor, "n c h w"], y: Any, attack: Attack | AttackSuite, high: float = 0.5
) -> dict[str, float]:
    """Spearman's correlation of each texture with the smallest budget that fools a network: look before you sharpen.

    Where contrast goes with it more than texture does, raising contrast is the plainer thing to do.

    Args:
        model: left as found.
        x: pictures in [0, 1].
        y: targets as the attack's task takes them.
        attack: whose budget is searched, by bisection.
        high: the largest budget that is tried; what stands there ranks above the rest.

    Returns:
        kind -> correlation, of pictures that the network is right on; empty where fewer than four are left or all have
        one budget.

    Raises:
        InputError: bad inputs of any kind.
    """
    from scipy import stats

    require_pictures(x)
    budgets = minimal_eps(model, x, y, attack, high=high).cpu()
    right = budgets > 0
    if int(right.sum()) < 4 or len(budgets[right].unique()) == 1:
        return {}
    found = {kind: texture_intensity(x, kind).cpu()[right] for kind in KINDS}
    ranks = {kind: stats.spearmanr(values.numpy(), budgets[right].numpy()).statistic for kind, values in found.items()}
    return {kind: float(rank) for kind, rank in ranks.items() if rank == rank}


def blocking(x: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Energy of L x beside the borders of blocks of 8 x 8, over its energy elsewhere: about 1 without blocks.

    Above 2 a picture was stored as JPEG at a low quality, and sharpening will show its blocks. NaN where all is flat.

    Args:
        x: pictures in [0, 1], floats or uint8, as they were decoded: not scaled, not cut at the top or left.

    Raises:
        InputError: what isn't a batch of pictures.
    """
    energy = laplacian(_floats(x)).square().mean(1)
    beside = [
        torch.isin(torch.arange(n, device=x.device) % _BLOCK, torch.tensor([0, 7], device=x.device))
        for n in x.shape[-2:]
    ]
    for inside, n in zip(beside, x.shape[-2:]):
        inside[0] = inside[n - 1] = False  # the border of the picture is none of a block
    at = (beside[0][:, None] | beside[1][None]).to(energy)
    on = (energy * at).sum((1, 2)) / at.sum().clamp_min(1)
    off = (energy * (1 - at)).sum((1, 2)) / (1 - at).sum().clamp_min(1)
    return on / off
