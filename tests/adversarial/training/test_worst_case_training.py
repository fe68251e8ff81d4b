"""Training on worst inputs against closed forms: on affine networks the worst input is a corner (or a ray) of the ball."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright import InputError
from deepwright.adversarial.training import AdversarialTraining, Ball, RobustScore, Trades, overfitted
from deepwright.core.devices import Compute
from deepwright.core.fit import Selection, fit, sgd, unwrapped
from deepwright.core.randomness import generator
from deepwright.core.tasks import Binary, Classification, MultiLabel, Regression, Segmentation
from deepwright.core.tasks.divergences import jensen_shannon, kullback_leibler

EPS = 0.06


def affine(inputs=12, classes=2, dtype=torch.float32):
    torch.manual_seed(1)
    return nn.Linear(inputs, classes).to(dtype)


def samples(n=16, inputs=12, dtype=torch.float32):
    x = torch.rand(n, inputs, generator=generator(3), dtype=dtype) * 0.8 + 0.1
    return x, torch.arange(n) % 2


def away(model, y):
    """The direction in which the true class of two loses."""
    return model.weight[1 - y] - model.weight[y]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_several_steps_reach_the_worst_corner(dtype):
    model, (x, y) = affine(dtype=dtype), samples(dtype=dtype)
    recipe = AdversarialTraining(EPS, steps=5, task=Classification(2))
    found = recipe(model, recipe.start(x, generator(0)), y)
    worst = (x + EPS * away(model, y).sign()).clamp(0, 1)
    assert found.dtype == dtype
    assert torch.allclose(found, F.cross_entropy(model(worst), y), rtol=1e-6)


def test_l2_walks_along_the_weights():
    model, (x, y) = affine(), samples()
    recipe = AdversarialTraining(EPS, "l2", steps=40, task=Classification(2), bounds=(-9, 9))
    found = recipe(model, recipe.start(x, generator(0)), y)
    w = away(model, y)
    at_worst = F.cross_entropy(model(x + EPS * w / w.norm(dim=1, keepdim=True)), y)
    assert torch.allclose(found, at_worst, rtol=1e-3)
    assert found <= at_worst + 1e-6


def test_the_fast_way_is_one_step_from_a_uniform_start():
    model, (x, y) = affine(), samples()
    recipe = AdversarialTraining(EPS, steps=1, task=Classification(2))
    pairs = recipe.start(x, generator(5))
    begun = pairs[:, 1]
    assert ((begun - x).abs() <= EPS + 1e-7).all()
    assert (begun - x).abs().max() > 0.9 * EPS
    one = (begun + 1.25 * EPS * away(model, y).sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    assert torch.allclose(recipe(model, pairs, y), F.cross_entropy(model(one), y), rtol=1e-6)


def test_parameters_get_the_gradient_of_the_loss_at_the_worst_input_alone():
    model, (x, y) = affine(), samples()
    recipe = AdversarialTraining(EPS, steps=5, task=Classification(2))
    worst = (x + EPS * away(model, y).sign()).clamp(0, 1).detach()
    recipe(model, recipe.start(x, generator(0)), y).backward()
    found = model.weight.grad.clone()
    model.zero_grad()
    F.cross_entropy(model(worst), y).backward()
    assert torch.allclose(found, model.weight.grad, atol=1e-6)


def test_trades_without_beta_is_plain_training_bit_for_bit():
    x, y = samples(40)
    plain, other = affine(), affine()
    options = {"epochs": 3, "batch_size": 8, "optimizer": sgd(0.1), "seed": 4}
    fit(plain, (x, y), **options)
    recipe = Trades(EPS, task=Classification(2), beta=0)
    fit(other, (x, y), augment=recipe.start, step=recipe, **options)
    assert torch.equal(plain.weight, other.weight)


def test_trades_adds_the_divergence_at_a_corner():
    """Of two classes the divergence grows with the logit's distance, so that its largest values lie in two corners."""
    model, (x, y) = affine(), samples()
    recipe = Trades(EPS, steps=30, task=Classification(2), beta=2.5)
    found = recipe(model, recipe.start(x, generator(0)), y)
    w = (model.weight[1] - model.weight[0]).sign() * EPS
    task, clean = Classification(2), model(x)
    corners = torch.stack(
        [kullback_leibler(task, clean, model((x + side * w).clamp(0, 1)), y) for side in (1, -1)]
    ).detach()
    extra = (found - F.cross_entropy(clean, y)).item() / 2.5
    assert corners.amin(0).mean() - 1e-6 <= extra <= corners.amax(0).mean() + 1e-6
    grid = [kullback_leibler(task, clean, model(recipe.ball.uniform(x, generator(s))), y).mean() for s in range(20)]
    assert extra > max(grid).item()


