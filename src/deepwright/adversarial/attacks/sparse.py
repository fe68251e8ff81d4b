"""Auto-PGD's ascent in L1, where the box binds: few coordinates a step, as many as the best point uses.

Source: arXiv 2103.01208. What differs: saturated coordinates take no part in a step, and each run begins at the optimum
of the linearised loss within ball and box, which for an affine network is the optimum itself.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.attacks.climbing import Climb
from deepwright.adversarial.projections import column

RADII = ((3.0, 0.3), (2.0, 0.3), (1.0, 0.4))
"""(multiple of eps, share of the steps): what a larger ball finds is pulled into the next one."""

_FIRST_SHARE = 0.2  # of the coordinates, in the first steps
_THINNER = 1.5  # so many times fewer coordinates step than the best point uses; and alpha's divisor
_SHORTEST = 0.1  # step, of the radius
_EVERY = 0.04  # of a ball's steps, `adapt`
_FEWER = 0.95  # than this share of the coordinates used before: the best point is still getting sparser


def plan(steps: int) -> list[tuple[float, int]]:
    """(multiple of eps, steps) of each ball in turn that has any; the last, the budget's own, always has one.

    Args:
        steps: of all of them together.
    """
    ends, share = [0], 0.0
    for _, part in RADII[:-1]:
        share += part
        ends.append(max(0, min(round(share * steps), steps - 1)))
    spans = zip(RADII, ends, [*ends[1:], steps], strict=True)
    return [(multiple, end - begin) for (multiple, _), begin, end in spans if end > begin]


def adapts_every(steps: int) -> int:
    """Steps between two calls of `adapt`.

    Args:
        steps: in this ball.
    """
    return max(1, int(_EVERY * steps))


class SparseClimb(Climb):
    """Per-sample state of the ascent, made as a `Climb` is."""

    def begin(self) -> None:
        """The radius of the ball, the step's length, and how many coordinates the best point and a step use."""
        self.radius, self.alpha = self.eps.clone(), self.eps.clone()
        self.used = torch.full_like(self.eps, float(self.x[0].numel()))
        self.count = self.used * _FIRST_SHARE

    def enter(self, multiple: float) -> None:
        """Begin in another ball, at the best point so far.

        Args:
            multiple: of eps, its radius.
        """
        self.radius = self.eps * multiple
        self.alpha = self.radius.clone()
        self.point, self.gradient = self.top_point, self.top_gradient

    def forget(self) -> None:
        """The best point so far is the one where it stands: what a larger ball reached doesn't count in this one."""
        self.top, self.top_point, self.top_gradient = self.loss, self.point, self.gradient

    def step(self, bounds: tuple[float, float]) -> Float[Tensor, "n ..."]:
        """A step of length alpha, alike on the `count` unsaturated coordinates with the largest gradients.

        Args:
            bounds: of every coordinate.
        """
        g, at = self.gradient.flatten(1), self.point.flatten(1)
        saturated = ((g > 0) & (at >= bounds[1])) | ((g < 0) & (at <= bounds[0]))
        size = g.abs().masked_fill(saturated, 0.0)
        last = self.count.long().clamp(1, g.shape[1]) - 1
        least = size.sort(1, descending=True).values.gather(1, last[:, None])
        way = g.sign() * ((size >= least) & (size > 0))
        return (way * (self.alpha / way.abs().sum(1).clamp_min(1))[:, None]).reshape(self.point.shape)

    def adapt(self) -> None:
        """Step on fewer coordinates; anew from the best point while it gets sparser, and shorter once it doesn't."""
        used = ((self.top_point - self.x).flatten(1) != 0).sum(1).to(self.eps)
        sparser = used < _FEWER * self.used
        self.used, self.count = used, used / _THINNER
        shorter = (self.alpha / _THINNER).maximum(self.radius * _SHORTEST)
        self.alpha = torch.where(sparser, self.radius, shorter)
        wide = column(sparser, self.x)
        self.point = torch.where(wide, self.top_point, self.point)
        self.gradient = torch.where(wide, self.top_gradient, self.gradient)
