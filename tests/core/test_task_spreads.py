"""Numbers with an uncertainty, thresholds for a sensitivity, objects by size: closed forms and reference packages."""

import contextlib
import io
import math

import pytest
import torch
from scipy import integrate, stats

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Detection, DetectionBatch, MultiLabel, Regression, Segmentation


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spread", ["deviation", "variance", "log-variance"])
def test_a_spread_is_read_as_a_deviation(spread):
    mean, deviation = torch.randn(5, 2, generator=seeded()), torch.rand(5, 2, generator=seeded(1)) + 0.5
    beside = {"deviation": deviation, "variance": deviation**2, "log-variance": 2 * deviation.log()}[spread]
    task = Regression(2, spread=spread)
    for out in ((mean, beside), torch.stack([mean, beside], -1)):
        read = task.read(out, 5)
        assert torch.allclose(read, torch.stack([mean, deviation], -1), atol=1e-6)
        assert torch.equal(task.reread.read(read, 5), read)
    assert torch.equal(task.prediction(read), mean)


def test_scores_of_gaussians_against_integrals():
    task, y = Regression(spread="deviation"), torch.tensor([[0.3], [2.0]])
    out = torch.tensor([[[0.0, 1.0]], [[1.0, 0.5]]])
    found = task.metrics(out, y, resamples=200)
    crps, nll = [], []
    for (mean, deviation), truth in zip(out[:, 0].tolist(), y[:, 0].tolist()):
        below = integrate.quad(lambda t: stats.norm.cdf(t, mean, deviation) ** 2, -20, truth)[0]
        above = integrate.quad(lambda t: (1 - stats.norm.cdf(t, mean, deviation)) ** 2, truth, 20)[0]
        crps.append(below + above)
        nll.append(-stats.norm.logpdf(truth, mean, deviation))
    assert found["crps"].value == pytest.approx(sum(crps) / 2, abs=1e-6)
    assert found["nll"].value == pytest.approx(sum(nll) / 2, abs=1e-6)


def test_quantiles():
    from sklearn.metrics import mean_pinball_loss

    levels = (0.05, 0.5, 0.95)
    task, y = Regression(spread="quantiles", levels=levels), torch.randn(40, 1, generator=seeded())
    out = torch.randn(40, 3, generator=seeded(1)).sort(1).values
    read = task.read(out, 40)
    expected = sum(mean_pinball_loss(y, out[:, [i]], alpha=p) for i, p in enumerate(levels)) / 3
    assert task.metrics(read, y, resamples=200)["pinball"].value == pytest.approx(expected, rel=1e-6)
    assert torch.equal(task.prediction(read), out[:, 1:2])
    low, high = task.interval(read, 0.9)
    assert torch.equal(low, out[:, :1])
    assert torch.equal(high, out[:, 2:])
    assert task.interval(read, 0.5) is None
    between = Regression(spread="quantiles", levels=(0.25, 0.75))
    assert torch.allclose(between.prediction(between.read(out[:, :2], 40)), out[:, :2].mean(1, keepdim=True))


