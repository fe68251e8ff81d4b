"""A surrogate that answers as other networks do, whose attacks carry further. Source: arXiv 2311.18495."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_network, require_positive


def align_surrogate(
    model: nn.Module,
    witnesses: Sequence[nn.Module],
    x: Float[Tensor, "n ..."],
    *,
    epochs: int = 1,
    lr: float = 1e-3,
    batch_size: int = 128,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> nn.Module:
    """A copy of a network, trained so that its softmax is near that of each witness (KL divergence, summed).

    Args:
        model: gives logits of classes; left as found.
        witnesses: give logits of the same classes; left as found.
        x: inputs, without labels.
        epochs: few.
        lr: of AdamW.
        batch_size: of the steps.
        seed: of the order.
        checkpoint: a file to resume from.

    Raises:
        InputError: no witness, other classes, options out of range.
    """
    if isinstance(witnesses, nn.Module) or not isinstance(witnesses, Sequence) or not witnesses:
        raise InputError("witnesses", given=type(witnesses).__name__, expected="a sequence of one network or more")
    for network in (model, *witnesses):
        require_network(network)
    require_positive(lr=lr)
    aligned = copied(model)
    wanted = torch.stack([_logarithms(w, x, batch_size) for w in witnesses], 1)
    fit(
        aligned,
        (x, wanted),
        epochs=epochs,
        batch_size=batch_size,
        loss=divergence,
        optimizer=adamw(lr),
        seed=seed,
        checkpoint=checkpoint,
        description="alignment",
    )
    return aligned.eval()


def divergence(z: Float[Tensor, "n classes"], wanted: Float[Tensor, "n witnesses classes"]) -> Float[Tensor, ""]:
    """KL of each witness's softmax to that of logits, summed over witnesses.

    Args:
        z: logits.
        wanted: logarithms of the witnesses' softmax.
    """
    if z.shape[1:] != wanted.shape[2:]:
        raise InputError(
            "witnesses", given=f"{wanted.shape[2]} classes", expected=f"{z.shape[1]}, as the surrogate has"
        )
    return (wanted.exp() * (wanted - z.log_softmax(1)[:, None])).sum((1, 2)).mean()


def _logarithms(model: nn.Module, x: Tensor, batch_size: int) -> Tensor:
    with evaluating(model), torch.no_grad():
        return torch.cat([model(to_model(part, model)).log_softmax(1).to(x) for part in x.split(batch_size)])
