"""One contract for every perturbation: identity, range, determinism, batch invariance, types, gradients, clear errors."""

import itertools

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.protocols import Perturbation
from deepwright.corruptions import ALL, DYNAMIC, TABLES, get

EVERY = (*ALL, *DYNAMIC, get("impulse_noise_per_pixel"))
each = pytest.mark.parametrize("p", EVERY, ids=lambda p: p.name)
each_severity = pytest.mark.parametrize("severity", [1, 3, 5])
LEVELS = range(1, 6)


@pytest.fixture
def x(photos):
    return photos.float() / 255


def small(seed=0, channels=3):
    return torch.rand(3, channels, 16, 20, generator=torch.Generator().manual_seed(seed))


@each
def test_it_fits_the_protocol(p):
    assert isinstance(p, Perturbation)


@each
def test_severity_0_is_the_identity(p):
    assert torch.equal(p(small(), 0), small())


@each
@each_severity
def test_shape_type_and_range_are_kept(p, severity, x):
    out = p(x, severity, seed=3)
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    assert bool(((out >= 0) & (out <= 1)).all())  # NaN is neither


@each
def test_the_input_stays_as_it_is(p):
    x = small()
    p(x, 4, seed=3)
    assert torch.equal(x, small())


@each
@each_severity
def test_the_same_seed_gives_the_same_bits(p, severity):
    assert torch.equal(p(small(), severity, seed=3), p(small(), severity, seed=3))


@each
def test_another_time_step_draws_anew_as_another_seed_does(p):
    first, seed, step = p(small(), 3), p(small(), 3, seed=1), p(small(), 3, t=1)
    assert torch.equal(first, step) == torch.equal(first, seed)


@each
@each_severity
def test_a_sample_is_the_same_in_any_batch(p, severity, x):
    alone = p(x[2:], severity, seed=3, ids=torch.tensor([2]))
    assert float((alone - p(x, severity, seed=3)[2:]).abs().max()) < 2e-5


@each
def test_each_sample_has_its_own_severity(p, x):
    mixed = p(x, torch.tensor([0, 2, 5]), seed=3)
    assert torch.equal(mixed[0], x[0])
    for row, severity in ((1, 2), (2, 5)):
        assert float((mixed[row] - p(x, severity, seed=3)[row]).abs().max()) < 2e-5


@each
def test_between_two_levels_lies_what_is_between_them(p, x):
    for severity in (0.5, 4.4):
        if p.least is None or severity < p.least:
            with pytest.raises(InputError, match="severity"):
                p(x, severity)
        else:
            here, near = p(x, severity, seed=3), p(x, severity - 1e-4, seed=3)
            assert float((here - near).abs().mean()) < 1e-3  # no step on the way
            assert severity < 1 or not torch.equal(here, p(x, 5, seed=3))


@each
def test_the_highest_severity_changes_something(p, x):
    assert float((p(x, 5, seed=3) - x).abs().mean()) > 0


@pytest.mark.parametrize("p", [p for p in EVERY if p.monotone], ids=lambda p: p.name)
def test_changes_grow_with_the_severity(p, x):
    changes = [float((p(x, severity, seed=3) - x).abs().mean()) for severity in LEVELS]
    assert all(b >= a - 1e-3 for a, b in itertools.pairwise(changes)), changes


@each
def test_bytes_give_bytes(p, photos):
    out = p(photos, 3)
    assert (out.shape, out.dtype) == (photos.shape, torch.uint8)


@each
def test_half_precision_stays(p):
    assert p(small().half(), 2).dtype == torch.float16


@each
def test_grey_pictures_stay_grey(p):
    assert p(small(channels=1), 3).shape == (3, 1, 16, 20)


@each
def test_one_picture_without_a_batch(p):
    assert p(small()[0], 3).shape == (3, 16, 20)


@pytest.mark.parametrize("p", [p for p in EVERY if p.differentiable], ids=lambda p: p.name)
def test_gradients_pass_through(p, x):
    leaf = x.clone().requires_grad_(True)
    p(leaf, 2, seed=3).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert float(leaf.grad.abs().sum()) > 0


@each
def test_the_smallest_pictures(p):
    assert torch.isfinite(p(small()[:, :1, :8, :8], 5)).all()


BAD = {
    "a severity above 5": (small(), 6, "severity"),
    "a negative severity": (small(), -1, "severity"),
    "values above 1": (small() * 2, 1, "range"),
    "NaN": (small() * torch.nan, 1, "range"),
    "integers that aren't bytes": (small().int(), 1, "uint8"),
    "fewer than 8 columns": (small()[..., :4], 1, "8 x 8"),
}


@each
@pytest.mark.parametrize("name", BAD)
def test_what_it_cannot_take_is_told(p, name):
    bad, severity, message = BAD[name]
    with pytest.raises(InputError, match=message):
        p(bad, severity)


# ---------------------------------------------------------------- rows of tables

each_table = pytest.mark.parametrize("p", TABLES, ids=lambda p: p.name)


def rows(seed=0):
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))


@each_table
def test_rows_are_the_same_at_severity_0(p):
    assert torch.equal(p(rows(), 0), rows())


@each_table
def test_rows_change_more_with_the_severity(p):
    x = torch.cat([rows(i) for i in range(50)])
    changes = [float((p(x, severity, seed=1) - x).abs().mean()) for severity in LEVELS]
    assert changes[0] > 0
    assert all(b > a for a, b in itertools.pairwise(changes)), changes


@each_table
def test_rows_stay_as_they_are(p):
    x = rows()
    p(x, 4)
    assert torch.equal(x, rows())


@each_table
@pytest.mark.parametrize(
    ("bad", "severity", "message"),
    [(rows() / 0, 1, "finite"), (rows()[0], 1, "features"), (rows().long(), 1, "floats"), (rows(), 6, r"0\.\.5")],
)
@pytest.mark.usefixtures("unchecked")
def test_rows_that_it_cannot_take_are_told(p, bad, severity, message):
    with pytest.raises(InputError, match=message):
        p(bad, severity)