def test_intervals_beside_their_number():
    """Ends at levels p: their pinball loss is (width + distance outside / p) p for a central interval."""
    task = Regression(2, spread="interval", levels=(0.1, 0.9))
    parts = {name: torch.randn(30, 2, generator=seeded(i)) for i, name in enumerate(("mean", "low", "high"))}
    parts["low"], parts["high"] = parts["mean"] - parts["low"].abs(), parts["mean"] + parts["high"].abs()
    out, y = task.read(parts, 30), 2 * torch.randn(30, 2, generator=seeded(3))
    assert torch.equal(task.read(torch.stack(list(parts.values()), -1), 30), out)
    assert torch.equal(task.reread.read(out, 30), out)
    assert torch.equal(task.point(out), parts["mean"])
    assert [torch.equal(*ends) for ends in zip(task.interval(out, 0.8), (parts["low"], parts["high"]))] == [True, True]
    assert task.interval(out, 0.9) is None
    outside = (parts["low"] - y).clamp_min(0) + (y - parts["high"]).clamp_min(0)
    want = (0.1 * (parts["high"] - parts["low"]) + outside).double().mean() / 2
    assert float(task.metrics(out, y)["pinball"].value) == pytest.approx(float(want), rel=1e-6)
    base = task.baseline(y, y[:3])
    assert torch.allclose(base[0], torch.stack([y.median(0).values, *y.quantile(torch.tensor([0.1, 0.9]), dim=0)], 1))
    one = Regression(spread="interval", levels=(0.1, 0.9))
    assert one.read({"low": y[:, 0], "median": y[:, 0], "high": y[:, 1]}, 30).shape == (30, 1, 3)
    for wrong in ({"mean": y, "low": y}, {**parts, "median": y}, {"mean": y, "low": y, "high": y[:, :1]}):
        with pytest.raises(InputError, match="low"):
            task.read(wrong, 30)


def test_intervals_of_gaussians():
    task = Regression(spread="deviation")
    low, high = task.interval(torch.tensor([[[1.0, 2.0]]]), 0.95)
    assert (float(low), float(high)) == pytest.approx(stats.norm.interval(0.95, 1, 2))


def test_the_baseline_of_a_spread_is_the_targets_own():
    train = torch.randn(500, 2, generator=seeded())
    gaussian, quantiles = Regression(2, spread="variance"), Regression(2, spread="quantiles", levels=(0.1, 0.9))
    assert torch.allclose(
        gaussian.baseline(train, train[:3])[0], torch.stack([train.median(0).values, train.std(0)], 1)
    )
    assert torch.allclose(quantiles.baseline(train, train[:3])[0, :, 0], train.quantile(0.1, dim=0))


@pytest.mark.parametrize(
    ("options", "out", "words"),
    [
        ({"spread": "variance"}, torch.tensor([[1.0, -1.0]]), "variance of 0 or less"),
        ({"spread": "variance"}, torch.zeros(1, 3), "(N, 1, 2)"),
        ({"spread": "quantiles", "levels": (0.1, 0.9)}, torch.zeros(1, 3), "(N, 1, 2)"),
        ({}, torch.zeros(1, 2), "spread="),
    ],
)
def test_outputs_that_are_no_spread(options, out, words):
    with pytest.raises(InputError) as error:
        Regression(**options).read(out, 1)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"spread": "sigma"},
        {"levels": (0.1, 0.9)},
        {"spread": "quantiles"},
        {"spread": "interval", "levels": (0.1, 0.5, 0.9)},
    ],
)
def test_spreads_that_are_none(options):
    with pytest.raises(InputError):
        Regression(**options)


def test_a_threshold_finds_the_wanted_share_and_no_more():
    z, y = torch.randn(200, generator=seeded()), (torch.rand(200, generator=seeded(1)) < 0.3).long()
    out = torch.stack([torch.zeros(200), z], 1)
    for wanted in (0.5, 0.9, 1.0):
        task = Binary().at_sensitivity(out, y, wanted)
        found = (task.prediction(out) == 1)[y == 1].double().mean()
        assert wanted <= float(found) < wanted + 1.01 / int(y.sum()) + 1e-9
    with pytest.raises(InputError, match="no event"):
        Binary().at_sensitivity(out, torch.zeros(200).long(), 0.9)


@pytest.mark.parametrize(
    "case",
    [
        (MultiLabel(3), torch.randn(30, 3, generator=seeded()), torch.randint(0, 2, (30, 3), generator=seeded(1))),
        (Regression(2), torch.randn(30, 2, generator=seeded()), torch.randn(30, 2, generator=seeded(1))),
        (
            Segmentation(3),
            torch.randn(9, 3, 5, 5, generator=seeded()),
            torch.randint(0, 3, (9, 5, 5), generator=seeded(1)),
        ),
        (Binary(), torch.randn(30, 2, generator=seeded()), torch.randint(0, 2, (30,), generator=seeded(1))),
    ],
    ids=lambda case: case[0].kind,
)
def test_the_headline_alone_is_that_of_all_metrics(case):
    task, out, y = case
    assert task.headline_value(out, y) == pytest.approx(task.metrics(out, y, resamples=200)[task.headline].value)


