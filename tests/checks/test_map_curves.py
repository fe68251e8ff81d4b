"""Mean IoU kept under attack: against counting by hand, and a network whose worst case is known pixel by pixel."""

import pytest
import subjects
import torch
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.checks.map_curves import MapCurve, map_curve
from deepwright.core.randomness import generator
from deepwright.core.tasks import Segmentation
from deepwright.data import Split
from deepwright.nets import from_callable

EPS = (0.05, 0.1)


def threshold():
    """Bright where a pixel is above a half: an attack of a budget flips exactly the pixels that lie within it."""
    model = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([-9.0, 9.0]).reshape(2, 1, 1, 1))
        model.bias.copy_(torch.tensor([4.5, -4.5]))
    return model.eval()


def pictures(noise=0.0, n=12):
    drawn = generator(5)
    x = torch.rand(n, 1, 8, 8, generator=drawn)
    wrong = torch.rand(n, 8, 8, generator=drawn) < noise
    return x, ((x[:, 0] > 0.5) ^ wrong).long()


def by_hand(x, y, eps):
    """Mean IoU of all images when each pixel that can be made wrong is."""
    called = torch.where((x[:, 0] - 0.5).abs() < eps, 1 - y, (x[:, 0] > 0.5).long())
    ious = [((called == k) & (y == k)).sum() / ((called == k) | (y == k)).sum() for k in (0, 1)]
    return float(torch.stack(ious).mean())


def test_counts_by_hand():
    clean = torch.tensor([[[4.0, 4], [4, 4], [4, 4]], [[4, 4], [4, 4], [4, 4]]])  # two perfect images of eight pixels
    worse = torch.tensor([[[2.0, 4], [2, 6], [4, 4]], [[4, 4], [4, 4], [4, 4]]])  # two pixels of the first went over
    right = torch.tensor([[True, True], [False, True]])
    curve = MapCurve(Segmentation(2), torch.stack([clean, worse]).double(), right)
    assert [point.value for point in curve.share_right()] == [1.0, 0.5]
    expected = (6 / 8 + 8 / 10) / 2
    assert curve.mean_iou()[1].value == pytest.approx(expected)
    kept = curve.kept(1)
    assert kept.value == pytest.approx(expected)
    assert kept.low <= (2 / 4 + 4 / 6) / 2 + 1e-9  # the resample of the first image alone
    assert kept.high == pytest.approx(1.0)


def test_nothing_is_kept_of_nothing():
    none = torch.tensor([[[0.0, 0], [8, 0], [0, 8]]]).double()
    curve = MapCurve(Segmentation(2), torch.stack([none, none]), torch.zeros(2, 1, dtype=torch.bool))
    assert curve.kept(1) is None


def test_a_larger_budget_keeps_what_a_smaller_one_found():
    x, y = pictures(n=4)

    class Once:
        """Turns the picture over at the smaller budget only."""

        def __call__(self, model, x, y, *, eps, ids):
            return type("Found", (), {"x_adv": 1 - x if eps == EPS[0] else x})()

    curve = map_curve(threshold(), Segmentation(2), Split(x, y), [Once()] * 2, EPS, 3)
    assert [point.value for point in curve.mean_iou()] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.slow), 0.36])
def test_the_grade_is_that_of_the_mean_iou_kept(noise):
    x, y = pictures(noise, 30)
    options = {**subjects.QUICK, "eps": EPS, "attack_limit": 8}
    subject = Subject(threshold(), subjects.data("image", x, y, ("dark", "bright")), task=Segmentation(2), **options)
    found = audit(subject, checks=["robustness"])["robustness"]
    some = subject.data.test.take(8, subject.seed)
    x, y = some.inputs(), some.y
    clean, attacked = by_hand(x, y, 0.0), by_hand(x, y, EPS[1])
    assert found.number("mean_iou_at_0") == pytest.approx(clean)
    assert found.number("mean_iou_at_0.1") == pytest.approx(attacked, abs=1e-6)
    assert found.number("mean_iou_kept") == pytest.approx(attacked / clean, abs=1e-6)
    assert found.graded_by == ("mean_iou_kept",)
    assert found.grade in "ABCDE"
    if noise:
        assert found.number("clean_accuracy") < 0.5  # few images reach the bound, which was no grade
    assert found.tables[0].columns[1] == "mean IoU"
    assert "Mean IoU under attack" in [figure.title for figure in found.figures]


@pytest.mark.slow
def test_a_network_without_gradients_is_bounded():
    x, y = pictures(0.36, 30)
    model = threshold()
    closed = from_callable(lambda batch: model(batch).detach())
    options = {**subjects.QUICK, "eps": EPS, "attack_limit": 4}
    subject = Subject(closed, subjects.data("image", x, y, ("dark", "bright")), task=Segmentation(2), **options)
    found = audit(subject, checks=["robustness"])["robustness"]
    assert found.grade in ("info", "D", "E")
    assert found.number("mean_iou_kept") < 1
    assert "without gradients" in found.rule
