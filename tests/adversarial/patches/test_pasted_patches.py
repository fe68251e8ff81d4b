"""Patches that are pasted over: what they cover, what they are made of, and what they do on images of their own."""

import math

import pytest
import torch
from torch import nn

from deepwright.adversarial.patches import (
    AdversarialPatch,
    AdvPatch,
    DPatch,
    Placement,
    total_variation,
    unprintable,
    usual_colours,
)
from deepwright.adversarial.patches.pasting import pasted
from deepwright.adversarial.patches.printed import MissedAndFalse
from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.randomness import generator, local_rng
from deepwright.core.tasks import CandidateDetection, DetectionBatch, Segmentation
from deepwright.nets import CentreDetector


def images(n=8, size=16, seed=0):
    return torch.rand(n, 1, size, size, generator=generator(seed)) * 0.2 + 0.4


class Brightness(nn.Module):
    """Class 1 where the image is brighter than a half in the mean; a map of the same at each pixel with `dense`."""

    def __init__(self, dense=False):
        super().__init__()
        self.scale, self.dense = nn.Parameter(torch.tensor(20.0)), dense

    def forward(self, x):
        z = self.scale * ((x.mean((1, 2, 3))) - 0.58)
        logits = torch.stack([-z, z], 1)
        return logits[:, :, None, None].expand(-1, -1, *x.shape[2:]) if self.dense else logits


def test_a_still_patch_lies_where_it_is_put():
    place = Placement((0.5, 0.5), 0.5).still()
    x = torch.zeros(2, 1, 16, 16)
    places = place.draw(0, torch.arange(2), 0, (16, 16), None, x.device)
    out, covered = pasted(x, torch.ones(1, 1, 8, 8), places, (0.0, 1.0))
    expected = torch.zeros(16, 16)
    expected[4:12, 4:12] = 1
    assert torch.equal(out[0, 0], expected)
    assert torch.equal(covered[1], expected == 1)


def test_a_patch_of_its_own_size_is_pasted_pixel_by_pixel():
    place = Placement((0.5, 0.5), 0.5).still()
    patch = torch.rand(1, 1, 8, 8, generator=generator(0))
    out, _ = pasted(
        torch.zeros(1, 1, 16, 16), patch, place.draw(0, torch.arange(1), 0, (16, 16), None, patch.device), (0, 1)
    )
    assert torch.allclose(out[0, 0, 4:12, 4:12], patch[0, 0], atol=1e-6)


def test_a_disc_covers_pi_over_four_of_a_square():
    place = Placement((0.5, 0.5), 1.0, shape="disc").still()
    x = torch.zeros(1, 1, 64, 64)
    _, covered = pasted(x, torch.ones(1, 1, 8, 8), place.draw(0, torch.arange(1), 0, (64, 64), None, x.device), (0, 1))
    assert float(covered.double().mean()) == pytest.approx(torch.pi / 4, abs=0.01)


def test_patches_anywhere_stay_inside_and_on_objects_cover_them():
    x = torch.zeros(50, 1, 32, 32)
    places = Placement("anywhere", 0.3).draw(0, torch.arange(50), 0, (32, 32), None, x.device)
    _, covered = pasted(x, torch.ones(1, 1, 4, 4), places, (0, 1))
    edge = torch.cat([covered[:, 0], covered[:, -1], covered[:, :, 0], covered[:, :, -1]], 1)
    assert not bool(edge.any())
    truth = [
        Detections(torch.tensor([[4.0, 6.0, 10.0, 12.0], [20.0, 20.0, 26.0, 26.0]]), torch.zeros(2, dtype=torch.long))
    ]
    places = Placement("objects", 1.0).still().draw(0, torch.arange(1), 0, (32, 32), truth, x.device)
    _, covered = pasted(x[:1], torch.ones(1, 1, 4, 4), places, (0, 1))
    assert int(covered.sum()) == 72
    assert bool(covered[0, 6:12, 4:10].all())


def test_penalties_are_their_closed_forms():
    flat = torch.full((1, 3, 4, 4), 0.5)
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(2, 2).expand(1, 1, 4, 4)
    assert float(total_variation(flat)) == 0
    assert float(total_variation(board)) == 2
    assert float(unprintable(flat, usual_colours(3))) == pytest.approx(0, abs=1e-5)
    assert float(unprintable(torch.ones(1, 1, 2, 2), usual_colours(1))) == pytest.approx(0.1, abs=1e-5)


def test_a_patch_fools_images_that_it_was_not_made_from_and_noise_does_not():
    patch = AdversarialPatch(Placement(size=0.5), steps=40, pixels=8, lr=0.1)
    labels = torch.zeros(8, dtype=torch.long)
    patch.fit(Brightness(), [(images(), labels)])
    report = patch.measure(Brightness(), [(images(seed=1), labels), (images(seed=2), labels)])
    assert report.n == 16
    assert report.fooled.value >= 0.75
    assert report.random.value <= 0.2
    assert report.grey.value == 0
    assert report.p_value < 0.05
    assert 0.1 < report.covered < 0.4


@pytest.mark.parametrize("weights", [{"smooth": 50.0}, {"printable": 50.0}])
def test_penalties_pull_a_patch_to_what_can_be_printed_smoothly(weights):
    labels = torch.zeros(8, dtype=torch.long)
    patch = AdversarialPatch(steps=30, pixels=6, **weights).fit(Brightness(), [(images(), labels)]).patch
    left = total_variation(patch) if "smooth" in weights else unprintable(patch, usual_colours(1))
    assert float(left) < 0.1 * (0.67 if "smooth" in weights else 0.25)


