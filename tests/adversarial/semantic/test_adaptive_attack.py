"""The attacker who knows the detector: on a network whose detector sees one direction, it goes another."""

import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.adversarial import PGD
from deepwright.adversarial.semantic import AdaptivePGD, DenseFeatureDetector, ImageFeatures, Uncertainty
from deepwright.core.tasks import Segmentation


class Blocks(nn.Module):
    """Class by the mean of all pixels; features are the means of rows, which an attack need not move alike."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 4, 3, padding=1)
        self.act = nn.ReLU()
        torch.manual_seed(0)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return 6 * self.head(self.act(self.body(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def world():
    torch.manual_seed(2)
    model = Blocks().eval()
    x = torch.rand(200, 1, 6, 6)
    with torch.no_grad():
        margin = model(x)
        model.head.bias -= margin.mean(0) / 6
        y = model(x).argmax(1)
    detector = ImageFeatures().bind(model).fit(x[:80]).calibrate(x[80:160])
    return model, x[160:], y[160:], detector


EPS = 0.15


def test_it_fools_in_silence_more_often_than_one_who_knows_nothing(world):
    model, x, y, detector = world
    plain = PGD(EPS, steps=10, early_stop=False)(model, x, y)
    quiet = plain.success & ~detector.predict(plain.x_adv)
    found = {
        way: AdaptivePGD(EPS, detector, steps=10, way=way)(model, x, y)
        for way in ("orthogonal", "selective", "weighted")
    }
    for way, result in found.items():
        assert bool((result.norm <= EPS + 1e-6).all()), way
        with torch.no_grad():
            silent = (model(result.x_adv).argmax(1) != y) & ~detector.predict(result.x_adv)
        assert torch.equal(result.success, silent), way
    best = max(int(result.success.sum()) for result in found.values())
    assert best >= int(quiet.sum())
    assert float(detector.predict(found["orthogonal"].x_adv).double().mean()) <= float(
        detector.predict(plain.x_adv).double().mean()
    )


def test_fused_scores_are_held_down_together(world):
    model, x, y, _ = world
    rng = torch.Generator().manual_seed(5)
    clean = torch.rand(160, 1, 6, 6, generator=rng)
    detector = DenseFeatureDetector(("image", "margin"), fuse="fisher").bind(model).fit(clean[:80])
    detector.calibrate(clean[80:])
    plain = PGD(EPS, steps=10, early_stop=False)(model, x, y).x_adv
    quiet = AdaptivePGD(EPS, detector, steps=10)(model, x, y).x_adv
    assert int(detector.predict(quiet).sum()) < int(detector.predict(plain).sum())


def test_results_do_not_depend_on_the_batch(world):
    model, x, y, detector = world
    attack = AdaptivePGD(EPS, detector, steps=2)
    ids = torch.arange(len(x))
    whole = attack(model, x, y, ids=ids).x_adv
    parts = torch.cat(
        [attack(model, x[i : i + 23], y[i : i + 23], ids=ids[i : i + 23]).x_adv for i in range(0, 40, 23)]
    )
    assert torch.allclose(whole, parts, atol=1e-6)


def test_without_a_budget_nothing_moves(world):
    model, x, y, detector = world
    assert torch.equal(AdaptivePGD(0.0, detector, steps=2)(model, x, y).x_adv, x)


def test_the_network_is_left_as_it_was(world):
    model, x, y, detector = world
    before = {k: v.clone() for k, v in model.state_dict().items()}
    AdaptivePGD(EPS, detector, steps=2)(model, x[:4], y[:4])
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_label_maps_are_attacked_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    x = torch.rand(70, 1, 6, 6)
    task = Segmentation(3)
    with torch.no_grad():
        model[2].bias -= model(x).mean((0, 2, 3))
        y = model(x).argmax(1)
        clean = task.loss(model(x[60:]), y[60:])
    detector = DenseFeatureDetector().bind(model, task=task).fit(x[:20]).calibrate(x[20:60])
    result = AdaptivePGD(0.1, detector, steps=6, task=task)(model, x[60:], y[60:])
    assert bool((result.loss > clean).all())


def test_what_it_refuses(world):
    _, x, y, detector = world
    with pytest.raises(InputError, match="another network"):
        AdaptivePGD(EPS, detector)(Blocks().eval(), x, y)
    with pytest.raises(InputError, match="threshold"):
        AdaptivePGD(EPS, Uncertainty())
    with pytest.raises(InputError, match="way"):
        AdaptivePGD(EPS, detector, way="loud")
    with pytest.raises(InputError, match="early_stop"):
        AdaptivePGD(EPS, detector, early_stop=False)
