"""What reviewers found at the edges of attacks, smoothing and patches: mended by its kind, and kept so."""

import pytest
import torch
from torch import nn

from deepwright.adversarial.attacks import MIFGSM, NIFGSM, PGD, VMIFGSM, ClassRemoval, DeepFool, UniversalPerturbation
from deepwright.adversarial.patches import AdversarialPatch, Placement
from deepwright.adversarial.smoothing import NoisyMean
from deepwright.core.errors import InputError
from deepwright.core.tasks import Segmentation
from deepwright.workflows.hardened import opened_alike


class Named(nn.Module):
    """Logits beside something that isn't one number a sample."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return {"logits": self.net(x), "aux": x.mean()}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 5)).eval()


@pytest.fixture(scope="module")
def seen(net):
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, net(x).argmax(1)


@pytest.mark.parametrize("attack", [MIFGSM, NIFGSM, VMIFGSM])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_without_a_budget_momentum_ends_at_the_box(net, seen, attack, norm):
    found = attack(float("inf"), norm)(net, *seen)
    assert bool(found.success.all())
    assert found.flags["not_finite"] == 0


def test_without_a_budget_a_universal_perturbation_is_one(net, seen):
    fitted = UniversalPerturbation(float("inf")).fit(net, [seen])
    assert bool(fitted.delta.isfinite().all())
    assert fitted(net, *seen).success.any()


@pytest.mark.parametrize("value", [float("nan"), -1.0, 5.0])
def test_masks_are_of_ones_and_zeros(net, seen, value):
    with pytest.raises(InputError, match="mask"):
        PGD(0.1)(net, *seen, mask=torch.full((1, 1, 8, 8), value))


def test_whether_the_loss_rose_is_told_from_the_clean_one(net, seen):
    x, y = seen
    found = DeepFool(0.02)(net, x, y)
    rose = nn.functional.cross_entropy(net(found.x_adv), y, reduction="none") > nn.functional.cross_entropy(
        net(x), y, reduction="none"
    )
    assert bool(rose.all())
    assert found.flags["loss_never_rose"] == 0


def test_smoothing_reads_logits_where_they_are_named(net, seen):
    x, _ = seen
    plain, named = (NoisyMean(m, 0.1, (3, 8, 8))(x) for m in (net, Named(net)))
    assert torch.equal(plain, named)


def test_smoothing_one_logit_gives_the_logit_of_the_mean():
    torch.manual_seed(0)
    binary = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    smooth = NoisyMean(binary, 0.5, (3, 2, 2))
    x = torch.rand(4, 3, 2, 2)
    mean = binary((x[:, None] + smooth.noise).flatten(0, 1)).sigmoid().view(4, -1).mean(1)
    assert torch.allclose(smooth(x)[:, 0].sigmoid(), mean, atol=1e-6)


def test_programs_of_networks_with_named_outputs_are_compared(net, seen):
    assert opened_alike(Named(net), Named(net), seen[0]) == 0


def test_a_network_without_numbers_has_no_patch_and_no_report(net, seen):
    broken = nn.Sequential(net, nn.Threshold(1e9, float("nan")))
    patch = AdversarialPatch(Placement(size=0.4), steps=1).fit(net, [seen])
    with pytest.raises(InputError, match="NaN"):
        patch.measure(broken, [seen])


@pytest.mark.parametrize("maps", [torch.zeros(2, 4, 8, 8), torch.zeros(2, 5, 5, dtype=torch.long)])
def test_class_removal_refuses_other_maps(maps):
    torch.manual_seed(0)
    segmenter = nn.Conv2d(3, 4, 1)
    with pytest.raises(InputError, match="label maps"):
        ClassRemoval(0.05, 1, task=Segmentation(4))(segmenter, torch.rand(2, 3, 8, 8), maps)
