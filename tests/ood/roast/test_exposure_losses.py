"""The loss of exposure, and the risk of classifiers under attack."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.data import Windows
from deepwright.ood import EntitySelector, ExposureLoss, MADGANDetector, attack_cohort, auroc, class_risk, importance


def windows(n, seed=0):
    return torch.randn(n, 5, 3, generator=torch.Generator().manual_seed(seed))


def test_the_margin_is_between_all_pairs():
    benign, attacked = torch.tensor([0.0, 1.0]), torch.tensor([2.0])
    want = (math.log1p(math.exp(1 - 2.0)) + math.log1p(math.exp(1 - 1.0))) / 2
    assert float(ExposureLoss(1.0)(benign, attacked)) == pytest.approx(want)
    far = ExposureLoss()(benign, attacked + 50)
    assert float(far) == pytest.approx(0, abs=1e-9)
    assert float(ExposureLoss()(benign[:0], attacked)) == 0


def test_a_discriminator_that_is_shown_attacks_sees_them():
    x = windows(120) * 0.3
    attacked = x.clone()
    attacked[:, -2:, 0] += 0.8
    rows, labels = torch.cat([x, attacked[:60]]), torch.arange(180) >= 120
    found = []
    for weight in (0.0, 5.0):
        detector = MADGANDetector(hidden=12, latent=3, epochs=12, batch_size=60, exposure=weight, seed=0)
        detector.fit(rows, labels)
        found.append(auroc(detector.score(x), detector.score(attacked[60:])))
    assert found[1] > found[0]
    assert found[1] > 0.8


def test_importance_finds_the_channel_that_decides():
    x = windows(400)
    weights = importance(x, (x[..., 1].mean(1) > 0).long())
    assert weights.argmax() == 1
    assert bool((weights >= 0).all())
    with pytest.raises(InputError, match="1 classes"):
        importance(x, torch.zeros(400, dtype=torch.long))


def test_risk_is_weighted_squares():
    x = windows(4)
    moved = x.clone()
    moved[:, 2, 0] += 2.0
    before, after = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    found = class_risk(x, moved, before, after, torch.tensor([0.5, 1.0, 0.0]))
    torch.testing.assert_close(found.series, torch.full((4,), 0.5 * 4 / 5, dtype=torch.float64))
    assert found.flip_rate == 0.25
    with pytest.raises(InputError, match="same windows twice"):
        class_risk(x[:0], moved[:0], before[:0], after[:0], torch.ones(3))
    with pytest.raises(InputError, match="of 0 or more"):
        class_risk(x, moved, before, after, -torch.ones(3))


class Signs(torch.nn.Module):
    """Two classes by the mean of the first channel."""

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        level = x[..., 0].mean(1) * self.one
        return torch.stack([-level, level], dim=1)


def shifted(model, x, y):
    moved = x.clone()
    moved[..., 0] += 0.2 * (1 + y)  # who is labelled 1 is moved twice as far
    return moved


def test_a_cohort_of_classifiers_is_ranked():
    whole = {}
    for k in range(4):
        x = windows(40, k)
        y = torch.full((40, 1), float(k % 2))
        whole[f"e{k}"] = Windows(x, y, torch.arange(40), torch.zeros(40, dtype=torch.bool))
    cohort = attack_cohort(Signs().eval(), shifted, whole)
    profiles = cohort.class_profiles()
    assert set(EntitySelector().fit(profiles).less_vulnerable_) == {"e0", "e2"}
    assert profiles["e1"].mean == pytest.approx(4 * profiles["e0"].mean, rel=1e-4)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_score_or_no_class_is_refused():
    scores, x, classes = torch.rand(4), windows(4), torch.tensor([0, 0, 1, 1])
    with pytest.raises(InputError, match="scores"):
        ExposureLoss()(scores[:, None], scores)  # (N, 1) would be compared by place, not in pairs
    for wrong in (torch.rand(4, 2), torch.rand(4), classes[:, None]):
        with pytest.raises(InputError, match="before"):
            class_risk(x, x, wrong, classes, torch.ones(3))
        with pytest.raises(InputError, match="said"):
            importance(x, wrong)
    with pytest.raises(InputError, match="windows"):
        class_risk(x, x * float("nan"), classes, classes, torch.ones(3))
    with pytest.raises(InputError, match="windows"):
        class_risk(x[0], x[0], classes, classes, torch.ones(3))


def test_exposure_without_attacked_windows_is_refused():
    detector = MADGANDetector(hidden=4, latent=2, epochs=1, exposure=1.0)
    for labels in (None, torch.zeros(20, dtype=torch.bool), torch.arange(20) == 0):
        with pytest.raises(InputError, match="attacked windows"):
            detector.fit(windows(20), labels)
