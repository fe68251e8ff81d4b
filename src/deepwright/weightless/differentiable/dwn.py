"""DWN: layers of lookup tables that gradients train.

Source: A. T. L. Bacellar et al., "Differentiable Weightless Neural Networks" (ICML 2024), arXiv 2410.11112.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.weightless.differentiable.layers import GroupSum, LookupLayer, seed_of
from deepwright.weightless.inputs import check_tensor_bits, integer


class DWN(nn.Module):
    """Layers of tables of n inputs; the bits of the last one vote, in a group for each class.

    Args:
        features: bits of a sample.
        classes: how many.
        layers: tables of each layer; the last number is a multiple of `classes`.
        n_inputs: n, 1..6.
        mapping: of the first layer, `learnable` or `random`; the others' are random.
        tau: votes are divided by it before the softmax of the loss; 1/0.3 suits a hundred tables a class.
        decay: how far entries count in the finite difference: `exponential` (the authors' present code) or `linear`.
        seed: of entries and mappings.
        mapping_tau: temperature of the learnable mapping's gradient; at the authors' 0.001 few choices change.

    Raises:
        InputError: sizes that don't fit.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        layers: Sequence[int] = (2000, 1000),
        n_inputs: int = 6,
        mapping: str = "learnable",
        tau: float = 1 / 0.3,
        decay: str = "exponential",
        seed: int = 0,
        mapping_tau: float = 0.1,
    ) -> None:
        super().__init__()
        integer(classes, "classes", 2, 1 << 20)
        if not len(layers):
            raise InputError("layers", given="none", expected="at least one number of tables")
        if layers[-1] % classes:
            hint = f"{-(-layers[-1] // classes) * classes}"
            raise InputError("the last of layers", given=layers[-1], expected=f"a multiple of {classes}", hint=hint)
        self.features = integer(features, "features", 1, 1 << 24)
        sizes = [features, *layers]
        self.layers = nn.Sequential(
            *(
                LookupLayer(
                    before,
                    after,
                    n_inputs,
                    "random" if i else mapping,
                    decay,
                    mapping_tau,
                    seed=seed_of(seed, "layer", i),
                )
                for i, (before, after) in enumerate(pairwise(sizes))
            )
        )
        self.head = GroupSum(classes, tau)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables, at one bit an entry; mappings aren't counted."""
        return sum(-(-p.numel() // 8) for name, p in self.named_parameters() if name.endswith("tables"))

    def forward(self, bits: Tensor) -> Tensor:
        """Logits (samples, classes): votes / tau, in float32 at least, for shorter numbers don't hold counts.

        Args:
            bits: (samples, features), floating, of 0 and 1.

        Raises:
            InputError: another shape, or values other than 0 and 1.
        """
        check_tensor_bits(bits, self.features)
        return self.head(self.layers(bits))

    @torch.no_grad()
    def votes(self, bits: Tensor) -> Tensor:
        """Votes (samples, classes), whole numbers.

        Args:
            bits: (samples, features), floating, of 0 and 1.
        """
        check_tensor_bits(bits, self.features)
        return self.head.counts(self.layers(bits))
