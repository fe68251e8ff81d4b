"""Perturbations against the code that they come from, and chains of them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.adversarial import PGD
from deepwright.core.errors import InputError
from deepwright.core.tasks import Classification
from deepwright.corruptions import Compose, Suite, apply, get
from deepwright.corruptions.filters import motion

GREY = torch.full((4, 1, 16, 16), 0.5)


@pytest.mark.parametrize(("severity", "slope"), [(1, 0.12), (3, 0.32), (5, 0.6)])
def test_shear_is_that_of_opencv(photos, severity, slope):
    cv2 = pytest.importorskip("cv2")
    x = photos.float() / 255
    ours = apply(x, "shear", severity)
    matrix = np.array([[1, slope, 0], [0, 1, 0]])
    for image, sheared in zip(x, ours):
        h, w = image.shape[1:]
        reference = cv2.warpAffine(image.permute(1, 2, 0).numpy(), matrix, (w, h))
        off = (sheared.permute(1, 2, 0).numpy() - reference)[:, 1:-1]
        assert np.abs(off).mean() < 0.004  # OpenCV rounds places to 1/32 of a pixel
    assert torch.allclose(ours[:, :, 0], x[:, :, 0], atol=1e-5)  # the first row stays


def taps(size, degrees):
    """Places of one tap a row along a line at an angle from the vertical, about their mean."""
    down = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return torch.stack([down, down * math.tan(math.radians(degrees))])


@pytest.mark.parametrize(("size", "degrees"), [(2, 5), (4, 12), (6, 20), (10, 30), (15, 45)])
def test_motion_blur_spreads_as_far_and_as_turned_as_its_taps(size, degrees):
    kernel = motion(size, degrees, 1.0).double()
    r = kernel.shape[0] // 2
    place = torch.arange(-r, r + 1, dtype=torch.float64)
    down, across = place[:, None].expand_as(kernel), place[None].expand_as(kernel)
    found = torch.stack([(kernel * a * b).sum() for a, b in ((down, down), (across, across), (down, across))])
    y, x = taps(size, degrees)
    expected = torch.stack([(a * b).mean() for a, b in ((y, y), (x, x), (y, x))])
    assert torch.allclose(found[:2], expected[:2], atol=0.4)  # drawn between whole pixels: a little more
    assert float(found[2]) == pytest.approx(float(expected[2]), rel=0.07)


@pytest.mark.parametrize(("size", "mean_side"), [(32, 3.0), (60, 7.0)])
def test_one_cutout_covers_what_whole_sides_below_a_fifth_cover(size, mean_side):
    covered = (apply(torch.ones(3000, 1, size, size), "cutout", 1) == 0).double()
    share = float(covered.mean((1, 2, 3)).mean())
    assert share == pytest.approx((mean_side / size) ** 2, rel=0.06)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("severity", [2.5, torch.tensor(1.5), torch.tensor([1, 2]), "3", None, True, [1, 2.5, 3, 4]])
def test_severities_that_are_none_are_refused(severity):
    with pytest.raises(InputError, match="severity"):
        apply(GREY, "posterize", severity)


@pytest.mark.usefixtures("unchecked")
def test_whole_severities_of_any_type_are_taken():
    expected = apply(GREY, "gaussian_noise", 3)
    for severity in (3.0, np.int64(3), torch.tensor([3.0, 3, 3, 3])):
        assert torch.equal(apply(GREY, "gaussian_noise", severity), expected)


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_a_chain_draws_anew_for_each_batch_in_training():
    chain = Compose([("gaussian_noise", 1)])
    first, second = chain(GREY) - GREY, chain(GREY) - GREY
    assert abs(correlation(first, second)) < 0.1
    together = Compose([("gaussian_noise", 1)])(torch.cat([GREY, GREY]))
    assert torch.equal(torch.cat([first, second]) + GREY[0], together)  # an image's numbers hang on its number only


def test_a_repeated_step_draws_anew():
    chain = Compose([("gaussian_noise", 1), ("gaussian_noise", 1)]).eval()
    first = apply(GREY, "gaussian_noise", 1) - GREY
    second = chain(GREY) - GREY - first
    assert abs(correlation(first, second)) < 0.1
    assert float(second.std()) == pytest.approx(0.03, rel=0.1)


def test_a_chain_in_eval_mode_answers_alike():
    chain = Compose([("gaussian_noise", 1), ("fog_mapping", 2)]).eval()
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(chain(x), chain(x))
    assert torch.equal(chain(x)[[2, 0]], chain(x[[2, 0]], ids=torch.tensor([2, 0])))
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 3)).eval()
    assert PGD(0.05, steps=2)(model, x, torch.zeros(4, dtype=torch.long), through=[chain]).x_adv.shape == x.shape


def test_a_chain_goes_on_from_a_checkpoint():
    chain, again = Compose([("gaussian_noise", 1)]), Compose([("gaussian_noise", 1)])
    chain(GREY)
    again.load_state_dict(chain.state_dict())
    assert torch.equal(chain(GREY), again(GREY))


class Says(nn.Module):
    """One class for all."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        x *= 0  # writes into its input
        return nn.functional.one_hot(torch.full((len(x),), self.answer), 2).float() + x.flatten(1).sum(1, keepdim=True)


@pytest.mark.parametrize(("answer", "labels"), [(0, [1, 1, 1, 1]), (1, [1, 1, 1, 0]), (1, [1, 1, 1, 1])])
def test_errors_relative_to_clean_ones_say_nothing_without_skill_or_clean_errors(answer, labels):
    x = GREY.clone()
    report = Suite(["contrast"]).evaluate(Says(answer), [(x, torch.tensor(labels))], task=Classification(2))
    assert report.relative is None
    assert torch.equal(x, GREY)


def test_errors_relative_to_clean_ones_with_skill():
    labels = torch.tensor([0, 0, 1, 1])
    x = torch.cat([GREY[:2] - 0.2, GREY[:1] + 0.1, GREY[:1] - 0.1])

    class Bright(nn.Module):
        def forward(self, t):
            m = t.mean((1, 2, 3))
            return torch.stack([0.5 - m, m - 0.5], 1)

    report = Suite(["decrease_brightness"], (5,)).evaluate(Bright(), [(x, labels)])
    assert report.clean.value == 0.25
    assert report.relative == 2.0  # at a fifth of the brightness the bright one is lost too


def test_all_chains_that_name_a_perturbation_twice_in_a_suite_are_refused():
    with pytest.raises(InputError, match="contrast twice"):
        Suite(["contrast", "jpeg", "contrast"])
    with pytest.raises(InputError, match="1 twice"):
        Suite(["contrast"], severities=(1, 1))


@pytest.mark.parametrize("name", ["gaussian_noise", "contrast"])
def test_a_perturbation_leaves_its_input(name):
    x = GREY.clone()
    get(name)(x, 3)
    assert torch.equal(x, GREY)
