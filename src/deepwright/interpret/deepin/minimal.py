"""The network that is left: it takes a table's columns as they are and gives outputs in the target's units."""

from __future__ import annotations

from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret.deepin.representation import RepresentationNet


class MinimalNet(nn.Module):
    """f(x) = offset + factor g(B^T (x_S - mean) / deviation), in float64: predictions don't depend on the batch.

    Args:
        network: on the standardised selected columns, or None: constant outputs.
        columns: numbers of the selected columns.
        width: of the rows that it takes.
        mean: of the selected columns.
        deviation: of them.
        offset: (outputs,) added in the end; the constant outputs where there is no network.
        factor: (outputs,) by which g's outputs are multiplied.
    """

    selected: Tensor
    mean: Tensor
    deviation: Tensor
    offset: Tensor
    factor: Tensor

    def __init__(
        self,
        network: RepresentationNet | None,
        columns: Tensor,
        width: int,
        mean: Tensor,
        deviation: Tensor,
        offset: Tensor,
        factor: Tensor,
    ) -> None:
        super().__init__()
        self.network = None if network is None else network.double()
        self.width = width
        for name, value in (("mean", mean), ("deviation", deviation), ("offset", offset), ("factor", factor)):
            self.register_buffer(name, value.double())
        self.register_buffer("selected", columns)

    def representation(self, x: Tensor) -> Tensor:
        """(n, d) z.

        Args:
            x: (n, width) rows in their own units.
        """
        if x.ndim != 2 or x.shape[1] != self.width:
            raise InputError("x", given=f"shape {tuple(x.shape)}", expected=f"(rows, {self.width})")
        if self.network is None:
            return self.mean.new_zeros(len(x), 0)
        return self.network.representation(self._standardised(x))

    def _standardised(self, x: Tensor) -> Tensor:
        return (x.to(self.mean)[:, self.selected] - self.mean) / self.deviation

    def forward(self, x: Tensor) -> Tensor:
        """(n, outputs) in the target's units; logits of classes.

        Args:
            x: (n, width) rows in their own units.
        """
        if self.network is None:
            return self.offset.expand(len(x), -1)
        return self.offset + self.factor * self.network.head(self.representation(x))
