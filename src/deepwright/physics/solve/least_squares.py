"""A physics-informed loss as what it is: a sum of squared residuals, block by block.

With n points and weight w, a block adds sqrt(w / n) times its residuals to the vector r; the loss is |r|^2. First-order
optimizers use `loss()`, second-order ones `residual` and `normal_equations`; nobody owns the loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from deepwright.core.errors import InputError
from deepwright.physics.solve.block import Block
from deepwright.physics.solve.compiled import checked_compile
from deepwright.physics.solve.start import require_pointwise, require_residual

Parameters = dict[str, Tensor]


class _Caller(nn.Module):
    """Lets `functional_call` swap the parameters of a model that is used inside a residual."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, residual: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """residual(model, *tensors) as (n, m)."""
        out = residual(self.model, *tensors)
        return out.reshape(-1, 1) if out.ndim < 2 else out


def _aliases(model: nn.Module, names: list[str]) -> dict[str, list[str]]:
    """Each fitted parameter's names, one for every module that holds it."""
    own = dict(model.named_parameters())
    by_id = {id(own[n]): n for n in names}
    found: dict[str, list[str]] = {n: [] for n in names}
    for prefix, module in model.named_modules():
        for name, p in module._parameters.items():
            if id(p) in by_id:
                found[by_id[id(p)]].append(f"{prefix}.{name}" if prefix else name)
    return found