def test_dice_is_that_of_f1():
    from sklearn.metrics import f1_score

    out, y = torch.randn(6, 3, 8, 8, generator=seeded()), torch.randint(0, 3, (6, 8, 8), generator=seeded(1))
    found = Segmentation(3).metrics(out, y, resamples=200)["mean_dice"].value
    assert found == pytest.approx(f1_score(y.flatten(), out.argmax(1).flatten(), average="macro"))


def scattered(n=25, classes=3):
    """True boxes of all sizes, and guesses near them, elsewhere and twice."""
    g = seeded()
    truth, guess = [], []
    for _ in range(n):
        k = int(torch.randint(0, 6, (), generator=g))
        sides = (torch.rand(k, 2, generator=g) * 3 + 2.3).exp()
        corner = torch.rand(k, 2, generator=g) * 200
        boxes, labels = torch.cat([corner, corner + sides], 1), torch.randint(0, classes, (k,), generator=g)
        moved = [boxes + (torch.rand(k, 4, generator=g) - 0.5) * sides.repeat(1, 2) * s for s in (0.3, 0.5)]
        other = (torch.rand(6, 2, generator=g) * 3 + 2.3).exp()
        place = torch.rand(6, 2, generator=g) * 200
        found = torch.cat([*moved, torch.cat([place, place + other], 1)])
        found = torch.cat([torch.minimum(found[:, :2], found[:, 2:]), torch.maximum(found[:, :2], found[:, 2:])], 1)
        called = torch.cat([labels, labels, torch.randint(0, classes, (6,), generator=g)])
        truth.append(Detections(boxes, labels))
        guess.append(Detections(found, called, torch.rand(len(called), generator=g)))
    return DetectionBatch(guess), DetectionBatch(truth)


def by_coco(guess, truth, classes=3):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")

    def rows(batch):
        for i, image in enumerate(batch):
            scores = [0.0] * len(image) if image.scores is None else image.scores.tolist()
            for (x1, y1, x2, y2), label, score in zip(image.boxes.tolist(), image.labels.tolist(), scores):
                yield {"image_id": i, "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}

    known = [
        {**row, "id": i, "iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3]} for i, row in enumerate(rows(truth), 1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = {
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": c + 1} for c in range(classes)],
            "annotations": known,
        }
        data.createIndex()
        found = evaluation.COCOeval(data, data.loadRes(list(rows(guess))), "bbox")
        found.evaluate()
        found.accumulate()
        found.summarize()
    return found


def test_average_precision_and_by_size_equal_coco():
    guess, truth = scattered()
    found, task = by_coco(guess, truth), Detection(3)
    metrics = task.metrics(guess, truth, resamples=200)
    for name, place in {"map": 0, "ap50": 1, "map_small": 3, "map_medium": 4, "map_large": 5}.items():
        assert metrics[name].value == pytest.approx(found.stats[place], abs=1e-9), name
        assert metrics[name].low <= metrics[name].value <= metrics[name].high
    precision = found.eval["precision"][:, :, :, 0, 2]  # overlaps, recalls, classes
    for c, (mean, half) in task.class_precisions(guess, truth).items():
        assert mean == pytest.approx(precision[:, :, c].mean())
        assert half == pytest.approx(precision[0, :, c].mean())


def test_a_size_without_objects_has_no_metric():
    one = DetectionBatch([Detections(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]), torch.tensor([0.9]))])
    found = Detection(1).metrics(one, one, resamples=200)
    assert found["map_small"].value == 1
    assert "map_large" not in found
    assert math.isnan(
        Detection(1).headline_value(one, DetectionBatch([Detections(torch.zeros(0, 4), torch.zeros(0).long())]))
    )
