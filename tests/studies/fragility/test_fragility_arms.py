"""The stacked losses and measures of the fragility study against the house's own, one network at a time."""

import math

import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from deepwright.core.statistics import mean_interval
from deepwright.risk import FragilityLoss, fragility_report
from deepwright.risk.calibration import fit_temperature
from deepwright.studies.fragility.arms import ARMS
from deepwright.studies.fragility.measures import at_matched, measured, temperatures
from deepwright.studies.fragility.paired import corrected, over_seeds
from deepwright.studies.fragility.stacked import Stacks, train
from deepwright.studies.fragility.worlds import WORLDS, table_of

RNG = torch.Generator().manual_seed(5)


def logits_and_labels(n=200, classes=3, strength=1.5):
    y = torch.randint(classes, (n,), generator=RNG)
    return torch.randn(n, classes, generator=RNG) + strength * F.one_hot(y, classes), y


def slope(loss, out, y):
    """Gradient by the logits."""
    out = out.clone().requires_grad_()
    loss(out, y).backward()
    return out.grad


def of_arm(arm, setting):
    """One member's loss, as a loss of one network."""
    return lambda out, y: ARMS[arm].loss(out[None], y, torch.tensor([setting]))[0]


def unit(classes):
    return math.log(classes) / math.log(2)


@pytest.mark.parametrize("target", ARMS["fragility"].grid)
@pytest.mark.parametrize("strength", [0.3, 1.5, 4.0])
def test_the_fragility_arm_is_the_houses_loss(target, strength):
    out, y = logits_and_labels(strength=strength)
    ours = slope(of_arm("fragility", target), out, y)
    assert torch.allclose(ours, slope(FragilityLoss(target * unit(3), ema=0.0), out, y), atol=1e-6)


@pytest.mark.parametrize("weight", ARMS["fragility, penalty"].grid)
def test_the_penalty_arm_is_the_houses_loss(weight):
    out, y = logits_and_labels(strength=3.0)
    theirs = FragilityLoss(0.5 * unit(3), "penalty", weight=weight)
    assert torch.allclose(slope(of_arm("fragility, penalty", weight), out, y), slope(theirs, out, y), atol=1e-6)


def test_a_batch_within_its_target_has_no_gradient():
    y = torch.zeros(128, dtype=torch.long)
    out = torch.tensor([[5.0, -5.0]]).repeat(128, 1)
    assert float(slope(of_arm("fragility", 0.5), out, y).abs().max()) == 0


@pytest.mark.parametrize(
    ("arm", "setting", "reference"),
    [
        ("erm", 0.0, F.cross_entropy),
        ("label smoothing", 0.1, torch.nn.CrossEntropyLoss(label_smoothing=0.1)),
        ("tilted", 2.0, FragilityLoss(1.0, "tilted", k=0.5)),
        ("focal", 1e-9, F.cross_entropy),
        ("cvar", 1.0, F.cross_entropy),
        ("chi2-dro", 1e-12, F.cross_entropy),
    ],
)
def test_an_arm_agrees_with_its_reference(arm, setting, reference):
    out, y = logits_and_labels()
    assert torch.allclose(slope(of_arm(arm, setting), out, y), slope(reference, out, y), atol=1e-5)


def test_cvar_is_the_mean_of_the_worst():
    out, y = logits_and_labels(n=10)
    losses = F.cross_entropy(out, y, reduction="none")
    assert float(of_arm("cvar", 0.3)(out, y)) == pytest.approx(float(losses.sort().values[-3:].mean()))


def test_focal_weighs_a_sample_by_its_wrong_probability():
    """gamma = 2 at p = 0.9 and 0.5: 0.1^2 and 0.5^2 times -log p."""
    p = torch.tensor([0.9, 0.5])
    out = torch.stack([p.logit(), torch.zeros(2)], 1)
    expected = (0.01 * -math.log(0.9) + 0.25 * math.log(2)) / 2
    assert float(of_arm("focal", 2.0)(out, torch.zeros(2, dtype=torch.long))) == pytest.approx(expected, rel=1e-5)


def test_chi2_is_the_mean_under_the_worst_weights_of_its_ball():
    """Weights w / n with mean (w - 1)^2 / 2 = rho that lean towards the losses."""
    out, y = logits_and_labels()
    losses = F.cross_entropy(out, y, reduction="none")
    lean = (losses - losses.mean()) / losses.std(correction=0)
    w = 1 + math.sqrt(2 * 0.05) * lean
    assert float((w - 1).square().mean() / 2) == pytest.approx(0.05, rel=1e-5)
    assert float(of_arm("chi2-dro", 0.05)(out, y)) == pytest.approx(float((w * losses).mean()), rel=1e-5)


