"""Attenuation patches on detectors whose answer is known: a linear score, whose optimum is greedy filling."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.adversarial.patches import SAAP, apply_patches, attenuated, load_patches, save_patches, smallest_shares
from deepwright.adversarial.patches.energy import filled
from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.tasks import CandidateDetection
from deepwright.nets import CandidateBoxes, fine_ssd

SIZE = 12
BOXES = torch.tensor([[1.0, 1.0, 5.0, 5.0], [7.0, 7.0, 11.0, 11.0]])
TASK = CandidateDetection(1, score_threshold=0.5)


class Linear(nn.Module):
    """Two candidates at fixed places, whose log-odds are weighted sums of pixels."""

    def __init__(self, lift=20.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, SIZE * SIZE, generator=generator(2)))
        self.lift = lift

    def forward(self, x):
        score = x.mean(1).flatten(1) @ self.weight.T + self.lift
        return torch.cat([BOXES.to(x).expand(len(x), -1, -1), score[..., None]], -1)


def images(n=3, channels=1, seed=0):
    x = (torch.rand(n, 1, SIZE, SIZE, generator=generator(seed)) * 255).round() / 255
    return x.expand(-1, channels, -1, -1).clone()


def of(x, box):
    x1, y1, x2, y2 = box.long().tolist()
    return x[:, :, y1:y2, x1:x2].flatten(1)


@pytest.fixture
def detector():
    return Linear()


@pytest.fixture
def boxes():
    return [BOXES[:1]] * 3


def optimum(detector, x, tau):
    """What greedy filling of the first object gives."""
    weight = detector.weight.detach()[0].view(1, 1, SIZE, SIZE).expand(len(x), -1, -1, -1)
    cap = of(x, BOXES[0])
    return (of(weight, BOXES[0]) * filled(of(weight, BOXES[0]), cap, tau * cap.sum(1))).sum(1)


def gained(detector, x, result):
    with torch.no_grad():
        return (detector(x) - detector(result.images))[:, 0, 4]


def test_one_gradient_of_a_linear_score_is_the_optimum(detector, boxes):
    x = images()
    result = SAAP(TASK, 0.3, optimizer="greedy")(detector, x, boxes)
    assert torch.allclose(gained(detector, x, result), optimum(detector, x, 0.3), atol=1e-5)


@pytest.mark.parametrize(("optimizer", "steps"), [("frank-wolfe", 100), ("pgd", 200)])
def test_the_others_reach_it_within_a_percent(detector, boxes, optimizer, steps):
    x = images()
    result = SAAP(TASK, 0.3, optimizer=optimizer, steps=steps, early_stop=False)(detector, x, boxes)
    gain, best = gained(detector, x, result), optimum(detector, x, 0.3)
    assert bool((gain >= 0.99 * best).all() & (gain <= best + 1e-4).all())


def test_the_released_sign_walks_downhill(detector, boxes):
    x = images()
    options = {"optimizer": "sign", "constraint": "loose", "steps": 40, "early_stop": False}
    right = SAAP(TASK, 0.3, **options)(detector, x, boxes)
    literal = SAAP(TASK, 0.3, literal=True, **options)(detector, x, boxes)
    assert bool((gained(detector, x, right) > gained(detector, x, literal) + 1).all())
    assert bool((gained(detector, x, literal) < 0).all())  # the score is higher than it was


@pytest.mark.parametrize("optimizer", ["frank-wolfe", "pgd", "sign", "greedy"])
def test_the_share_is_exact_and_nothing_else_moves(detector, optimizer):
    x, boxes = images(), [BOXES] * 3
    result = SAAP(TASK, 0.2, optimizer=optimizer, steps=5)(detector, x, boxes)
    assert torch.allclose(torch.cat(result.energy_share), torch.tensor(0.2, dtype=torch.float64), atol=1e-4)
    outside = torch.ones(SIZE, SIZE, dtype=torch.bool)
    outside[1:5, 1:5] = outside[7:11, 7:11] = False
    assert torch.equal(result.images[..., outside], x[..., outside])
    assert bool((result.images <= x).all() & (result.images >= 0).all())


def test_everything_taken_leaves_exactly_nothing(detector, boxes):
    result = SAAP(TASK, 1.0, steps=3)(detector, images(), boxes)
    assert bool((of(result.images, BOXES[0]) == 0).all())


def test_power_is_held_where_power_is_the_budget(detector, boxes):
    result = SAAP(TASK, 0.2, budget="power", steps=10)(detector, images(), boxes)
    assert torch.allclose(torch.cat(result.power_share), torch.tensor(0.2, dtype=torch.float64), atol=1e-3)


def test_eight_bits_stay_on_levels_below_the_budget(detector, boxes):
    x = images()
    result = SAAP(TASK, 0.2, levels=255, steps=10)(detector, x, boxes)
    grid = result.images * 255
    assert float((grid - grid.round()).abs().max()) < 1e-3
    short = 0.2 * of(x, BOXES[0]).sum(1) - (of(x, BOXES[0]) - of(result.images, BOXES[0])).sum(1)
    assert bool((short > -1e-4).all() & (short < 1 / 255 + 1e-4).all())


def test_a_range_of_255_gives_the_same(detector, boxes):
    class Scaled(nn.Module):
        def forward(self, x):
            return detector(x / 255)

    x = images()
    unit = SAAP(TASK, 0.2, steps=10)(detector, x, boxes).images
    levels = SAAP(TASK, 0.2, steps=10, bounds=(0, 255))(Scaled(), x * 255, boxes).images
    assert torch.allclose(levels / 255, unit, atol=1e-5)


def test_grey_pictures_of_three_channels_stay_grey(detector, boxes):
    result = SAAP(TASK, 0.2, steps=5)(detector, images(channels=3), boxes)
    assert torch.equal(result.images[:, 0], result.images[:, 1])
    assert torch.allclose(result.images[:, :1], SAAP(TASK, 0.2, steps=5)(detector, images(), boxes).images, atol=1e-6)


def test_results_do_not_depend_on_the_batch(detector):
    x, boxes = images(5), [BOXES, BOXES[:1], BOXES[:0], BOXES[1:], BOXES]
    whole = SAAP(TASK, 0.2, steps=12)(detector, x, boxes)
    parts = SAAP(TASK, 0.2, steps=12, batch_size=2)(detector, x, boxes)
    assert torch.allclose(whole.images, parts.images, atol=1e-6)
    assert torch.equal(whole.images[2], x[2])


def test_an_overlapping_pixel_belongs_to_the_first_box(detector):
    x = images(1)
    both = [torch.tensor([[2.0, 2.0, 8.0, 8.0], [5.0, 5.0, 10.0, 10.0]])]
    result = SAAP(TASK, 1.0, steps=2)(detector, x, both)
    left, _ = attenuated("constant", x, both, 0.5)
    assert bool((result.images[0, 0, 2:8, 2:8] == 0).all())
    assert torch.allclose(left[0, 0, 5:8, 5:8], x[0, 0, 5:8, 5:8] / 2)


def test_a_turned_box_owns_what_lies_in_it(detector):
    x = torch.ones(1, 1, SIZE, SIZE)
    quarter = [torch.tensor([[6.0, 6.0, 8.0, 2.0, torch.pi / 2]])]
    result = SAAP(TASK, 1.0, steps=1)(detector, x, quarter)
    assert torch.equal(
        result.images[0, 0] == 0,
        torch.zeros(SIZE, SIZE).index_put(
            (torch.arange(2, 10).repeat_interleave(2), torch.tensor([5, 6]).repeat(8)), torch.tensor(1.0)
        )
        == 1,
    )


def test_own_detections_are_attacked_where_no_boxes_are_given(detector):
    x = images(1)
    result = SAAP(TASK, 0.2, steps=3)(detector, x)
    assert torch.allclose(result.boxes[0].sort(0).values.float(), BOXES)
    nothing = SAAP(TASK, 0.2, steps=3)(Linear(-1000.0), x)
    assert len(nothing.boxes[0]) == 0
    assert torch.equal(nothing.images, x)
    assert nothing.success_rate != nothing.success_rate  # nothing to hide is no success


def test_what_cannot_be_attacked_is_said(detector):
    x = images(1)
    x[:, :, 1:5, 1:5] = 0
    far = torch.tensor([[1.0, 1.0, 5.0, 5.0], [30.0, 30.0, 40.0, 40.0]])
    result = SAAP(TASK, 0.2, steps=3)(detector, x, [far])
    assert result.flags["no_amplitude"] == 0.5
    assert result.flags["no_pixels"] == 0.5
    assert result.flags["dark_boxes"] == 0.5


def test_a_gradient_that_says_nothing_is_flagged(boxes):
    class Flat(Linear):
        def forward(self, x):
            everywhere = 5 + 0 * x.mean((1, 2, 3)).view(-1, 1, 1).expand(-1, 2, 1)
            return torch.cat([BOXES.expand(len(x), -1, -1), everywhere], -1)

    assert SAAP(TASK, 0.2, steps=3)(Flat(), images(), boxes).flags["no_gradient"] == 1.0


def test_patches_come_back_from_their_file(detector, boxes, tmp_path):
    x = images()
    result = SAAP(TASK, 0.2, steps=3)(detector, x, boxes)
    save_patches(tmp_path / "p.npz", result)
    assert torch.allclose(apply_patches(x, *load_patches(tmp_path / "p.npz")), result.images, atol=1e-6)


def test_files_that_are_cut_altered_or_of_another_kind_are_refused(detector, boxes, tmp_path):
    save_patches(tmp_path / "p.npz", SAAP(TASK, 0.2, steps=1)(detector, images(), boxes))
    whole = (tmp_path / "p.npz").read_bytes()
    other = io.BytesIO()
    np.savez(other, images=np.array([1, 2]))
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    bad = [b"nothing of the kind", whole[: len(whole) // 2], other.getvalue(), plain.getvalue()]
    for place in range(0, len(whole), 97):
        bad.append(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    refused = 0
    for content in bad:
        (tmp_path / "q.npz").write_bytes(content)
        try:
            patches, _ = load_patches(tmp_path / "q.npz")
        except InputError as error:
            refused += "save_patches" in str(error)
        else:  # a bit of the archive's own that says nothing
            assert all(torch.equal(a, b) for a, b in zip(patches[0], load_patches(tmp_path / "p.npz")[0][0]))
    assert refused >= 0.7 * len(bad)


def test_an_interrupted_run_goes_on_to_the_same(detector, tmp_path):
    x, boxes = images(4), [BOXES] * 4
    attack = SAAP(TASK, 0.2, steps=5, batch_size=2)
    whole = attack(detector, x, boxes)
    calls = []

    def halt(step, loss):
        calls.append(step)
        if len(calls) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attack(detector, x, boxes, checkpoint=tmp_path / "c.jsonl", callback=halt)
    calls.clear()
    again = attack(detector, x, boxes, checkpoint=tmp_path / "c.jsonl", callback=lambda step, loss: calls.append(step))
    assert len(calls) == 6  # the first batch was kept
    assert torch.equal(again.images, whole.images)
    with pytest.raises(InputError, match="attack"):
        SAAP(TASK, 0.3, steps=5, batch_size=2)(detector, x, boxes, checkpoint=tmp_path / "c.jsonl")


def test_the_smallest_share_is_where_a_linear_score_falls_below_the_threshold(detector):
    x = images(1)
    x[:, :, 1:5, 1:5] = 0.8
    detector.lift = -float(detector(x)[0, 0, 4].detach() - detector.lift) + 1.0  # log-odds of 1 to begin with
    shares = smallest_shares(SAAP(TASK, optimizer="greedy"), detector, x, [BOXES[:1]], halvings=8)
    w = of(detector.weight.detach()[0].view(1, 1, SIZE, SIZE), BOXES[0])[0].sort(descending=True).values
    gain = 0.8 * w.cumsum(0)
    exact = float((gain >= 1.0).int().argmax()) / 16  # whole pixels before the one that is taken in part
    assert exact - 0.01 <= float(shares[0]) <= exact + 1 / 16 + 0.01


def test_a_real_detector_is_attacked_and_left_as_found():
    network = fine_ssd(image_size=(32, 32), width=4).eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    x = torch.rand(2, 1, 32, 32, generator=generator(0))
    truth = [Detections(torch.tensor([[8.0, 8.0, 20.0, 20.0]]), torch.zeros(1, dtype=torch.long))] * 2
    for loss in ("hide", "box_obj", "softplus", "sum", "strongest", "shift", "fabricate"):
        result = SAAP(TASK, 0.2, steps=2, loss=loss)(network, x, truth)
        assert bool(torch.isfinite(result.loss_trace).all())
    assert torch.equal(
        SAAP(TASK, 0.2, steps=2)(network, x, truth).images,
        SAAP(TASK, 0.2, steps=2)(CandidateBoxes(network), x, truth).images,
    )
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in before.items())
