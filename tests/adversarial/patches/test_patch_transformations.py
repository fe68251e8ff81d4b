"""Transformations of images and boxes: alike, exact at quarter turns, and differentiated as they are."""

import torch

from deepwright.adversarial.patches import EOT
from deepwright.adversarial.patches.transformations import Draws, turned
from deepwright.core.randomness import generator

BOUNDS = (0.0, 1.0)


def drawn(k, n=4, gain=1.0, scale=1.0, shift=0.0):
    ones = torch.ones(n)
    return Draws(torch.full((n,), k), gain * ones, scale * ones, shift * torch.ones(n, 2), None)


def test_boxes_go_where_the_pixels_go():
    x = torch.zeros(4, 1, 16, 16)
    x[:, :, 2:5, 7:13] = 1.0
    box = torch.tensor([[7.0, 2.0, 13.0, 5.0]])
    eot = EOT(shift=0.0)
    for k in range(4):
        out = eot.images(x, drawn(k), BOUNDS)[0, 0]
        x1, y1, x2, y2 = eot.boxes(box, torch.zeros(1, dtype=torch.long), drawn(k), (16, 16))[0].long().tolist()
        assert bool((out[y1:y2, x1:x2] == 1).all())
        assert float(out.sum()) == 18


def test_a_whole_shift_and_a_scale_move_boxes_along():
    x = torch.zeros(1, 1, 32, 32)
    x[:, :, 10:14, 10:16] = 1.0
    eot = EOT(shift=4.0, scale=(0.5, 2.0))
    for how in (drawn(0, 1, shift=3.0), drawn(0, 1, scale=2.0)):
        out = eot.images(x, how, BOUNDS)[0, 0]
        box = eot.boxes(torch.tensor([[10.0, 10.0, 16.0, 14.0]]), torch.zeros(1, dtype=torch.long), how, (32, 32))[0]
        rows, columns = (out > 0.5).nonzero().unbind(1)
        found = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
        assert torch.allclose(found, box, atol=1.01)


def test_the_gradient_is_that_of_the_composed_function():
    weight = torch.randn(4, 1, 8, 8, generator=generator(0), dtype=torch.float64)
    eot = EOT(shift=0.0)
    for k in range(4):
        x = torch.rand(4, 1, 8, 8, generator=generator(1), dtype=torch.float64).mul(0.7).requires_grad_(True)
        (found,) = torch.autograd.grad((weight * eot.images(x, drawn(k, gain=1.3), BOUNDS)).sum(), x)
        assert torch.allclose(found, 1.3 * torch.rot90(weight, -k, (2, 3)), atol=1e-5)


def test_a_draw_does_not_depend_on_its_batch():
    eot, size, device = EOT(looks=3, scale=(0.8, 1.25)), (8, 8), torch.device("cpu")
    whole = eot.draw(0, torch.arange(6), 3, size, device)
    part = eot.draw(0, torch.tensor([4, 2]), 3, size, device)
    assert torch.equal(whole.turns[[4, 2]], part.turns)
    assert torch.equal(whole.shift[[4, 2]], part.shift)
    assert torch.equal(whole.speckle[[4, 2]], part.speckle)


def test_turns_come_as_often_as_they_should_and_odd_ones_never_where_they_do_not_fit():
    eot, device = EOT(), torch.device("cpu")
    turns = eot.draw(0, torch.arange(4000), 0, (8, 8), device).turns
    assert torch.allclose(torch.bincount(turns, minlength=4) / 4000, torch.tensor(eot.turns), atol=0.03)
    assert bool((eot.draw(0, torch.arange(100), 0, (8, 9), device).turns % 2 == 0).all())


def test_turning_is_that_of_torch():
    x = torch.rand(4, 2, 5, 5, generator=generator(0))
    out = turned(x, torch.arange(4))
    assert all(torch.equal(out[k], torch.rot90(x[k], k, (1, 2))) for k in range(4))
