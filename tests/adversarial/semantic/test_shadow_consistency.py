"""Missing returns: against closed forms, on drawn ships whose amplitude was taken away, and alone or beside a network."""

import math

import pytest
import torch
from torch import nn

from deepwright.adversarial.patches import attenuated
from deepwright.adversarial.semantic import ShadowConsistency
from deepwright.core.errors import InputError
from deepwright.data import sar_ships
from deepwright.ood.metrics import auroc


def even(n=1, size=33, sea=0.2):
    return torch.full((n, 1, size, size), sea)


def with_peaks(height, n=64, size=33):
    """One scatterer in the middle of an even sea, `height` times its power."""
    x = even(n, size)
    x[:, :, size // 2, size // 2] *= torch.as_tensor(height).sqrt().view(-1, 1)
    return x


@pytest.fixture(scope="module")
def fitted():
    fit, clean = sar_ships(100, seed=1), sar_ships(100, seed=2)
    return ShadowConsistency().fit(fit.images).calibrate(clean.images)


def peaks():
    """Scatterers whose logarithms of height have a known mean and deviation."""
    return torch.tensor([200.0, 800.0]).repeat(32)


def test_a_hole_in_an_even_sea():
    detector = ShadowConsistency().fit(with_peaks(peaks()))
    holed = even()
    holed[0, 0, 8, 8] = 0
    found = detector.part_scores(torch.cat([even(), holed]))
    assert found[:, 0].tolist() == pytest.approx([0.0, math.log(1.1 / 0.1)], abs=1e-5)
    assert bool((found[:, 1] < -10).all())  # no scatterer: nothing is too weak


def test_missing_energy_in_deviations():
    detector = ShadowConsistency(window=5).fit(with_peaks(peaks()))
    logs = ((24 + peaks()) / 25).log().double()
    mean, deviation = logs.mean(), logs.std(correction=0)
    weak = detector.part_scores(with_peaks([50.0], 1))[0, 1]
    assert float(weak) == pytest.approx(float((mean - math.log(74 / 25)) / deviation), rel=1e-4)


@pytest.mark.parametrize("fill", ["brightest", pytest.param("random", marks=pytest.mark.slow)])
def test_what_was_taken_away_is_seen(fitted, fill):
    scenes = sar_ships(40, seed=3)
    moved, _ = attenuated(fill, scenes.images, scenes.truth, tau=0.1)
    clean, found = fitted.part_scores(scenes.images), fitted.part_scores(moved)
    assert auroc(clean[:, 0], found[:, 0]) > 0.95
    assert float(fitted.predict(moved).double().mean()) > 0.8
    assert float(fitted.predict(scenes.images).double().mean()) <= 0.2  # 99 % of calibration sets of such a size


def test_even_dimming_leaves_no_hole(fitted):
    scenes = sar_ships(40, seed=3)
    moved, _ = attenuated("constant", scenes.images, scenes.truth, tau=0.1)
    assert abs(auroc(fitted.part_scores(scenes.images)[:, 0], fitted.part_scores(moved)[:, 0]) - 0.5) < 0.1


def test_alone_or_beside_a_network_and_from_its_state(fitted):
    x = sar_ships(4, seed=4).images
    beside = (
        ShadowConsistency()
        .bind(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval())
        .fit(sar_ships(100, seed=1).images)
    )
    assert torch.equal(beside.part_scores(x), fitted.part_scores(x))
    again = ShadowConsistency()
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again.predict(x), fitted.predict(x))
    assert torch.equal(fitted.score(x) > 1, fitted.predict(x))
    one_by_one = torch.cat([fitted.part_scores(one[None]) for one in x])
    assert torch.allclose(one_by_one, fitted.part_scores(x))


def test_it_can_be_attacked(fitted):
    x = sar_ships(2, seed=4).images.requires_grad_(True)
    fitted.nearness(fitted.graph_parts(fitted.watch(x))).sum().backward()
    assert bool((x.grad != 0).flatten(1).any(1).all())


def test_refusals():
    with pytest.raises(InputError, match="odd"):
        ShadowConsistency(window=4)
    with pytest.raises(InputError, match="without scatterers"):
        ShadowConsistency().fit(even(4))
