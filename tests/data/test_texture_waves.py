"""Waves in noise: their frequency and direction are what the label says."""

import math

import torch

from deepwright.data import load, texture_waves


def test_the_label_says_where_the_spectrum_peaks():
    x, y = texture_waves(200, seed=3, size=64)
    strong = x[:, 0].std((1, 2)) > 0  # all of them vary
    assert strong.all()
    spectrum = torch.fft.fft2(x[:, 0] - x[:, 0].mean((1, 2), keepdim=True)).abs()
    f = torch.fft.fftfreq(64)
    radius = (f[:, None].square() + f[None].square()).sqrt()
    spectrum = spectrum * ((radius > 0.1) & (radius < 0.27))
    peak = spectrum.flatten(1).argmax(1)
    down, across = f[peak // 64], f[peak % 64]
    cycles = (down.square() + across.square()).sqrt()
    angle = torch.atan2(down, across).remainder(math.pi)
    wanted = (y % 4) * math.pi / 4
    off = (angle - wanted + math.pi / 2).remainder(math.pi) - math.pi / 2
    near = (off.abs() < 0.5) & ((cycles - torch.tensor([0.14, 0.22])[y // 4]).abs() < 0.04)
    assert near.double().mean() > 0.8  # weak waves drown


def test_it_is_bundled_and_the_same_every_time():
    data = load("texture-waves")
    assert (len(data.train), len(data.validation), len(data.test)) == (4000, 400, 400)
    assert tuple(data.test.x.shape[1:]) == (1, 32, 32)
    assert len(data.classes) == 8
    assert torch.equal(texture_waves(5, 1)[0], texture_waves(5, 1)[0])
    assert not torch.equal(texture_waves(5, 1)[0], texture_waves(5, 2)[0])
    noise = texture_waves(400, 0)[0]
    assert abs(float(noise.mean()) - 0.5) < 0.02
    assert 0.12 < float(noise.std()) < 0.17
