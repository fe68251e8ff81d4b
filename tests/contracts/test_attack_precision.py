"""Every attack on half-precision networks and inputs: it works, keeps the dtype, and ball, box and success are exact."""

import pytest
import torch
from test_attack_contract import SMALL

from deepwright.adversarial import PGD, CarliniWagner, norms
from deepwright.adversarial.rounding import towards
from deepwright.core.tasks import Regression

HALF = [torch.float16, torch.bfloat16]


def halved(conv, dtype):
    """The network and inputs that it is right on, in half precision."""
    model, x, _ = conv
    model, x = model.to(dtype), x.to(dtype)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", SMALL)
def test_dtype_ball_box_and_success_hold_for_the_numbers_that_come_back(conv, name, dtype):
    model, x, y = halved(conv, dtype)
    attack = SMALL[name]()
    result = attack(model, x, y)
    assert result.x_adv.dtype == dtype
    assert float(result.x_adv.min()) >= 0
    assert float(result.x_adv.max()) <= 1
    size = norms(result.x_adv.double() - x.double(), attack.norm)
    assert bool((size <= float(attack.eps) * (1 + 1e-5)).all())
    assert torch.allclose(result.norm.double(), size, rtol=1e-4)
    with torch.no_grad():
        assert torch.equal(model(result.x_adv).argmax(1) != y, result.success)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", ["PGD", "APGDT", "FAB", "Square", "DeepFool", "DeepFool-linf", "C&W"])
def test_half_fools_about_as_many_as_float(conv, name, dtype):
    model, x, y = conv
    wide = SMALL[name]()(model, x, y).success.double().mean()
    model, x, y = halved(conv, dtype)
    found = SMALL[name]()(model, x, y).success.double().mean()
    assert float(found) >= 0.8 * float(wide) > 0


@pytest.mark.parametrize("dtype", HALF)
def test_a_half_network_takes_float_inputs(conv, dtype):
    model, x, _ = conv
    model = model.to(dtype)
    with torch.no_grad():
        y = model(x.to(dtype)).argmax(1)
    result = PGD(0.1, steps=5)(model, x, y)
    assert result.x_adv.dtype == torch.float32
    with torch.no_grad():
        assert torch.equal(model(result.x_adv.to(dtype)).argmax(1) != y, result.success)


@pytest.mark.parametrize("dtype", HALF)
def test_a_float_network_takes_half_inputs(conv, dtype):
    model, x, _ = conv
    x = x.to(dtype)
    with torch.no_grad():
        y = model(x.float()).argmax(1)
    result = PGD(0.1, steps=5)(model, x, y)
    assert result.x_adv.dtype == dtype
    with torch.no_grad():
        assert torch.equal(model(result.x_adv.float()).argmax(1) != y, result.success)


def test_carlini_wagner_in_half_is_near_the_distance_in_float(conv):
    attack = CarliniWagner(steps=40, rounds=3, initial_c=1.0)
    model, x, y = conv
    wide = attack(model, x, y)
    narrow = attack(*halved(conv, torch.float16))
    assert bool((wide.success & narrow.success).all())
    assert float(narrow.norm.mean()) == pytest.approx(float(wide.norm.mean()), rel=0.1)


@pytest.mark.parametrize("dtype", HALF)
def test_targets_of_a_regression_are_not_rounded_to_half(dtype):
    """In bfloat16 a target of 1.3 would be 1.296875: more than the tolerance."""
    model = torch.nn.Linear(4, 1).to(dtype).eval()
    with torch.no_grad():
        model.weight.zero_()
        model.bias.fill_(1.3)
    y = torch.full((3, 1), float(model.bias.detach()))
    task = Regression(tolerance=1e-6)
    assert bool(
        PGD(0.1, task=task)
        .stands(model, torch.rand(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype), y)
        .all()
    )


@pytest.mark.parametrize("dtype", HALF)
def test_rounding_never_leads_away(dtype):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 3, generator=rng).to(dtype)
    x[::7] = 0
    for scale in (1e-7, 1e-3, 0.1, 1.0, 10.0):
        point = x.float() + scale * torch.randn(4000, 3, generator=rng)
        found = towards(point, x)
        assert found.dtype == dtype
        assert bool(((found.double() - x.double()).abs() <= (point.double() - x.double()).abs()).all())
        # one of the two numbers beside the point
        ends = (torch.nextafter(found, torch.full_like(found, end)).double() for end in (-torch.inf, torch.inf))
        below, above = ends
        assert bool(((point.double() > below) & (point.double() < above)).all())


@pytest.mark.parametrize("dtype", HALF)
def test_rounding_keeps_what_needs_none(dtype):
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = torch.randn(100, 3, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert torch.equal(towards(y.float(), x), y)
