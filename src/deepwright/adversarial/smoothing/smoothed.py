"""Randomised smoothing: a classifier that says what its network says most often under noise, with a certified radius.

Source: J. Cohen, E. Rosenfeld and Z. Kolter, "Certified Adversarial Robustness via Randomized Smoothing", arXiv
1902.02918; with a denoiser before the network: arXiv 2003.01908.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.smoothing.votes import counted
from deepwright.core.devices import back_to
from deepwright.core.requirements import require_network, require_positive, require_whole, require_within
from deepwright.core.tasks import Task

ABSTAINED = -1
"""In place of a class, where the noise doesn't decide."""


@dataclass
class Certificates:
    """Of each input: a class, and how far from the input it surely stays (with probability 1 - alpha, each by itself).

    Attributes:
        prediction: the class; -1 where the noise doesn't decide.
        radius: in L2, in the unit of the inputs; 0 where the noise doesn't decide.
        lower: the lower bound of the probability that the network names this class under the noise.
    """

    prediction: Int64[Tensor, " n"]
    radius: Float[Tensor, " n"]
    lower: Float[Tensor, " n"]


class Smoothed:
    """g(x) = the class that f(x + noise) is most often, for Gaussian noise of deviation sigma.

    What is certified is g, which is this object, and not the network f. Both are asked with the same noise whatever
    batch an input comes in. A network that never saw noise in its training mostly abstains.

    Args:
        model: the network f, of one class a sample; left as found.
        sigma: deviation of the noise, in the unit of the inputs.
        denoiser: takes noisy inputs and gives inputs, before the network.
        task: what outputs mean; None for classes.
        batch_size: noisy inputs of one pass.
        seed: of the noise.

    Raises:
        InputError: options out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        sigma: float,
        *,
        denoiser: nn.Module | None = None,
        task: Task | None = None,
        batch_size: int = 500,
        seed: int = 0,
    ) -> None:
        require_network(model)
        require_positive(sigma=sigma)
        require_whole(1, batch_size=batch_size)
        require_whole(seed=seed)
        if denoiser is not None:
            require_network(denoiser, "denoiser")
        self.model = model if denoiser is None else nn.Sequential(denoiser, model)
        self.sigma, self.task, self.batch_size, self.seed = float(sigma), task, int(batch_size), int(seed)

    def predict(
        self, x: Float[Tensor, "n ..."], draws: int = 1000, alpha: float = 0.001, *, ids: Tensor | None = None
    ) -> Int64[Tensor, " n"]:
        """The class of g at each input, wrong with probability alpha at most; -1 where the two first are too near.

        Args:
            x: inputs; pictures in [0, 1], and noise on top.
            draws: of noise for each.
            alpha: of the two-sided binomial test between the two classes that are named most.
            ids: (N,) identity of each input's noise; 0..N-1 by default.

        Returns:
            where x is.

        Raises:
            InputError: bad inputs or options.
        """
        require_whole(1, draws=draws)
        require_within(0, 1, ends="()", alpha=alpha)
        (votes,) = self._votes(x, ids, {"prediction": draws})
        top = votes.topk(2, 1)
        first, second = top.values[:, 0].numpy(), top.values[:, 1].numpy()
        decided = torch.from_numpy(binomial(first, second) <= alpha)
        return back_to(torch.where(decided, top.indices[:, 0], ABSTAINED), x)

    def certify(
        self,
        x: Float[Tensor, "n ..."],
        draws: int = 10_000,
        alpha: float = 0.001,
        *,
        first: int = 100,
        ids: Tensor | None = None,
    ) -> Certificates:
        """The class of g and the L2 radius sigma * Phi^-1(p) within which it stays, p from Clopper and Pearson.

        `first` draws choose the class, and `draws` others bound its probability from below at 1 - alpha.

        Args:
            x: inputs.
            draws: of noise for each; with n of them no radius exceeds sigma * Phi^-1(alpha^(1/n)).
            alpha: probability that one certificate is wrong, at most.
            first: draws that choose the class.
            ids: (N,) identity of each input's noise; 0..N-1 by default.

        Returns:
            where x is.

        Raises:
            InputError: bad inputs or options.
        """
        require_whole(1, draws=draws, first=first)
        require_within(0, 1, ends="()", alpha=alpha)
        guesses, votes = self._votes(x, ids, {"selection": first, "certificate": draws})
        guess = guesses.argmax(1)
        lower = torch.from_numpy(lower_bounds(votes.gather(1, guess[:, None])[:, 0].numpy(), draws, alpha))
        prediction = torch.where(lower > 0.5, guess, ABSTAINED)
        radius = torch.where(lower > 0.5, self.sigma * torch.special.ndtri(lower.clamp(0.5, 1.0)), 0.0)
        return Certificates(*(back_to(t, x) for t in (prediction, radius, lower)))

    def _votes(self, x: Tensor, ids: Tensor | None, draws: dict[str, int]) -> list[Tensor]:
        options = {"sigma": self.sigma, "seed": self.seed, "batch_size": self.batch_size}
        return counted(self.model, x, self.task, ids=ids, draws=draws, **options)  # type: ignore[arg-type]


def lower_bounds(hits: np.ndarray, draws: int, alpha: float) -> np.ndarray:
    """One-sided lower bounds of shares at 1 - alpha, by Clopper and Pearson.

    Args:
        hits: (N,) how often.
        draws: of how many.
        alpha: probability that a share is below its bound, at most.
    """
    from scipy import special

    bound = special.betaincinv(np.maximum(hits, 1), draws - hits + 1, alpha)
    return np.where(hits > 0, bound, 0.0)


def binomial(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two-sided p-values that two counts come from equal shares.

    Args:
        first: (N,) counts.
        second: (N,) the others.
    """
    from scipy import stats

    less = np.minimum(first, second)
    return np.minimum(1.0, 2 * stats.binom.cdf(less, first + second, 0.5))
