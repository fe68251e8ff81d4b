"""Attacks on a class at every position: weights and steps in closed form, what is skipped, the worst of a suite."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.adversarial import (
    DAG,
    DENSE,
    ClassRemoval,
    CosPGD,
    DensePGD,
    SegPGD,
    TargetScene,
    WorstImages,
    norms,
    robust_accuracy,
    suite,
)
from deepwright.adversarial.attacks.dense import Weighted, nearest_others
from deepwright.core.errors import InputError
from deepwright.core.tasks import Segmentation

TASK = Segmentation(4)
MAKE = {
    DensePGD: lambda **o: DensePGD(0.1, steps=3, task=TASK, **o),
    SegPGD: lambda **o: SegPGD(0.1, steps=3, task=TASK, **o),
    CosPGD: lambda **o: CosPGD(0.1, steps=3, task=TASK, **o),
    DAG: lambda **o: DAG(0.1, steps=5, gamma=0.02, task=TASK, **o),
    TargetScene: lambda **o: TargetScene(0.1, steps=3, task=TASK, **o),
    ClassRemoval: lambda **o: ClassRemoval(0.1, 1, steps=3, task=TASK, **o),
}


def network(kernel=3):
    """A network of four classes at every pixel that sees several of them in each image."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(2, 8, kernel, padding=kernel // 2), nn.Tanh(), nn.Conv2d(8, 4, 1)).eval()
    x = torch.rand(5, 2, 10, 12)
    with torch.no_grad():
        model[2].weight *= 6
        model[2].bias -= model(x).mean((0, 2, 3))
        return model, x, model(x).argmax(1)


def wanted(cls, y):
    """Targets of an attack: another scene where it wants one."""
    return y.roll(1, 0) if cls is TargetScene else y


@pytest.fixture(scope="module")
def scenes():
    return network()


def test_every_attack_is_covered():
    assert set(MAKE) == set(DENSE)


@pytest.mark.parametrize("cls", MAKE)
def test_ball_box_mask_model_batch_and_seed(scenes, cls):
    """The contract of attacks, for those that need label maps."""
    model, x, y = scenes
    y, untouched = wanted(cls, y), x.clone()
    found = MAKE[cls]()(model, x, y)
    assert torch.equal(x, untouched)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert float(norms(found.x_adv - x, "linf").max()) <= 0.1 * (1 + 1e-5)
    assert 0 <= float(found.x_adv.min()) <= float(found.x_adv.max()) <= 1
    assert torch.equal(MAKE[cls]()(model, x, y).x_adv, found.x_adv)
    parts = [MAKE[cls]()(model, x[r], y[r], ids=r) for r in (torch.tensor([0, 1]), torch.tensor([2, 3, 4]))]
    assert float((torch.cat([p.x_adv for p in parts]) - found.x_adv).abs().max()) < 1e-5
    mask = torch.zeros(1, 1, 10, 12)
    mask[..., :6] = 1
    assert float((MAKE[cls]()(model, x, y, mask=mask).x_adv - x)[..., 6:].abs().max()) == 0
    assert float((MAKE[cls]()(model, x, y, eps=0.0).x_adv - x).abs().max()) < 1e-6


@pytest.mark.parametrize("cls", MAKE)
def test_images_without_a_position_that_counts_are_skipped(scenes, cls):
    model, x, y = scenes
    y = wanted(cls, y).clone()
    y[2] = 255
    found = MAKE[cls]()(model, x, y)
    assert found.flags["skipped"] >= 1 / 5
    assert torch.equal(found.x_adv[2], x[2])
    assert not bool(found.success[2])
    assert bool(torch.isfinite(found.loss).all())


@pytest.mark.parametrize("cls", MAKE)
def test_other_tasks_are_refused(cls):
    options = {"label": 1} if cls is ClassRemoval else {}
    with pytest.raises(InputError, match="does not apply"):
        cls(0.1, **options)


def test_shares_are_not_measured_on_images_that_do_not_count(scenes):
    model, x, y = scenes
    y = y.clone()
    y[2] = 255
    with pytest.raises(InputError, match="leave them out"):
        robust_accuracy(model, [(x, y)], SegPGD(0.1, task=TASK))


