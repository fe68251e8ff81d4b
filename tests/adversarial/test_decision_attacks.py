"""Attacks by answers alone: distances to a plane, networks without gradients and without scores, counted queries."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.adversarial import Boundary, DeepFool, HopSkipJump, UniversalPerturbation, norms, robust_accuracy
from deepwright.core.errors import InputError
from deepwright.nets.scores_only import ScoresOnly

BOX = {"bounds": (-8.0, 8.0)}


def plane(d=8, n=6):
    """Two classes on both sides of a plane, points near it, and their distances."""
    rng = torch.Generator().manual_seed(0)
    model = nn.Linear(d, 2).eval()
    with torch.no_grad():
        model.weight.copy_(torch.randn(2, d, generator=rng))
        model.bias.copy_(torch.tensor([0.3, -0.2]))
        x = torch.randn(n, d, generator=rng)
        z = model(x)
    w = model.weight[0] - model.weight[1]
    return model, x, z.argmax(1), (z[:, 0] - z[:, 1]).abs().detach(), w.detach()


def test_hopskipjump_finds_the_distance_to_a_plane_in_l2():
    model, x, y, gap, w = plane()
    found = HopSkipJump(iterations=12, evaluations=60, **BOX)(model, x, y)
    assert bool(found.success.all())
    assert torch.allclose(found.norm, gap / w.norm(), rtol=0.05)


@pytest.mark.slow
def test_hopskipjump_finds_the_distance_to_a_plane_in_linf():
    model, x, y, gap, w = plane()
    found = HopSkipJump(norm="linf", iterations=20, evaluations=60, **BOX)(model, x, y)
    assert bool(found.success.all())
    assert bool((found.norm <= 1.15 * gap / w.abs().sum()).all())
    assert bool((found.norm >= (1 - 1e-4) * gap / w.abs().sum()).all())


def test_the_boundary_attack_comes_near_the_plane():
    model, x, y, gap, w = plane()
    found = Boundary(steps=400, sphere=0.1, step=0.1, **BOX)(model, x, y)
    assert bool(found.success.all())
    ratio = found.norm * w.norm() / gap
    assert bool((ratio >= 1 - 1e-4).all())
    assert float(ratio.median()) < 1.1


def test_what_is_beyond_the_budget_is_pulled_back_and_is_no_success():
    model, x, y, gap, w = plane()
    eps = gap / w.norm() * torch.tensor([0.5, 2.0] * 3)
    found = HopSkipJump(iterations=8, evaluations=40, **BOX)(model, x, y, eps=eps)
    assert found.success.tolist() == [False, True] * 3
    assert bool((found.norm <= eps * (1 + 1e-5)).all())


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("attack", [HopSkipJump(iterations=3, evaluations=20, **BOX), Boundary(steps=60, **BOX)])
def test_networks_without_gradients_and_without_scores(attack, scored):
    model, x, y, _, _ = plane()

    def function(rows):
        with torch.no_grad():
            z = model(torch.as_tensor(rows))
        return (z if scored else nn.functional.one_hot(z.argmax(1), 2).float()).numpy()

    black = ScoresOnly(function, dtype=torch.float32, labels_only=not scored)
    assert torch.equal(attack(black, x, y).x_adv, attack(model, x, y).x_adv)


def test_each_query_is_counted_and_the_limit_holds():
    model, x, y, _, _ = plane()
    asked = torch.zeros(len(x), dtype=torch.long)

    class Counted(nn.Module):
        def forward(self, points):
            for row, clean in enumerate(x):  # a point belongs to the sample whose mark it has
                asked[row] += int((points[:, -1] == clean[-1]).sum())
            return model(points[:, :-1])

    marked = torch.cat([x, torch.arange(len(x))[:, None].float()], 1)
    x = marked
    mask = torch.ones_like(marked)
    mask[:, -1] = 0
    found = HopSkipJump(queries=400, iterations=50, evaluations=30, **BOX)(Counted().eval(), marked, y, mask=mask)
    assert int(found.queries.max()) <= 400
    assert int(found.queries.min()) > 100
    probed = 2 * (torch.arange(len(x)) < 2)  # the first two are looked at twice before the attack
    assert torch.equal(asked - probed, found.queries)


def test_a_target_is_reached_from_images_of_it():
    torch.manual_seed(0)
    model = nn.Linear(6, 4).eval()
    x = torch.rand(8, 6)
    said = model(x).argmax(1)
    target = said.roll(1)
    moved = target != said
    start = lambda points, wanted: torch.stack([x[said == t][0] for t in wanted])  # noqa: E731
    found = HopSkipJump(iterations=3, evaluations=20, targeted=True, starting=start)(model, x, target)
    assert torch.equal(model(found.x_adv[moved]).argmax(1), target[moved])
    far = norms(start(x, target) - x, "l2")
    assert bool((found.norm <= far + 1e-5).all())


def test_where_nothing_fools_x_stays():
    class Constant(nn.Module):
        def forward(self, x):
            return x.new_tensor([[1.0, 0.0]]).expand(len(x), 2)

    constant = Constant().eval()
    x = torch.rand(3, 4)
    for attack in (HopSkipJump(iterations=1, tries=3), Boundary(steps=2, tries=3)):
        found = attack(constant, x, torch.zeros(3, dtype=torch.long))
        assert torch.equal(found.x_adv, x)
        assert not bool(found.success.any())


# --- one perturbation for all ------------------------------------------------------------------------------------


def test_one_perturbation_for_a_plane_is_its_normal():
    """All samples of one class: the shared ascent ends in the corner (or at the length) that each would choose."""
    model, x, y, _, w = plane(n=20)
    x, y = x[y == 0], y[y == 0]
    corner = UniversalPerturbation(0.3, **BOX).fit(model, [(x, y)])
    assert torch.allclose(corner.delta[0], -0.3 * w.sign(), atol=1e-6)
    length = UniversalPerturbation(0.3, "l2", **BOX).fit(model, [(x, y)])
    assert torch.allclose(length.delta[0], -0.3 * w / w.norm(), atol=1e-5)
    found = corner(model, x, y)
    assert torch.equal(found.success, model(x - 0.3 * w.sign()).argmax(1) != y)
    assert robust_accuracy(model, [(x, y)], corner).robust.value == float((~found.success).double().mean())


def test_samples_beyond_the_clip_do_not_pull():
    model, x, y, _, _ = plane()
    assert float(UniversalPerturbation(0.3, clip=1e-12, **BOX).fit(model, [(x, y)]).delta.abs().max()) == 0


def test_a_smaller_budget_pulls_it_in():
    model, x, y, _, _ = plane()
    attack = UniversalPerturbation(0.3, **BOX).fit(model, [(x, y)])
    assert float(attack(model, x, y, eps=0.1).norm.max()) <= 0.1 * (1 + 1e-5)
    assert torch.equal(attack(model, x, y, eps=0.0).x_adv, x)


def test_inputs_share_one_shape():
    model, x, y, _, _ = plane()
    attack = UniversalPerturbation(0.3, **BOX).fit(model, [(x, y)])
    with pytest.raises(InputError, match="of shape"):
        attack(nn.Linear(3, 2).eval(), torch.rand(2, 3), torch.tensor([0, 1]))


class Named(nn.Module):
    """Names a class only."""

    def __init__(self, network, one_hot):
        super().__init__()
        self.network, self.one_hot = network, one_hot

    def forward(self, x):
        named = self.network(x).argmax(1)
        return F.one_hot(named, 2).float() if self.one_hot else named


def test_names_of_classes_are_taken_as_one_hot_rows_and_as_indices_refused():
    model, x, y, *_ = plane()
    attack = HopSkipJump(iterations=2, evaluations=10, **BOX)
    assert torch.equal(attack(Named(model, True).eval(), x, y).x_adv, attack(model, x, y).x_adv)
    with pytest.raises(InputError, match="one_hot"):
        attack(Named(model, False).eval(), x, y)


@pytest.mark.parametrize(
    "attack",
    [
        Boundary(steps=100),
        HopSkipJump(iterations=4, evaluations=40),
        HopSkipJump(norm="linf", iterations=4, evaluations=40),
        DeepFool(),
    ],
    ids=lambda a: f"{a.name} {a.norm}",
)
def test_rounding_loses_no_change_that_the_budget_has_room_for(conv, attack):
    model, x, _ = conv
    x = (x * 255).round() / 255
    y = model(x).argmax(1)
    near, whole = attack(model, x, y), attack(model, x, y, quantize=255)
    levels = whole.x_adv.double() * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert torch.equal(model(whole.x_adv).argmax(1) != y, whole.success)
    assert bool((whole.success | ~near.success).all())
    assert float((whole.norm / near.norm).median()) < 1.2
    eps = near.norm * 1.001  # no room for more: none is beyond it
    tight = attack(model, x, y, quantize=255, eps=eps)
    assert bool((tight.norm <= eps * (1 + 1e-5)).all())
