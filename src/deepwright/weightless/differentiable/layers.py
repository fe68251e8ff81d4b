"""Layers of weightless networks in torch: tables with gradients, learned thresholds, votes by groups."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.requirements import require_positive
from deepwright.weightless.differentiable.gradients import HardChoice, TableLookup, difference_weights
from deepwright.weightless.inputs import integer
from deepwright.weightless.mapping import random_mapping

MAPPINGS = ("learnable", "random")
_QUANTILE_ROWS = 100_000


def check_rows(x: Tensor, features: int, what: str = "bits") -> None:
    """Refuse what isn't (samples, features).

    Args:
        x: what came in.
        features: how many there must be.
        what: its name.
    """
    if x.ndim != 2 or x.shape[1] != features:
        raise InputError(what, given=f"shape {tuple(x.shape)}", expected=f"(samples, {features})")


def refuse_infinite(x: Tensor) -> None:
    """Refuse NaN and infinities, except while a compiler traces.

    Args:
        x: features.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[no-untyped-call]
        return
    if not bool(torch.isfinite(x).all()):
        raise InputError("features", given="NaN or infinities", expected="finite numbers")


class LookupLayer(nn.Module):
    """`luts` tables of 2^n real entries in [-1, 1]; each reads n bits and gives [entry >= 0].

    Args:
        features: bits that come in.
        luts: tables, and bits that go out.
        n_inputs: n, 1..6.
        mapping: `random`: permutations of the bits; `learnable`: each input takes the bit whose logit is largest.
        decay: of the finite difference, `exponential` or `linear`.
        tau: temperature of the learnable mapping's gradient. At the authors' 0.001 only bits whose logits nearly equal
            the largest have one, and few choices ever change.
        seed: of entries and mapping.
    """

    mapping: Tensor
    difference: Tensor

    def __init__(
        self,
        features: int,
        luts: int,
        n_inputs: int = 6,
        mapping: str = "random",
        decay: str = "exponential",
        tau: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.tau = integer(features, "features", 1, 1 << 24), tau
        self.luts, self.n_inputs = integer(luts, "luts", 1, 1 << 24), integer(n_inputs, "n_inputs", 1, 6)
        if mapping not in MAPPINGS:
            raise unknown_name("mapping", str(mapping), MAPPINGS)
        require_positive(tau=tau)
        draw = generator(seed, "weightless entries")
        self.tables = nn.Parameter(2 * torch.rand(luts, 1 << n_inputs, generator=draw) - 1)
        self.register_buffer("difference", difference_weights(n_inputs, decay).to(self.tables.dtype), persistent=False)
        self.logits: nn.Parameter | None = None
        if mapping == "learnable":
            draw = generator(seed, "weightless logits")
            self.logits = nn.Parameter(2 * torch.rand(features, luts * n_inputs, generator=draw) - 1)
        else:
            found = torch.from_numpy(random_mapping(features, n_inputs, luts, seed)).long()
            self.register_buffer("mapping", found.reshape(-1))
            self.padding = max(0, int(found.max()) + 1 - features)

    def forward(self, bits: Tensor) -> Tensor:
        """Bits (samples, luts) of 0 and 1.

        Args:
            bits: (samples, features), floating, of 0 and 1.
        """
        check_rows(bits, self.features)
        if self.training:
            with torch.no_grad():
                self.tables.clamp_(-1, 1)
        bits = bits.to(self.tables.dtype)
        if self.logits is None:
            read = F.pad(bits, (0, self.padding))[:, self.mapping]
        else:
            read = HardChoice.apply(bits, self.logits, self.tau)
        return TableLookup.apply(read.reshape(len(bits), self.luts, self.n_inputs), self.tables, self.difference)

    @torch.no_grad()
    def hardened(self) -> tuple[Tensor, Tensor]:
        """What it computes now: 0 and 1 (luts, 2^n) uint8, and which bits each table reads (luts, n)."""
        mapping = self.mapping if self.logits is None else self.logits.argmax(dim=0)
        return (self.tables >= 0).to(torch.uint8), mapping.reshape(self.luts, self.n_inputs)


class GroupSum(nn.Module):
    """Votes of each class: the sum of its group of bits, divided by tau.

    Args:
        classes: groups, of equal size.
        tau: temperature.
    """

    def __init__(self, classes: int, tau: float = 1.0) -> None:
        super().__init__()
        require_positive(tau=tau)
        self.classes, self.tau = classes, tau

    def forward(self, bits: Tensor) -> Tensor:
        """Logits (samples, classes).

        Args:
            bits: (samples, classes * group).
        """
        groups = bits.reshape(len(bits), self.classes, -1)
        return groups.sum(dim=2, dtype=wide(bits.dtype)) / self.tau

    def counts(self, bits: Tensor) -> Tensor:
        """Votes (samples, classes) int64.

        Args:
            bits: (samples, classes * group).
        """
        return bits.long().reshape(len(bits), self.classes, -1).sum(dim=2)


class LearnedThresholds(nn.Module):
    """Thermometer bits [x > t] of each feature, whose thresholds learn by the slope of a sigmoid around them.

    Args:
        features: that come in.
        bits: thresholds of each.
    """

    width: Tensor

    def __init__(self, features: int, bits: int = 8) -> None:
        super().__init__()
        self.features, self.bits = integer(features, "features", 1, 1 << 24), integer(bits, "bits", 1, 256)
        normal = torch.distributions.Normal(0.0, 1.0)
        places = normal.icdf(torch.arange(1, bits + 1) / (bits + 1))
        self.thresholds = nn.Parameter(places.expand(features, bits).clone())
        self.register_buffer("width", torch.full((features, 1), 1.0 / (bits + 1)))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Begin at the quantiles of samples.

        Args:
            x: (samples, features), of training.
        """
        check_rows(x, self.features, "features")
        x = x.detach().to(self.thresholds.device, self.thresholds.dtype)
        if not len(x):
            raise InputError("features", given="no sample", expected="those of training")
        refuse_infinite(x)
        steps = torch.arange(1, self.bits + 1, device=x.device, dtype=x.dtype) / (self.bits + 1)
        some = x
        if len(x) > _QUANTILE_ROWS:  # drawn: the first ones may all be of one class
            draw = generator(0, "weightless quantiles")
            some = x[torch.randperm(len(x), generator=draw)[:_QUANTILE_ROWS].to(x.device)]
        self.thresholds.copy_(torch.quantile(some, steps, dim=0).T)
        spread = x.std(dim=0, correction=0)
        self.width.copy_((torch.where(spread > 0, spread, 1.0) / (self.bits + 1))[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """Bits (samples, features * bits).

        Args:
            x: (samples, features).

        Raises:
            InputError: another shape, NaN or infinities: no threshold says on which side they lie.
        """
        check_rows(x, self.features, "features")
        refuse_infinite(x)
        away = x.to(self.thresholds.dtype)[:, :, None] - self.thresholds
        soft = torch.sigmoid(away / self.width)
        return ((away > 0).to(soft.dtype) + (soft - soft.detach())).flatten(1)


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of sums of votes: float32 at least, for shorter numbers don't hold every count.

    Args:
        dtype: of the votes.
    """
    return torch.promote_types(dtype, torch.float32)


def seed_of(seed: int, *parts: object) -> int:
    """A seed of its own for each part of a network.

    Args:
        seed: of the network.
        *parts: names the part.
    """
    return derive_seed("weightless differentiable", *parts, seed=seed)
