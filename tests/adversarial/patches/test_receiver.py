"""The radar receiver: exact at the ends, cancellation with phase errors as its closed form says."""

import math

import pytest
import torch

from deepwright.adversarial.patches import PSF, SAAP
from deepwright.core.randomness import generator
from deepwright.core.tasks import CandidateDetection
from deepwright.data import sar_ships
from deepwright.data.named.ships import TAPS
from deepwright.nets import CentreDetector


def field(n=1, looks=2, size=32):
    parts = torch.randn(2, n, looks, size, size, generator=generator(0))
    return torch.complex(parts[0], parts[1])


def test_full_transmission_is_what_is_seen_without_any_and_none_is_nothing():
    g, psf = field(), PSF(1.5, 2.0)
    seen = psf.amplitude(g)
    ones = torch.ones(1, 1, *(32 // c for c in psf.cell))
    assert torch.equal(psf.amplitude(g, ones), seen)
    assert float(psf.amplitude(g, 0 * ones).abs().max()) < 1e-9


def test_a_point_is_spread_as_the_kernel_says():
    g = torch.zeros(1, 1, 33, 33, dtype=torch.complex64)
    g[..., 16, 16] = 1
    psf = PSF(taps=(0.2, 0.6, 0.2))
    kernel = torch.tensor([0.2, 0.6, 0.2]) / math.sqrt(0.44)
    assert torch.allclose(psf.amplitude(g)[0, 0, 15:18, 15:18], torch.outer(kernel, kernel), atol=1e-5)


@pytest.mark.parametrize("window", ["sinc", "taylor"])
def test_kernels_have_unit_energy_and_keep_the_mean_power_of_white_scenes(window):
    psf = PSF(1.5, 2.0, window=window)
    assert all(float(k.square().sum()) == pytest.approx(1.0) for k in psf.kernels)
    power = psf.amplitude(field(4, 4, 64)).square().mean()
    assert float(power) == pytest.approx(2.0, rel=0.1)


def test_side_lobes_of_the_taylor_window_lie_below_those_of_the_sinc():
    sinc, taylor = (PSF(2.0, 2.0, window=w).kernels[0] for w in ("sinc", "taylor"))
    middle = len(sinc) // 2
    assert float(taylor[middle + 5 :].abs().max() / taylor.max()) < 0.05 < float(sinc[middle + 2 :].abs().max())


@pytest.mark.parametrize(
    ("sigma", "mean", "rms"), [(0.1, 0.0797, 0.0999), (0.5, 0.3906, 0.4848), (1.0, 0.7343, 0.8871)]
)
def test_phase_errors_leave_what_their_closed_form_says(sigma, mean, rms):
    from deepwright.core.randomness import Streams

    left = PSF(phase=sigma).residual(torch.zeros(1, 1, 320, 320), Streams(0, 1, "t")).abs()
    assert float(left.mean()) == pytest.approx(mean, rel=0.02)
    assert float(left.square().mean().sqrt()) == pytest.approx(rms, rel=0.02)


def test_the_receiver_is_that_of_the_generator():
    scenes = sar_ships(3, coherent=True)
    seen = PSF(taps=TAPS).amplitude(scenes.field).clamp(0, 1)
    assert float((seen - scenes.images).abs().max()) <= 0.51 / 255


def test_a_pattern_found_through_the_receiver_holds_its_budget_on_the_cells():
    scenes = sar_ships(2, coherent=True)
    attack = SAAP(CandidateDetection(1), 0.2, steps=3, physical=PSF(taps=TAPS, least=0.1))
    result = attack(CentreDetector().eval(), scenes.images, scenes.truth, field=scenes.field)
    assert torch.allclose(torch.cat(result.energy_share), torch.tensor(0.2, dtype=torch.float64), atol=1e-4)
    assert float(result.transmission.min()) >= 0.1 - 1e-5
    assert float(result.transmission.max()) == 1.0


def test_what_is_misplaced_beyond_the_edge_is_lost_and_nothing_comes_in_from_the_other_side():
    g = torch.ones(64, 1, 12, 12, dtype=torch.complex64)
    wanted = torch.ones(64, 1, 12, 12)
    wanted[:, :, 0, 0] = 0  # a hole in the corner; with one tap the receiver shows each cell as it is
    seen = PSF(taps=(1.0,), misplaced=1.0).realised(g, wanted, seed=3)[:, 0]
    holes = (seen < 0.5).nonzero()
    assert len(holes) == len({int(n) for n, _, _ in holes})  # one an image at most
    assert {(int(r), int(c)) for _, r, c in holes} == {(1, 1)}  # never at 11, where a roll would put it
    assert 0.1 < len(holes) / 64 < 0.45  # a quarter moves inwards both ways
