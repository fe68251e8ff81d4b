"""Explicit randomness: derived seeds, local generators, and per-sample counter-based streams.

Nothing in Deepwright draws from the global generator. Three tools are enough:

* `derive_seed("trial", 3, seed=0)`: a stable 63-bit seed from any key;
* `generator(seed, ...)`: a `torch.Generator` on it;
* `Streams(seed, samples, name)`: random numbers in which sample *i* gets the same bits whatever the batch
  it comes in. They are a hash of (seed, sample, name, t, draw, position), computed for the whole batch at once.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

_MASK32 = 0xFFFFFFFF


def derive_seed(*parts: object, seed: int = 0) -> int:
    """A stable seed in [0, 2^63) from a base seed and any printable key.

    Args:
        parts: the key.
        seed: the base seed; NumPy's whole numbers count as Python's.

    Raises:
        InputError: a base seed that is no whole number.
    """
    require_whole(seed=seed)
    digest = hashlib.blake2b(repr((int(seed), *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, *parts: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A `torch.Generator` seeded by (seed, *parts).

    Args:
        seed: the base seed.
        parts: a key, as in `derive_seed`.
        device: where it draws; each kind of device has numbers of its own.

    Raises:
        InputError: a seed that is no whole number.
    """
    require_whole(seed=seed)
    result = torch.Generator(device=device)
    result.manual_seed(derive_seed(*parts, seed=seed) if parts else int(seed))
    return result


