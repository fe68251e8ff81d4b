"""What is to be expanded next: entries in arrays, the least first."""

from __future__ import annotations

import torch
from torch import Tensor

_HOT = 256
Entries = tuple[Tensor, Tensor, Tensor, Tensor]
"""f, the bits of f and h, node, version."""


class Queue:
    """Entries (f, h, node, version), taken by least f; of these by least h, and the newest; or the oldest, whatever h.

    f and h are zero or more, so that their bits, put side by side, sort as they do. A sorted "hot" part holds all
    entries up to some f, the rest lies unsorted. When the hot part is used up, the smallest of the rest come into it: a
    few sorts of few entries in place of a heap of objects, on any device.

    Args:
        device: where it lives.
        newest: of equal f those of least h, and of these the newest; else the oldest.
    """

    def __init__(self, device: torch.device, newest: bool = True) -> None:
        self.device, self.newest = device, newest
        self._hot = self._empty()
        self._rest: list[Entries] = []
        self._until = float("-inf")  # every entry outside the hot part has a larger f

    def _empty(self) -> Entries:
        whole = torch.empty(0, dtype=torch.int64, device=self.device)
        return torch.empty(0, device=self.device), whole, whole, whole.int()

    def __len__(self) -> int:
        return len(self._hot[0]) + sum(len(part[0]) for part in self._rest)

    def push(self, f: Tensor, h: Tensor, node: Tensor, version: Tensor) -> None:
        """New entries.

        Args:
            f: (B,) float32.
            h: (B,) float32.
            node: (B,) numbers.
            version: (B,) of the nodes.
        """
        bits = f.view(torch.int32).long() << 32
        if self.newest:
            bits |= h.view(torch.int32).long()
        entries = (f, bits, node, version)
        if self.newest:
            entries = tuple(t.flip(0) for t in entries)  # type: ignore[assignment]
        near = f.flip(0) <= self._until if self.newest else f <= self._until
        if bool(near.any()):
            self._hot = self._merged(self._hot, tuple(t[near] for t in entries))  # type: ignore[arg-type]
            entries = tuple(t[~near] for t in entries)  # type: ignore[assignment]
        if len(entries[0]):
            self._rest.append(entries)

    def pop(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """The first n entries, or all: their f, nodes and versions.

        Args:
            n: one or more.
        """
        if len(self._hot[0]) < n and self._rest:
            self._warm(n)
        f, _, node, version = (t[:n] for t in self._hot)
        self._hot = tuple(t[n:] for t in self._hot)  # type: ignore[assignment]
        return f, node, version

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """n entries at random, or all: their f, nodes and versions.

        Args:
            n: none or more.
            rng: on the CPU.
        """
        rest = self._joined(self._rest)
        chosen = torch.zeros(len(self), dtype=torch.bool, device=self.device)
        chosen[torch.randperm(len(self), generator=rng)[:n].to(self.device)] = True
        hot, cold = chosen[: len(self._hot[0])], chosen[len(self._hot[0]) :]
        f, _, node, version = (torch.cat([a[hot], b[cold]]) for a, b in zip(self._hot, rest))
        self._hot = tuple(t[~hot] for t in self._hot)  # type: ignore[assignment]
        self._rest = [tuple(t[~cold] for t in rest)] if bool((~cold).any()) else []  # type: ignore[list-item]
        return f, node, version

    def _warm(self, n: int) -> None:
        """Take the smallest of the rest into the hot part, with all whose f is as large as the largest of them."""
        rest = self._joined(self._rest)
        self._until = float(rest[0].kthvalue(min(len(rest[0]), max(_HOT, 4 * n))).values)
        near = rest[0] <= self._until
        self._hot = self._merged(self._hot, tuple(t[near] for t in rest))  # type: ignore[arg-type]
        self._rest = [] if bool(near.all()) else [tuple(t[~near] for t in rest)]  # type: ignore[list-item]

    def _joined(self, parts: list[Entries]) -> Entries:
        """One after another: the newest first, or last."""
        ordered = parts[::-1] if self.newest else parts
        return tuple(torch.cat(t) for t in zip(*ordered)) if parts else self._empty()  # type: ignore[return-value]

    def _merged(self, old: Entries, new: Entries) -> Entries:
        """Sorted; of equals the newer first, or last."""
        both = [torch.cat([n, o] if self.newest else [o, n]) for o, n in zip(old, new)]
        order = both[1].argsort(stable=True)
        return tuple(t[order] for t in both)  # type: ignore[return-value]
