"""Attacks on detectors' candidates: losses in closed form, aims, what is skipped, and what becomes of candidates."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.adversarial import DAG, DETECTING, PGD, Fabricate, Mislabel, Square, Surrogates, Vanish, norms
from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks import CandidateDetection, DetectionBatch
from deepwright.nets import CandidateBoxes, FinalDetections, small_ssd

TASK = CandidateDetection(2)
BOXES = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 5], [4, 4, 8, 8], [0, 4, 4, 8]])
MAKE = {
    Vanish: lambda **o: Vanish(0.45, steps=10, task=TASK, **o),
    Fabricate: lambda **o: Fabricate(0.3, steps=10, task=TASK, **o),
    Mislabel: lambda **o: Mislabel(0.5, steps=20, task=TASK, **o),
    DAG: lambda **o: DAG(0.45, steps=30, gamma=0.03, task=TASK, **o),
}


class Blocks(nn.Module):
    """Four fixed candidates on 8 x 8 pixels; each one's logits are affine in the mean of its own block."""

    def forward(self, x):
        means = torch.stack([x[:, 0, int(b[1]) : int(b[3]), int(b[0]) : int(b[2])].mean((1, 2)) for b in BOXES], 1)
        logits = torch.stack([12 * (means - 0.5), 12 * (0.3 - means)], -1)
        return torch.cat([BOXES.to(x).expand(len(x), -1, -1), logits], -1)


def truth(*objects):
    boxes = torch.stack([BOXES[i] for i, _ in objects]) if objects else torch.zeros(0, 4)
    return Detections(boxes, torch.tensor([label for _, label in objects], dtype=torch.long))


@pytest.fixture
def scenes():
    """Three images: two objects, one object, none; the detector is right on all of them."""
    x = torch.full((3, 1, 8, 8), 0.4)
    x[0, :, :4, :4], x[0, :, 4:, 4:] = 0.8, 0.1
    x[1, :, 4:, 4:] = 0.7
    return Blocks().eval(), x, [truth((0, 0), (2, 1)), truth((2, 0)), truth()]


def test_every_attack_is_covered():
    assert set(MAKE) == set(DETECTING)


def test_candidates_become_detections(scenes):
    model, x, y = scenes
    out = model(x)
    assert bool(TASK.right(out, TASK.check_targets(y)).all())
    assert [len(d) for d in TASK.prediction(out)] == [2, 1, 0]
    assert TASK.error_rates(out, TASK.check_targets(y)) == {"false_negative_rate": 0, "false_positives_per_image": 0}
    assert TASK.headline_value(out, TASK.check_targets(y)) == pytest.approx(1.0)


def test_they_become_what_a_detector_gives():
    torch.manual_seed(0)
    ssd = small_ssd(2)
    for head in ssd.heads:
        nn.init.normal_(head.weight, std=0.5)
    x = torch.rand(2, ssd.in_channels, *ssd.image_size)
    task = CandidateDetection(ssd.num_classes)
    with torch.no_grad():
        ours = task.final(task.read(CandidateBoxes(ssd.eval())(x)))
        theirs = FinalDetections(ssd, score=0.05, iou=0.5, limit=100).eval()(x)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.labels, b.labels)
        assert torch.allclose(a.boxes, b.boxes)
        assert torch.allclose(a.scores, b.scores)


def test_losses_in_closed_form(scenes):
    model, x, y = scenes
    out, y = model(x), TASK.check_targets(y)
    z = out[..., 4:]
    # Candidates 0 and 1 overlap by 16 / 20, so that both belong to the first object.
    first = F.softplus(-z[0, :2, 0]).mean()
    vanish = torch.stack([(first + F.softplus(-z[0, 2, 1])) / 2, F.softplus(-z[1, 2, 0]), torch.tensor(0.0)])
    assert torch.allclose(TASK.adversarial_loss(out, y, loss="vanish"), vanish)
    other = lambda i, m, own: F.logsigmoid(z[i, m, 1 - own]) + F.logsigmoid(-z[i, m, own])  # noqa: E731
    two = ((other(0, 0, 0) + other(0, 1, 0)) / 2 + other(0, 2, 1)) / 2
    mislabel = torch.stack([two, other(1, 2, 0), torch.tensor(0.0)])
    assert torch.allclose(TASK.adversarial_loss(out, y, loss="mislabel"), mislabel, atol=1e-5)
    free = [[3], [0, 1, 3], [0, 1, 2, 3]]
    fabricate = torch.stack([z[i, rows].flatten().logsumexp(0) for i, rows in enumerate(free)])
    assert torch.allclose(TASK.adversarial_loss(out, y, loss="fabricate"), fabricate, atol=1e-5)


