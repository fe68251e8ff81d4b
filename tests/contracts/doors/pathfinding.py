"""Doors of the room of pathfinding."""

import torch

from deepwright.pathfinding import LightsOut, NPuzzle, Trainer, ValueNet
from doors import Door


def trained(folder, *, size=2, width=8, weights=0, lr=1e-3, k_max=6, seed=0, lights=False, until=None):
    domain = LightsOut(size) if lights else NPuzzle(size)
    net = ValueNet(domain, width, 1, norm="batch", seed=weights)
    words = {"k_max": k_max, "batch_size": 20, "search_itrs": 2, "check_every": 5, "lr": lr, "seed": seed}
    trainer = Trainer(domain, net, "lhbl", **words)
    h = trainer.fit(max_itrs=12, until=until, checkpoint=folder / "heuristic.state", every=1)
    states, goals = domain.sample_instances(torch.arange(6), 0)
    return h(states, goals), {name: t.clone() for name, t in trainer.net.state_dict().items()}, trainer.history


def stop(trainer):
    if trainer.iteration == 6:
        raise KeyboardInterrupt
    return False


DOORS = [
    Door(
        "training of a heuristic",
        trained,
        file="heuristic.state",
        changes={
            "domain": {"lights": True},
            "num values": {"size": 3},
            "network": {"width": 9},
            "first weights": {"weights": 1},
            "lr": {"lr": 0.01},
            "k max": {"k_max": 7},
            "seed": {"seed": 1},
        },
        interrupt={"until": stop},
    )
]
