"""Doors of the detectors of foreign graphs, and of their pre-training."""

import torch

from deepwright.graphs import motif_ood
from deepwright.ood import DGP, WeightedGIN, pretrain_graphcl, pretrain_simgrace
from doors import Door


def encoder(weights):
    torch.manual_seed(weights)
    return WeightedGIN(1, 4, 2)


def data(graphs_seed, flipped):
    graphs = motif_ood(graphs_seed, 9).train
    return graphs.labelled(1 - graphs.y) if flipped else graphs


def prompted(folder, *, graphs_seed=0, flipped=False, weights=0, lr=1e-3, lambda_=0.1, seed=0):
    guard = DGP(encoder(weights), 2, lambda_=lambda_, lr=lr, epochs=3, batch_size=6, seed=seed)
    guard.fit(data(graphs_seed, flipped), checkpoint=folder / "prompts.pt")
    return guard.score(motif_ood(1, 9).test), [row["loss"] for row in guard.history_]


def _pretrained(pretrain, folder, graphs_seed, weights, lr, stop, **options):
    trained = pretrain(
        encoder(weights),
        data(graphs_seed, False),
        epochs=3,
        batch_size=6,
        lr=lr,
        callbacks=[] if stop is None else [stop],
        checkpoint=folder / "encoder.pt",
        **options,
    )
    return {name: t.clone() for name, t in trained.state_dict().items()}


def simgrace(folder, *, graphs_seed=0, weights=0, lr=1e-2, eta=1.0, stop=None):
    return _pretrained(pretrain_simgrace, folder, graphs_seed, weights, lr, stop, eta=eta)


def graphcl(folder, *, graphs_seed=0, weights=0, lr=1e-3, augment="random4", stop=None):
    return _pretrained(pretrain_graphcl, folder, graphs_seed, weights, lr, stop, augment=augment)


def stop(model, row):
    if row["epoch"] == 1:
        raise KeyboardInterrupt


COMMON = {"initial weights": {"weights": 1}, "optimizer": {"lr": 0.05}}

DOORS = [
    Door(
        "prompts on graphs",
        prompted,
        file="prompts.pt",
        changes={
            **COMMON,
            "training inputs": {"graphs_seed": 2},
            "training targets": {"flipped": True},
            "step": {"lambda_": 0.5},
            "seed": {"seed": 1},
        },
    ),
    Door(
        "SimGRACE",
        simgrace,
        file="encoder.pt",
        changes={**COMMON, "training inputs": {"graphs_seed": 2}, "step": {"eta": 2.0}},
        interrupt={"stop": stop},
    ),
    Door(
        "GraphCL",
        graphcl,
        file="encoder.pt",
        changes={**COMMON, "training inputs": {"graphs_seed": 2}, "step": {"augment": "random2"}},
        interrupt={"stop": stop},
    ),
]
