"""Many networks g(B^T x) of one size in one: what is fitted is always a stack, of one network or of hundreds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepwright.core.randomness import generator
from deepwright.interpret.deepin.representation import RepresentationNet


class Stack(nn.Module):
    """K networks; a smaller one is one whose rows, columns and units are zero.

    Args:
        b: (K, p, D).
        weights: of each layer of g, (K, in, out).
        biases: of each layer, (K, 1, out).
    """

    def __init__(self, b: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        super().__init__()
        self.b = nn.Parameter(b)
        self.weights = nn.ParameterList([nn.Parameter(w) for w in weights])
        self.biases = nn.ParameterList([nn.Parameter(c) for c in biases])

    @classmethod
    def drawn(cls, seeds: Sequence[int], p: int, dim: int, hidden: Sequence[int], outputs: int) -> Stack:
        """Networks at random, each as its seed says; equal seeds are equal networks.

        Args:
            seeds: one a network.
            p: variables.
            dim: columns of B.
            hidden: widths.
            outputs: of g.
        """
        sizes = [dim, *hidden, outputs]
        made = {seed: _draw(seed, p, sizes) for seed in sorted(set(seeds))}
        parts = [torch.stack([made[seed][i] for seed in seeds]) for i in range(2 * len(sizes) - 1)]
        return cls(parts[0], parts[1::2], parts[2::2])

    def __len__(self) -> int:
        return self.b.shape[0]

    @property
    def dims(self) -> int:
        """Columns of B."""
        return self.b.shape[2]

    @property
    def hidden(self) -> list[int]:
        """Widths of the hidden layers."""
        return [w.shape[2] for w in list(self.weights)[:-1]]

    def head(self, z: Tensor) -> Tensor:
        """g.

        Args:
            z: (K, n, D).
        """
        last = len(self.weights) - 1
        for i, (w, c) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = torch.baddbmm(c, z, w)
            if i < last:
                z = z.relu()
        return z

    def forward(self, x: Tensor) -> Tensor:
        """(K, n, outputs).

        Args:
            x: (1, n, p) that all see, or (K, n, p).
        """
        return self.head(torch.matmul(x, self.b))

    def tensors(self) -> list[Tensor]:
        """B, then weight and bias of each layer."""
        pairs = zip(self.weights, self.biases, strict=True)
        return [self.b, *(t for pair in pairs for t in pair)]

    def copy(self, networks: Tensor | Sequence[int] | None = None) -> Stack:
        """A stack of some of them (all by default), as they are now.

        Args:
            networks: which; one may be taken several times.
        """
        index = torch.arange(len(self)) if networks is None else torch.as_tensor(networks)
        parts = [t.detach()[index.to(t.device)].clone() for t in self.tensors()]
        return Stack(parts[0], parts[1::2], parts[2::2])

    @torch.no_grad()
    def kill_(self) -> Stack:
        """Set to zero what doesn't reach the output, so that no later step wakes it.

        Weights on a column that is zero, and both sides and the bias of a unit without weights on one of them that the
        other side doesn't need. A unit without inputs has a constant output, which goes into the next bias.
        """
        self.weights[0].mul_((self.b != 0).any(1)[:, :, None])
        for i in range(len(self.weights) - 1):
            alive_in = (self.weights[i] != 0).any(1, keepdim=True)
            constant = torch.where(alive_in, 0.0, self.biases[i].relu())
            self.biases[i + 1].add_(constant @ self.weights[i + 1])
            alive = alive_in & (self.weights[i + 1] != 0).any(2)[:, None]
            self.weights[i].mul_(alive)
            self.biases[i].mul_(alive)
            self.weights[i + 1].mul_(alive.transpose(1, 2))
        for i in range(len(self.weights) - 2, -1, -1):  # what fed a unit that is gone
            alive = (self.weights[i + 1] != 0).any(2)[:, None]
            self.weights[i].mul_(alive)
            self.biases[i].mul_(alive)
        used = (self.weights[0] != 0).any(2)
        self.b.mul_(used[:, None])
        return self

    def variables(self) -> Tensor:
        """(K, p) whether a variable has a row that isn't zero."""
        return (self.b.detach() != 0).any(2)

    def columns(self) -> Tensor:
        """(K, D) whether a dimension has a column that isn't zero."""
        return (self.b.detach() != 0).any(1)

    def units(self) -> list[Tensor]:
        """(K, width) of each hidden layer, whether a unit has weights on both sides."""
        weights = [w.detach() for w in self.weights]
        return [(a != 0).any(1) & (b != 0).any(2) for a, b in itertools.pairwise(weights)]

    @torch.no_grad()
    def network(self, k: int, variables: Tensor | None = None) -> RepresentationNet:
        """One of them, without its zeros, as a module by itself.

        Args:
            k: which.
            variables: the rows that it takes, by number; those that aren't zero by default.
        """
        rows = self.variables()[k].nonzero().flatten() if variables is None else variables.to(self.b.device)
        kept = [self.columns()[k].nonzero().flatten(), *(u[k].nonzero().flatten() for u in self.units())]
        widths, outputs = [len(units) for units in kept[1:]], self.biases[-1].shape[2]
        kept.append(torch.arange(outputs, device=self.b.device))
        made = RepresentationNet(max(1, len(rows)), len(kept[0]), widths, outputs).to(self.b)
        if len(rows):
            made.representation.weight.copy_(self.b[k][rows][:, kept[0]])
        linears = [layer for layer in made.head if isinstance(layer, nn.Linear)]
        for i, layer in enumerate(linears):
            layer.weight.copy_(self.weights[i][k][kept[i]][:, kept[i + 1]].T)
            layer.bias.copy_(self.biases[i][k, 0, kept[i + 1]])
        return made


def _draw(seed: int, p: int, sizes: Sequence[int]) -> list[Tensor]:
    made = generator(seed, "network")
    parts = [torch.randn(p, sizes[0], generator=made) / math.sqrt(p)]
    for wide, out in itertools.pairwise(sizes):
        bound = 1 / math.sqrt(max(wide, 1))
        parts.append((2 * torch.rand(wide, out, generator=made) - 1) * bound)
        parts.append((2 * torch.rand(1, out, generator=made) - 1) * bound)
    return parts