def test_weights_of_segmentation_pgd_begin_at_the_right_ones_and_end_alike(scenes):
    model, x, y = scenes
    y = y.clone()
    y[:, :3] = (y[:, :3] + 1) % 4
    out = model(x)
    wrong = out.argmax(1) != y
    attack = SegPGD(0.1, steps=20, task=TASK)
    first, last = (attack._objective(step).weights(out.detach(), y) for step in (0, 19))
    assert torch.equal(first, (~wrong).float())
    assert torch.allclose(last, torch.where(wrong, 19 / 40, 21 / 40))


def test_weights_of_cosine_pgd_are_cosines(scenes):
    model, x, y = scenes
    out = model(x).detach()
    cosine = F.cosine_similarity(out.softmax(1), F.one_hot(y, 4).movedim(-1, 1).float(), dim=1)
    for targeted in (False, True):
        weights = Weighted(TASK, True, 0.0, targeted).weights(out, y)
        assert torch.allclose(weights, 1 - cosine if targeted else cosine, atol=1e-6)
        assert 0 <= float(weights.min()) <= float(weights.max()) <= 1


def test_no_gradient_flows_through_weights(scenes):
    model, x, y = scenes
    out = model(x).detach().requires_grad_(True)
    objective = Weighted(TASK, True, 0.0, False)
    (found,) = torch.autograd.grad(objective(out, y).sum(), out)
    weight = objective.weights(out.detach(), y)
    one = out.softmax(1).detach() - F.one_hot(y, 4).movedim(-1, 1)
    assert torch.allclose(found, one * weight[:, None] / 120, atol=1e-7)


def test_tries_are_compared_by_the_plain_loss(scenes):
    model, x, y = scenes
    for attack in (SegPGD(0.1, task=TASK), CosPGD(0.1, task=TASK)):
        found = attack(model, x, y)
        assert torch.allclose(found.loss, TASK.loss(model(found.x_adv), y).detach(), atol=1e-5)


def test_what_does_not_count_has_no_influence():
    """A network that sees one pixel at a time: those that don't count stay (DAG begins at x)."""
    model, x, y = network(kernel=1)
    y = y.clone()
    y[:, 4:, :] = 255
    moved = DAG(0.2, steps=5, gamma=0.05, task=TASK)(model, x, y).x_adv - x
    assert float(moved[:, :, 4:].abs().max()) == 0
    assert float(moved[:, :, :4].abs().max()) > 0


def test_a_step_of_dag_is_the_sum_over_active_positions_at_its_largest_component():
    torch.manual_seed(0)
    model = nn.Conv2d(2, 2, 1).eval()
    x = torch.full((3, 2, 4, 5), 0.5) + 0.01 * torch.randn(3, 2, 4, 5)
    y = model(x).argmax(1)
    w = model.weight.detach()[:, :, 0, 0]
    way = torch.where((y == 0)[:, None], (w[1] - w[0])[None, :, None, None], (w[0] - w[1])[None, :, None, None])
    found = DAG(steps=1, gamma=0.01, task=Segmentation(2))(model, x, y)
    assert torch.allclose(found.x_adv, x + 0.01 * way / way.abs().max(), atol=1e-6)


def test_dag_ends_when_no_position_has_its_label():
    torch.manual_seed(0)
    model, x = nn.Conv2d(2, 3, 1).eval(), torch.rand(3, 2, 4, 5)
    y = model(x).argmax(1)
    found = DAG(steps=200, gamma=0.2, task=Segmentation(3), bounds=(-1e6, 1e6))(model, x, y)
    assert not bool((model(found.x_adv).argmax(1) == y).any())
    assert int(found.steps.max()) < 200


def test_dag_reaches_a_scene(scenes):
    model, x, y = scenes
    target = y.roll(1, 0)
    found = DAG(steps=60, gamma=0.03, targeted=True, task=TASK)(model, x, target)
    agree = (model(found.x_adv).argmax(1) == target).float().mean()
    assert float(agree) > float((y == target).float().mean()) + 0.2


