"""An attacker who knows the detector: the forecast as far off as windows allow that raise no alarm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_positive, require_whole

Score = Callable[[Tensor], Tensor]


class EvasiveSteps:
    """Projected steps on one channel that raise the forecast's error, and lower the score where it is an alarm.

    x <- project(x + step sign(g / |g| - c 1[s > tau] h / |h|)), g the gradient of the squared error, h that of the
    score s. It is tried with each weight c, 0 among them; each window keeps its largest error without an alarm, or
    where none stays below tau the attempt with the lowest score. It stays within eps of each reading, as the attacker
    who doesn't know, and like him can't do more than gradients say.

    Args:
        score: windows -> scores, through which gradients flow; larger is stranger.
        threshold: above it is an alarm.
        eps: budget, in units of the channel.
        channel: that the attacker reaches.
        clip: lowest and highest reading; one that is out of it already isn't pulled back.
        steps: of each try.
        weights: c of each try.

    Raises:
        InputError: a score or a model without gradients, or of another shape; windows without that channel or that
            aren't finite floats; targets of another shape than the forecasts.
    """

    def __init__(
        self,
        score: Score,
        threshold: float,
        eps: float,
        channel: int = 0,
        clip: tuple[float, float] = (-math.inf, math.inf),
        steps: int = 20,
        weights: Sequence[float] = (0.0, 1.0, 3.0),
    ) -> None:
        require_positive(eps=eps)
        if math.isnan(threshold) or not clip[0] < clip[1]:
            given = f"threshold {threshold}, clip {tuple(clip)}"
            raise InputError("limits", given=given, expected="a threshold, and a lower end below the upper one")
        require_whole(0, channel=channel)
        require_whole(1, steps=steps)
        if not callable(score):
            raise InputError("score", given=type(score).__name__, expected="windows -> scores")
        if not weights or any(not (math.isfinite(c) and c >= 0) for c in weights):
            raise InputError("weights", given=tuple(weights), expected="numbers of 0 or more, at least one")
        self.score, self.threshold, self.eps, self.channel = score, float(threshold), float(eps), int(channel)
        self.clip, self.steps, self.weights = clip, int(steps), tuple(map(float, weights))

    def __call__(
        self, model: nn.Module, x: Float[Tensor, "n steps channels"], y: Float[Tensor, "n ..."]
    ) -> Float[Tensor, "n steps channels"]:
        """Attacked windows.

        Args:
            model: windows -> forecasts; left as found.
            x: windows.
            y: what came.
        """
        if x.ndim != 3 or self.channel >= x.shape[2]:
            given = f"channel {self.channel} of shape {tuple(x.shape)}"
            raise InputError("x", given=given, expected="(N, steps, channels) with that channel")
        if not x.is_floating_point() or not bool(torch.isfinite(x).all()) or not bool(torch.isfinite(y).all()):
            raise InputError("x and y", given=f"{x.dtype}, or missing values", expected="finite floats")
        if not len(x):
            return x.clone()
        best, error = x.clone(), x.new_full((len(x),), -math.inf)
        lowest = torch.full_like(error, math.inf)
        with evaluating(model):
            for weight in self.weights:
                moved = x.clone()
                for _ in range(self.steps + 1):
                    found, loss, score = self._step(model, x, moved, y, weight)
                    quiet = score <= self.threshold
                    better = torch.where(quiet, loss > error, (error == -math.inf) & (score < lowest))
                    best = torch.where(better[:, None, None], moved, best)
                    error = torch.where(better & quiet, loss, error)
                    lowest = torch.where(better, score, lowest)
                    moved = found
        return best

    def _step(
        self, model: nn.Module, x: Tensor, moved: Tensor, y: Tensor, weight: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next windows, and of these ones the error and the score."""
        here = moved.detach().requires_grad_(True)
        with torch.enable_grad():
            said = model(here).reshape(len(x), -1)
            if not said.requires_grad:
                raise InputError("model", given="one without a gradient", expected="one that torch computes")
            if len(y) != len(said) or y[:1].numel() != said.shape[1]:  # nor (N, 1) spread over all steps
                given = f"{tuple(y.shape)} for forecasts {tuple(said.shape)}"
                raise InputError("y", given=given, expected="a target for each forecast")
            loss = (said - y.reshape(len(x), -1).to(said)).square().mean(1)
            (up,) = torch.autograd.grad(loss.sum(), here)
            score = self.score(here)
            if not score.requires_grad or score.shape != loss.shape:
                given = f"shape {tuple(score.shape)}, gradient: {score.requires_grad}"
                raise InputError("score", given=given, expected=f"({len(x)},), with a gradient")
            (strange,) = torch.autograd.grad(score.sum(), here)
        alarm = (score > self.threshold).to(here)[:, None]
        direction = _unit(up[..., self.channel]) - weight * alarm * _unit(strange[..., self.channel])
        reading, start = moved[..., self.channel], x[..., self.channel]
        low, high = (start.clamp(max=self.clip[0]), start.clamp(min=self.clip[1]))
        pace = 2.5 * self.eps / self.steps
        new = (reading + pace * direction.sign()).clamp(start - self.eps, start + self.eps)
        found = moved.clone()
        found[..., self.channel] = torch.minimum(torch.maximum(new, low), high)
        return found.detach(), loss.detach(), score.detach()


def _unit(gradient: Tensor) -> Tensor:
    return gradient / gradient.abs().mean(1, keepdim=True).clamp_min(1e-30)
