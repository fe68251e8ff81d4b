"""Bounding boxes against sixteen detectors on near and far sets, and where boxes are provably the right shape.

How foreign two unknown digits look depends on which they are, far more than on the detector: what is near is measured
over all 45 pairs of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.features import Activations, extract
from deepwright.core.fit import fit
from deepwright.core.inference import logits_of
from deepwright.core.randomness import generator, local_rng
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval
from deepwright.data import Split, boxes_ood, mnist_5k, photo_patches, shuffle_pixels
from deepwright.ood import BBAS, MDS, DetectorSuite, auroc, fpr_at_tpr
from deepwright.ood.detector import Detector
from deepwright.ood.suite import ALL
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, curve, ends, gaps, mean, run_grid, study_result

SETS = ("near", "far noise", "far patches", "far inverted", "far shuffled")
FAR = SETS[1:]
LIMITS = (
    "Digits, and one small convolutional network: natural images and large networks aren't shown here.",
    "The 45 pairs share digits and one seed of training: their intervals take them as independent.",
)
OURS = "AggBBAS distance K=5"
PAIRS = tuple(itertools.combinations(range(10), 2))
_SHORT = ("MSP", "KNN", "RMDS", OURS)


def run(settings: Settings) -> StudyResult:
    """All detectors on digits_ood (8 digits known, 2 near, 4 far sets), on every pair of near digits, and on boxes."""
    seeds = settings.seeds_or(range(2 if settings.quick else 6))
    lengths = (3,) if settings.quick else (3, 10, 30)
    every = run_grid(digits_trial, cross(epochs=lengths, seed=seeds), settings, "digits_ood")
    chosen = PAIRS[::23] if settings.quick else PAIRS
    pairs = run_grid(
        digits_trial,
        cross(epochs=3 if settings.quick else 10, seed=seeds[0], unknown=chosen),
        settings,
        "pairs of near digits",
    )
    boxes = run_grid(boxes_trial, cross(seed=seeds), settings, "boxes_ood")
    by_length = every.by("epochs")
    main = by_length[3 if settings.quick else 10]
    ranked = _ranked(main)
    return study_result(
        "bbas",
        [every, pairs, boxes],
        seeds=seeds,
        claims=[*_far_claims(main), *_near_claims(pairs), *_box_claims(main, boxes)],
        tables=[
            Table(["detector", *SETS, "worst"], ranked, f"AUROC on digits_ood, means over {len(seeds)} splits"),
            _near_table(pairs),
            _lengths(by_length),
            Table(["detector", *SETS], _false_alarms(main), "FPR at 95 % TPR"),
            Table(
                ["detector", *(f"seed {s}" for s in seeds)],
                [[d, *boxes.values(d)] for d in boxes[0]],
                "AUROC on boxes_ood",
            ),
        ],
        figures=[_heatmap(ranked), _gap_curves(pairs)],
        summary=_summary(main, pairs, by_length),
        limits=LIMITS,
        settings={},
    )


def digits_ood(seed: int, unknown: tuple[int, int] | None = None) -> tuple[Split, Split, dict[str, Tensor]]:
    """8 digits as in-distribution (400 train, 100 test each); the other two are near; four far sets of 400.

    Args:
        seed: of the digits, rows and far sets.
        unknown: the near digits; two at random when None.
    """
    x, y = mnist_5k()
    known = torch.randperm(10, generator=generator(seed, "digits-ood"))[:8].sort().values
    if unknown is not None:
        known = torch.tensor([digit for digit in range(10) if digit not in unknown])
    train_rows, test_rows, labels = [], [], []
    for label, digit in enumerate(known.tolist()):
        rows = (y == digit).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator(seed, "rows", digit))]
        train_rows.append(rows[:400])
        test_rows.append(rows[400:500])
        labels.append(label)
    train = Split(x[torch.cat(train_rows)], torch.tensor(labels).repeat_interleave(400))
    test = Split(x[torch.cat(test_rows)], torch.tensor(labels).repeat_interleave(100))
    picks = test.inputs()[torch.randperm(len(test), generator=generator(seed, "far"))[:400]]
    sets = {
        "near": x[~torch.isin(y, known)].float() / 255,
        "far noise": torch.rand(400, 1, 28, 28, generator=generator(seed, "noise")),
        "far patches": photo_patches(400, (1, 28, 28), seed),
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


def variants() -> dict[str, Detector]:
    """Every detector of the house and BBAS in its forms."""
    detectors: dict[str, Detector] = {cls.__name__: cls() for cls in ALL if cls is not BBAS}
    for kind in ("count", "distance"):
        for k in (1, 5, 20):
            detectors[f"BBAS {kind} K={k}"] = BBAS(kind=kind, n_clusters=k, aggregate=False)
            detectors[f"AggBBAS {kind} K={k}"] = BBAS(kind=kind, n_clusters=k)
    detectors["AggBBAS width K=5"] = BBAS(scale="width")
    detectors["AggBBAS layers alike K=5"] = BBAS(layer_reduce="mean")
    detectors["AggBBAS variables alike K=5"] = BBAS(layer_reduce="concat")
    return detectors


def digits_trial(seed: int, epochs: int, unknown: tuple[int, int] | None = None) -> dict[str, Any]:
    """Train the small net, fit every detector from one pass, score every set."""
    train, test, sets = digits_ood(seed, unknown)
    with local_rng(seed):
        model = small_net()
    fit(
        model,
        (train.x.float() / 255, train.y),
        epochs=epochs,
        batch_size=64,
        seed=seed,
        optimizer=lambda p: torch.optim.Adam(p, lr=2e-3),
    )
    model.eval()
    accuracy = float((logits_of(model, [test.inputs()]).argmax(1) == test.y).double().mean())
    suite = DetectorSuite(model, variants()).fit(train.batches(500))
    inside = suite.score([test.inputs()])
    areas: dict[str, dict[str, float]] = {d: {} for d in suite.detectors}
    fpr: dict[str, dict[str, float]] = {d: {} for d in suite.detectors}
    for name, x in sets.items():
        outside = suite.score([x])
        for d in suite.detectors:
            areas[d][name] = auroc(inside[d], outside[d])
            fpr[d][name] = fpr_at_tpr(inside[d], outside[d])
    drop = _floor_error(model, train, test)
    return {"accuracy": accuracy, "auroc": areas, "fpr95": fpr, "skipped": suite.skipped, "prob_floor_error": drop}


def _floor_error(model: nn.Module, train: Split, test: Split) -> float:
    """Largest change of the score when classes below a probability of 1e-3 are left out, over the allowed bound."""
    acts = extract(model, train.batches(500))
    inside = extract(model, [test.inputs()])
    full, fast = BBAS().fit(acts), BBAS(prob_floor=1e-3).fit(acts)
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


def _on(detector: str, name: str) -> Callable[[Any], float]:
    """Reads the AUROC of a detector on a set."""
    return lambda row: row["auroc"][detector][name]


def _near(runs: Runs, a: str, b: str) -> list[float]:
    return gaps(runs, runs, _on(a, "near"), _on(b, "near"))


def _far_claims(runs: Runs) -> list[Claim]:
    claims = [
        Claim.at_least(f"AggBBAS on {name}: AUROC at least 0.99", runs.values(_on(OURS, name)), 0.99) for name in FAR
    ]
    for other in ("MSP", "Energy", "MDS"):
        weakest = min(FAR, key=lambda name: runs.mean(_on(other, name)))
        values = runs.values(_on(other, weakest))
        claims.append(Claim.at_most(f"{other} has a far set below 0.90 ({weakest})", values, 0.90))
    return claims


def _near_claims(pairs: Runs) -> list[Claim]:
    n = len(pairs)
    alike = _near(pairs, OURS, "AggBBAS variables alike K=5")
    singles = [(f"AggBBAS {kind} K={k}", f"BBAS {kind} K={k}") for kind in ("count", "distance") for k in (1, 5)]
    worst = min((_near(pairs, a, b) for a, b in singles), key=mean)
    return [
        Claim.at_least(f"near, {n} pairs: {text}", values, bar, basis="pairs")
        for text, values, bar in (
            ("AggBBAS at least 0.03 above MDS", _near(pairs, OURS, "MDS"), 0.03),
            ("AggBBAS not below MSP", _near(pairs, OURS, "MSP"), 0.0),
            ("AggBBAS not below KNN", _near(pairs, OURS, "KNN"), 0.0),
            ("normalised above variables alike", alike, 0.0),
            ("aggregated not below single by more than 0.002 (worst kind)", worst, -0.002),
            ("K=5 at least 0.005 above K=1", _near(pairs, OURS, "AggBBAS distance K=1"), 0.005),
        )
    ]


def _box_claims(runs: Runs, boxes: Runs) -> list[Claim]:
    return [
        Claim.at_least("boxes_ood: BBAS K=4 AUROC", boxes.values("BBAS K=4"), 0.99),
        Claim.at_least("boxes_ood: K=4 above K=1", gaps(boxes, boxes, "BBAS K=4", "BBAS K=1"), 0.25),
        Claim.at_least("boxes_ood: K=4 above MDS", gaps(boxes, boxes, "BBAS K=4", "MDS"), 0.25),
        Claim.at_most(
            "prob_floor changes a score by no more than its bound", runs.values("prob_floor_error"), 1.0, every=True
        ),
    ]


def _near_table(pairs: Runs) -> Table:
    """Means over the pairs with their spread, and AggBBAS's gap to each detector with its interval."""
    rows: list[list[Any]] = []
    for d in _shared(pairs):
        areas, gap = pairs.values(_on(d, "near")), mean_interval(_near(pairs, OURS, d))
        rows.append([d, mean(areas), min(areas), max(areas), gap.value, *ends(gap)])
    columns = ["detector", "near", "smallest", "largest", "AggBBAS minus it", "low", "high"]
    caption = f"AUROC on two unknown digits, over {len(pairs)} pairs of them; gaps with 95 % intervals"
    rows.sort(key=lambda row: -row[1])
    return Table(columns, rows, caption)


