"""Coloured digits with watermarks: what each attribute says, and what shuffling one leaves."""

from __future__ import annotations

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.data import WatermarkedColouredDigits


def made(n=400, **options):
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 28, 28), generator=draw, dtype=torch.uint8)
    digits = torch.randint(0, 10, (n,), generator=draw)
    return WatermarkedColouredDigits(images, digits, **{"flip_prob": 0.1, "size": 14} | options)


def test_banks_are_disjoint_and_unique():
    for bits, size in ((8, 32), (3, 4), (20, 100)):
        banks = made(10, watermark_bits=bits, bank_size=size, size=32).banks()
        assert banks.shape == (2, size, bits)
        assert len({tuple(p) for p in banks.flatten(0, 1).tolist()}) == 2 * size
    with pytest.raises(InputError, match="bank_size"):
        made(10, watermark_bits=3, bank_size=5)
    with pytest.raises(InputError, match="watermark_bits"):
        made(10, watermark_bits=15)


def test_colour_is_the_contrary_in_a_share_of_one_less_p():
    data = made(20_000, spur_prob=0.15, size=1).attributes
    assert float((data["colour"] == 1 - data["label"]).float().mean()) == pytest.approx(0.85, abs=0.01)
    flipped = data["label"] != (data["digit"] >= 5)
    assert float(flipped.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(data["colour"] == data["label"], data["environment"] == 1)


def test_the_watermark_tells_the_environment():
    data = made(watermark_bits=8, bank_size=4, spur_prob=0.5)
    mark, e = data.codes["watermark"], data.attributes["environment"]
    assert {*mark[e == 0].tolist()}.isdisjoint(mark[e == 1].tolist())
    assert len({*mark.tolist()}) == 8
    x, _ = data.view()
    drawn = (x[:, :, -8:, -1] * 0.3081 + torch.tensor([0.1307, 0.1307, 0.0])[:, None]).round().long()
    assert torch.equal(drawn, data.attributes["watermark"][:, None].expand(-1, 3, -1))
    noisy, _ = data.view(randomise=["watermark"])
    assert not torch.equal(noisy, x)
    assert torch.equal(noisy[..., :-1], x[..., :-1])


def test_shuffling_one_attribute_leaves_the_others():
    data = made(watermark_bits=6, bank_size=3)
    x, y = data.view()
    lit = x.flatten(2).sum(2).argmax(1)
    assert torch.equal(lit, data.attributes["colour"])
    shuffled, labels = data.view(shuffle=["digit"], seed=1)
    assert torch.equal(labels, y)
    assert torch.equal(shuffled[..., -6:, -1], x[..., -6:, -1])
    assert torch.equal(shuffled.flatten(2).sum(2).argmax(1), lit)
    grey, before = ((v[..., :-1] * 0.3081).flatten(1).sum(1) for v in (shuffled, x))
    assert torch.allclose(grey.sort().values, before.sort().values, atol=1e-3)
    other, _ = data.view(shuffle=["colour"], seed=1)
    assert torch.equal(torch.bincount(other.flatten(2).sum(2).argmax(1)), torch.bincount(lit))


def test_an_exchanged_colour_is_a_swap_of_the_two_channels():
    data = made(watermark_bits=0)
    rows = torch.arange(50)
    colour = data.attributes["colour"]
    donors = torch.stack([(colour != colour[i]).nonzero()[0, 0] for i in rows])
    swapped = data.exchanged("colour", rows, donors)
    assert torch.equal(swapped, data.render(rows)[:, [1, 0, 2]])
    assert float(data.render(rows)[:, 2].abs().max()) == 0.0
    assert float(data.render(rows).min()) == pytest.approx(-0.4242, abs=1e-4)
    with pytest.raises(InputError, match="attribute"):
        data.exchanged("hue", rows, donors)


def test_a_subset_has_the_samples_that_it_has_in_the_whole():
    data = made(watermark_bits=5, bank_size=3, env_noisiness=0.3)
    rows = torch.tensor([5, 17, 300])
    part = data.subset(rows)
    assert torch.equal(part.view()[0], data.view()[0][rows])
    assert torch.equal(part.y, data.y[rows])
    other = made(watermark_bits=5, bank_size=3, env_noisiness=0.3, seed=1)
    assert not torch.equal(other.y, data.y)
    assert torch.equal(data.with_environment(0.5).y, data.y)


def test_sizes_and_channels():
    assert made(4, size=32).view()[0].shape == (4, 3, 32, 32)
    assert made(4, size=28, channels=2).view()[0].shape == (4, 2, 28, 28)
    with pytest.raises(InputError, match="channels"):
        made(4, channels=1)
    with pytest.raises(InputError, match="randomise"):
        made(4).view(randomise=["colour"])