def test_every_arm_has_as_many_settings():
    assert {len(arm.tries) for arm in ARMS.values()} == {24}


def test_a_member_trains_as_if_it_were_alone():
    data = (torch.randn(64, 4, generator=RNG), torch.randint(2, (64,), generator=RNG))

    def trained(decays, rates):
        stacks = Stacks((4, 8, 2), len(decays), rates, seed=1)
        looks = []
        train(
            stacks,
            data,
            lambda out, y: ARMS["erm"].loss(out, y, torch.zeros(len(out))),
            torch.tensor(decays * len(rates)),
            epochs=5,
            batch_size=32,
            look=lambda s: looks.append(s(data[0]).detach()),
            every=2,
            seed=3,
        )
        return looks

    together, alone = trained([0.0, 0.1], (1e-3, 1e-2)), trained([0.1], (1e-2,))
    assert len(together) == 3  # after epochs 0, 2 and 4
    assert torch.allclose(together[-1][3], alone[-1][0], atol=1e-6)


def test_temperatures_are_the_houses():
    pairs = [logits_and_labels(400, strength=s) for s in (1.0, 2.0)]
    y = pairs[0][1]
    z = torch.stack([pairs[0][0], 3 * pairs[0][0] + 0.1])
    for found, member in zip(temperatures(z, y), z):
        assert float(found) == pytest.approx(fit_temperature(member, y), rel=0.01)


def test_a_temperature_stays_finite_where_no_row_is_wrong():
    y = torch.zeros(50, dtype=torch.long)
    (found,) = temperatures(torch.tensor([[[1.0, -1.0]] * 50]), y)
    assert 0.01 < float(found) < 1


def test_measures_are_those_of_the_report():
    out, y = logits_and_labels(600, classes=2)
    held = logits_and_labels(600, classes=2)
    (found,) = measured(out[None], y, *at_matched((held[0][None], held[1]), out[None], y, few=False))
    report = fragility_report(out, y, held_out=held, bootstrap_rows=2)
    expected = {
        "accuracy": report.accuracy,
        "auc": report.auc,
        "fi": report.fi.value,
        "nfi": report.nfi.value,
        "ce": report.cross_entropy,
        "ece": report.ece,
        "confident": report.confident_errors,
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected)
    assert found["nfi_matched"] == pytest.approx(report.matched.nfi.value, rel=1e-3)


def test_a_row_does_not_fit_its_own_temperature():
    out, y = logits_and_labels(40, classes=2)
    held = (out[None, :2], y[:2])
    before, _ = at_matched(held, out[None], y, few=True)
    turned = y.clone()
    turned[::10] = 1 - turned[::10]  # the labels of one tenth
    after, _ = at_matched(held, out[None], turned, few=True)
    others = torch.arange(40) % 10 != 0
    assert torch.allclose(before[0, ::10], after[0, ::10])
    assert not torch.allclose(before[0, others], after[0, others])


def test_splits_of_one_set_have_the_corrected_interval():
    values = [0.1, 0.3, 0.2, 0.4]
    plain, wider = mean_interval(values), corrected(values, 0.5).interval
    assert wider.high - wider.low == pytest.approx((plain.high - plain.low) * math.sqrt((1 / 4 + 0.5) / (1 / 4)))


def test_made_tables_have_students_interval_and_p():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    gap, plain = over_seeds("stand-in", values), mean_interval(values)
    ends = (gap.interval.value, gap.interval.low, gap.interval.high)
    assert ends == pytest.approx((plain.value, plain.low, plain.high))
    assert gap.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_arms_that_are_one_and_the_same_differ_by_nothing():
    gap = over_seeds("stand-in", [0.0, 0.0, 0.0])
    assert (gap.interval.low, gap.interval.high, gap.p) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "heart failure"])
def test_a_world_has_the_rows_it_says(name):
    world, table = WORLDS[name], table_of(name, 0, None)
    assert (len(table.train.y), len(table.validation.y)) == (world.rows, world.held)


def test_later_rows_drift_in_the_test_alone():
    now, later = table_of("stand-in", 0, None), table_of("30 % noise later", 0, None)
    assert torch.equal(now.train.y, later.train.y)
    assert torch.equal(now.validation.y, later.validation.y)
    turned = float((now.test.y != later.test.y).double().mean())
    assert turned == pytest.approx((0.3 - 0.12) / (1 - 0.24), abs=0.03)


def test_few_positives_are_few():
    assert float(table_of("5 % positives", 0, None).train.y.double().mean()) == pytest.approx(0.05, abs=0.002)