def test_halves_in_one_pass_share_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    x, y = samples()
    seen = {}
    for joint in (False, True):
        net, recipe = copy.deepcopy(model), Trades(EPS, steps=2, task=Classification(2), joint=joint)
        recipe(net.train(), recipe.start(x, generator(0)), y)
        seen[joint] = int(net[1].num_batches_tracked)
        assert net[1].training
    assert seen == {False: 2, True: 1}


@pytest.mark.parametrize(("still", "passes"), [(True, 1), (False, 4)])
def test_batch_norms_don_t_learn_from_the_search(still, passes):
    model = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)).train()
    x, y = samples()
    recipe = AdversarialTraining(EPS, steps=3, task=Classification(2), still=still)
    recipe(model, recipe.start(x, generator(0)), y)
    assert int(model[1].num_batches_tracked) == passes
    assert model[1].training


def test_frozen_batch_norms_stand_still():
    model = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    model[1].requires_grad_(False)
    before = copy.deepcopy(model[1].state_dict())
    x, y = samples()
    for recipe in (
        AdversarialTraining(EPS, steps=2, task=Classification(2)),
        Trades(EPS, steps=2, task=Classification(2)),
    ):
        fit(model, (x, y), epochs=1, batch_size=8, augment=recipe.start, step=recipe)
    assert all(torch.equal(before[k], v) for k, v in model[1].state_dict().items())


def test_mixed_precision_and_what_a_step_is_given():
    model, (x, y) = affine(), samples()
    recipe = Trades(EPS, steps=2, task=Classification(2))
    found = fit(model, (x, y), epochs=1, augment=recipe.start, step=recipe, compute=Compute(precision="bf16-mixed"))
    assert found.steps == 1
    with unwrapped(model) as same:
        assert same is model


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path):
    x, y = samples(40)
    recipe = AdversarialTraining(EPS, steps=2, task=Classification(2))
    options = {"batch_size": 8, "augment": recipe.start, "step": recipe, "optimizer": sgd(0.1)}
    whole = affine()
    fit(whole, (x, y), epochs=2, **options)

    def stop(model, row):
        if row["epoch"] == 0:
            raise KeyboardInterrupt

    file = tmp_path / "fit.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(affine(), (x, y), epochs=2, every=1, checkpoint=file, callbacks=[stop], **options)
    again = affine()
    assert fit(again, (x, y), epochs=2, checkpoint=file, **options).resumed_at is not None
    assert torch.equal(whole.weight, again.weight)
    other = AdversarialTraining(2 * EPS, steps=2, task=Classification(2))
    with pytest.raises(InputError, match="step"):
        fit(affine(), (x, y), epochs=2, checkpoint=file, **{**options, "step": other})


def test_robust_scores_are_those_of_the_margin():
    """A sample of an affine network stands iff its margin is above eps times the L1 norm of the weights."""
    model, (x, y) = affine().eval(), samples(60)
    for p in model.parameters():
        p.data *= 4
    out = model(x)
    y = out.argmax(1)
    gap = (out.gather(1, y[:, None]) - out.gather(1, 1 - y[:, None]))[:, 0]
    eps = 0.03  # the bounds don't bind
    stands = gap > eps * away(model, y).abs().sum(1)
    found = RobustScore(x, y, Ball(eps), Classification(2), one_step=True, batch_size=25)(model)
    assert 0.1 < stands.double().mean() < 0.9
    assert found["score"] == 1
    assert found["robust"] == pytest.approx(stands.double().mean().item())
    assert found["one_step"] >= found["robust"]


