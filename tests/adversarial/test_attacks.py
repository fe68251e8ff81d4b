"""Attacks against closed forms on affine classifiers, foolbox, and their own invariances."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from deepwright.adversarial import (
    APGD,
    BIM,
    FABT,
    FGSM,
    PGD,
    CarliniWagner,
    DeepFool,
    bpda,
    curve,
    masking_flags,
    minimal_eps,
    norms,
    project,
    robust_accuracy,
    suite,
)
from deepwright.adversarial.attacks.apgd import checkpoints
from deepwright.adversarial.projections import hyperplane_step
from deepwright.core.errors import InputError
from deepwright.core.tasks import Regression


@pytest.fixture
def affine():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double().eval()
    x = torch.rand(20, 12, dtype=torch.float64) * 0.2 + 0.4
    y = model(x).argmax(1)
    w = (model[1].weight[0] - model[1].weight[1]).detach()
    with torch.no_grad():
        gap = (model(x)[:, 0] - model(x)[:, 1]).abs()
    return model, x, y, w, gap


def margin_of(model, x, y):
    with torch.no_grad():
        z = model(x)
    return (z[:, 0] - z[:, 1]) * (1 - 2 * y)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", math.inf)])
@pytest.mark.parametrize("method", [PGD, APGD])
def test_margin_falls_by_the_dual_norm(affine, norm, dual, method):
    model, x, y, w, gap = affine
    eps = 0.05
    # a constant loss gradient: steps as long as the ball turn the point to the optimum geometrically
    length = {"alpha": eps} if method is PGD else {}
    attack = method(eps, norm, steps=60 if norm != "l1" else 200, early_stop=False, loss="margin", **length)
    result = attack(model, x, y)
    expected = gap - eps * float(w.norm(p=dual))
    assert torch.allclose(margin_of(model, result.x_adv, y), expected, atol=1e-4 if norm != "l1" else 2e-3)


def test_deepfool_is_exact_on_affine_models(affine):
    model, x, y, w, gap = affine
    result = DeepFool(overshoot=0.0)(model, x, y)
    assert bool(result.success.all())
    assert int(result.steps.max()) == 1
    assert torch.allclose(result.norm, gap / w.norm(), rtol=1e-4)


def test_carlini_wagner_is_close_to_the_boundary(affine):
    model, x, y, w, gap = affine
    result = CarliniWagner(steps=400, rounds=9, initial_c=0.1)(model, x, y)
    assert bool(result.success.all())
    assert torch.allclose(result.norm, gap / w.norm(), rtol=0.02)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", math.inf)])
def test_fab_finds_the_minimal_norm(affine, norm, dual):
    model, x, y, w, gap = affine
    result = FABT(norm=norm, steps=30)(model, x, y)
    expected = gap / float(w.norm(p=dual))
    inside = expected < 0.3  # otherwise the box binds
    assert bool(inside.any())
    assert torch.allclose(result.norm[inside], expected[inside], rtol=0.02)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_projections_equal_a_solver(norm):
    rng = np.random.default_rng(0)
    for _ in range(60):
        x = rng.random(12)
        d = rng.normal(size=12)
        eps = rng.uniform(0.2, 1.5)
        ours = project(torch.tensor(d)[None], torch.tensor(x)[None], torch.tensor([eps]), norm, (0.0, 1.0))[0].numpy()
        # L1 as a smooth problem in positive and negative parts
        if norm == "l2":
            solved = minimize(
                lambda v: 0.5 * ((v - d) ** 2).sum(),
                0 * d,
                jac=lambda v: v - d,
                bounds=list(zip(-x, 1 - x)),
                method="SLSQP",
                constraints={"type": "ineq", "fun": lambda v: eps**2 - v @ v, "jac": lambda v: -2 * v},
                options={"ftol": 1e-14, "maxiter": 500},
            ).x
        else:
            join = lambda v: v[:12] - v[12:]  # noqa: E731
            part = minimize(
                lambda v: 0.5 * ((join(v) - d) ** 2).sum(),
                np.zeros(24),
                jac=lambda v: np.r_[join(v) - d, d - join(v)],
                bounds=[(0, 1 - a) for a in x] + [(0, a) for a in x],
                method="SLSQP",
                constraints={"type": "ineq", "fun": lambda v: eps - v.sum(), "jac": lambda v: -np.ones(24)},
                options={"ftol": 1e-15, "maxiter": 800},
            ).x
            solved = join(part)
        assert np.abs(ours - solved).max() < 1e-4
        again = project(torch.tensor(ours)[None], torch.tensor(x)[None], torch.tensor([eps]), norm, (0.0, 1.0))[
            0
        ].numpy()
        assert np.abs(again - ours).max() < 1e-9


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_projection_is_feasible_and_nearest(norm):
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(200, 12, generator=rng, dtype=torch.float64)
    d = torch.randn(200, 12, generator=rng, dtype=torch.float64)
    eps = torch.rand(200, generator=rng, dtype=torch.float64)
    p = project(d, x, eps, norm, (0.0, 1.0))
    assert bool((norms(p, norm) <= eps + 1e-6).all())
    assert bool(((x + p >= -1e-12) & (x + p <= 1 + 1e-12)).all())
    other = project(torch.randn(200, 12, generator=rng, dtype=torch.float64), x, eps, norm, (0.0, 1.0))
    if norm != "linf":
        assert bool(((d - p).norm(dim=1) <= (d - other).norm(dim=1) + 1e-9).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_hyperplane_step_reaches_the_plane(norm):
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(100, 9, generator=rng, dtype=torch.float64)
    w = torch.randn(100, 9, generator=rng, dtype=torch.float64)
    c = -(w * torch.rand(100, 9, generator=rng, dtype=torch.float64)).sum(1)  # some point of the box lies on the plane
    step = hyperplane_step(x, w, c, norm, (0.0, 1.0))
    assert torch.allclose((w * (x + step)).sum(1) + c, torch.zeros(100).double(), atol=1e-9)
    for _ in range(50):  # no random point of the plane and the box is nearer
        other = project(
            torch.randn(100, 9, generator=rng, dtype=torch.float64),
            x,
            torch.full((100,), 9.0).double(),
            norm,
            (0.0, 1.0),
        )
        other = other + hyperplane_step(x + other, w, c, "l2", (0.0, 1.0))
        assert bool((norms(step, norm) <= norms(other, norm) + 1e-9).all())


def test_equal_to_foolbox(conv):
    foolbox = pytest.importorskip("foolbox")
    model, x, y = conv
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    _, theirs, _ = foolbox.attacks.FGSM()(wrapped, x, y, epsilons=0.05)
    # an attack of ours keeps the best try: compare where its full step is the better one
    ours = FGSM(0.05)(model, x, y)
    same = (ours.x_adv - theirs).flatten(1).abs().amax(1) < 1e-6
    assert float(same.double().mean()) > 0.9
    bim = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.0125, steps=10, random_start=False)
    _, theirs, success = bim(wrapped, x, y, epsilons=0.05)
    ours = BIM(0.05, steps=10, alpha=0.0125)(model, x, y)
    assert float((ours.success >= success).double().mean()) == 1.0


def test_apgd_checkpoints():
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99, 100]


def test_targeted(conv):
    model, x, y = conv
    goal = (y + 1) % 10
    result = PGD(0.5, steps=30, targeted=True)(model, x, goal)
    with torch.no_grad():
        assert torch.equal(model(result.x_adv).argmax(1) == goal, result.success)
    assert float(result.success.double().mean()) > 0.5


def test_regression():
    torch.manual_seed(0)
    model = nn.Linear(4, 1).double()
    x = torch.rand(10, 4, dtype=torch.float64) * 0.2 + 0.4
    y = model(x).detach()[:, 0] + 0.01
    task = Regression(tolerance=0.05)
    result = PGD(0.1, steps=20, task=task, early_stop=False, random_start=False)(model, x, y)
    drift = (model(result.x_adv)[:, 0] - y).abs()
    assert torch.allclose(drift, 0.1 * model.weight.abs().sum() + 0.01, atol=1e-6)


def test_through_and_bpda(conv):
    model, x, y = conv
    rounding = bpda(lambda t: (t * 8).round() / 8)
    plain = PGD(0.1, steps=10)(model, x, y, through=[lambda t: (t * 8).round() / 8])
    adapted = PGD(0.1, steps=10)(model, x, y, through=[rounding])
    assert plain.flags["zero_gradients"] == 1.0
    assert adapted.success.sum() > plain.success.sum()


def test_random_models_need_averaging(conv):
    model, x, y = conv
    noisy = lambda t: t + 0.01 * torch.randn_like(t)  # noqa: E731
    with pytest.raises(InputError, match="eot"):
        PGD(0.1, steps=2)(model, x, y, through=[noisy])
    assert PGD(0.1, steps=2, early_stop=False)(model, x, y, through=[noisy], eot=3).queries.max() == 12


def test_quantised_success(conv):
    model, x, y = conv
    x = (x * 255).round() / 255
    result = PGD(0.05, steps=10)(model, x, y, quantize=255)
    assert torch.allclose(result.x_adv * 255, (result.x_adv * 255).round(), atol=1e-4)
    with torch.no_grad():
        assert torch.equal(model(result.x_adv).argmax(1) != y, result.success)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(x=torch.rand(2, 1, 16, 16) * 255), "divide 8-bit"),
        (dict(x=torch.zeros(2, 1, 16, 16, dtype=torch.uint8)), "255"),
        (dict(x=torch.full((2, 1, 16, 16), math.nan)), "NaN"),
        (dict(y=torch.tensor([0, 10])), r"0\.\.9"),
        (dict(y=torch.tensor([0])), "as many labels"),
        (dict(eps=-0.1), "eps"),
        (dict(eps=torch.rand(3)), "eps"),
        (dict(mask=torch.ones(2, 3, 16, 16)), "mask"),
        (dict(mask=torch.ones(16, 16)), "mask"),
        (dict(ids=torch.arange(3)), "ids"),
        (dict(eot=0), "eot"),
        (dict(quantize=0), "quantize"),
    ],
)
def test_bad_input(conv, change, message):
    arguments = {"x": torch.rand(2, 1, 16, 16), "y": torch.tensor([0, 1]), **change}
    x, y = arguments.pop("x"), arguments.pop("y")
    with pytest.raises(InputError, match=message):
        PGD(0.1, steps=2)(conv[0], x, y, **arguments)


def test_scalar_losses_are_refused(conv):
    model, x, y = conv
    with pytest.raises(InputError, match="per-sample"):
        PGD(0.1, steps=2, loss=nn.functional.cross_entropy, success=lambda o, t: o.argmax(1) != t)(model, x, y)


def test_nan_logits_are_never_a_success(conv):
    model, x, y = conv
    broken = lambda t: torch.where(t.flatten(1).sum(1, keepdim=True)[..., None, None] > 0, t * math.nan, t)  # noqa: E731
    result = PGD(0.1, steps=2)(model, x, y, through=[broken])
    assert not bool(result.success.any())
    assert result.flags["not_finite"] == 1.0


def test_suite_is_the_worst_case_and_resumes(conv, tmp_path):
    model, x, y = conv
    batches = [(x[i : i + 6], y[i : i + 6]) for i in range(0, 24, 6)]
    attack = suite("standard", 0.03, steps=5, classes=10)
    whole = robust_accuracy(model, batches, attack)
    assert all(whole.robust.value <= share + 1e-12 for share in whole.per_attack.values())
    path = tmp_path / "log.jsonl"

    def interrupted():
        yield from batches[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        robust_accuracy(model, interrupted(), attack, checkpoint=path)
    resumed = robust_accuracy(model, batches, attack, checkpoint=path)
    assert resumed == whole
    with pytest.raises(InputError, match="another attack"):
        robust_accuracy(model, batches, suite("standard", 0.04, steps=5), checkpoint=path)


def test_masked_gradients_are_flagged(conv):
    model, x, y = conv

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, t):
            return self.inner((t * 12).round() / 12) / 1e-3

    with torch.no_grad():
        labels = Masked()(x).argmax(1)
    assert masking_flags(Masked().eval(), x, labels, 0.1)
    assert masking_flags(model, x, y, 0.02) == {}


def test_curve_and_minimal_eps(conv):
    model, x, y = conv
    attack = PGD(0.1, steps=10)
    points = curve(model, x, y, attack, [0.0, 0.01, 0.05, 0.3])
    values = [p.value for p in points]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    eps = minimal_eps(model, x, y, attack, high=0.3, tol=0.005)
    reach = torch.isfinite(eps)
    assert bool(attack(model, x[reach], y[reach], eps=eps[reach], ids=reach.nonzero().flatten()).success.all())


@pytest.mark.slow
def test_robust_accuracy_agrees_with_foolbox():
    """PGD-20 at eps .1 on real digits: the same robust accuracy within a point and a half."""
    foolbox = pytest.importorskip("foolbox")
    from deepwright.data import load as load_data
    from deepwright.nets import load as load_network

    model, split = load_network("resnet8-mnist"), load_data("mnist").test.take(400)
    x, y = split.inputs(), split.y
    ours = robust_accuracy(model, [(x, y)], PGD(0.1, steps=20, alpha=0.0125))
    attack = foolbox.attacks.LinfPGD(abs_stepsize=0.0125, steps=20)
    _, _, fooled = attack(foolbox.PyTorchModel(model, bounds=(0, 1)), x, y, epsilons=0.1)
    assert abs(ours.robust.value - float((~fooled).double().mean())) <= 0.015


@pytest.mark.slow
def test_later_attacks_cost_only_the_survivors():
    """The suite runs each attack on what is left: it asks fewer queries than all attacks on all samples."""
    from deepwright.data import load as load_data
    from deepwright.nets import load as load_network

    model, split = load_network("resnet8-mnist"), load_data("mnist").test.take(60)
    x, y = split.inputs(), split.y
    whole = suite("standard", 0.1, steps=20)
    together = whole(model, x, y)
    alone = [attack(model, x, y) for attack in whole.attacks]
    assert int(together.queries.sum()) <= 0.6 * sum(int(a.queries.sum()) for a in alone)
    worst = torch.stack([a.success for a in alone]).any(0)
    assert abs(int(together.success.sum()) - int(worst.sum())) <= 1


def test_a_larger_budget_that_the_attack_is_lost_in_is_no_masking(conv, monkeypatch):
    """What fools within a budget lies within the larger one, too, whatever the attack finds there."""
    from deepwright.adversarial import masking

    model, x, y = conv
    sure = APGD(0.1, steps=1)(model, x, y)

    class Lost:
        def __init__(self, eps, **_):
            self.eps = eps

        def __call__(self, model, x, y):
            return dataclasses.replace(
                sure, success=torch.full((len(x),), self.eps < 0.2), flags={"zero_gradients": 0.0}
            )

    monkeypatch.setattr(masking, "APGD", Lost)
    assert masking_flags(model, x, y, 0.1) == {}