@contextmanager
def local_rng(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block and put them back after it (for code that can't take a generator)."""
    with torch.random.fork_rng(devices=_cuda()):
        torch.manual_seed(seed)
        yield


def _cuda() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []


@contextmanager
def restored_rng(devices: Sequence[int] | None = None) -> Iterator[None]:
    """Put the global generators of torch, NumPy and Python back after the block, whatever draws from them in it.

    Args:
        devices: the CUDA devices whose generators are put back too; all by default.
    """
    chosen = _cuda() if devices is None else devices
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002 - put back below
    try:
        with torch.random.fork_rng(devices=chosen):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)  # noqa: NPY002


@contextmanager
def local_seeds(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator, NumPy's and Python's inside the block and put them back after it.

    Args:
        seed: of all three.
    """
    with restored_rng(devices=()):
        random.seed(seed)
        np.random.seed(seed & _MASK32)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        yield


def _signed32(value: int) -> int:
    value &= _MASK32
    return value - (1 << 32) if value >= (1 << 31) else value


# The two multipliers of a 32-bit avalanche hash (bias below 0.2 % in every output bit).
_M1, _M2 = _signed32(0x7FEB352D), _signed32(0x846CA68B)


def _mix_(x: Tensor) -> Tensor:
    """One avalanche round on int32, in place. The masks turn arithmetic shifts into logical ones."""
    x ^= (x >> 16) & 0xFFFF
    x *= _M1
    x ^= (x >> 15) & 0x1FFFF
    x *= _M2
    x ^= (x >> 16) & 0xFFFF
    return x


def _keys(ids: Tensor, bases: list[int]) -> tuple[Tensor, Tensor]:
    """Two int32 keys of each base and sample, base by base."""
    low_base = torch.tensor([[_signed32(base)] for base in bases], dtype=torch.int32)
    high_base = torch.tensor([[_signed32(base >> 32)] for base in bases], dtype=torch.int32)
    low = ((ids & _MASK32).to(torch.int32) ^ low_base).flatten()
    high = ((ids >> 32).to(torch.int32) ^ high_base).flatten()
    return _mix_(_mix_(low.clone()) + high), _mix_(_mix_(high.clone()) + low * _signed32(0x9E3779B9))


class Streams:
    """One independent random stream per sample, drawn for the whole batch in a few vector operations.

    Args:
        seed: the experiment's seed.
        samples: (N,) integer identity of each sample, or N for 0..N-1.
        name: what the numbers are for; different names give independent numbers.
        t: a time step (dynamic perturbations).
        device: where the numbers are wanted.
    """

    def __init__(
        self,
        seed: int,
        samples: Tensor | int,
        name: str,
        t: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        ids = torch.arange(samples) if isinstance(samples, int) else torch.as_tensor(samples).cpu()
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise InputError("samples", given=str(ids.dtype), expected="whole numbers, one identity a sample")
        ids = ids.long()
        if ids.ndim != 1:
            raise InputError("samples", given=f"shape {tuple(ids.shape)}", expected="a vector of sample ids")
        self.device = torch.device(device)
        self.n = len(ids)
        self._key1, self._key2 = (key.to(self.device) for key in _keys(ids, [derive_seed(name, t, seed=seed)]))
        self._draw = 0
        self._taken: list[tuple[int, int]] = []  # (offset, count) of each draw

    def bits(self, *shape: int) -> Tensor:
        """(N, *shape) int32 with all 32 bits random; each call gives fresh ones."""
        count = math.prod(shape)
        offset = _signed32(self._free(count))
        self._draw += 1
        counter = torch.arange(count, dtype=torch.int32, device=self.device)
        x = counter + (self._key1[:, None] + offset)
        _mix_(x)
        x += self._key2[:, None]
        return _mix_(x).view(self.n, *shape)

    def _free(self, count: int) -> int:
        """Where the draw's counter starts: hashed, and again where its numbers would be those of an earlier draw."""
        for attempt in range(64):
            key = ("draw", self._draw, attempt) if attempt else ("draw", self._draw)
            offset = derive_seed(*key) & _MASK32
            if all((offset - o) % 2**32 >= n and (o - offset) % 2**32 >= count for o, n in self._taken):
                break
        self._taken.append((offset, count))
        return offset

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(N, *shape) float32, uniform in (low, high); never 0 where that is the lower end, others may be rounded to.

        Args:
            shape: of one sample's numbers.
            low: lower end.
            high: upper end.
        """
        u = (self.bits(*shape) >> 8).to(torch.float32)  # 24 bits, signed: [-2^23, 2^23)
        scale = (high - low) / 2**24
        u = u.mul_(scale).add_(low + scale * (2**23 + 0.5))
        return u.clamp_min_(scale / 2) if low == 0 else u  # one of 2^24 is rounded to 0, which has no logarithm

    def normal(self, *shape: int) -> Tensor:
        """(N, *shape) float32 standard normal (inverse CDF of 24-bit uniforms: tails to 5.4 sigma)."""
        return self.uniform(*shape, low=-1.0, high=1.0).clamp_(-1 + 6e-8, 1 - 6e-8).erfinv_().mul_(math.sqrt(2.0))

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """(N, *shape) int64, uniform in low..high-1.

        Args:
            low: the smallest.
            high: above the largest.
            shape: of one sample's numbers.
        """
        return (self.uniform(*shape) * (high - low)).long().clamp_(max=high - low - 1) + low


class StreamBlock:
    """The streams of several time steps, drawn together: for a loop of many small draws, alike at each step.

    Args:
        seed: as for `Streams`.
        samples: (N,) integer identity of each sample.
        name: as for `Streams`.
        times: the steps.
        device: where the numbers are wanted.
    """

    def __init__(self, seed: int, samples: Tensor, name: str, times: range, device: torch.device | str = "cpu") -> None:
        self.times, self.n, self.device = times, len(samples), torch.device(device)
        self._all = Streams(seed, 0, name, device=device)
        keys = _keys(samples.long().cpu(), [derive_seed(name, t, seed=seed) for t in times])
        self._all._key1, self._all._key2 = (key.to(self.device) for key in keys)
        self._all.n = len(times) * self.n
        self._drawn: list[Tensor] = []

    def at(self, t: int, rows: Tensor) -> Streams:
        """`Streams(seed, samples[rows], name, t)`, of which each draw must have the shape that it has at other steps.

        Args:
            t: one of the steps.
            rows: which of the samples.
        """
        return _Drawn(self, self.times.index(t), rows)

    def drawn(self, draw: int, shape: tuple[int, ...]) -> Tensor:
        """(times, N, *shape) bits of one draw.

        Args:
            draw: counted from 0, in order.
            shape: of one sample's numbers.
        """
        if draw == len(self._drawn):
            self._drawn.append(self._all.bits(*shape).view(len(self.times), self.n, *shape))
        return self._drawn[draw]


class _Drawn(Streams):
    """One step of a block."""

    def __init__(self, block: StreamBlock, step: int, rows: Tensor) -> None:
        self.device, self.n = block.device, len(rows)
        self._block, self._step, self._rows, self._draw = block, step, rows, 0

    def bits(self, *shape: int) -> Tensor:
        found = self._block.drawn(self._draw, shape)[self._step]
        self._draw += 1
        return found[self._rows]