def _gap_curves(pairs: Runs) -> Figure:
    """AggBBAS minus its rivals, pair by pair, in the order of the gap to MSP."""
    order = sorted(range(len(pairs)), key=_near(pairs, OURS, "MSP").__getitem__)
    places = list(range(1, len(order) + 1))
    series = []
    for rival in ("MSP", "KNN", "MDS"):
        gap = _near(pairs, OURS, rival)
        series.append(curve(f"minus {rival}", places, [gap[i] for i in order]))
    words = ("AUROC of AggBBAS minus others'", series, "pairs of unknown digits, by the gap to MSP", "gap")
    return Figure("line", *words, note="one network a pair: the table has the means with their intervals")


def _shared(runs: Runs) -> list[str]:
    """Detectors that no split had to skip."""
    return [d for d in runs[0]["auroc"] if all(d in row["auroc"] for row in runs)]


def _ranked(runs: Runs) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for d in _shared(runs):
        areas = [runs.mean(_on(d, s)) for s in SETS]
        rows.append([d, *areas, min(areas)])
    return sorted(rows, key=lambda row: -row[1])


def _false_alarms(runs: Runs) -> list[list[Any]]:
    return [[d, *(mean([row["fpr95"][d][s] for row in runs]) for s in SETS)] for d in _shared(runs)]


