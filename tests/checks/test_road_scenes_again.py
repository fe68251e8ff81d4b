"""What an audit of the road scenes' network says, computed again in plain torch on the same frames."""

import pytest
import torch
from torch.nn import functional as F

from deepwright.checks import Subject, audit
from deepwright.core.tasks import Segmentation
from deepwright.corruptions import Suite, apply
from deepwright.data import load as load_data
from deepwright.nets import load

EPS, STEPS = 4 / 255, 20


def mean_iou(called, y):
    """Over all frames, of the classes that occur or are called."""
    counts, ious = y != 255, []
    for k in range(11):
        both, either = ((called == k) & (y == k))[counts].sum(), ((called == k) | (y == k))[counts].sum()
        if either:
            ious.append(both / either)
    return float(torch.stack(ious).mean())


def pgd(net, x, y):
    """Twenty signed steps on the cross-entropy of all pixels, from the picture itself."""
    moved = x.clone()
    for _ in range(STEPS):
        moved.requires_grad_(True)
        loss = F.cross_entropy(net(moved), y, ignore_index=255, reduction="sum")
        (slope,) = torch.autograd.grad(loss, moved)
        stepped = moved.detach() + 2.5 * EPS / STEPS * slope.sign()
        moved = (x + (stepped - x).clamp(-EPS, EPS)).clamp(0, 1)
    return moved


@pytest.mark.slow
@pytest.mark.realdata
def test_an_audit_of_road_scenes_again(data_root):
    data = load_data("camvid", root=data_root, train_limit=4, limit=4, size=120)
    net = load("unet-camvid").eval()
    options = {"attack_limit": 4, "corruption_limit": 4, "eps": (EPS,)}
    subject = Subject(net, data, task=Segmentation(11, data.classes), **options)
    report = audit(subject, checks=["accuracy", "robustness"])
    x, y = data.test.inputs(), data.test.y

    def called(pictures):
        with torch.no_grad():
            return net(pictures).argmax(1)

    clean = mean_iou(called(x), y)
    assert report["accuracy"].number("mean_iou") == pytest.approx(clean)
    assert report["robustness"].number("mean_iou_at_0") == pytest.approx(clean)
    attacked, found = mean_iou(called(pgd(net, x, y)), y), report["robustness"].number("mean_iou_at_4/255")
    assert attacked < 0.3 * clean
    assert found == pytest.approx(attacked, abs=0.05)  # the worst of four attacks, frame by frame
    assert report["robustness"].number("mean_iou_kept") == pytest.approx(found / clean)

    suite = Suite(["gaussian_noise"], severities=(3,), seed=0)
    told = suite.evaluate(net, [(x, y)], task=subject.task, headline=True)
    again = mean_iou(called(apply(x, "gaussian_noise", severity=3, seed=0)), y)
    assert told.mean_headline() == pytest.approx(again)
    assert again < clean
