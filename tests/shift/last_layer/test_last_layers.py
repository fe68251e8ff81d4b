"""Baselines: against scikit-learn, against closed forms, and that each finds what it should."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.data import gaussian_spurious
from deepwright.shift import (
    AFR,
    ALL,
    DFR,
    ERM,
    HSFM,
    JTT,
    CVaRDRO,
    GroupDRO,
    GroupDROLoss,
    JTTSampler,
    LastLayerRetrain,
    ShiftWarning,
    compare_heads,
    extract_features,
    group_metrics,
    make_groups,
    replace_head,
)
from deepwright.shift.convex import fit_l1, fit_l2
from deepwright.shift.last_layer.retraining import balanced, everything
from deepwright.shift.problems import pose


def rows(split):
    return split.x, split.y, make_groups(split.y, torch.as_tensor(split.columns["attribute"]), 2)


@pytest.fixture(scope="module")
def world():
    data = gaussian_spurious(1, d=12, p_val=0.9, n=(1500, 800, 2000)).data
    return rows(data.train), rows(data.validation), rows(data.test)


@pytest.fixture(scope="module")
def compared(world):
    quick = [ERM(), LastLayerRetrain(), AFR(gamma=(4.0,)), JTT(), CVaRDRO(steps=100), DFR(draws=3), GroupDRO(steps=200)]
    return compare_heads(world[0][:2], world[1], world[2], methods=quick, names=["a", "b", "c", "d"])


@pytest.mark.parametrize("classes", [2, 3])
def test_l1_is_scikit_learns(classes):
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(240) % classes
    x = torch.randn(240, 6, generator=draw, dtype=torch.float64) + F.one_hot(y, 6)
    W, b = fit_l1(x, y, classes, 0.01, steps=20000, tolerance=1e-10)
    C = 1 / (len(x) * 0.01)
    reference = LogisticRegression(C=C, l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=50000).fit(x.numpy(), y.numpy())
    if classes == 2:
        W, b = W[1:] - W[:1], b[1:] - b[:1]
    assert np.abs(W.numpy() - reference.coef_).max() < 1e-3
    offsets = (b - b.mean()).numpy() if classes > 2 else b.numpy()
    assert np.abs(offsets - (reference.intercept_ - (reference.intercept_.mean() if classes > 2 else 0))).max() < 1e-3


def test_dfr_is_scikit_learns_on_the_same_draw(world):
    train, validation, _ = world
    found = DFR(l1=(0.01,), draws=1, seed=4).fit(train[0].double(), train[1], validation[0].double(), *validation[1:])
    problem = pose(train[0].double(), train[1], validation[0].double(), *validation[1:])
    kept = balanced(problem, everything(problem), 4, 0)
    sizes = torch.bincount(validation[2][kept])
    assert sizes.unique().tolist() == [int(torch.bincount(validation[2]).min())]
    fit = LogisticRegression(C=1 / (len(kept) * 0.01), l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=50000)
    fit.fit(problem.val_x[kept].numpy(), problem.val_y[kept].numpy())
    W, _ = problem.scale.into(found.head_.weight.detach(), found.head_.bias.detach())
    assert np.abs((W[1] - W[0]).numpy() - fit.coef_[0]).max() < 1e-3


def test_l2_is_scikit_learns():
    draw = torch.Generator().manual_seed(1)
    y = torch.arange(200) % 3
    x = torch.randn(200, 5, generator=draw, dtype=torch.float64) + F.one_hot(y, 5)
    weights = torch.rand(200, generator=draw, dtype=torch.float64) + 0.1
    zeros = torch.zeros(3, 5, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    W, _ = fit_l2(x, y, zeros, weights=weights, l2=0.1, steps=500)
    fit = LogisticRegression(C=1 / (0.1 * float(weights.sum())), tol=1e-10, max_iter=5000)
    fit.fit(x.numpy(), y.numpy(), sample_weight=weights.numpy())
    assert np.abs(W.numpy() - fit.coef_).max() < 1e-4


def test_a_strong_pull_is_the_old_head(world):
    train, validation, _ = world
    old = nn.Linear(12, 2)
    found = AFR(gamma=(4.0,), pull=(1e4,)).fit(*train[:2], *validation, head=old)
    assert torch.allclose(found.head_.weight, old.weight, atol=1e-3)


def test_afr_without_its_weights_is_retraining(world):
    train, validation, _ = world
    a = AFR(gamma=(0.0,), pull=(0.0,)).fit(*train[:2], *validation).head_
    b = LastLayerRetrain(l2=(0.0,)).fit(*train[:2], *validation).head_
    assert torch.allclose(a(validation[0]).softmax(1), b(validation[0]).softmax(1), atol=2e-3)


def test_methods_with_groups_do_better_in_the_worst_one(compared, world):
    worst = {name: found.worst_group for name, found in compared.metrics.items()}
    assert worst["DFR"] > worst["ERM"] + 0.15
    assert worst["GroupDRO"] > worst["ERM"] + 0.15
    assert worst["JTT"] > worst["ERM"] + 0.05
    assert not compared.skipped


def test_the_table_says_which_labels_each_has_seen(compared):
    table = compared.table()
    ledger = {row[0]: tuple(row[-2:]) for row in table.rows}
    assert ledger == {
        "ERM": ("no", "no"),
        "LastLayerRetrain": ("no", "no"),
        "AFR": ("no", "yes"),
        "JTT": ("no", "yes"),
        "CVaRDRO": ("no", "yes"),
        "DFR": ("yes", "yes"),
        "GroupDRO": ("yes", "yes"),
    }
    assert all(low <= value <= high for _, value, low, high, *_ in table.rows)


def test_a_method_that_does_not_apply_is_skipped_by_name(world):
    train, validation, test = world
    easy = torch.cat([train[0], 20 * F.one_hot(train[1], 2)], 1), train[1]
    more = [(torch.cat([x, 20 * F.one_hot(y, 2)], 1), y, g) for x, y, g in (validation, test)]
    found = compare_heads(easy, *more, methods=[ERM, JTT(weakness=0.0)])
    assert "without a mistake" in found.skipped["JTT"]
    assert found.table().rows[-1][0] == "JTT"


def test_every_methods_own_advice_is_told_and_that_on_rows_once(world):
    train, validation, test = world
    few = torch.cat([(validation[2] != 1).nonzero().flatten(), (validation[2] == 1).nonzero().flatten()[:10]])
    methods = [ERM, HSFM(epochs=2, select="last")]
    with pytest.warns(ShiftWarning) as caught:
        compare_heads(train[:2], tuple(part[few] for part in validation), test, methods=methods)
    said = [str(one.message) for one in caught]
    assert sum("the smallest validation group" in one for one in said) == 1
    assert sum("groups of validation rows" in one and one.endswith("(HSFM)") for one in said) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", [LastLayerRetrain, AFR])
def test_what_is_chosen_by_class_sees_no_group(world, method):
    train, validation, _ = world
    fitted = [
        method(select="worst_class", seed=seed).fit(*train[:2], *rows)
        for seed in range(4)
        for rows in (validation, validation[:2])
    ]
    for one, other in zip(fitted[::2], fitted[1::2]):
        assert one.chosen_ == other.chosen_
        assert torch.equal(one.head_.weight, other.head_.weight)
        assert one.label_use_.words()[1] == "no"


def test_group_dro_weights_sum_to_one_and_go_to_the_harder_group():
    loss = GroupDROLoss(3, eta=0.5)
    logits = torch.tensor([[2.0, 0.0]] * 6)
    y, groups = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 2, 2])
    for _ in range(10):
        value = loss(logits, y, groups)
        assert float(loss.q.sum()) == pytest.approx(1.0)
    assert float(loss.q[2]) > 0.99
    easy, hard = math.log(1 + math.exp(-2)), 2 + math.log(1 + math.exp(-2))
    assert float(value) == pytest.approx(float(loss.q[:2].sum()) * easy + float(loss.q[2]) * hard, rel=1e-5)
    q = loss.q.clone()
    loss.eval()(logits, y, groups)
    assert torch.equal(loss.q, q)
    with pytest.raises(InputError, match="group 3"):
        loss(logits, y, groups + 1)


def test_group_dro_survives_a_large_loss():
    loss = GroupDROLoss(3, eta=1.0, counts=[2, 2, 0])
    logits = torch.tensor([[0.0, 200.0], [0.0, -50.0]], requires_grad=True)
    value = loss(logits, torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert loss.q.tolist() == [1.0, 0.0, 0.0]
    assert float(value.detach()) == 200
    loss(logits, torch.tensor([0, 0]), torch.tensor([2, 1])).backward()  # a group of weight 0 is ahead
    assert bool(loss.q.isfinite().all() & logits.grad.isfinite().all())


def test_group_dro_gives_one_step_of_the_closed_form_and_gradients():
    loss = GroupDROLoss(2, eta=0.1, counts=[100, 4], adjustment=2.0)
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    y, groups = torch.tensor([0, 0]), torch.tensor([0, 1])
    losses = F.cross_entropy(logits, y, reduction="none").detach() + torch.tensor([0.2, 1.0])
    q = torch.exp(0.1 * losses) / torch.exp(0.1 * losses).sum()
    value = loss(logits, y, groups)
    value.backward()
    assert float(value) == pytest.approx(float((q * losses).sum()), rel=1e-6)
    assert logits.grad is not None
    assert bool(logits.grad.any())


def test_group_dro_on_training_groups_uses_them(world):
    train, validation, _ = world
    found = GroupDRO(l2=(1e-2,), steps=200).fit(*train[:2], *validation, train_groups=train[2])
    assert float(found.q_.sum()) == pytest.approx(1.0)
    assert group_metrics(found.predict(validation[0]), *validation[1:]).worst_group > 0.75


def test_the_whole_share_of_cvar_is_the_mean(world):
    train, validation, _ = world
    found = CVaRDRO(alpha=(1.0,), l2=1e-2, steps=800).fit(*train[:2], *validation).head_
    problem = pose(*train[:2], *validation)
    zeros = torch.zeros(2, 12), torch.zeros(2)
    wanted = problem.scale.out_of(*fit_l2(problem.x, problem.y, zeros, l2=1e-2))
    assert torch.allclose(found(train[0]).softmax(1), wanted(train[0]).softmax(1), atol=5e-3)


def test_jtts_sampler_repeats_mistakes():
    errors = torch.tensor([True, False, False, True])
    sampler = JTTSampler(errors, 3)
    first = list(sampler)
    assert len(sampler) == 8
    assert sorted(first) == [0, 0, 0, 1, 2, 3, 3, 3]
    sampler.set_epoch(1)
    assert list(sampler) != first
    with pytest.raises(InputError, match="mistakes"):
        JTTSampler(torch.zeros(3, dtype=torch.bool))


def test_no_groups_for_a_method_that_needs_them(world):
    train, validation, _ = world
    for method in (DFR(), GroupDRO(), AFR(), JTT()):
        with pytest.raises(InputError, match="val_groups"):
            method.fit(*train[:2], *validation[:2])
    with pytest.raises(InputError, match="l1"):
        DFR(l1=())


def test_every_method_takes_three_classes():
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(240) % 3
    a = torch.arange(240) // 3 % 2
    x = torch.randn(240, 6, generator=draw) + F.one_hot(y, 6) + F.one_hot(3 + a, 6)
    groups = make_groups(y, a)
    for method in ALL:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShiftWarning)
            found = method(**{"steps": 20} if method in (GroupDRO, CVaRDRO) else {}).fit(x, y, x + 0.2, y, groups)
        assert found.head_.weight.shape == (3, 6)
        assert bool(found.head_.weight.isfinite().all()), method


class Small(nn.Module):
    def __init__(self, outputs=2, between=False):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 8), nn.ReLU())
        self.head = nn.Linear(8, outputs)
        self.between = between

    def forward(self, x):
        features = self.body(x)
        return 3 * self.head(features) if self.between else self.head(features)


@pytest.mark.parametrize("outputs", [2, 1])
def test_a_new_head_fits_into_its_network(world, outputs):
    from deepwright.core.tasks import Binary

    train, validation, _ = world
    model = Small(outputs).eval()
    task = Binary() if outputs == 1 else None
    before = model.head.weight.clone()
    found = extract_features(model, [train[:2]], task=task)
    val = extract_features(model, [validation[:2]], task=task)
    head = DFR(draws=2, l1=(1e-3,)).fit(found.x, found.y, val.x, val.y, validation[2], head=found.head).head_
    changed = replace_head(model, head)
    logits, wanted = changed(validation[0]), head(val.x)
    wanted = wanted if outputs == 2 else wanted[:, 1:] - wanted[:, :1]
    assert torch.allclose(logits, wanted, atol=1e-5)
    assert torch.equal(model.head.weight, before)


def test_what_stands_between_is_refused(world):
    with pytest.raises(InputError, match="last linear layer"):
        extract_features(Small(between=True).eval(), [world[0][:2]])


def test_a_head_of_another_shape_is_refused():
    with pytest.raises(InputError, match="same shape"):
        replace_head(Small(), nn.Linear(5, 2))
    with pytest.raises(InputError, match="name"):
        replace_head(Small(), nn.Linear(8, 2), name="tail")


def test_a_head_without_offsets_takes_the_last_layers_place():
    network, head = nn.Sequential(nn.Linear(6, 2)), nn.Linear(6, 2, bias=False)
    x = torch.randn(3, 6)
    assert torch.allclose(replace_head(network, head)(x), head(x))
