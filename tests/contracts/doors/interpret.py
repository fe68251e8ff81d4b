"""The door of `interpret`: DeepIn, a lambda at a time."""

from __future__ import annotations

import torch

from deepwright.core.randomness import generator
from deepwright.interpret import DeepInRegressor
from doors import Door


def stop(stage, place):
    if (stage, place) == ("path", 1):
        raise KeyboardInterrupt


def fitted(folder, *, seed=0, shift=0.0, gamma=1.0, epochs=2, draw=0, told=None):
    x = torch.randn(120, 4, generator=generator(seed))
    y = x[:, 0].sin() + shift * x[:, 1]
    options = {"max_dim": 2, "hidden": (6,), "lambdas": (0.2, 0.5, 0.9), "criterion": "val"}
    est = DeepInRegressor(**options, gamma=gamma, epochs=epochs, random_state=draw, callbacks=[told] if told else None)
    est.fit(x, y, checkpoint=folder / "deepin.pt")
    return est.predict(x), est.B_, est.scree_, est.path_["selection"].to_numpy()


DOORS = [
    Door(
        "DeepIn",
        fitted,
        file="deepin.pt",
        changes={
            "another x": {"seed": 3},
            "another y": {"shift": 0.5},
            "options.gamma: 2.0, was 1.0": {"gamma": 2.0},
            "options.epochs: 3, was 2": {"epochs": 3},
            "options.random_state: 1, was 0": {"draw": 1},
        },
        interrupt={"told": stop},
    )
]