def test_each_image_may_have_a_patch_of_its_own_whatever_the_batch():
    x, labels = images(), torch.zeros(8, dtype=torch.long)
    patch = AdversarialPatch(Placement(size=0.6), steps=30, pixels=6, lr=0.1)
    shown, fooled, patches = patch.for_each(Brightness(), x, labels)
    assert patches.shape == (8, 1, 6, 6)
    assert bool(fooled.all())
    assert torch.allclose(patch.for_each(Brightness(), x[:3], labels[:3])[2], patches[:3], atol=1e-5)
    assert shown.shape == x.shape


def test_label_maps_do_not_count_under_the_patch():
    class Local(nn.Module):
        """The class of each pixel is its own brightness: a patch changes nothing but itself."""

        def forward(self, x):
            return torch.cat([0.58 - x, x - 0.58], 1) * 40

    y = torch.zeros(8, 16, 16, dtype=torch.long)
    patch = AdversarialPatch(Placement(size=0.7), task=Segmentation(2, iou=0.9), steps=10, pixels=4)
    x = images()
    assert patch.fit(Brightness(dense=True), [(x, y)]).measure(Local(), [(x.clamp_max(0.55), y)]).fooled.value == 0.0
    strong = patch.fit(Brightness(dense=True), [(x, y)]).measure(Brightness(dense=True), [(x, y)])
    assert strong.fooled.value > strong.grey.value


def test_detectors_have_rates_beside_it():
    with local_rng(0):
        detector = CentreDetector(width=4).eval()
    task = CandidateDetection(1, score_threshold=0.02, least=0.01)
    x = torch.rand(4, 1, 32, 32, generator=generator(0))
    truth = DetectionBatch([Detections(torch.tensor([[8.0, 8.0, 20.0, 20.0]]), torch.zeros(1, dtype=torch.long))] * 4)
    for patch in (AdvPatch(task, steps=2, pixels=4), DPatch(task, steps=2, pixels=4)):
        report = patch.fit(detector, [(x, truth)]).measure(detector, [(x, truth)])
        assert set(report.rates) == {"none", "patch", "random", "grey"}
        assert all(0 <= rates["average_precision"] <= 1 for rates in report.rates.values())


def test_many_false_alarms_count_for_more_than_one_that_is_surer():
    """The smooth maximum preferred the one, which left DPatch with fewer false alarms than noise makes."""
    task = CandidateDetection(1)
    truth = DetectionBatch([Detections(torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.zeros(1, dtype=torch.long))] * 2)
    corners = torch.tensor([[0.0, 0.0, 8.0, 8.0], *([20.0 + i, 20.0, 28.0 + i, 28.0] for i in range(5))])
    log_odds = torch.tensor([[2.0, 12.0, -9.0, -9.0, -9.0, -9.0], [2.0, 3.0, 3.0, 3.0, 3.0, 3.0]])
    one, many = MissedAndFalse(task)(torch.cat([corners.expand(2, 6, 4), log_odds[..., None]], 2), truth)
    assert float(many - one) == pytest.approx(5 * math.log1p(math.exp(3)) - 12, abs=1e-2)


def test_what_cannot_be_done_is_refused():
    labels = torch.zeros(8, dtype=torch.long)
    with pytest.raises(NotFittedError):
        AdversarialPatch().paste(images())
    with pytest.raises(InputError, match="iterator"):
        AdversarialPatch().fit(Brightness(), iter([(images(), labels)]))
    with pytest.raises(InputError, match="at least one"):
        AdversarialPatch().fit(Brightness(), [])
    with pytest.raises(InputError, match="ignore_index"):
        AdversarialPatch(task=Segmentation(2, ignore_index=None), steps=1).fit(
            Brightness(dense=True), [(images(), torch.zeros(8, 16, 16, dtype=torch.long))]
        )


@pytest.mark.parametrize("options", [{"loss": "vanish"}, {"placement": Placement()}, {"step": 3}])
def test_patches_on_detectors_refuse_what_they_do_not_leave_open(options):
    for made in (AdvPatch, DPatch):
        with pytest.raises(InputError, match=f"unknown option of a patch on detectors; given: '{next(iter(options))}'"):
            made(CandidateDetection(1), **options)


def test_images_without_an_object_are_passed_over_by_patches_on_objects():
    with local_rng(0):
        detector = CentreDetector(width=4).eval()
    x = torch.rand(2, 1, 32, 32, generator=generator(0))
    nothing = DetectionBatch([Detections(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))] * 2)
    ship = DetectionBatch([Detections(torch.tensor([[8.0, 8.0, 20.0, 20.0]]), torch.zeros(1, dtype=torch.long))] * 2)
    task = CandidateDetection(1)
    with_ships = AdvPatch(task, steps=2, pixels=4).fit(detector, [(x, ship), (x, nothing)]).patch
    once = AdvPatch(task, steps=1, pixels=4).fit(detector, [(x, ship)]).patch
    assert torch.equal(with_ships, once)
    with pytest.raises(InputError, match="no object in any"):
        AdvPatch(task, steps=2, pixels=4).fit(detector, [(x, nothing)])


def test_a_patch_on_half_precision_is_made_in_single():
    """Squares of small gradients are 0 in half precision, and the step 0 over 0."""

    class Faint(nn.Module):
        def forward(self, x):
            z = x.mean((1, 2, 3)) * 2e-3
            return torch.stack([-z, z], 1)

    labels = torch.zeros(8, dtype=torch.long)
    patch = AdversarialPatch(steps=5, pixels=4, lr=0.1).fit(Faint().half(), [(images().half(), labels)]).patch
    assert patch.dtype == torch.float32
    assert bool(torch.isfinite(patch).all())
