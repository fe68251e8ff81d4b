"""What an attack answers where it is easy to answer wrongly: wrong inputs, levels, NaN, networks that write."""

import math

import pytest
import torch
from torch import nn

from deepwright.adversarial import (
    ALL,
    APGD,
    APGDT,
    FABT,
    FGSM,
    MIFGSM,
    NIFGSM,
    PGD,
    VMIFGSM,
    AttackSuite,
    Boundary,
    CarliniWagner,
    DeepFool,
    HopSkipJump,
    Noise,
    Square,
    norms,
    robust_accuracy,
    suite,
)
from deepwright.core.errors import InputError

SHORT = {APGD: {"steps": 4}, APGDT: {"steps": 2}, FABT: {"steps": 2}, Square: {"queries": 5}, PGD: {"steps": 3}}
SHORT |= {DeepFool: {"steps": 3}, CarliniWagner: {"steps": 4, "rounds": 1}}
SHORT |= {HopSkipJump: {"iterations": 3, "evaluations": 10}, Boundary: {"steps": 60}, VMIFGSM: {"neighbours": 3}}


# What each attack refuses by design; it has all other norms.
WITHOUT = {CarliniWagner: ("linf", "l1"), Boundary: ("linf", "l1")}
WITHOUT |= {Square: ("l1",), DeepFool: ("l1",), HopSkipJump: ("l1",)}
IN_NORMS = [(cls, norm) for cls in ALL for norm in ("linf", "l2", "l1") if norm not in WITHOUT.get(cls, ())]
MOVING_ALL = (MIFGSM, NIFGSM, VMIFGSM)  # their last iterate is for another network, so they move wrong inputs too


def pictures(n=10, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(n, 1, 6, 6, generator=rng) * 255).round() / 255


def network(seed=0, outputs=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.Tanh(), nn.Linear(12, outputs)).eval()


def labels(model, x):
    with torch.no_grad():
        return model(x).argmax(1)


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls not in MOVING_ALL])
def test_inputs_that_are_wrong_already_come_back_as_they_are(cls):
    model, x = network(), pictures()
    y = labels(model, x)
    wrong = torch.arange(len(x)) % 2 == 0
    y = torch.where(wrong, (y + 1) % 4, y)
    result = cls(0.3, **SHORT.get(cls, {}))(model, x, y)
    assert torch.equal(result.x_adv[wrong], x[wrong])
    assert bool(result.success[wrong].all())
    assert float(result.norm[wrong].max()) == 0


def test_a_target_that_is_reached_already_leaves_the_input():
    model, x = network(), pictures()
    result = PGD(0.3, targeted=True)(model, x, labels(model, x))
    assert torch.equal(result.x_adv, x)
    assert bool(result.success.all())


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("linf", 8 / 255), ("l2", 0.31), ("l1", 0.9)])
@pytest.mark.parametrize("cls", [PGD, APGD, FGSM, Noise])
def test_rounding_to_levels_stays_in_the_ball(cls, norm, eps):
    model, x = network(), pictures()
    result = cls(eps, norm, **SHORT.get(cls, {}))(model, x, labels(model, x), quantize=255)
    levels = result.x_adv.double() * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    size = norms(levels.round() - (x.double() * 255).round(), norm)
    assert float(size.max()) <= eps * 255 + 1e-3  # in whole levels: exact
    assert torch.equal(labels(model, result.x_adv) != labels(model, x), result.success)


def test_levels_that_are_within_the_budget_are_all_used():
    model, x = network(), pictures()
    result = FGSM(8 / 255)(model, x, labels(model, x), quantize=255)
    moved = ((result.x_adv - x).abs() * 255).round()
    assert float(moved.max()) == 8


def test_inputs_between_levels_are_refused():
    model, x = network(), pictures() + 0.3 / 255
    with pytest.raises(InputError, match="levels"):
        PGD(0.05)(model, x.clamp(0, 1), labels(model, x), quantize=255)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", math.inf)])
def test_without_a_box_fab_finds_the_distance_to_the_nearest_boundary(norm, dual):
    torch.manual_seed(0)
    model, x = nn.Linear(12, 3).double().eval(), torch.randn(20, 12).double()
    z, w = model(x).detach(), model.weight.detach()
    y = z.argmax(1)
    gaps = z.gather(1, y[:, None]) - z
    distances = gaps / (w[y][:, None] - w[None]).norm(p=dual, dim=2)
    nearest = distances.scatter(1, y[:, None], math.inf).amin(1)
    result = FABT(norm=norm, steps=10, bounds=(-math.inf, math.inf))(model, x, y)
    assert bool(result.success.all())
    assert torch.allclose(result.norm, nearest, rtol=0.06)  # it over-shoots by a twentieth


