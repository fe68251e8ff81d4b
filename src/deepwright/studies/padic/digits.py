"""Small digits as trees of squares: a network on the tree, beside one that knows nothing of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.fit import Selection, adamw, fit, one_cycle
from deepwright.core.randomness import generator, local_rng
from deepwright.nets.padic import PAdicNetwork, Tree

OWN, SHARED, MLP = "a matrix a node", "a matrix a level", "MLP of as many weights"
ARMS = (OWN, SHARED, MLP)
EPOCHS, BATCH, RATE = 40, 64, 1e-2
_TREE = Tree(4, 3)


class _Classifier(nn.Module):
    def __init__(self, shared: bool) -> None:
        super().__init__()
        channels = 22 if shared else 8
        self.tree = PAdicNetwork(
            _TREE, 3, 0, channels, activation=nn.ReLU(), direction="coarsen", out_channels=10, shared=shared
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.tree(x[:, None]).squeeze(-1)
        return found


def _made(arm: str) -> nn.Module:
    if arm != MLP:
        return _Classifier(arm == SHARED)
    return nn.Sequential(nn.Linear(64, 88), nn.ReLU(), nn.Linear(88, 56), nn.ReLU(), nn.Linear(56, 10))


def digits_trial(seed: int, arm: str, permuted: bool, quick: bool = False) -> dict[str, Any]:
    """Test accuracy of scikit-learn's 8 x 8 digits at the epoch of the lowest validation loss.

    Args:
        seed: of split, first weights and order.
        arm: of `ARMS`.
        permuted: pixels are shuffled before: the tree is wrong.
        quick: 2 epochs.
    """
    from sklearn.datasets import load_digits

    x, y = (torch.from_numpy(v) for v in load_digits(return_X_y=True))
    x = (x / 16).float()[:, _TREE.morton(8, 8)]
    rng = generator(seed, "padic digits")
    order = torch.randperm(len(x), generator=rng)
    x, y = x[order], y[order]
    if permuted:
        x = x[:, torch.randperm(64, generator=rng)]
    train, held, test = ((x[a:b], y[a:b]) for a, b in ((0, 1077), (1077, 1437), (1437, 1797)))
    with local_rng(seed):
        network = _made(arm)
    loss = nn.functional.cross_entropy
    chosen = Selection(lambda m: {"loss": float(loss(m(held[0]), held[1]))}, monitor="loss", mode="min")
    fit(
        network,
        train,
        epochs=2 if quick else EPOCHS,
        batch_size=BATCH,
        optimizer=adamw(RATE),
        scheduler=one_cycle(RATE),
        selection=chosen,
        seed=seed,
    )
    with torch.no_grad():
        accuracy = float((network.eval()(test[0]).argmax(1) == test[1]).double().mean())
    return {"accuracy": accuracy, "weights": sum(p.numel() for p in network.parameters())}