def test_an_object_without_a_candidate_counts_as_lost(scenes):
    out = scenes[0](scenes[1])[:1]
    y = DetectionBatch([Detections(torch.tensor([[4.0, 0, 8, 3]]), torch.tensor([0]))])
    assert float(TASK.adversarial_loss(out, y, loss="vanish")) == pytest.approx(-math.log(1e-6), abs=0.02)


@pytest.mark.parametrize("cls", MAKE)
def test_ball_mask_model_batch_and_seed(scenes, cls):
    model, x, y = scenes
    untouched = x.clone()
    found = MAKE[cls]()(model, x, y)
    assert torch.equal(x, untouched)
    assert bool((norms(found.x_adv - x, "linf") <= MAKE[cls]().eps * (1 + 1e-5)).all())
    assert torch.equal(MAKE[cls]()(model, x, y).x_adv, found.x_adv)
    parts = [MAKE[cls]()(model, x[i : i + 1], y[i : i + 1], ids=torch.tensor([i])).x_adv for i in range(3)]
    assert float((torch.cat(parts) - found.x_adv).abs().max()) < 1e-5
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    assert float((MAKE[cls]()(model, x, y, mask=mask).x_adv - x)[..., 4:].abs().max()) == 0
    assert torch.allclose(MAKE[cls]()(model, x, y, eps=0.0).x_adv, x, atol=1e-6)


@pytest.mark.parametrize("cls", [Vanish, DAG])
def test_objects_vanish(scenes, cls):
    model, x, y = scenes
    found = MAKE[cls]()(model, x, y)
    assert found.success.tolist() == [True, True, False]
    assert found.flags["skipped"] == pytest.approx(1 / 3)
    assert torch.equal(found.x_adv[2], x[2])
    out = model(found.x_adv)
    rates = TASK.error_rates(out[:2], TASK.check_targets(y[:2]))
    assert rates["false_negative_rate"] == 1.0


def test_some_objects_may_be_left(scenes):
    model, x, y = scenes
    strict, lax = (Vanish(0.32, steps=20, left=left, task=TASK)(model, x, y) for left in (0.0, 0.5))
    assert int(lax.success.sum()) >= int(strict.success.sum())
    assert bool(lax.success[0])  # the second object needs less than the first


def test_objects_are_made_up(scenes):
    model, x, y = scenes
    found = MAKE[Fabricate]()(model, x, y)
    assert bool(found.success.all())
    assert bool((torch.tensor([len(d) for d in TASK.prediction(model(found.x_adv))]) >= 1).all())
    rates = TASK.error_rates(model(found.x_adv), TASK.check_targets(y))
    assert rates["false_positives_per_image"] >= 1


def test_objects_get_another_label(scenes):
    model, x, y = scenes
    found = MAKE[Mislabel]()(model, x, y)
    assert found.success.tolist() == [True, True, False]
    claims = TASK.prediction(model(found.x_adv))
    assert 1 in claims[1].labels.tolist()
    named = Mislabel(0.6, steps=20, label=0, task=TASK)(model, x, y)
    assert named.flags["skipped"] == pytest.approx(2 / 3)  # in the second image each object has that label
    assert named.success.tolist() == [True, False, False]


@pytest.mark.parametrize("attack", [PGD(0.3, steps=8, task=TASK), Square(0.3, queries=40, task=TASK)])
def test_other_attacks_take_candidates_too(scenes, attack):
    model, x, y = scenes
    assert bool(attack.stands(model, x, y).all())
    found = attack(model, x, y)
    assert torch.equal(found.success, ~TASK.right(model(found.x_adv), TASK.check_targets(y)))


def test_several_detectors_are_averaged_in_logits(scenes):
    model, x, y = scenes
    attack, both = MAKE[Vanish](), Surrogates([model, model])
    assert torch.allclose(attack(both, x, y).x_adv, attack(model, x, y).x_adv, atol=1e-6)
    assert torch.allclose(Surrogates([model, model])(x), model(x))


def test_what_is_no_row_of_candidates_is_refused(scenes):
    _, x, y = scenes
    with pytest.raises(InputError, match="CandidateBoxes"):
        Vanish(0.1, task=TASK)(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).eval(), x, y)
    with pytest.raises(InputError, match="two or more"):
        Mislabel(0.1, task=CandidateDetection(1))
    with pytest.raises(InputError, match="does not apply"):
        Vanish(0.1)
    with pytest.raises(InputError, match="Mislabel"):
        DAG(targeted=True, task=TASK)
