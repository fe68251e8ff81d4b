"""What a generator is told: which pictures, of which condition, at which size, in which colours, from which seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.interpret.mindset.canvas import Canvas

STROKE = 0.00893
"""Default width of a stroke, in canvas sides."""
WHITE, BLACK, RED, BLUE = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0), (255.0, 0.0, 0.0), (0.0, 0.0, 255.0)
_APART = 50  # grey levels between a random background and what is drawn on it
_ROUNDS = 64

Factors = dict[str, Tensor | list[str]]
"""One value a picture."""


class Draws(Streams):
    """Random numbers in float64.

    Sines and powers of float32 numbers differ in their last bit by where they stand in a batch; worked out in float64
    and then drawn in float32 they don't, so that a picture is the same, bit for bit, in any batch.
    """

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(N, *shape) float64, uniform in (low, high).

        Args:
            shape: of one sample's numbers.
            low: lower end.
            high: upper end.
        """
        return low + (high - low) * super().uniform(*shape).double()

    def normal(self, *shape: int) -> Tensor:
        """(N, *shape) float64, standard normal.

        Args:
            shape: of one sample's numbers.
        """
        return (2 * self.uniform(*shape) - 1).clamp(-1 + 6e-8, 1 - 6e-8).erfinv() * math.sqrt(2.0)


@dataclass(frozen=True)
class Scene:
    """Pictures to draw: everything that makes picture i is a function of this and i alone.

    Attributes:
        name: of the experiment.
        condition: one of its conditions.
        ids: (n,) which pictures.
        size: side in pixels.
        seed: of all draws.
        stroke: width in pixels.
        ink: (3,) of strokes.
        background: (3,), or "rnd-uniform" for one random colour a picture.
        antialiasing: see `Canvas`.
        matched: whether picture i of every condition shares position, size and angle.
        device: where to draw.
    """

    name: str
    condition: str
    ids: Int64[Tensor, " n"]
    size: int
    seed: int = 0
    stroke: float = 1.0
    ink: tuple[float, float, float] = WHITE
    background: tuple[float, float, float] | str = BLACK
    antialiasing: bool | str = True
    matched: bool = True
    device: torch.device | str = "cpu"

    @property
    def n(self) -> int:
        """Number of pictures."""
        return len(self.ids)

    def draws(self, what: str = "", shared: bool = True) -> Streams:
        """Random numbers of each picture.

        Args:
            what: the numbers are for.
            shared: whether matched conditions draw the same.
        """
        own = "" if shared and self.matched else self.condition
        return Draws(self.seed, self.ids, f"mindset/{self.name}/{what}/{own}", device=self.device)

    def paired(self) -> tuple[Scene, Int64[Tensor, " n"]]:
        """Pictures 2 k and 2 k + 1 as two versions of item k: the scene of the items, and which version each is."""
        return replace(self, ids=self.ids // 2), (self.ids % 2).to(self.device)

    def canvas(self) -> Canvas:
        """An empty canvas."""
        return Canvas(self.n, self.size, self.ground(), self.antialiasing, self.device)

    def ground(self) -> Tensor:
        """(n, 3) colour of each picture's background."""
        if not isinstance(self.background, str):
            return torch.tensor(self.background, device=self.device).expand(self.n, 3)
        if self.background != "rnd-uniform":
            raise InputError("background", given=repr(self.background), expected="(r, g, b) or 'rnd-uniform'")
        kept = torch.tensor([self.ink, RED], device=self.device)

        def far(colours: Tensor) -> Tensor:
            return ((colours[..., None, :] - kept).abs().amax(-1) >= _APART).all(-1)

        return first_valid(self.draws("background"), lambda draws: draws.uniform(16, 3, high=255.0), far)

    def middle(self) -> Tensor:
        """(n, 2) the canvas's middle."""
        return torch.full((self.n, 2), self.size / 2, device=self.device, dtype=torch.float64)


def first_valid(
    draws: Streams,
    candidates: Callable[[Streams], Tensor],
    valid: Callable[[Tensor], Tensor],
    what: str = "a stimulus that fits",
) -> Tensor:
    """Of each picture's random candidates the first that is valid: what a loop of redraws would give, all at once.

    Args:
        draws: of the pictures.
        candidates: draws (n, k, ...), k candidates a picture.
        valid: which of them are, (n, k).
        what: is looked for, for the error.

    Raises:
        InputError: a picture without a valid candidate among thousands: the geometry doesn't fit.
    """
    found: Tensor | None = None
    missing = torch.ones(draws.n, dtype=torch.bool, device=draws.device)
    for _ in range(_ROUNDS):
        drawn = candidates(draws)
        fits = valid(drawn)
        first = fits.to(torch.uint8).argmax(1)
        rows = torch.arange(draws.n, device=draws.device)
        picked = drawn[rows, first]
        found = picked if found is None else torch.where(_like(missing, picked), picked, found)
        missing = missing & ~fits.any(1)
        if not bool(missing.any()):
            return found
    expected = "parameters that leave room for it on the canvas"
    raise InputError(what, given=f"none among {_ROUNDS * drawn.shape[1]} draws", expected=expected)


def _like(mask: Tensor, values: Tensor) -> Tensor:
    return mask.view(-1, *(1,) * (values.ndim - 1))


def between(u: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Numbers in (0, 1) spread over (low, high).

    Args:
        u: uniform.
        low: lower end.
        high: upper end.
    """
    return low + u * (high - low)


def polar(centre: Tensor, radius: Tensor | float, angle: Tensor) -> Tensor:
    """(n, 2) points at an angle (radians, from x towards y) around centres.

    Args:
        centre: (n, 2).
        radius: (n,) or one.
        angle: (n,).
    """
    r = torch.as_tensor(radius, dtype=angle.dtype, device=angle.device)
    return centre + (r * torch.stack([angle.cos(), angle.sin()])).transpose(0, 1)