def _lengths(by_length: dict[int, Runs]) -> Table:
    rows: list[list[Any]] = [
        [
            epochs,
            runs.mean("accuracy"),
            *(runs.mean(_on(d, "near")) for d in _SHORT),
            *(mean([min(row["auroc"][d].values()) for row in runs]) for d in _SHORT),
        ]
        for epochs, runs in by_length.items()
    ]
    return Table(
        ["epochs", "accuracy", *(f"{d} near" for d in _SHORT), *(f"{d} worst" for d in _SHORT)],
        rows,
        "by length of training: mean AUROC on the near digits, and mean over the splits of the worst set's",
    )


def _heatmap(ranked: list[list[Any]]) -> Figure:
    series = [{"rows": [str(row[0]) for row in ranked], "columns": list(SETS), "values": [row[1:6] for row in ranked]}]
    return Figure("heatmap", "AUROC on digits_ood", series, y_range=(0.5, 1.0))


def _summary(runs: Runs, pairs: Runs, by_length: dict[int, Runs]) -> str:
    ours, msp = (min(runs.mean(_on(d, s)) for s in FAR) for d in (OURS, "MSP"))
    gap = {d: mean_interval(_near(pairs, OURS, d)) for d in ("MSP", "KNN", "MDS")}
    each = _near(pairs, OURS, "MSP")
    lengths = [f"{mean(_near(trained, OURS, 'MSP')):+.3f} after {n}" for n, trained in by_length.items()]
    return (
        f"Networks reach {runs.mean('accuracy'):.1%} on their eight digits. On its worst far set AggBBAS keeps "
        f"{ours:.3f}, MSP {msp:.3f}. On two unknown digits, over {len(pairs)} pairs, AggBBAS has "
        f"{pairs.mean(_on(OURS, 'near')):.3f}: "
        + ", ".join(f"{v:+.3f} against {d}" for d, v in gap.items())
        + f". Which digits are held out moves the gap to MSP from {min(each):+.3f} to {max(each):+.3f}; by epochs "
        f"of training, over the splits, it is {', '.join(lengths)}."
    )