def test_nearest_others_are_the_nearest(scenes):
    labels = scenes[2]
    found = nearest_others(labels, 1)
    rows, columns = torch.meshgrid(torch.arange(10), torch.arange(12), indexing="ij")
    for image, filled in zip(labels, found):
        kept = image != 1
        assert torch.equal(filled[kept], image[kept])
        for r, c in (~kept).nonzero().tolist():
            far = (rows - r).square() + (columns - c).square()
            least = far[kept].min()
            assert int(filled[r, c]) in image[kept & (far == least)].tolist()


def test_a_class_is_removed(scenes):
    model, x, y = scenes
    found = ClassRemoval(0.5, 1, steps=15, left=0.5, task=TASK)(model, x, y)
    left = (model(found.x_adv).argmax(1) == 1).flatten(1).sum(1) / (y == 1).flatten(1).sum(1)
    assert torch.equal(found.success, left <= 0.5)
    assert float(left.mean()) < 0.9


def test_an_image_of_one_class_and_one_without_it_are_skipped():
    class Levels(nn.Module):
        def forward(self, x):
            return torch.cat([8 * x - 4, 4 - 8 * x], 1)

    x = torch.stack([torch.full((1, 4, 4), 0.9), torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.9)])
    x[2, :, :2] = 0.1
    found = ClassRemoval(0.6, 0, steps=5, task=Segmentation(2))(Levels().eval(), x, (x[:, 0] < 0.5).long())
    assert found.success.tolist() == [False, False, True]
    assert found.flags["skipped"] == pytest.approx(2 / 3)


def test_a_scene_that_is_seen_already_is_no_success(scenes):
    model, x, y = scenes
    found = TargetScene(0.1, steps=3, task=TASK)(model, x, y)
    assert found.flags["skipped"] == 1.0
    assert not bool(found.success.any())
    assert torch.equal(found.x_adv, x)


def test_the_dense_suite_gives_the_worst_of_each_image(scenes):
    model, x, y = scenes
    y = y.clone()
    y[4] = 255
    attacks = suite("dense", 0.05, task=TASK, steps=4)
    assert isinstance(attacks, WorstImages)
    found = attacks(model, x, y)
    kept = slice(0, 4)
    each = [
        TASK.image_iou(model(attack(model, x[kept], y[kept], ids=torch.arange(4)).x_adv).detach(), y[kept])
        for attack in attacks.attacks
    ]
    worst = TASK.image_iou(model(found.x_adv[kept]).detach(), y[kept])
    assert torch.allclose(worst, torch.stack(each).amin(0))
    assert found.flags["mean_iou"] == pytest.approx(float(worst.mean()))
    assert found.flags["skipped"] == pytest.approx(0.2)
    assert torch.equal(found.x_adv[4], x[4])
    assert torch.equal(found.success[kept], worst < TASK.iou)
    assert list(found.by_attack) == ["PGD on cross-entropy", "SegPGD", "CosPGD", "PGD on margin"]


def test_the_dense_suite_is_for_segmentation():
    with pytest.raises(InputError, match="does not apply"):
        suite("dense", 0.1)


@pytest.mark.parametrize("cls", [DensePGD, SegPGD, CosPGD, DAG])
def test_images_below_the_bound_are_read_worse_still(cls, scenes):
    """A mean IoU of 0.4 isn't a floor: who reports it under attack would report the clean one."""
    model, x, y = scenes
    moved = torch.where(torch.rand(y.shape, generator=torch.Generator().manual_seed(0)) < 0.6, y, (y + 1) % 4)
    clean = TASK.image_iou(model(x), moved)
    assert float(clean.max()) < 0.5
    found = MAKE[cls]()(model, x, moved)
    assert bool(found.success.all())
    assert bool((TASK.image_iou(model(found.x_adv), moved) < clean - 0.05).all())


def test_with_early_stop_images_below_the_bound_come_back(scenes):
    model, x, y = scenes
    found = DensePGD(0.1, steps=3, task=TASK, early_stop=True)(model, x, (y + 1) % 4)
    assert torch.equal(found.x_adv, x)
    assert bool(found.success.all())
