"""Networks whose weights are known."""

from __future__ import annotations

import torch

from deepwright.core.randomness import generator, local_rng
from deepwright.nets import NarrowResNet


def one_block(weight: float, skip: float = 1.0, residual: float = 1.0) -> NarrowResNet:
    """h(x) = skip x + residual tanh(weight x)."""
    net = NarrowResNet(1, 1, 1, skip=skip, residual=residual, input_layer=False).double().eval()
    with torch.no_grad():
        net.blocks[0].f[0].weight.fill_(weight)
        net.blocks[0].f[0].bias.zero_()
        net.output.weight.fill_(1.0)
        net.output.bias.zero_()
    return net


def random_net(n: int, depth: int, scale: float, seed: int, **kinds: object) -> NarrowResNet:
    """Weights of a scale, all else as it is drawn."""
    with local_rng(seed):
        net = NarrowResNet(n, n, depth, **kinds).double().eval()  # type: ignore[arg-type]
    g = generator(seed)
    with torch.no_grad():
        for block in net.blocks:
            block.f[0].weight.copy_(scale * torch.randn(n, n, generator=g) / n**0.5)
            block.f[0].bias.copy_(0.5 * torch.randn(n, generator=g))
    return net
