"""Pre-training without labels: GraphCL (two augmented views) and SimGRACE (a view by a shaken copy of the encoder)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from deepwright.core.devices import Compute, dtype_of
from deepwright.core.fit import fit
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_network, require_positive, require_whole
from deepwright.graphs import GraphBatch, pack
from deepwright.ood.dgp.augmentations import augmented
from deepwright.ood.dgp.encoders import embed, encode
from deepwright.ood.dgp.stores import WithGraphs, indices, rows_of, whole_batches

Callback = Callable[[nn.Module, dict[str, float]], object]


def nt_xent(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 0.2) -> Float[Tensor, ""]:
    """-mean_i log(exp(s_ii / T) / sum_{j != i} exp(s_ij / T)), s the cosines between the rows of both views.

    The own pair isn't in the denominator, and only one view asks: so the published code has it.

    Args:
        a: one view, a row a graph.
        b: the other.
        temperature: T.
    """
    s = nn.functional.normalize(a, dim=1) @ nn.functional.normalize(b, dim=1).T / temperature
    others = s.masked_fill(torch.eye(len(s), dtype=torch.bool, device=s.device), -torch.inf)
    return (others.logsumexp(1) - s.diagonal()).mean()


class _Contrast(WithGraphs):
    """An encoder with its projection head."""

    def __init__(self, encoder: nn.Module, graphs: GraphBatch) -> None:
        super().__init__(graphs)
        width = embed(encoder, graphs[:2]).shape[1]
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, rows: Tensor, how: Any) -> Tensor:
        """The loss of a batch: all inside `forward`, which is what processes agree on."""
        return how(self, self.cut(rows_of(rows)))

    def projected(self, graphs: GraphBatch) -> Tensor:
        return self.head(encode(self.encoder, graphs)[0])


class _Projection(nn.Module):
    """What is shaken: encoder and head, without the graphs."""

    def __init__(self, model: _Contrast) -> None:
        super().__init__()
        self.encoder, self.head = model.encoder, model.head

    def forward(self, graphs: GraphBatch) -> Tensor:
        return self.head(encode(self.encoder, graphs)[0])


def _shaken(model: _Contrast, graphs: GraphBatch, eta: float) -> Tensor:
    """The embedding by a copy whose parameters are theta + eta N(0, std(theta)); nothing of the model changes."""
    copied = _Projection(model)
    moved = {
        name: p.detach() + eta * torch.randn_like(p) * (p.detach().std() if p.numel() > 1 else 0.0)
        for name, p in copied.named_parameters()
    }
    buffers = {name: b.clone() for name, b in copied.named_buffers()}
    return functional_call(copied, {**moved, **buffers}, (graphs,))


@dataclass(frozen=True)
class _SimGRACE:
    eta: float
    temperature: float

    def __call__(self, model: _Contrast, graphs: GraphBatch) -> Tensor:
        with torch.no_grad():
            other = _shaken(model, graphs, self.eta)
        return nt_xent(model.projected(graphs), other, self.temperature)


@dataclass(frozen=True)
class _GraphCL:
    augment: str
    temperature: float

    def __call__(self, model: _Contrast, graphs: GraphBatch) -> Tensor:
        one, other = (model.projected(augmented(graphs, self.augment)) for _ in range(2))
        return nt_xent(one, other, self.temperature)


@dataclass(frozen=True)
class _Step:
    how: _SimGRACE | _GraphCL

    def __call__(self, model: nn.Module, rows: Tensor, _: Tensor) -> Tensor:
        return model(rows, self.how)


def pretrain_simgrace(
    encoder: nn.Module,
    graphs: Any,
    *,
    eta: float = 1.0,
    temperature: float = 0.2,
    epochs: int = 20,
    batch_size: int = 128,
    lr: float = 1e-2,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | str | None = None,
    compute: Compute = Compute(),  # noqa: B008 - frozen
) -> nn.Module:
    """Train an encoder without labels: its view of a graph against that of a copy with shaken parameters.

    Args:
        encoder: trained in place.
        graphs: anything that `graphs.pack` takes.
        eta: how much the copy is shaken, in standard deviations of each parameter tensor.
        temperature: of the loss.
        epochs: passes over the graphs.
        batch_size: graphs a step.
        lr: of Adam.
        seed: of order, head and shaking.
        callbacks: called with (model, row of the history) after every epoch.
        checkpoint: a file to resume from and to save to after every epoch.
        compute: device and precision.

    Returns:
        the encoder.

    Source: J. Xia et al., "SimGRACE", 2022.
    """
    require_positive(eta=eta, temperature=temperature)
    step = _SimGRACE(eta, temperature)
    return _pretrain(encoder, graphs, step, epochs, batch_size, lr, seed, callbacks, checkpoint, compute, "SimGRACE")


def pretrain_graphcl(
    encoder: nn.Module,
    graphs: Any,
    *,
    augment: str = "random4",
    temperature: float = 0.2,
    epochs: int = 20,
    batch_size: int = 128,
    lr: float = 1e-3,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | str | None = None,
    compute: Compute = Compute(),  # noqa: B008 - frozen
) -> nn.Module:
    """Train an encoder without labels: two augmented views of a graph against those of others.

    Args:
        encoder: trained in place.
        graphs: anything that `graphs.pack` takes.
        augment: see `augmentations.augmented`.
        temperature: of the loss.
        epochs: passes over the graphs.
        batch_size: graphs a step.
        lr: of Adam.
        seed: of order, head and augmentations.
        callbacks: called with (model, row of the history) after every epoch.
        checkpoint: a file to resume from and to save to after every epoch.
        compute: device and precision.

    Returns:
        the encoder.

    Source: Y. You et al., "Graph contrastive learning with augmentations", 2020.
    """
    require_positive(temperature=temperature)
    augmented(pack(graphs)[:1], augment)  # an unknown name is refused before anything is trained
    step = _GraphCL(augment, temperature)
    return _pretrain(encoder, graphs, step, epochs, batch_size, lr, seed, callbacks, checkpoint, compute, "GraphCL")


def _pretrain(
    encoder: nn.Module,
    graphs: Any,
    step: Any,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    callbacks: Sequence[Callback],
    checkpoint: Path | str | None,
    compute: Compute,
    name: str,
) -> nn.Module:
    require_network(encoder, "encoder")
    require_whole(1, epochs=epochs, batch_size=batch_size)
    require_positive(lr=lr)
    packed = pack(graphs)
    packed = packed.to(packed.device, dtype_of(encoder))
    with local_rng(seed):
        model = _Contrast(encoder, packed)
    place = next(encoder.parameters()).device
    fit(
        model.to(place),
        indices(packed),
        epochs=epochs,
        batch_size=whole_batches(len(packed), batch_size),
        step=_Step(step),
        optimizer=_adam(lr),
        callbacks=callbacks,
        checkpoint=checkpoint,
        seed=seed,
        compute=compute,
        description=name,
    )
    return encoder


def _adam(lr: float) -> Callable[[Any], torch.optim.Optimizer]:
    def make(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=lr)

    return make
