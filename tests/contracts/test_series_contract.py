"""One contract for every perturbation of series: identity, units, determinism, batches, errors; closed forms."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.protocols import Perturbation
from deepwright.corruptions import SERIES, series_in_units

each = pytest.mark.parametrize("p", SERIES, ids=lambda p: p.name)
X = torch.randn(6, 40, 3, generator=torch.Generator().manual_seed(0))
CENTER, SCALE = torch.tensor([100.0, -3.0, 0.0]), torch.tensor([20.0, 0.1, 1.0])
NAMED = {p.name: p for p in SERIES}


@each
def test_it_fits_the_protocol(p):
    assert isinstance(p, Perturbation)


@each
def test_severity_0_is_the_identity_and_the_input_stays(p):
    before = X.clone()
    assert torch.equal(p(X, 0), X)
    p(X, 5)
    assert torch.equal(X, before)


@each
@pytest.mark.parametrize("severity", range(1, 6))
def test_shape_and_type_are_kept_and_something_changes(p, severity):
    for dtype in (torch.float32, torch.float64, torch.float16):
        out = p(X.to(dtype), severity, seed=3)
        assert (out.shape, out.dtype) == (X.shape, dtype)
        assert torch.isfinite(out).all()
    assert float((p(X, 5) - X).abs().sum()) > 0


@each
def test_a_series_is_the_same_in_any_batch(p):
    alone = p(X[2:3], 4, seed=1, ids=torch.tensor([2]))
    assert torch.allclose(alone[0], p(X, 4, seed=1)[2], atol=1e-6)
    assert torch.equal(p(X, 4, seed=1), p(X, 4, seed=1))


@each
def test_units_of_the_channels_make_no_difference(p):
    """In deviations of each channel the same happens, whatever its unit."""
    own = {q.name: q for q in series_in_units(CENTER, SCALE)}[p.name]
    moved = own(X * SCALE + CENTER, 3, seed=2)
    assert torch.allclose((moved - CENTER) / SCALE, p(X, 3, seed=2), atol=2e-3)


@each
def test_one_channel_without_a_dimension_of_its_own(p):
    if p.channels > 1:
        with pytest.raises(InputError, match="channels"):
            p(X[..., 0], 3)
    else:
        assert torch.equal(p(X[..., 0], 3), p(X[..., :1], 3)[..., 0])


@each
def test_what_is_no_series_is_refused(p, unchecked):
    for bad in (X[0, 0], X.long(), X / 0, "text"):
        with pytest.raises(InputError, match="series"):
            p(bad, 2)


def test_perturbations_of_several_channels_are_left_out_of_one():
    names = {p.name for p in series_in_units(CENTER[:1], SCALE[:1])}
    assert {p.name for p in SERIES} - names == {"lost channels"}


def test_scales_that_are_none_are_refused():
    with pytest.raises(InputError, match="scale"):
        series_in_units(CENTER, torch.zeros(3))


def test_closed_forms():
    ends = NAMED["drift"](X, 3) - X
    assert torch.allclose(ends[:, 0], torch.zeros(6, 3), atol=1e-6)
    assert torch.allclose(ends[:, -1].abs(), torch.ones(6, 3), atol=1e-5)
    assert torch.allclose(NAMED["coarse instruments"](X, 3), X.round())
    spikes = (NAMED["spikes"](X, 5) - X).abs()
    assert bool(((spikes < 1e-5) | ((spikes - 5).abs() < 1e-5)).all())
    assert float((spikes > 1).double().mean()) == pytest.approx(0.2, abs=0.05)
    kept = (NAMED["lost channels"](X, 5) != 0).any(1)
    assert bool(kept.any(1).all())


def test_a_missing_stretch_holds_one_value():
    t = torch.arange(40.0).expand(3, 40)
    out = NAMED["missing stretch"](t, 5)
    gaps = (out != t).sum(1)
    assert bool(((gaps >= 19) & (gaps <= 20)).all())  # 20 steps; the first stays where the gap begins there
    assert bool((out.diff(dim=1) >= 0).all())


def test_an_uneven_clock_never_runs_back_and_ends_where_it_ended():
    t = torch.arange(40.0).expand(5, 40)
    out = NAMED["uneven clock"](t, 5)
    assert bool((out.diff(dim=1) >= -1e-4).all())
    assert torch.allclose(out[:, [0, -1]], t[:, [0, -1]], atol=1e-3)
