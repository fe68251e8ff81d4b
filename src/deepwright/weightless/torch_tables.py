"""Finished tables in torch: votes by gather on any device, without numba."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.weightless.inputs import check_tensor_bits

_AT_ONCE = 1 << 27


class TorchWNN(nn.Module):
    """`BinaryWNN` as a module whose buffers are its tables; it has no parameters.

    Args:
        tables: (luts, 2^n, classes) of 0 and 1.
        mapping: (luts, n), which bits a table reads; those of `features` and above are 0.
        features: bits of a sample.
    """

    tables: Tensor
    mapping: Tensor
    powers: Tensor
    starts: Tensor

    def __init__(self, tables: np.ndarray, mapping: np.ndarray, features: int) -> None:
        super().__init__()
        luts, size, classes = tables.shape
        self.features = features
        self.padding = max(0, int(mapping.max()) + 1 - features)
        self.register_buffer("tables", torch.tensor(tables, dtype=torch.uint8).reshape(luts * size, classes))
        self.register_buffer("mapping", torch.tensor(mapping, dtype=torch.int64))
        self.register_buffer("powers", 1 << torch.arange(mapping.shape[1] - 1, -1, -1))
        self.register_buffer("starts", torch.arange(luts) * size)

    def forward(self, bits: Tensor) -> Tensor:
        """Votes (samples, classes) int64.

        Args:
            bits: (samples, features) of 0 and 1, of any dtype, on the module's device.

        Raises:
            InputError: another shape, or values other than 0 and 1.
        """
        check_tensor_bits(bits, self.features)
        size = max(1, _AT_ONCE // (len(self.mapping) * max(self.tables.shape[1], 8 * self.mapping.shape[1])))
        return torch.cat([self._votes(part) for part in bits.split(size)])

    def predict(self, bits: Tensor) -> Tensor:
        """The place of the class with the most votes, the first on a tie.

        Args:
            bits: (samples, features) of 0 and 1.
        """
        return self(bits).argmax(dim=1)

    def _votes(self, bits: Tensor) -> Tensor:
        rows = nn.functional.pad((bits != 0).to(torch.int64), (0, self.padding))
        at = self.starts + (rows[:, self.mapping] * self.powers).sum(dim=2)
        return self.tables[at].sum(dim=1, dtype=torch.int64)
