"""Rotation and translation: the worst of a grid, or of so many draws, without gradients.

Source: "Exploring the Landscape of Spatial Robustness", arXiv 1712.02779.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.aim import Aim
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.adversarial.projections import column
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.core.tasks import Detection, Forecast, Segmentation

_PLACED = (Segmentation, Detection, Forecast)


class Spatial(Attack):
    """The image turned about its centre and shifted (bilinear): whichever turn and shift raises the loss most.

    There is no norm: `norm` of a result is the L-inf distance, and eps scales both ranges, so that
    `curve(..., eps=[0.25, 0.5, 1])` and `minimal_eps(..., high=1)` speak of shares of them.

    Args:
        eps: share of both ranges, 0..1.
        rotation: largest angle, in degrees, either way.
        translation: largest shift, as a share of each side, either way.
        grid: values of the angle, the vertical and the horizontal shift, evenly over the ranges.
        tries: try so many uniform draws in place of the grid.
        padding: "zeros" (black) or "border" (the nearest pixel) beyond the image.
        options: of `Attack`: task (none with targets that have places), loss, success, targeted, early_stop, bounds;
            seed with `tries`.
    """

    preferred_loss = "margin"

    def __init__(
        self,
        eps: float | Tensor = 1.0,
        *,
        rotation: float = 30.0,
        translation: float = 0.1,
        grid: Sequence[int] = (31, 5, 5),
        tries: int | None = None,
        padding: str = "zeros",
        **options: Any,
    ) -> None:
        self.tries = tries
        super().__init__(eps, "linf", **options)
        require_number(0, rotation=rotation)
        require_within(0, 1, translation=translation)
        if isinstance(grid, str) or not isinstance(grid, Sequence) or len(grid) != 3:
            raise InputError("grid", given=repr(grid), expected="three counts, like (31, 5, 5)")
        for count in grid:
            require_whole(1, grid=count)
        if tries is not None:
            require_whole(1, tries=tries)
        if padding not in ("zeros", "border"):
            raise InputError("padding", given=repr(padding), expected="'zeros' or 'border'")
        self.rotation, self.translation, self.padding = float(rotation), float(translation), padding
        self.grid = tuple(int(count) for count in grid)

    def _refusals(self) -> dict[str, str]:
        return {"seed": "a grid draws nothing"} if self.tries is None else {}

    def _aimed(self, task: Any, loss: Any, success: Any, targeted: bool) -> Aim:
        if isinstance(task, _PLACED):
            why = "one answer an image: its targets have places, which would have to move along"
            raise InputError(self.name, given=task.kind, expected=why)
        return super()._aimed(task, loss, success, targeted)

    def __call__(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Any,
        *,
        mask: Tensor | None = None,
        quantize: int | None = None,
        **options: Any,
    ) -> AttackResult:
        """Attack a batch, as `Attack.__call__`; images (N, C, H, W) only, without mask and quantize.

        Args:
            model: as there.
            x: as there.
            y: as there.
            mask: None: all pixels move.
            quantize: None: there is no ball to round within.
            options: eps, ids, through, eot, callback, as there.

        Raises:
            InputError: other inputs, a mask, levels, a share above 1.
        """
        for word, value in (("mask", mask), ("quantize", quantize)):
            if value is not None:
                raise InputError(word, given="one", expected="None for Spatial: all pixels move")
        if not isinstance(x, Tensor) or x.ndim != 4:
            given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise InputError("x", given=given, expected="images (N, C, H, W)")
        return super().__call__(model, x, y, **options)

    def _budget(self, x: Tensor, eps: float | Tensor) -> Tensor:
        shares = super()._budget(x, eps)
        if bool((shares > 1).any()):
            raise InputError("eps", given=f"{float(shares.max()):g}", expected="a share of the ranges, 0..1")
        return shares

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        rows = batch.rows
        for step, places in enumerate(self._places(batch)):
            turned = self._turned(batch.x[rows], places[rows], batch.eps[rows])
            best.offer(rows, turned, *victim.judge(turned, batch.y[rows], rows), step)
            if batch.callback is not None:
                batch.callback(step, best.success)
            if self.early_stop and bool(best.success[rows].any()):
                rows = rows[~best.success[rows]]
                if len(rows) == 0:
                    return

    def _places(self, batch: Batch) -> Iterator[Tensor]:
        """(N, 3) of turn, vertical and horizontal shift in [-1, 1], one after the other."""
        n, like = len(batch.x), batch.eps
        if self.tries is not None:
            streams = self._streams(batch.ids, batch.x)
            for _ in range(self.tries):
                yield streams.uniform(3, low=-1.0, high=1.0).to(like)
            return
        lines = [[0.0] if count == 1 else torch.linspace(-1, 1, count).tolist() for count in self.grid]
        for place in itertools.product(*lines):
            yield like.new_tensor(place).expand(n, 3)

    def _turned(self, x: Tensor, places: Tensor, share: Tensor) -> Tensor:
        angle, down, right = (places * share[:, None]).unbind(1)
        angle, (h, w) = angle * math.radians(self.rotation), x.shape[-2:]
        cos, sin = angle.cos(), angle.sin()
        down, right = -2 * self.translation * down, -2 * self.translation * right  # where each pixel is read
        read = torch.stack([cos, sin * (h / w), right, -sin * (w / h), cos, down], 1).reshape(-1, 2, 3)
        grid = F.affine_grid(read, list(x.shape), align_corners=False)
        turned = F.grid_sample(x, grid, mode="bilinear", padding_mode=self.padding, align_corners=False)
        still = (places * share[:, None] == 0).all(1)
        return torch.where(column(still, x), x, turned).clamp(*self.bounds)