def test_each_sample_has_a_start_of_its_own_whatever_the_batch():
    model, (x, y) = affine().eval(), samples(60)
    begun = {}

    for size in (7, 60):
        rows = []
        handle = model.register_forward_pre_hook(
            lambda _module, given, rows=rows: rows.append(given[0].detach().clone())
        )
        RobustScore(x, y, Ball(0.2), Classification(2), batch_size=size)(model)
        handle.remove()
        begun[size] = torch.cat(rows)
    for shown in begun[60].unique(dim=0):
        assert bool((begun[7] == shown).all(1).any())


def test_when_a_fast_training_has_overfitted():
    rows = [(0.2, 0.3), (0.4, 0.5), (0.1, 0.9), (0.0, 0.95)]
    history = [{"robust": a, "one_step": b} for a, b in rows]
    assert overfitted(history) == 2
    assert overfitted(history[:2]) is None
    assert overfitted([{"robust": a, "one_step": a} for a in (0.5, 0.1, 0.4)]) is None  # all of it fell


def test_divergences_are_those_of_the_definitions():
    a, b, c = torch.randn(3, 5, 4, dtype=torch.float64, generator=generator(0))
    task, y = Classification(4), torch.zeros(5, dtype=torch.long)
    p, q, r = (z.softmax(1) for z in (a, b, c))
    assert torch.allclose(kullback_leibler(task, a, b, y), (p * (p / q).log()).sum(1))
    m = (p + q + r) / 3
    wanted = sum((s * (s / m).log()).sum(1) for s in (p, q, r)) / 3
    assert torch.allclose(jensen_shannon(task, (a, b, c), y), wanted)
    far = [1e4 * torch.eye(3, 4, dtype=torch.float64)[i : i + 1] for i in range(3)]
    assert jensen_shannon(task, far, y[:1]).item() == pytest.approx(torch.tensor(3.0).log().item())
    z = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator(1))
    labels = (z.sigmoid()[0] * (z.sigmoid()[0] / z.sigmoid()[1]).log()) + (
        (1 - z.sigmoid()[0]) * ((1 - z.sigmoid()[0]) / (1 - z.sigmoid()[1])).log()
    )
    found = kullback_leibler(MultiLabel(3), z[0], z[1], torch.zeros(5, 3))
    assert torch.allclose(found, labels.mean(1))


def test_positions_that_don_t_count_don_t_count():
    task, y = Segmentation(3), torch.full((2, 4, 4), 255)
    y[:, :2] = 1
    a, b = torch.randn(2, 2, 3, 4, 4, generator=generator(2))
    moved = b.clone()
    moved[:, :, 2:] += 5
    assert torch.equal(kullback_leibler(task, a, b, y), kullback_leibler(task, a, moved, y))


@pytest.mark.parametrize(
    ("task", "columns", "targets"),
    [
        (Binary(), 1, torch.arange(8) % 2),
        (MultiLabel(3), 3, (torch.arange(24) % 2).reshape(8, 3)),
        (Regression(2, tolerance=0.1), 2, torch.rand(8, 2)),
    ],
)
def test_other_tasks_learn(task, columns, targets):
    x, _ = samples(8)
    model = nn.Linear(12, columns)
    recipes = [AdversarialTraining(EPS, steps=2, task=task)]
    if not isinstance(task, Regression):
        recipes.append(Trades(EPS, steps=2, task=task))
    else:
        with pytest.raises(InputError, match="does not apply"):
            Trades(EPS, task=task)
    for recipe in recipes:
        assert fit(model, (x, targets), epochs=1, augment=recipe.start, step=recipe).steps == 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("alpha", [None, 0.03])
