"""Attacks on forecasters of series: one gradient step on a channel, and a search over readings that are replaced.

Both move one channel only, as an attacker does who reaches one sensor, and hold what a reading can be.
Source: "ROAST: Risk-aware Outlier-exposure for Adversarial Selective Training of Anomaly Detectors Against Evasion
Attacks", arXiv 2603.26093; the search follows IBM's URET as it is used there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Forecast

CLIPS = ("contained", "published")
_ROWS = 65_536  # windows that the search asks about at once


def _no_success(out: Any, y: Any) -> Tensor:
    """Neither attack ends before it is done: what counts is how far the forecast goes."""
    return torch.zeros(len(out), dtype=torch.bool, device=out.device)


def _require_channel(channel: int, x: Tensor) -> None:
    if x.ndim != 3 or not 0 <= channel < x.shape[2]:
        given = f"channel {channel} of shape {tuple(x.shape)}"
        raise InputError("x", given=given, expected="(N, steps, channels) with that channel")


def _require_range(clip: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(end) for end in clip)
    if not low < high:
        raise InputError("range", given=f"{low:g} to {high:g}", expected="a lower end below the upper one")
    return low, high


class SequenceFGSM(Attack):
    """x[:, :, c] + eps * sign(d loss / d x[:, :, c]), held within what a reading can be.

    A reading that is out of the range already isn't pulled back into it, so that |x_adv - x| <= eps always; the
    authors' code clips after the step, by which a reading of 45 becomes 90 at whatever budget.

    Args:
        eps: budget, in units of the channel.
        channel: that the attacker reaches.
        clip: lowest and highest reading.
        clip_mode: "contained", or "published" for the code's clipping.
        options: of `Attack`, with `task=Forecast(...)` among them, without bounds, success, targeted.
    """

    applies_to = (Forecast,)
    refused = {
        "early_stop": "it takes one step",
        "seed": "it begins at x and draws nothing",
        "targeted": "it leads away from the truth",
    }

    def __init__(
        self,
        eps: float | Tensor,
        channel: int = 0,
        clip: tuple[float, float] = (-math.inf, math.inf),
        clip_mode: str = "contained",
        **options: Any,
    ) -> None:
        super().__init__(eps, "linf", success=_no_success, bounds=(-math.inf, math.inf), **options)
        require_whole(0, channel=channel)
        if clip_mode not in CLIPS:
            raise InputError("clip_mode", given=repr(clip_mode), expected=" or ".join(map(repr, CLIPS)))
        self.channel, self.clip, self.clip_mode = int(channel), _require_range(clip), clip_mode

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        _require_channel(self.channel, batch.x)
        x, rows = batch.x, batch.rows
        _, gradient, _ = victim.gradient(x, batch.y, rows)
        if batch.mask is not None:
            gradient = gradient * batch.mask
        reading = x[..., self.channel]
        moved = reading + column(batch.eps, reading) * gradient[..., self.channel].sign()
        (low, high), unheld = self.clip, self.clip_mode == "published"
        ends = (low, high) if unheld else (reading.clamp(max=low), reading.clamp(min=high))
        moved = moved.clamp(*ends)
        if batch.mask is not None:
            moved = torch.where(batch.mask[..., self.channel] > 0, moved, reading)
        changed = x.clone()
        changed[..., self.channel] = moved
        best.take(rows, changed, *victim.judge(changed, batch.y, rows), 1)  # the step, whatever it comes to


class SequenceSearch(Attack):
    """Beam search over readings that are replaced: no gradient, any forecaster.

    Each round tries, from each of the `width` best windows, every step with each of `actions` values spread over
    `clip`; steps that lie within it already stay. After `depth` rounds the best window comes back.

    Args:
        clip: what a reading may be replaced by, lowest and highest.
        channel: that the attacker reaches.
        width: windows that are followed.
        depth: readings that are replaced.
        actions: values that are tried at a step, both ends of `clip` among them; with 1 the upper end.
        objective: (forecasts, targets) -> (N,) what is raised; the mean forecast by default.
        follows: windows -> windows, for channels that hang on the one that is moved, such as a flag of missing values.
        options: of `Attack`, with `task=Forecast(...)` among them, without bounds, success, loss, targeted.
    """

    applies_to = (Forecast,)
    refused = {
        "early_stop": "all rounds are done",
        "seed": "it draws nothing",
        "targeted": "it raises its objective",
        "loss": "it has an objective",
    }

    def __init__(
        self,
        clip: tuple[float, float],
        channel: int = 0,
        width: int = 5,
        depth: int = 2,
        actions: int = 16,
        objective: Callable[[Tensor, Tensor], Tensor] | None = None,
        follows: Callable[[Tensor], Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(math.inf, "linf", success=_no_success, bounds=(-math.inf, math.inf), **options)
        require_whole(0, channel=channel)
        require_whole(1, width=width, depth=depth, actions=actions)
        self.clip, self.channel = _require_range(clip), int(channel)
        if not all(map(math.isfinite, self.clip)):
            raise InputError("clip", given=self.clip, expected="finite ends, between which values are tried")
        self.width, self.depth, self.actions = int(width), int(depth), int(actions)
        self.objective, self.follows = objective, follows

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        _require_channel(self.channel, batch.x)
        if batch.mask is not None:
            raise InputError("mask", given="one", expected="none: `channel` and `clip` say what may change")
        a_round = self.width * batch.x.shape[1] * self.actions
        for part in batch.rows.split(max(1, _ROWS // a_round)):
            found = self._searched(victim, batch.x[part], batch.y[part], part)
            best.take(part, found, *victim.judge(found, batch.y[part], part), self.depth)  # whatever the loss says

    def _searched(self, victim: Victim, x: Tensor, y: Any, rows: Tensor) -> Tensor:
        beams, scores = x[:, None], self._score(victim, x[:, None], y, rows)
        for _ in range(self.depth):
            tries = self._edited(beams)
            reached = self._score(victim, tries, y, rows)
            parents = beams.repeat_interleave(tries.shape[1] // beams.shape[1], 1)
            same = (tries == parents).flatten(2).all(2)  # a step that stays is no other window: it would fill the beam
            reached = reached.masked_fill(same, -math.inf)
            pool, worth = torch.cat([beams, tries], 1), torch.cat([scores, reached], 1)
            scores, place = worth.topk(min(self.width, worth.shape[1]), 1)
            beams = pool.gather(1, place[..., None, None].expand(-1, -1, *x.shape[1:]))
        return beams[:, 0]

    def _edited(self, beams: Float[Tensor, "n beams steps channels"]) -> Float[Tensor, "n tries steps channels"]:
        """Every step of every beam with every value."""
        n, k, steps, channels = beams.shape
        low, high = self.clip
        values = torch.linspace(high, low, self.actions, dtype=beams.dtype, device=beams.device)
        at = torch.eye(steps, dtype=torch.bool, device=beams.device)
        reading = beams[..., self.channel][:, :, None, None]  # (n, k, 1, 1, steps)
        free = (reading < low) | (reading > high)
        edited = torch.where(at[:, None] & free, values[:, None], reading)  # (n, k, steps, actions, steps)
        tries = beams[:, :, None, None].expand(n, k, steps, self.actions, steps, channels).clone()
        tries[..., self.channel] = edited
        tries = tries.reshape(-1, steps, channels)
        return (tries if self.follows is None else self.follows(tries)).reshape(n, -1, steps, channels)

    def _score(self, victim: Victim, tries: Tensor, y: Any, rows: Tensor) -> Float[Tensor, "n tries"]:
        n, k = tries.shape[:2]
        many = rows.repeat_interleave(k)
        with torch.no_grad():
            out = victim.out(tries.flatten(0, 1), many)
            worth = out.flatten(1).mean(1) if self.objective is None else self.objective(out, y.repeat_interleave(k, 0))
        if worth.shape != (n * k,):
            raise InputError("objective", given=f"shape {tuple(worth.shape)}", expected="one number a window")
        return worth.nan_to_num(-math.inf).reshape(n, k)
