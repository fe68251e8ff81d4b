"""Keeping blocks foldable, or provably not, while a network is trained; and watching the verdict epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_number
from deepwright.interpret.tunnel.activations import of_module
from deepwright.interpret.tunnel.auditing import verdict_of
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.maps import Outputs, scalar_map


class EmbeddingBudget(nn.Module):
    """A hinge on each block's delta Lip(f) / epsilon, to be added to a loss.

    "foldable" asks that at least one block can fold: max_l alpha_l K_l >= 1 + margin. "fold-free" asks that none can:
    every alpha_l K_l <= 1 - margin, which is certified once the term is 0. K is the product of the spectral norms of
    a block's matrices and of what its activations' slopes exceed 1 by.

    Args:
        keep: "foldable" or "fold-free".
        margin: of the hinge.

    Raises:
        InputError: another goal, a negative margin.
    """

    def __init__(self, keep: str = "foldable", margin: float = 0.05) -> None:
        super().__init__()
        if keep not in ("foldable", "fold-free"):
            raise unknown_name("keep", str(keep), ("foldable", "fold-free"))
        require_number(0.0, margin=margin)
        self.keep, self.margin = keep, float(margin)

    def forward(self, blocks: nn.Module) -> Float[Tensor, ""]:
        """The penalty of the blocks of a network: modules with `skip`, `residual` and `f`.

        Args:
            blocks: such as `NarrowResNet.blocks`.

        Raises:
            InputError: no such block, a skip of 0, a layer whose norm isn't known (BatchNorm).
        """
        found = [m for m in blocks.modules() if all(hasattr(m, name) for name in ("skip", "residual", "f"))]
        if not found:
            raise InputError("blocks", given="none with skip, residual and f", expected="NarrowResNet.blocks")
        ratios = torch.stack([self._ratio(block) for block in found])
        if self.keep == "foldable":
            return (1 + self.margin - ratios.max()).clamp_min(0)
        return (ratios - (1 - self.margin)).clamp_min(0).sum()

    @staticmethod
    def _ratio(block: nn.Module) -> Tensor:
        skip, residual = float(block.skip), float(block.residual)  # type: ignore[arg-type]
        if skip == 0:
            raise InputError("skip", given=0, expected="above 0: a block without a skip has no channel ratio")
        norms = [_norm(m) for m in block.f.modules() if not list(m.children())]  # type: ignore[union-attr]
        return torch.as_tensor(math.prod(norms)) * abs(residual / skip)


def _norm(module: nn.Module) -> Tensor | float:
    """A bound from above of a leaf's Lipschitz constant."""
    if isinstance(module, nn.Linear):
        found: Tensor = torch.linalg.matrix_norm(module.weight, 2)
        return found
    activation = of_module(module)
    if activation is not None:
        return max(1.0, activation.sup[0])
    if isinstance(module, nn.Identity | nn.Dropout):
        return 1.0
    given = type(module).__name__
    raise InputError("blocks", given=f"a {given} in f", expected="linear layers and activations that are known")


@dataclass
class VerdictLog:
    """A callback of `core.fit`: the verdict after every epoch, so that one sees a critical point enter or leave.

    Args:
        domain: in the units of the model's input.
        outputs: which output, or the pair of a margin.
        n_starts: of the search.
        cells: budget of the proof by cells.
    """

    domain: Domain
    outputs: Outputs = None
    n_starts: int = 64
    cells: int = 2**12
    history: list[dict[str, object]] = field(default_factory=list)

    def __call__(self, model: nn.Module, row: dict[str, float]) -> None:
        """Looks at the model, which is left as it is.

        Args:
            model: after an epoch.
            row: of the history.
        """
        modes = {name: module.training for name, module in model.named_modules()}
        model.eval()
        try:
            fn = scalar_map(model, self.domain.centre[None].expand(2, -1), self.outputs)
            found = verdict_of(fn, self.domain, n_starts=self.n_starts, cells=self.cells)
        finally:
            for name, module in model.named_modules():
                module.training = modes[name]
        verified = sum(p.verified for p in found.search.points)
        self.history.append({"epoch": row.get("epoch"), "verdict": found.verdict, "points": verified})