def test_a_warm_up_is_the_same_recipe_at_a_smaller_budget(norm, alpha):
    model, (x, y) = affine(), samples()
    common = {"alpha": alpha, "task": Classification(2), "bounds": (-9, 9)}
    whole = AdversarialTraining(EPS, norm, steps=4, warm_up=0.5, **common)
    pairs = whole.start(x, generator(7))
    inner = torch.stack([x, x + 0.5 * (pairs[:, 1] - x)], 1)
    half = AdversarialTraining(EPS / 2, norm, steps=4, **{**common, "alpha": alpha and alpha / 2})
    found = whole.at(4, 20)(model, pairs, y)  # the fifth of ten steps
    assert torch.equal(found, half(model, inner, y))
    assert found < whole(model, pairs, y)
    assert whole.at(9, 20) is whole
    assert half.at(0, 20) is half


def test_a_warm_up_in_one_input_is_the_closed_form_step_by_step():
    """The worst of an input is its budget below it, and the budget rises with every step."""
    x, y = torch.full((8, 1), 0.5), torch.zeros(8, dtype=torch.long)
    seen = []

    class Line(nn.Linear):
        def forward(self, rows):
            if self.training and torch.is_grad_enabled() and not rows.requires_grad:
                seen.append(float(rows.mean()))
            return super().forward(rows)

    model = Line(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0], [-1.0]]))  # class 0 likes large inputs: the worst are small
    recipe = AdversarialTraining(0.1, steps=8, task=Classification(2), warm_up=0.5)
    fit(model, (x, y), epochs=8, batch_size=8, optimizer=sgd(1e-9), augment=recipe.start, step=recipe)
    assert seen == pytest.approx([0.5 - 0.1 * min(1, t / 4) for t in range(1, 9)], abs=1e-6)


def test_a_warm_up_goes_on_where_it_was(tmp_path):
    x, y = samples(40)

    def run(recipe, path, callbacks=()):
        model = affine()
        options = {"epochs": 4, "batch_size": 8, "augment": recipe.start, "step": recipe, "callbacks": callbacks}
        found = fit(model, (x, y), checkpoint=path, **options)
        return model, found

    def stop(model, row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    recipe = AdversarialTraining(EPS, steps=2, task=Classification(2), warm_up=0.8)
    straight, _ = run(recipe, tmp_path / "straight.pt")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "kept.pt", [stop])
    with pytest.raises(InputError, match="step"):
        other = AdversarialTraining(EPS, steps=2, task=Classification(2), warm_up=0.5)
        run(other, tmp_path / "straight.pt")
    resumed, _ = run(recipe, tmp_path / "kept.pt")
    assert torch.equal(straight.weight, resumed.weight)


def test_a_warm_up_is_a_share():
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="warm_up"):
            AdversarialTraining(EPS, task=Classification(2), warm_up=wrong)


def test_the_best_epoch_is_the_one_that_stands():
    x, y = samples(40)
    recipe = AdversarialTraining(EPS, steps=2, task=Classification(2))
    chosen = Selection(RobustScore(x, y, recipe.ball, recipe.task), "robust")
    model = affine()
    found = fit(model, (x, y), epochs=4, batch_size=8, augment=recipe.start, step=recipe, selection=chosen)
    best = max(row["robust"] for row in found.history)
    assert found.best_value == best == RobustScore(x, y, recipe.ball, recipe.task)(model)["robust"]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_step_looks_at_no_value(norm):
    """On `meta` there are none: what looks at one fails there, as it would wait for an accelerator."""
    model = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).to("meta")
    x, y = torch.rand(8, 12, device="meta"), torch.zeros(8, dtype=torch.long, device="meta")
    for recipe in (
        AdversarialTraining(EPS, norm, steps=2, task=Classification(3)),
        Trades(EPS, norm, steps=2, task=Classification(3)),
    ):
        recipe(model, recipe.start(x, generator(0)), y).backward()
