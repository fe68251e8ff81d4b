"""Attacks of other libraries: the same numbers as there, and no option that isn't followed."""

import pytest
import torch

from deepwright.adversarial import from_art, from_foolbox
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Regression


class Brighter:
    """What an ART attack looks like to us."""

    def __init__(self, targeted=False):
        self.targeted = targeted

    def generate(self, x, y):
        return x + 0.2


def test_foolbox_attacks_are_foolbox_s(conv):
    foolbox = pytest.importorskip("foolbox")
    model, x, y = conv
    _, theirs, success = foolbox.attacks.FGSM()(foolbox.PyTorchModel(model, bounds=(0, 1)), x, y, epsilons=0.05)
    ours = from_foolbox(foolbox.attacks.FGSM(), 0.05)(model, x, y)
    assert torch.allclose(ours.x_adv, theirs, atol=1e-6)
    assert torch.equal(ours.success, success)


def test_a_targeted_foolbox_attack_goes_to_the_target(conv):
    foolbox = pytest.importorskip("foolbox")
    model, x, y = conv
    goal = (y + 1) % 10
    attack = from_foolbox(foolbox.attacks.LinfPGD(steps=20), 0.5, targeted=True)
    result = attack(model, x, goal)
    assert float(result.success.double().mean()) > 0.5
    with torch.no_grad():
        assert torch.equal(model(result.x_adv).argmax(1) == goal, result.success)


def test_foolbox_sees_a_binary_network_as_two_classes(conv):
    foolbox = pytest.importorskip("foolbox")
    _, x, _ = conv
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 1)).eval()
    with torch.no_grad():
        y = (model(x)[:, 0] > 0).long()
    result = from_foolbox(foolbox.attacks.FGSM(), 0.3, task=Binary())(model, x, y)
    assert bool(result.success.all())


def test_an_art_attack_is_pulled_into_the_ball(conv):
    model, x, y = conv
    result = from_art(Brighter(), 0.05)(model, x, y)
    assert torch.allclose(result.x_adv, (x + 0.05).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("inner", [False, True])
def test_art_is_told_targets_when_it_is_made(inner):
    with pytest.raises(InputError, match="targeted"):
        from_art(Brighter(targeted=inner), 0.05, targeted=not inner)


@pytest.mark.parametrize("wrap", [from_foolbox, from_art])
@pytest.mark.parametrize(("word", "value"), [("loss", "margin"), ("early_stop", False), ("seed", 3)])
def test_what_the_other_library_does_by_itself_is_refused(wrap, word, value):
    with pytest.raises(InputError, match=word):
        wrap(Brighter(), 0.05, **{word: value})


def test_foolbox_does_not_apply_to_numbers():
    with pytest.raises(InputError, match="does not apply"):
        from_foolbox(lambda *a, **k: None, 0.05, task=Regression(tolerance=0.1))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrap", [from_foolbox, from_art])
def test_what_is_no_attack_is_refused(wrap):
    with pytest.raises(InputError, match="attack"):
        wrap(3, 0.05)
