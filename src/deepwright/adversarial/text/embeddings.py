"""A network from the output of its embedding on, so that attacks of the engine can move that.

What they find is a point between the embeddings of words: no text need give it. It says how the rest of the network
bears small changes, and nothing about which texts fool it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_network
from deepwright.core.texts import SEGMENT
from deepwright.nets.texts import TokenNetwork

_BASE, _DIGITS = 128, 4  # tokens, of which none is below -SEGMENT, in digits that half precision holds


@dataclass(frozen=True)
class EmbeddedTexts:
    """What an attack gets.

    Attributes:
        x: (N, L, d + 4) embeddings in units of `unit`, and the digits of each token's id behind them.
        mask: as x, 1 where an attack may change something: embeddings of tokens that aren't padding.
    """

    x: Float[Tensor, "n length d_4"]
    mask: Float[Tensor, "n length d_4"]


class FromEmbeddings(nn.Module):
    """The network with the output of its token embedding as input.

    Budgets are relative to the mean length r of a token's embedding in `ids`: with norm "l2" the unit is r, so that an
    L2 budget of 1 may move one token's embedding as far as its own length, and with "linf" r / sqrt(d), so that a
    budget of 1 may move each number as far as a usual one is large.

    Args:
        network: takes token ids (N, L), or tokens where it is a `nets.texts.TokenNetwork`.
        ids: some of them, to find the embedding and its unit.
        real: which tokens aren't padding; all by default.
        norm: "l2" or "linf".

    Raises:
        InputError: no `nn.Embedding` that gets the ids as they are; another norm.
    """

    unit: Tensor

    def __init__(
        self,
        network: nn.Module,
        ids: Int64[Tensor, "n length"],
        real: Bool[Tensor, "n length"] | None = None,
        norm: str = "l2",
    ) -> None:
        super().__init__()
        require_network(network)
        if norm not in ("l2", "linf"):
            raise InputError("norm", given=repr(norm), expected="'l2' or 'linf'")
        self.network, self.norm = network, norm
        self.layer = _embedding_of(network, ids)
        lengths = self._embedded(ids).float().norm(dim=2)
        lengths = lengths if real is None else lengths[real]
        unit = lengths.mean() if norm == "l2" else lengths.mean() / self._module().embedding_dim ** 0.5
        if not float(unit) > 0:
            raise InputError("embeddings", given="all of length 0", expected="a trained embedding")
        self.register_buffer("unit", unit.detach())
        self.training = network.training

    def _module(self) -> nn.Embedding:
        found = self.network.get_submodule(self.layer)
        assert isinstance(found, nn.Embedding)
        return found

    def _embedded(self, ids: Tensor) -> Tensor:
        """What the embedding gives, its own settings and hooks included."""
        with torch.no_grad():
            return self._module()(_looked_up(self.network, ids))

    def embed(self, ids: Int64[Tensor, "n length"], real: Bool[Tensor, "n length"] | None = None) -> EmbeddedTexts:
        """Inputs of this network for token ids.

        Args:
            ids: as the network takes them.
            real: which tokens aren't padding; all by default.
        """
        e = self._embedded(ids)
        e = (e.float() if e.dtype in (torch.float16, torch.bfloat16) else e) / self.unit
        digits = torch.stack([((ids + SEGMENT) // _BASE**k) % _BASE for k in range(_DIGITS)], -1).to(e)
        may = torch.ones_like(ids, dtype=torch.bool) if real is None else real
        mask = torch.cat([may[..., None].expand_as(e).to(e), torch.zeros_like(digits)], -1)
        return EmbeddedTexts(torch.cat([e, digits], -1), mask)

    def forward(self, x: Float[Tensor, "n length d_4"]) -> Any:
        """The network's outputs where the embedding gives these points."""
        digits = x[..., -_DIGITS:].detach().round().long()
        ids = torch.stack([digits[..., k] * _BASE**k for k in range(_DIGITS)]).sum(0) - SEGMENT
        points = x[..., :-_DIGITS]

        def instead(module: nn.Module, args: Any, out: Tensor) -> Tensor:
            return (points * self.unit.to(points.dtype)).to(out.dtype)

        hook = self._module().register_forward_hook(instead)
        try:
            return self.network(ids)
        finally:
            hook.remove()


def _looked_up(network: nn.Module, ids: Tensor) -> Tensor:
    """What the embedding is asked for."""
    return network.encode(ids) if isinstance(network, TokenNetwork) else ids


def _embedding_of(network: nn.Module, ids: Tensor) -> str:
    """The name of the embedding that gets the ids themselves."""
    seen: list[str] = []
    asked = _looked_up(network, ids)
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding):

            def look(_: nn.Module, args: tuple[Any, ...], name: str = name) -> None:
                if args and isinstance(args[0], Tensor) and torch.equal(args[0], asked):
                    seen.append(name)

            hooks.append(module.register_forward_pre_hook(look))
    try:
        with evaluating(network), torch.no_grad():
            network(ids)
    finally:
        for hook in hooks:
            hook.remove()
    if len(seen) != 1:
        given = "none that gets the token ids once" if len(seen) == 0 else f"{len(seen)} look-ups of the token ids"
        raise InputError("embedding", given=given, expected="an nn.Embedding that is asked once for the token ids")
    return seen[0]
