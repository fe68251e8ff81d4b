"""Square: black-box random search over square-shaped changes, in L-inf and L2. Source: arXiv 1912.00049."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.victim import Batch, Best, Victim, selected
from deepwright.core.errors import InputError
from deepwright.core.randomness import StreamBlock, Streams
from deepwright.core.requirements import require_whole, require_within

_HALVE_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_DRAWN_AHEAD = 64  # queries whose random numbers are drawn together: one by one they cost more than a small network


class Square(Attack):
    """Each query repaints one h x h square per sample and keeps it if the loss rises.

    What rises is the task's margin, or its first loss where it has none.

    Args:
        eps: budget.
        norm: "linf" or "l2".
        queries: budget of forward passes a sample.
        p: share of pixels in the first squares (0.8; 0.05 for quick audits); it halves along a fixed schedule.
        options: of `Attack`: task, loss, success, targeted, bounds, seed.
    """

    needs_clean = True
    preferred_loss = "margin"
    refused = {"early_stop": "a fooled sample isn't queried further"}

    def __init__(
        self, eps: float | Tensor, norm: str = "linf", queries: int = 5000, p: float = 0.8, **options: Any
    ) -> None:
        super().__init__(eps, norm, **options)
        if norm == "l1":
            raise InputError("norm", given="'l1'", expected="'linf' or 'l2' for Square")
        require_whole(1, queries=queries)
        require_within(0, 1, ends="(]", p=p)
        self.queries, self.p = int(queries), float(p)

    def share(self, query: int) -> float:
        """Share of pixels at a query: p halves at (10, 50, ...) / 10,000 of the budget."""
        scaled = query * 10_000 / self.queries
        return self.p / 2 ** sum(scaled > mark for mark in _HALVE_AT)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y = batch.x, batch.y
        loss, success = victim.loss(batch.out, y, batch.rows), victim.succeeded(batch.out, y)
        best.offer(batch.rows, x, loss, success, 0)
        part = _Search(batch, best)
        for query in range(self.queries):
            if len(part.rows) == 0:
                return
            streams = part.streams(self.seed, query, self.queries)
            change = self._change(part, query, streams)
            moved = self._project((part.origin + change).reshape(part.x.shape), part.x, part.eps, part.mask)
            out = victim.out(moved, part.rows)
            value, success = victim.loss(out, part.y, part.rows), victim.succeeded(out, part.y)
            part.keep_better(moved, value, success)
            best.offer(part.rows, moved, value, success, query + 1)
            if batch.callback is not None:
                batch.callback(query, best.success)
            if bool(success.any()):
                part = part.left(~success)

    def _change(self, part: _Search, query: int, streams: Streams) -> Tensor:
        """What is tried beside x, as an image."""
        if query == 0:
            return self._first(part.origin, part.eps, streams)
        delta = (part.current - part.x).reshape(part.origin.shape)  # not a view: inputs may be strided
        if self.norm == "linf":
            return self._square(delta, part.eps, self.share(query), streams)
        return self._bump(delta, part.origin, part.eps, self.share(query), streams)

    def _first(self, origin: Tensor, eps: Tensor, streams: Streams) -> Tensor:
        """L-inf: vertical stripes of +-eps; L2: a board of bumps with random signs."""
        _n, c, h, w = origin.shape
        if self.norm == "linf":
            return _signs(streams, origin, c, 1, w).expand(-1, -1, h, -1) * column(eps, origin)
        side = max(h // 5, 1)
        tiles = _signs(streams, origin, c, -(-h // side), -(-w // side))
        tile = _bump(side, origin)
        board = (tiles.repeat_interleave(side, 2).repeat_interleave(side, 3))[:, :, :h, :w]
        pattern = tile.repeat(-(-h // side), -(-w // side))[:h, :w]
        return _to_length(board * pattern, eps)

    def _square(self, delta: Tensor, eps: Tensor, share: float, streams: Streams) -> Tensor:
        _, c, h, w = delta.shape
        inside = _window(delta, max(1, min(round(math.sqrt(share * h * w)), h, w)) if h > 1 else 1, share, streams)
        return torch.where(inside, _signs(streams, delta, c, 1, 1) * column(eps, delta), delta)

    def _bump(self, delta: Tensor, origin: Tensor, eps: Tensor, share: float, streams: Streams) -> Tensor:
        """Move the mass of one window into a bump in another, and use up the budget."""
        _, c, h, w = delta.shape
        side = max(3, min(round(math.sqrt(share * h * w)), h, w)) if min(h, w) >= 3 else 1
        target, source = _window(delta, side, share, streams), _window(delta, side, share, streams)
        kept = torch.where(target | source, torch.zeros_like(delta), delta)
        free = (column(eps.square(), delta) - kept.square().flatten(1).sum(1).reshape(-1, 1, 1, 1)).clamp_min(0)
        rows = torch.arange(side, device=delta.device)
        top = target.int().flatten(2).argmax(2)[:, 0]
        bump = torch.zeros_like(delta)
        tile = _bump(side, delta)[None, None] * _signs(streams, delta, c, 1, 1)
        y0, x0 = top // w, top % w
        batch = torch.arange(len(delta), device=delta.device)[:, None, None, None]
        channel = torch.arange(c, device=delta.device)[None, :, None, None]
        yy = (y0[:, None] + rows)[:, None, :, None].clamp_max(h - 1)
        xx = (x0[:, None] + rows)[:, None, None, :].clamp_max(w - 1)
        old = delta[batch, channel, yy, xx]
        shape = tile + old / old.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(-1, 1, 1, 1)
        bump[batch, channel, yy, xx] = shape
        length = bump.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(-1, 1, 1, 1)
        return kept + bump / length * free.sqrt()


class _Search:
    """The samples that still stand, and where the search for each is."""

    def __init__(self, batch: Batch, best: Best) -> None:
        rows = (~best.success).nonzero().flatten()
        self.rows, self.x, self.y, self.eps = rows, batch.x[rows], batch.y[rows], batch.eps[rows]
        self.mask = None if batch.mask is None else batch.mask[rows]
        self.ids = batch.ids[rows.cpu()].to(rows.device)
        self.origin = self.x if self.x.ndim == 4 else self.x.reshape(len(rows), 1, 1, -1)
        self.current = self.x
        self.loss = torch.full_like(self.eps, -torch.inf)
        self.place = torch.arange(len(rows), device=rows.device)
        self.block: StreamBlock | None = None

    def streams(self, seed: int, query: int, queries: int) -> Streams:
        """Random numbers of one query, drawn for many queries at once."""
        if query == 0:
            return Streams(seed, self.ids, "square", t=0, device=self.x.device)
        if self.block is None or query not in self.block.times:
            times = range(query, min(query + _DRAWN_AHEAD, queries))
            self.block = StreamBlock(seed, self.ids, "square", times, self.x.device)
            self.place = torch.arange(len(self.rows), device=self.x.device)
        return self.block.at(query, self.place)

    def keep_better(self, moved: Tensor, value: Tensor, success: Tensor) -> None:
        """Go on from what raised the loss."""
        self.loss = self.loss.to(torch.promote_types(self.loss.dtype, value.dtype))  # double for a double network
        better = (value > self.loss) | success
        self.loss = torch.where(better, value, self.loss)
        self.current = torch.where(column(better, moved), moved, self.current)

    def left(self, standing: Tensor) -> _Search:
        """The samples that still stand."""
        block, self.block = self.block, None
        part = selected(self, standing)
        part.block = block
        return part


def _signs(streams: Streams, like: Tensor, *shape: int) -> Tensor:
    """(N, *shape) of +-1 in the dtype of `like`."""
    return torch.where(streams.bits(*shape) < 0, -1, 1).to(like.dtype)


def _window(like: Tensor, side: int, share: float, streams: Streams) -> Tensor:
    """(N, 1, H, W) boolean: one random side x side window a sample (a run of columns where H = 1)."""
    _, _, h, w = like.shape
    width = side if h > 1 else max(1, round(share * w))
    top = (
        streams.integers(0, h - side + 1, 1)
        if h > 1
        else torch.zeros(len(like), 1, dtype=torch.long, device=like.device)
    )
    left = streams.integers(0, w - width + 1, 1)
    rows, columns = torch.arange(h, device=like.device), torch.arange(w, device=like.device)
    in_rows = (rows >= top) & (rows < top + side)
    in_columns = (columns >= left) & (columns < left + width)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _bump(side: int, like: Tensor) -> Tensor:
    """(side, side): a pyramid of nested rectangles, positive in one half and negative in the other, of unit length."""
    line = torch.arange(side, device=like.device, dtype=like.dtype)
    centre = (side - 1) / 2
    radius = torch.maximum((line[:, None] - centre).abs(), (line[None] - centre).abs())
    pyramid = 1 / (1 + radius).square()
    pyramid[side // 2 :] *= -1 if side > 1 else 1
    return pyramid / pyramid.norm()


def _to_length(delta: Tensor, eps: Tensor) -> Tensor:
    return delta * column(eps / norms(delta, "l2").clamp_min(1e-12), delta)
