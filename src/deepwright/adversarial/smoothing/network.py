"""A network that averages itself over noise, as one module: what is saved, audited and attacked."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_network, require_positive, require_whole
from deepwright.core.tasks.reading import unwrap

_AT_ONCE = 2048  # noisy inputs of a pass


class NoisyMean(nn.Module):
    """log of the mean softmax over fixed draws of noise: the differentiable sibling of `Smoothed`.

    The noise is drawn once and kept, so that the same input has the same answer, gradients reach the input through all
    of it, and a file holds all that there is. It has no certificate: `Smoothed(model, sigma)` has.

    Args:
        model: gives logits (N, classes).
        sigma: deviation of the noise.
        shape: of one input.
        draws: of noise.
        seed: of the noise.

    Raises:
        InputError: options out of range.
    """

    noise: Tensor

    def __init__(self, model: nn.Module, sigma: float, shape: tuple[int, ...], draws: int = 16, seed: int = 0) -> None:
        super().__init__()
        require_network(model)
        require_positive(sigma=sigma)
        require_whole(1, draws=draws)
        require_whole(seed=seed)
        if not shape or any(not isinstance(side, int) or side < 1 for side in shape):
            raise InputError("shape", given=repr(shape), expected="that of one input, as (1, 28, 28)")
        self.model, self.sigma = model, float(sigma)
        drawn = sigma * torch.randn(draws, *shape, generator=generator(seed, "noisy mean"))
        first = next(model.parameters(), None)
        self.register_buffer("noise", drawn if first is None else drawn.to(first.device, first.dtype))

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        """Logarithms of probabilities; of a network with one logit the logit of the mean probability.

        Args:
            x: inputs.
        """
        if torch.compiler.is_exporting():
            return self._mean(x)
        return torch.cat([self._mean(part) for part in x.split(max(1, _AT_ONCE // len(self.noise)))])

    def _mean(self, x: Tensor) -> Tensor:
        draws = len(self.noise)
        noisy = (x[:, None] + self.noise.to(x)).flatten(0, 1)
        z = unwrap(self.model(noisy), None, _is_rows, "class logits (n, classes)")
        if z.shape[1] == 1:  # of two classes the second's logit alone: the same of the mean probability
            p, q = (nn.functional.logsigmoid(s).unflatten(0, (-1, draws)).logsumexp(1) for s in (z, -z))
            return p - q
        return z.log_softmax(1).unflatten(0, (-1, draws)).logsumexp(1) - math.log(draws)


def _is_rows(z: Tensor) -> bool:
    return z.ndim == 2
