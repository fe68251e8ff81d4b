"""Eight digits known and two unknown: the data, the network, and one trial of it."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.features import Activations, extract
from deepwright.core.fit import fit
from deepwright.core.randomness import generator, local_rng
from deepwright.data import Split, boxes_ood, letters, mnist_5k, photo_patches, shuffle_pixels
from deepwright.ood import BBAS, MDS, auroc
from deepwright.ood.detector import Detector
from deepwright.studies.bbas.detectors import ABLATIONS, GRIDS, Setting, scores
from deepwright.studies.bbas.measures import areas

FAR = ("far noise", "far patches", "far inverted", "far shuffled")
SETS = ("near", *FAR)
FAR_EACH = 200
NEAREST = "the nearest training sample"
PAIRS = tuple(itertools.combinations(range(10), 2))


def digits_ood(seed: int, unknown: tuple[int, int]) -> tuple[Split, Split, dict[str, Tensor]]:
    """8 digits as in-distribution (400 train, 100 test each); the other two are near; four far sets of 200.

    Args:
        seed: of the rows and far sets.
        unknown: the near digits.
    """
    x, y = mnist_5k()
    known = torch.tensor([digit for digit in range(10) if digit not in unknown])
    train_rows, test_rows = [], []
    for digit in known.tolist():
        rows = (y == digit).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator(seed, "rows", digit))]
        train_rows.append(rows[:400])
        test_rows.append(rows[400:500])
    labels = torch.arange(len(known))
    train = Split(x[torch.cat(train_rows)], labels.repeat_interleave(400))
    test = Split(x[torch.cat(test_rows)], labels.repeat_interleave(100))
    picks = test.inputs()[torch.randperm(len(test), generator=generator(seed, "far"))[:FAR_EACH]]
    sets = {
        "near": x[~torch.isin(y, known)].float() / 255,
        "far noise": torch.rand(FAR_EACH, 1, 28, 28, generator=generator(seed, "noise")),
        "far patches": photo_patches(FAR_EACH, (1, 28, 28), seed),
        "far inverted": 1 - picks,
        "far shuffled": shuffle_pixels(picks, seed),
    }
    return train, test, sets


def small_net(classes: int = 8) -> nn.Sequential:
    """Convolutions 1-16-32-64 (3 x 3, strides 2, 2, 1), then 64 and `classes` units."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 1, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def digits_trial(
    seed: int, epochs: int, unknown: tuple[int, int], chosen: dict[str, Setting] | None = None
) -> dict[str, Any]:
    """Train the small net, fit the detectors from one pass, score the sets.

    Args:
        seed: of rows, weights and far sets.
        epochs: of training.
        unknown: the two digits that aren't trained on.
        chosen: one setting a detector: these, and the ablations, are measured on near and far sets. None: every setting
            is, on the two unknown digits and on letters, which are in no test.
    """
    train, test, sets = digits_ood(seed, unknown)
    with local_rng(seed):
        model = small_net()
    fit(
        model,
        (train.x.float() / 255, train.y),
        epochs=epochs,
        batch_size=128,
        seed=seed,
        optimizer=lambda p: torch.optim.Adam(p, lr=2e-3),
    )
    model.eval()
    if chosen is None:
        sets = {"near": sets["near"], "letters": letters(FAR_EACH, 28, seed)}
    wanted = GRIDS if chosen is None else {name: [setting] for name, setting in chosen.items()}
    known = extract(model, train.batches(500))
    inside = extract(model, test.inputs().split(500))
    accuracy = float((inside.logits.argmax(1) == test.y).double().mean())
    all_sets = {"inside": (test.inputs(), inside)}
    all_sets |= {name: (x, extract(model, x.split(500))) for name, x in sets.items()}
    found = {"accuracy": accuracy, "areas": areas(scores(wanted, model, known, all_sets))}
    if chosen is not None:
        found["ablations"] = areas(scores({name: [{}] for name in ABLATIONS}, model, known, all_sets))
        found["prob_floor_error"] = _floor_error(known, inside)
    return found


def _floor_error(known: Activations, inside: Activations) -> float:
    """Largest change of the score when classes below a probability of 1e-3 are left out, over the allowed bound."""
    full, fast = BBAS().fit(known), BBAS(prob_floor=1e-3).fit(known)
    bound = 1e-3 * 8 * float(full.class_scores(inside).max())
    return float((full.score(inside) - fast.score(inside)).abs().max()) / bound


def boxes_trial(seed: int) -> dict[str, float]:
    """AUROC on features where a union of boxes is optimal; the class of a query is that of its nearest neighbour."""
    train, test, ood = boxes_ood(seed)

    def classified(x: Tensor) -> Activations:
        distance = torch.cdist(x, train.x)
        nearest = torch.stack([distance[:, train.y == k].amin(1) for k in range(2)], 1)
        return Activations(-20 * nearest, None, x, {"x": x}, {"x": "plain"})

    known, inside, outside = classified(train.x), classified(test.x), classified(ood)
    known.labels = train.y
    detectors: dict[str, Detector] = {f"BBAS K={k}": BBAS(n_clusters=k, aggregate=False) for k in (1, 4, 6)} | {
        "MDS": MDS()
    }
    return {name: auroc(d.fit(known).score(inside), d.score(outside)) for name, d in detectors.items()}


def nearest_trial(seed: int) -> float:
    """AUROC on the same points of the plain distance to the nearest training sample."""
    train, test, ood = boxes_ood(seed)
    return auroc(*(torch.cdist(x, train.x).amin(1) for x in (test.x, ood)))
