"""ULEEN: an ensemble of Bloom-filter tables with real entries that gradients train; the weakest nodes are pruned.

Source: Z. Susskind et al., "ULEEN: A Novel Architecture for Ultra-low-energy Edge Neural Networks" (ACM TACO 2023),
arXiv 2304.10618.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_positive
from deepwright.weightless.differentiable.gradients import straight_step
from deepwright.weightless.differentiable.layers import seed_of, wide
from deepwright.weightless.inputs import check_tensor_bits, integer
from deepwright.weightless.mapping import random_mapping

_ROWS = 1 << 22


class FilterBank(nn.Module):
    """A node for each table and class: [the smallest entry at the sample's hashes >= 0].

    Tables of up to `entries` addresses are plain ones.

    Args:
        features: bits of a sample.
        classes: how many.
        n_inputs: bits that a table reads, 1..32.
        n_luts: tables; so many that each bit is read once where None.
        entries: of a filter, a power of two.
        hashes: places of an address in its filter.
        seed: of mapping, hashes and entries.
    """

    mapping: Tensor
    words: Tensor
    kept: Tensor

    def __init__(
        self, features: int, classes: int, n_inputs: int, n_luts: int | None, entries: int, hashes: int, seed: int
    ) -> None:
        super().__init__()
        n = integer(n_inputs, "n_inputs", 1, 32)
        luts = -(-features // n) if n_luts is None else integer(n_luts, "n_luts", 1, 1 << 24)
        found = torch.from_numpy(random_mapping(features, n, luts, seed)).long()
        self.padding = max(0, int(found.max()) + 1 - features)
        self.register_buffer("mapping", found)
        if 1 << n <= entries:
            entries, words = 1 << n, (1 << torch.arange(n - 1, -1, -1))[None]
        else:
            words = torch.randint(0, entries, (hashes, n), generator=generator(seed, "weightless H3"))
        self.register_buffer("words", words)
        draw = generator(seed, "weightless entries")
        self.tables = nn.Parameter(2 * torch.rand(luts, entries, classes, generator=draw) - 1)
        self.register_buffer("kept", torch.ones(luts, classes))

    def places(self, bits: Tensor) -> Tensor:
        """Rows of the flat tables, (samples, luts, hashes): the exclusive or of the words of bits that are 1.

        Args:
            bits: (samples, features) of 0 and 1.
        """
        read = F.pad((bits > 0.5).long(), (0, self.padding))[:, self.mapping]
        result = read[:, :, 0, None] * self.words[:, 0]
        for b in range(1, read.shape[2]):
            result = result ^ (read[:, :, b, None] * self.words[:, b])
        return result + (torch.arange(len(self.mapping), device=bits.device) * self.tables.shape[1])[:, None]

    def forward(self, bits: Tensor) -> Tensor:
        """Nodes (samples, luts, classes) of 0 and 1; pruned ones are 0.

        Args:
            bits: (samples, features) of 0 and 1.
        """
        if self.training:
            with torch.no_grad():
                self.tables.clamp_(-1, 1)
        found = self.tables.flatten(0, 1)[self.places(bits)]
        return straight_step(found.amin(dim=2)) * self.kept.to(found.dtype)


class ULEEN(nn.Module):
    """Votes are sums over nodes of all submodels, and a whole number for each class.

    Args:
        features: bits of a sample.
        classes: how many.
        n_inputs: of each submodel's tables, 1..32.
        n_luts: tables of each submodel; None reads each bit once.
        entries: of a filter, a power of two; tables of no more addresses are plain ones.
        hashes: places of an address in its filter.
        dropout: chance that a node is left out while training.
        tau: votes are divided by it before the softmax of the loss.
        seed: of mappings, hashes and entries.

    Raises:
        InputError: sizes that don't fit.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        n_inputs: Sequence[int] = (12, 16, 20),
        n_luts: int | None = None,
        entries: int = 64,
        hashes: int = 2,
        dropout: float = 0.5,
        tau: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features = integer(features, "features", 1, 1 << 24)
        self.classes = integer(classes, "classes", 2, 1 << 20)
        if integer(entries, "entries", 2, 1 << 24) & (entries - 1):
            raise InputError("entries", given=entries, expected="a power of two")
        integer(hashes, "hashes", 1, 16)
        require_positive(tau=tau)
        if not 0 <= dropout < 1:
            raise InputError("dropout", given=dropout, expected="a share in [0, 1)")
        if not len(n_inputs):
            raise InputError("n_inputs", given="none", expected="a number for each submodel")
        self.dropout, self.tau = dropout, tau
        self.banks = nn.ModuleList(
            FilterBank(features, classes, n, n_luts, entries, hashes, seed_of(seed, "bank", i))
            for i, n in enumerate(n_inputs)
        )
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def _each(self) -> list[FilterBank]:
        return [bank for bank in self.banks if isinstance(bank, FilterBank)]

    @property
    def nbytes(self) -> int:
        """Bytes of the nodes that are left, at one bit an entry; mappings, words and biases aren't counted."""
        return sum(-(-int(bank.kept.sum()) * bank.tables.shape[1] // 8) for bank in self._each)

    def nodes(self, bits: Tensor) -> Tensor:
        """All submodels' nodes, (samples, nodes, classes) of 0 and 1.

        Args:
            bits: (samples, features), of 0 and 1.
        """
        check_tensor_bits(bits, self.features)
        return torch.cat([bank(bits) for bank in self._each], dim=1)

    def forward(self, bits: Tensor) -> Tensor:
        """Logits (samples, classes): votes / tau, in float32 at least, for shorter numbers don't hold counts.

        Args:
            bits: (samples, features), of 0 and 1.
        """
        nodes = F.dropout(self.nodes(bits), self.dropout, self.training)
        whole = self.bias.round() + (self.bias - self.bias.detach())
        return (nodes.sum(dim=1, dtype=wide(nodes.dtype)) + whole) / self.tau

    @torch.no_grad()
    def votes(self, bits: Tensor) -> Tensor:
        """Votes (samples, classes), whole numbers, as in evaluation.

        Args:
            bits: (samples, features), of 0 and 1.
        """
        return self.nodes(bits).long().sum(dim=1) + self.bias.round().long()

    @torch.no_grad()
    def prune(self, bits: Tensor, labels: Tensor, fraction: float = 0.3) -> None:
        """Leave out, of each class, the nodes that follow it least; their mean vote goes to its bias.

        Args:
            bits: (samples, features) of training.
            labels: (samples,), places of the classes.
            fraction: of the nodes that are left, in [0, 1).
        """
        if not 0 <= fraction < 1:
            raise InputError("fraction", given=fraction, expected="a share in [0, 1)")
        kept = torch.cat([bank.kept for bank in self._each])
        follows, mean = self._correlations(bits, labels)
        drop = (kept.sum(dim=0) * fraction).long()
        ranks = torch.where(kept > 0, follows, torch.inf).argsort(dim=0, stable=True).argsort(dim=0)
        gone = (ranks < drop) & (kept > 0)
        self.bias.add_((mean * gone).sum(dim=0))
        for bank, out in zip(self._each, gone.split([len(bank.kept) for bank in self._each])):
            bank.kept.masked_fill_(out, 0)

    def _correlations(self, bits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation of each node with its class, 0 where either never changes, and the mean of each node."""
        nodes = sum(len(bank.kept) for bank in self._each)
        device, dtype = self.bias.device, self.bias.dtype
        said = torch.zeros(nodes, self.classes, device=device, dtype=dtype)
        both, own = torch.zeros_like(said), torch.zeros(self.classes, device=device, dtype=dtype)
        was, size = self.training, max(1, _ROWS // (nodes * self.classes))
        self.eval()
        for x, y in zip(bits.split(size), labels.split(size)):
            found, true = self.nodes(x.to(device)), F.one_hot(y.to(device), self.classes).to(dtype)
            said += found.sum(dim=0)
            both += torch.einsum("njc,nc->jc", found, true)
            own += true.sum(dim=0)
        self.train(was)
        said, both, own = said / len(bits), both / len(bits), own / len(bits)
        spread = (said * (1 - said) * own * (1 - own)).clamp(min=0).sqrt()
        return torch.where(spread > 0, (both - said * own) / spread.clamp(min=1e-12), 0.0), said
