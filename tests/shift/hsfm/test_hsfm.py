"""HSFM's hard set, edits, folding, selection and resuming."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.resume import OtherWorkError
from deepwright.data import gaussian_spurious
from deepwright.shift import HSFM, ShiftWarning, edit_report, group_metrics, hard_set, make_groups
from deepwright.shift.hsfm import meta
from deepwright.shift.problems import pose

pytestmark = pytest.mark.filterwarnings("ignore:the smallest validation group", "ignore:the best epoch is the last")


def rows(split, n=None):
    groups = make_groups(split.y, torch.as_tensor(split.columns["attribute"]), 2)
    return split.x[:n], split.y[:n], groups[:n]


@pytest.fixture(scope="module")
def world():
    made = gaussian_spurious(3, d=16, n=(1500, 600, 2000))
    return made, *(rows(s) for s in (made.data.train, made.data.validation, made.data.test))


def fitted(world, checkpoint=None, **options):
    _, train, validation, _ = world
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShiftWarning)
        return HSFM(**{"epochs": 8, "n_support": 32} | options).fit(*train[:2], *validation, checkpoint=checkpoint)


def worst(method, test):
    return group_metrics(method.predict(test[0]), test[1], test[2]).worst_group


def test_the_hard_set_of_a_hand_case():
    logits = torch.tensor([[2.0, 0], [0, 2.0], [1.0, 0], [0, 0], [0, 3.0], [3.0, 0], [1.0, 0]])
    y = torch.tensor([0, 0, 0, 0, 1, 1, 0])
    assert hard_set(logits, y, 2).tolist() == [1, 3, 5, 4]
    assert hard_set(logits, y, 3).tolist() == [1, 3, 2, 5, 4]  # of two alike (2, 6) the earlier; a class of 2 gives 2
    assert hard_set(logits, y, 9).tolist() == [1, 3, 2, 6, 0, 5, 4]


def test_it_does_better_in_the_worst_group_than_the_head_before(world):
    before = HSFM(epochs=1, head_lr_rel=0.0, outer_lr=0.0)
    _, train, validation, test = world
    before.fit(*train[:2], *validation)
    after = fitted(world, epochs=30)
    assert worst(after, test) > worst(before, test) + 0.1
    assert after.label_use_.words() == ("no", "yes")


def test_no_outer_rate_leaves_the_support_and_is_plain_adam_on_it(world):
    _, train, validation, _ = world
    found = fitted(world, outer_lr=0.0, select="last")
    assert torch.equal(found.support_, found.support_init_)
    problem = pose(*train[:2], *validation)
    start = HSFM(epochs=1, head_lr_rel=0.0, outer_lr=0.0, select="last").fit(*train[:2], *validation).head_
    W, b = problem.scale.into(start.weight.detach(), start.bias.detach())
    W, b = W.clone().requires_grad_(), b.clone().requires_grad_()
    adam = torch.optim.Adam([W, b], lr=0.01 * float(W.detach().square().mean().sqrt()))
    for _ in range(8 * 5):
        adam.zero_grad()
        F.cross_entropy(problem.x[found.support_index_] @ W.T + b, found.support_y_).backward()
        adam.step()
    head = problem.scale.out_of(W.detach(), b.detach())
    assert torch.allclose(head.weight, found.head_.weight, atol=1e-4 * float(head.weight.detach().abs().max()))
    frozen = fitted(world, variant="frozen-support", select="last")
    assert torch.equal(frozen.head_.weight, found.head_.weight)


def test_the_head_on_raw_features_is_the_one_on_standardised_ones(world):
    _, train, validation, _ = world
    x = 5 + 3 * train[0]
    problem = pose(x, train[1], 5 + 3 * validation[0], validation[1])
    W, b = torch.randn(2, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0.3, -0.2])
    head = problem.scale.out_of(W, b)
    assert torch.allclose(head(x), problem.x @ W.T + b, atol=1e-5)
    again = problem.scale.into(head.weight, head.bias)
    assert torch.allclose(again[0], W, atol=1e-5)
    assert torch.allclose(again[1], b, atol=1e-5)


def test_validation_never_falls_below_the_head_before(world):
    for options in ({"head_lr_rel": 1.0}, {"outer_lr": 10.0}, {"variant": "frozen-support"}):
        found = fitted(world, **options)
        best = found.history_[found.best_epoch_].worst
        assert best == max(e.worst for e in found.history_) >= found.history_[0].worst


def test_history_says_what_is_in_the_hard_set(world):
    found = fitted(world, k_hard=16)
    assert [e.epoch for e in found.history_] == list(range(9))
    assert math.isnan(found.history_[0].outer_loss)
    assert all(e.outer_loss > 0 for e in found.history_[1:])
    assert all(sum(e.hard) == 32 for e in found.history_)
    first = found.history_[0].hard
    assert first[1] + first[2] > first[0] + first[3]  # at first the groups that the shortcut fails


def test_a_killed_fit_goes_on_bit_for_bit(world, tmp_path, monkeypatch):
    whole = fitted(world)
    advance, made = meta._Run.advance, []

    def some(run):
        made.append(0)
        if len(made) == 5:
            raise KeyboardInterrupt
        advance(run)

    monkeypatch.setattr(meta._Run, "advance", some)
    with pytest.raises(KeyboardInterrupt):
        fitted(world, tmp_path / "fit.pt")
    again = fitted(world, tmp_path / "fit.pt")
    assert len(made) == 5 + 4
    assert torch.equal(again.head_.weight, whole.head_.weight)
    assert torch.equal(again.support_, whole.support_)
    assert str(again.history_) == str(whole.history_)
    with pytest.raises(OtherWorkError, match="options"):
        fitted(world, tmp_path / "fit.pt", outer_lr=0.2)


def test_three_classes_and_classes_of_few_rows():
    draw = torch.Generator().manual_seed(0)
    y = torch.cat([torch.arange(300) % 3, torch.zeros(0, dtype=torch.long)])
    x = torch.randn(300, 8, generator=draw) + 2 * F.one_hot(y, 8).float()
    keep = (y != 2) | (torch.arange(300) < 30)
    x, y = x[keep], y[keep]
    groups = make_groups(y, torch.arange(len(y)) % 2, 2)
    with pytest.warns(ShiftWarning, match="class 2 has 10"):
        found = HSFM(epochs=3, n_support=20).fit(x, y, x + 0.1, y, groups)
    assert found.head_.weight.shape == (3, 8)
    assert torch.bincount(found.support_y_).tolist() == [20, 20, 10]


def test_raw_scale_takes_rates_as_they_are(world):
    found = fitted(world, scale="raw", inner_lr=1e-2, outer_lr=1.0, select="last")
    assert bool(found.head_.weight.isfinite().all())
    assert not torch.equal(found.support_, found.support_init_)


def test_edits_move_the_shortcut_more_than_chance(world):
    made = world[0]
    report = edit_report(fitted(world, epochs=20, k_hard=16), made.shortcut)
    assert report.table().rows[1][0] == 1
    assert float(report.attribute_cosine.abs().max()) > 0.5
    with pytest.raises(InputError, match="probe"):
        edit_report(fitted(world), torch.zeros(16))


@pytest.mark.parametrize("select", ["worst_class", "hard_loss", "last"])
def test_any_other_choice_warns_that_the_gain_rests_on_groups(world, select):
    _, train, validation, _ = world
    with pytest.warns(ShiftWarning, match="groups of validation"):
        found = HSFM(epochs=2, select=select).fit(*train[:2], *validation[:2])
    assert found.label_use_.words() == ("no", "no")
    if select == "last":
        assert found.best_epoch_ == 2


def test_no_groups_are_refused_with_the_alternatives(world):
    _, train, validation, _ = world
    with pytest.raises(InputError, match="worst_class"):
        HSFM().fit(*train[:2], *validation[:2])


def test_a_best_epoch_at_an_end_warns(world):
    _, train, validation, _ = world
    with pytest.warns(ShiftWarning, match="hasn't converged"):
        HSFM(epochs=2, n_support=32).fit(*train[:2], *validation)


def test_epochs_that_all_do_alike_do_not_ask_for_more():
    y = torch.arange(400) % 2
    x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0)) + 20 * (2.0 * y[:, None] - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShiftWarning)
        found = HSFM(epochs=3, n_support=16, k_hard=8).fit(x[:200], y[:200], x[200:], y[200:], y[200:])
    assert [epoch.worst for epoch in found.history_] == [1.0] * 4
    assert found.best_epoch_ == 3


def test_a_head_of_zeros_and_one_that_overflows_are_refused(world):
    _, train, validation, _ = world
    with pytest.raises(InputError, match="a head of zeros"):
        HSFM(epochs=1).fit(*train[:2], *validation, head=(torch.zeros(2, 16), torch.zeros(2)))
    with pytest.warns(ShiftWarning), pytest.raises(InputError, match="isn't finite"):
        HSFM(epochs=2, select="last", head_lr_rel=1e38).fit(*train[:2], *validation)


@pytest.mark.parametrize("n", [2, 7, 300])
def test_every_leaked_row_is_counted(n):
    y = torch.arange(1000) % 2
    x = torch.randn(1000, 512, generator=torch.Generator().manual_seed(n))
    rows = torch.arange(n)
    with pytest.warns(ShiftWarning, match=f"^{n} validation rows are training rows"):
        pose(x, y, x[rows], y[rows], None, None, None)


def bad(world, name):
    _, (x, y, g), (vx, vy, vg), _ = world
    given = {"train_x": x, "train_y": y, "val_x": vx, "val_y": vy, "val_groups": vg}
    hot = F.one_hot(y, 2)
    return (
        given
        | {
            "softmax": {"train_x": x.softmax(1)},
            "nan": {"val_x": vx * torch.tensor(float("nan"))},
            "signs": {"train_y": 2 * y - 1},
            "floats": {"train_y": y.float()},
            "one-hot": {"train_y": hot},
            "column": {"train_y": y[:, None]},
            "absent class": {"val_y": vy * 0},
            "attribute alone": {"val_groups": vg % 2},
            "absent group": {"val_groups": 3 * vy, "train_groups": g},
            "head": {"head": nn.Linear(5, 2)},
            "few outputs": {"head": (torch.zeros(2, 16), torch.zeros(2)), "train_y": y + 1, "val_y": vy + 1},
        }[name]
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("softmax", "softmax"),
        ("nan", "NaN"),
        ("signs", "-1 and 1"),
        ("floats", "integer"),
        ("one-hot", "argmax"),
        ("column", "squeeze"),
        ("absent class", "no validation row of class 1"),
        ("attribute alone", "make_groups"),
        ("absent group", "no row of group"),
        ("head", "16"),
        ("few outputs", "2 outputs"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_plausible_wrong_numbers_are_refused_by_name(world, name, words):
    with pytest.raises(InputError, match=words):
        HSFM(epochs=1).fit(**bad(world, name))


def test_what_leaks_and_what_is_few_is_said(world):
    _, train, validation, _ = world
    with pytest.warns(ShiftWarning, match="30 validation rows are training rows"):
        HSFM(epochs=1).fit(train[0], train[1], torch.cat([train[0][:30], validation[0]]), *joined(train, validation))
    few = torch.cat([(validation[2] != 1).nonzero().flatten(), (validation[2] == 1).nonzero().flatten()[:10]])
    with pytest.warns(ShiftWarning, match="has 10 samples"):
        HSFM(epochs=1).fit(*train[:2], *(part[few] for part in validation))


def joined(train, validation):
    return [torch.cat([train[i][:30], validation[i]]) for i in (1, 2)]


def test_a_head_of_one_row_is_a_difference_of_logits(world):
    _, train, validation, _ = world
    w, b = torch.randn(1, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4])
    options = {"epochs": 1, "head_lr_rel": 0.0, "outer_lr": 0.0, "select": "last"}
    found = HSFM(**options).fit(*train[:2], *validation, head=(w, b)).head_
    logits = found(validation[0])
    assert torch.allclose(logits[:, 1] - logits[:, 0], (validation[0] @ w.T + b)[:, 0], atol=1e-4)


def test_double_precision_stays(world):
    _, train, validation, _ = world
    found = HSFM(epochs=2).fit(train[0].double(), train[1], validation[0].double(), *validation[1:])
    assert found.head_.weight.dtype == torch.float64
