"""What is drawn has the lengths, areas and places that it was told."""

from __future__ import annotations

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.interpret.mindset.canvas import Canvas, path_distance, polygon_distance


def ink(canvas: Canvas) -> torch.Tensor:
    """Painted area of each picture, in pixels."""
    return canvas.images()[:, 0].double().sum((1, 2)) / 255


def test_areas_are_those_of_geometry() -> None:
    r = torch.tensor([3.3, 10.0, 25.7])
    canvas = Canvas(3, 70)
    canvas.disc(torch.full((3, 2), 34.4), r, 255.0)
    assert torch.allclose(ink(canvas), (math.pi * r**2).double(), rtol=0.015)
    angle = torch.tensor([0.0, 0.3, 1.1])
    half = 20 * torch.stack([angle.cos(), angle.sin()], 1)
    for width in (1.0, 2.5):
        canvas = Canvas(3, 70)
        canvas.segment(35.3 - half, 35.3 + half, width, 255.0)
        assert torch.allclose(ink(canvas), torch.full((3,), 40 * width).double(), rtol=0.02)
    canvas = Canvas(1, 70)
    canvas.polygon(torch.tensor([[[10.0, 10.0], [50.5, 10.0], [50.5, 30.5], [10.0, 30.5]]]), 255.0)
    assert float(ink(canvas)) == pytest.approx(40.5 * 20.5, rel=0.002)
    canvas = Canvas(1, 70)
    canvas.disc(torch.full((1, 2), 35.0), 20.0, 255.0, width=3.0)
    assert float(ink(canvas)) == pytest.approx(math.pi * (21.5**2 - 18.5**2), rel=0.01)


def test_a_cut_polygon_is_two_halves() -> None:
    corners = torch.tensor([[[10.0, 10.0], [60.0, 12.0], [40.0, 55.0]]])
    whole, parts = Canvas(1, 70), 0.0
    whole.polygon(corners, 255.0)
    normal = torch.tensor([[0.6, 0.8]])
    for side in (1.0, -1.0):
        canvas = Canvas(1, 70)
        canvas.polygon(corners, 255.0, (torch.tensor([[36.0, 26.0]]), side * normal))
        parts += float(ink(canvas))
    assert parts == pytest.approx(float(ink(whole)), rel=0.01)


def test_tiles_change_nothing() -> None:
    """A shape across tiles is the distance field, evaluated everywhere."""
    corners = 30 + 25 * torch.randn(1, 7, 2, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    canvas = Canvas(1, 61)
    canvas.polygon(corners, 255.0)
    middle = torch.arange(61) + 0.5
    y, x = (t.flatten()[None] for t in torch.meshgrid(middle, middle, indexing="ij"))
    wanted = (0.5 - polygon_distance(corners, x, y)).clamp(0, 1).view(61, 61) * 255
    assert torch.equal(canvas.images()[0, 0], wanted.round().to(torch.uint8))
    assert float(path_distance(torch.tensor([[[0.0, 0.0], [4.0, 0.0]]]), *torch.tensor([[[7.0]], [[4.0]]]))) == 5.0


def test_edges_and_colours() -> None:
    for antialiasing in (True, False, "blur"):
        canvas = Canvas(2, 40, (10, 20, 30), antialiasing)
        canvas.disc(torch.full((2, 2), 20.0), 8.3, (200, 0, 100))
        images = canvas.images()
        assert images[0, :, 20, 20].tolist() == [200, 0, 100]
        assert images[0, :, 0, 0].tolist() == [10, 20, 30]
        assert antialiasing == "blur" or (len(images[0, 0].unique()) == 2) == (antialiasing is False)
    with pytest.raises(InputError, match="antialiasing"):
        Canvas(1, 40, antialiasing="soft")


def test_nothing_is_painted_without_extent() -> None:
    canvas = Canvas(1, 40)
    point = torch.full((1, 2), 20.0)
    canvas.disc(point, 0.0, 255.0)
    canvas.segment(point, point, 2.0, 255.0)
    canvas.polygon(point[:, None].expand(1, 4, 2), 255.0)
    assert int(canvas.images().max()) == 0