class LeastSquaresProblem:
    """Blocks over one model.

    Args:
        model: whose parameters that ask for gradients are fitted, where it lives.
        blocks: at least one; names differ. Their tensors are moved to the model's device.
        max_jac_bytes: a larger Jacobian is built in pieces.
        compile: let `torch.compile` have the residuals that `loss` uses; each is compared with the plain one on its
            first points (1e-5 in float32, 1e-10 in float64, relative), and the plain one stays where they differ or
            can't compile.

    Raises:
        InputError: no blocks, a name twice, nothing to fit; residuals that aren't finite at the start (block and point
            told), that have another shape or type, that don't depend on the model, or that depend on other points
            without saying so; points and parameters of different types.
    """

    def __init__(
        self, model: nn.Module, blocks: Sequence[Block], *, max_jac_bytes: int = 2**30, compile: bool = False
    ) -> None:
        names = [b.name for b in blocks]
        if not blocks or len(set(names)) != len(names):
            raise InputError("blocks", given=names, expected="at least one, each with a name of its own")
        self.model, self.max_jac_bytes, self.compile = model, max_jac_bytes, compile
        self._fast: dict[str, Callable[..., Tensor]] = {}
        self._caller = _Caller(model)
        self.names = [n for n, p in model.named_parameters() if p.requires_grad]
        if not self.names:
            raise InputError("model", given="no parameter that asks for gradients", expected="at least one")
        self._aliases = _aliases(model, self.names)
        parameters = self.parameters()
        self.shapes = {n: p.shape for n, p in parameters.items()}
        self.size = sum(p.numel() for p in parameters.values())
        first = next(iter(parameters.values()))
        self.dtype, self.device = first.dtype, first.device
        for b in blocks:
            if b.tensors[0].dtype != self.dtype:
                raise InputError(f"block {b.name!r}", given=b.tensors[0].dtype, expected=f"{self.dtype}, as the model")
        self.blocks = blocks
        self._check_start()

    @property
    def blocks(self) -> list[Block]:
        """The blocks, on the model's device; others may be put in their place."""
        return self._blocks

    @blocks.setter
    def blocks(self, blocks: Sequence[Block]) -> None:
        self._blocks = [replace(b, tensors=tuple(t.to(self.device) for t in b.tensors)) for b in blocks]

    def _check_start(self) -> None:
        for b in self.blocks:
            require_residual(self.model, b, self.dtype)
            if b.pointwise and len(b) > 1:
                other = self._elsewhere()
                with torch.no_grad():
                    require_pointwise(partial(self._call, other), b, self.dtype)
            with torch.no_grad():
                r = self._caller(b.residual, *b.tensors)
            bad = ~torch.isfinite(r).all(1)
            if bool(bad.any()):
                row = int(bad.nonzero()[0, 0])
                at = f" at point {b.tensors[0][row].tolist()}" if b.pointwise else ""
                raise InputError(
                    f"residual of block {b.name!r}",
                    given=f"NaN or infinity{at}",
                    expected="finite numbers at the start",
                )

    def _elsewhere(self) -> Parameters:
        """Parameters a little away from the model's, the same ones each time."""
        draw = torch.Generator().manual_seed(0)
        return {
            n: p + 0.1 * (p.abs().mean() + 1) * torch.randn(p.shape, generator=draw, dtype=torch.float64).to(p)
            for n, p in self.parameters().items()
        }

    # --- parameters as a vector ---------------------------------------------------------------------------------

    def parameters(self) -> Parameters:
        """The fitted parameters, detached, by name."""
        own = dict(self.model.named_parameters())
        return {n: own[n].detach() for n in self.names}

    def vector(self) -> Float[Tensor, " p"]:
        """All of them in a row."""
        return torch.cat([p.reshape(-1) for p in self.parameters().values()])

    def unpack(self, vector: Float[Tensor, " p"]) -> Parameters:
        """A vector by names.

        Args:
            vector: of all fitted parameters.
        """
        parts = vector.split([s.numel() for s in self.shapes.values()])
        return {n: v.reshape(s) for (n, s), v in zip(self.shapes.items(), parts)}

    @torch.no_grad()
    def assign(self, vector: Float[Tensor, " p"]) -> None:
        """Put a vector into the model.

        Args:
            vector: of all fitted parameters.
        """
        own = dict(self.model.named_parameters())
        for n, v in self.unpack(vector).items():
            own[n].copy_(v)

    # --- residuals ----------------------------------------------------------------------------------------------

    def block_residual(self, block: Block, parameters: Parameters | None = None) -> Float[Tensor, "n m"]:
        """Residuals of a block as they are, without weight.

        Args:
            block: which one.
            parameters: instead of the model's.
        """
        if parameters is None:
            return self._caller(block.residual, *block.tensors)
        return self._call(parameters, block.residual, *block.tensors)

    def _call(self, parameters: Parameters, residual: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """A residual with other parameters; a parameter that several modules share changes in all of them.

        PyTorch's own tying loses the original where one module has two names, so each module is swapped once, by name.
        """
        named = {f"model.{alias}": v for k, v in parameters.items() for alias in self._aliases[k]}
        return functional_call(self._caller, named, (residual, *tensors), tie_weights=False)

    def _scale(self, block: Block) -> float:
        return math.sqrt(block.weight / len(block))

    def residual(self, parameters: Parameters | None = None) -> Float[Tensor, " n"]:
        """r: all residuals, weighted, in a row.

        Args:
            parameters: instead of the model's.
        """
        return torch.cat([self._scale(b) * self.block_residual(b, parameters).reshape(-1) for b in self.blocks])

    def loss(self) -> Float[Tensor, ""]:
        """|r|^2, for any optimizer of PyTorch."""
        total = torch.zeros((), dtype=self.dtype, device=self.device)
        for b in self.blocks:
            r = self._compiled(b)(self.model, *b.tensors) if self.compile else self.block_residual(b)
            total = total + b.weight / len(b) * r.square().sum()
        return total

    def _compiled(self, block: Block) -> Callable[..., Tensor]:
        if block.name not in self._fast:
            self._fast[block.name] = checked_compile(self.model, block)
        return self._fast[block.name]

    def value(self, vector: Float[Tensor, " p"]) -> float:
        """|r|^2 at a vector.

        Args:
            vector: of all fitted parameters.
        """
        with torch.no_grad():
            return float(self.residual(self.unpack(vector)).square().sum())

    def value_and_gradient(self, vector: Float[Tensor, " p"]) -> tuple[float, Tensor]:
        """|r|^2 and its gradient at a vector.

        Args:
            vector: of all fitted parameters.
        """
        own = vector.detach().requires_grad_(True)
        with torch.enable_grad():
            value = self.residual(self.unpack(own)).square().sum()
            (gradient,) = torch.autograd.grad(value, own)
        return float(value.detach()), gradient

    def breakdown(self) -> dict[str, float]:
        """Root mean square of each block's residuals, without weights."""
        with torch.no_grad():
            return {b.name: float(self.block_residual(b).square().mean().sqrt()) for b in self.blocks}

    def first_bad(self, vector: Tensor) -> str:
        """The block whose residuals aren't finite (the first where all are).

        Args:
            vector: of all fitted parameters.
        """
        with torch.no_grad():
            for b in self.blocks:
                if not torch.isfinite(self.block_residual(b, self.unpack(vector))).all():
                    return b.name
        return self.blocks[0].name

    # --- Jacobians ----------------------------------------------------------------------------------------------

    def jacobian_pieces(
        self, vector: Float[Tensor, " p"]
    ) -> Iterator[tuple[Float[Tensor, "n p"], Float[Tensor, " n"]]]:
        """(rows of the Jacobian, rows of r), piece after piece, each within `max_jac_bytes`.

        Args:
            vector: of all fitted parameters.
        """
        for block in self.blocks:
            scale = self._scale(block)
            if not block.pointwise:
                yield self._whole(block, vector, scale)
                continue
            # the backward pass holds as much again
            rows = max(1, self.max_jac_bytes // (4 * self.size * vector.element_size()))
            named = self.unpack(vector)

            def one(parameters: Parameters, *row: Tensor, block: Block = block) -> tuple[Tensor, Tensor]:
                out = self._call(parameters, block.residual, *(t[None] for t in row))[0]
                return out, out

            each = vmap(jacrev(one, has_aux=True), in_dims=(None, *(0 for _ in block.tensors)))
            for part in zip(*(t.split(rows) for t in block.tensors)):
                parts, r = each(named, *part)
                n, m = r.shape
                yield (
                    scale * torch.cat([parts[k].reshape(n * m, -1) for k in self.names], 1),
                    scale * r.reshape(-1),
                )

    def _whole(self, block: Block, vector: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        def all_rows(v: Tensor) -> tuple[Tensor, Tensor]:
            out = scale * self.block_residual(block, self.unpack(v)).reshape(-1)
            return out, out

        found: Any = jacrev(all_rows, has_aux=True)(vector)
        return found[0], found[1]

    def jacobian(self, vector: Float[Tensor, " p"] | None = None) -> Float[Tensor, "n p"]:
        """dr / dtheta.

        Args:
            vector: of all fitted parameters; the model's own where not given.
        """
        return torch.cat([j for j, _ in self.jacobian_pieces(self.vector() if vector is None else vector)])

    def normal_equations(self, vector: Float[Tensor, " p"], group: Any = None) -> tuple[Tensor, Tensor, float]:
        """(J^T J, J^T r, |r|^2); over a process group where the points are spread over several processes.

        Args:
            vector: of all fitted parameters.
            group: those processes.
        """
        a = torch.zeros(self.size, self.size, dtype=self.dtype, device=self.device)
        g = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        f = torch.zeros((), dtype=self.dtype, device=self.device)
        with torch.no_grad():
            for j, r in self.jacobian_pieces(vector):
                a.addmm_(j.T, j)
                g.addmv_(j.T, r)
                f += r.square().sum()
        if group is not None:
            for t in (a, g, f):
                torch.distributed.all_reduce(t, group=group)
        return a, g, float(f)

    def products(self, vector: Float[Tensor, " p"]) -> tuple[Callable[[Tensor], Tensor], Tensor, float]:
        """(v -> J^T J v, J^T r, |r|^2) without a Jacobian, for networks too large for one.

        Args:
            vector: of all fitted parameters.
        """

        def r(v: Tensor) -> Tensor:
            return self.residual(self.unpack(v))

        value, back = vjp(r, vector)  # type: ignore[misc]

        def product(v: Tensor) -> Tensor:
            return back(jvp(r, (vector,), (v,))[1])[0].detach()

        return product, back(value)[0].detach(), float(value.detach().square().sum())

    @property
    def rows(self) -> int:
        """Length of r."""
        if not hasattr(self, "_rows"):
            with torch.no_grad():
                self._rows = len(self.residual())
        return self._rows

    def with_weights(self, weights: Mapping[str, float]) -> LeastSquaresProblem:
        """The same problem with other weights of some blocks.

        Args:
            weights: by block; others keep theirs.
        """
        blocks = [replace(b, weight=float(weights.get(b.name, b.weight))) for b in self.blocks]
        return LeastSquaresProblem(self.model, blocks, max_jac_bytes=self.max_jac_bytes, compile=self.compile)

    def resample(self, generator: torch.Generator) -> None:
        """New points in every block that can draw them.

        Args:
            generator: of the draw, on the CPU.
        """
        self.blocks = [b.fresh(generator) for b in self.blocks]