class Lost(nn.Module):
    """NaN where the mean has risen above a threshold, and a gradient of NaN everywhere if asked."""

    def __init__(self, inner, above, slope=False):
        super().__init__()
        self.inner, self.above, self.slope = inner, above, slope

    def forward(self, x):
        z = self.inner(x)
        bad = (x.flatten(1).mean(1) > self.above)[:, None]
        root = ((x.flatten(1).sum(1) * 0).abs().sqrt() if self.slope else x.flatten(1).sum(1) * 0)[:, None]
        return torch.where(bad, z * math.nan, z) + root


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(("above", "slope"), [(-1.0, False), (0.5, False), (2.0, True)])
def test_no_attack_returns_nan(cls, above, slope):
    model = Lost(network(), above, slope).eval()
    x = pictures()
    y = labels(model, x)
    result = cls(0.3, **SHORT.get(cls, {}))(model, x, y)
    for values in (result.x_adv, result.loss, result.norm):
        assert bool(torch.isfinite(values).all())
    with torch.no_grad():
        finite = torch.isfinite(model(result.x_adv)).all(1)
    assert not bool((result.success & ~finite).any())


class Writes(nn.Module):
    """Takes the mean off its very input."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        x -= x.mean()
        return self.inner(x)


class Leaves(Writes):
    def forward(self, x):
        return self.inner(x - x.mean())


@pytest.mark.parametrize("cls", ALL)
def test_a_network_that_writes_into_its_input_is_attacked_as_one_that_does_not(cls):
    x = pictures()
    kept, y = x.clone(), labels(Leaves(network()).eval(), x)
    found = [cls(0.1, **SHORT.get(cls, {}))(kind(network()).eval(), x, y) for kind in (Writes, Leaves)]
    assert torch.equal(x, kept)
    assert torch.equal(found[0].x_adv, found[1].x_adv)
    assert torch.equal(found[0].success, found[1].success)


def test_a_suite_on_a_network_that_writes_leaves_the_data():
    x = pictures(40)
    kept, y = x.clone(), labels(Leaves(network()).eval(), x)
    batches = list(zip(x.split(10), y.split(10), strict=True))
    found = [
        robust_accuracy(kind(network()).eval(), batches, suite("quick", 0.1, steps=3)) for kind in (Writes, Leaves)
    ]
    assert torch.equal(x, kept)
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("cls", "norm"), IN_NORMS)
def test_half_precision_in_every_attack_and_norm(cls, norm, dtype):
    eps = {"linf": 0.2, "l2": 1.0, "l1": 4.0}[norm]
    model, x = network().to(dtype), pictures().to(dtype)
    options = {} if cls is CarliniWagner else {"norm": norm}
    result = cls(eps, **options, **SHORT.get(cls, {}))(model, x, labels(model, x))
    assert result.x_adv.dtype == dtype
    assert float(norms(result.x_adv.double() - x.double(), norm).max()) <= eps * (1 + 1e-5)
    assert torch.equal(labels(model, result.x_adv) != labels(model, x), result.success)


def test_a_suite_says_what_each_attack_fooled_of_what_it_was_shown():
    model, x = network(), pictures(60)
    y = labels(model, x)
    attacks = [Noise(0.02), PGD(0.05, steps=5), PGD(0.1, steps=5, seed=1)]
    result = AttackSuite(attacks)(model, x, y)
    assert list(result.by_attack) == ["sign noise", "PGD", "PGD (2)"]
    fooled = torch.stack(list(result.by_attack.values())).int()
    assert int(fooled.sum(0).max()) == 1  # a sample that one has fooled isn't shown to the next
    assert torch.equal(fooled.sum(0) == 1, result.success)
    report = robust_accuracy(model, [(x, y)], AttackSuite(attacks))
    counts = fooled.sum(1).tolist()
    assert list(report.seen.values()) == [60, 60 - counts[0], 60 - counts[0] - counts[1]]
    assert list(report.per_attack.values()) == pytest.approx([1 - count / 60 for count in counts])
    alone = PGD(0.1, steps=5, seed=1)(model, x, y).success
    assert int(alone.sum()) > counts[2] > 0  # what the third leaves by itself is less than its share here


def test_calls_of_one_suite_do_not_share_what_they_found():
    model, x = network(), pictures()
    y, attack = labels(model, x), suite("quick", 0.1, steps=3)
    first = attack(model, x, y)
    before = {name: row.clone() for name, row in first.by_attack.items()}
    attack(model, x[:2], y[:2])
    assert all(torch.equal(first.by_attack[name], row) for name, row in before.items())
