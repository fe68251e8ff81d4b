"""Layouts of batches to the bit, patches, gaps filled in."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    ChannelRegistry,
    Patchify,
    PDEDataset,
    advection1d,
    fill_in,
    from_unified,
    to_unified,
)

REGISTRY = ChannelRegistry()


def test_layouts_round_trip():
    rng = np.random.default_rng(0)
    for space, channels in (((8,), ("u",)), ((8, 4), ("Vx", "Vy")), ((4, 8, 4), ("density", "Vx", "pressure"))):
        u = rng.standard_normal((3, 8, *space, len(channels))).astype(np.float32)
        coords = {a: np.arange(n) / n for a, n in zip("txyz", (8, *space))}
        data = PDEDataset(u, coords, np.zeros((3, 1)), "p", channels=channels)
        batch = to_unified(data, REGISTRY, 4)
        assert np.array_equal(from_unified(batch), u)
        patch = Patchify({1: (4, 4, 1, 1), 2: (2, 4, 2, 1), 3: (2, 2, 4, 2)}[len(space)])
        tokens = patch(batch.u)
        frames = tuple(batch.u.shape[2:])
        assert torch.equal(patch.undo(tokens, frames), batch.u)
        first = batch.u[:, :, : patch.shape[0], : patch.shape[1], : patch.shape[2], : patch.shape[3]]
        assert torch.equal(tokens[:, 0].reshape(first.shape), first)
        assert len(patch.positions(frames, batch.spacing, batch.extent, 8.0)) == tokens.shape[1]


@pytest.mark.parametrize("shape", [(64, 1, 1), (16, 8, 1), (8, 8, 8), (9, 1, 1)])
def test_gaps_are_filled_between_what_is_known(shape):
    """Known values stay; a constant stays one; a straight line between two known ends comes out straight."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(3, 2, *shape, generator=draw, dtype=torch.float64)
    known = (torch.rand(3, 1, *shape, generator=draw) < 0.2).double()
    known[:, :, 0, 0, 0] = 1
    for periodic in (True, False):
        found = fill_in(values * known, known, periodic)
        kept = (known > 0).expand_as(values)
        assert torch.equal(found[kept], values[kept])
        assert float(found.max()) <= float((values * known).max()) + 1e-12  # never above what is known
        assert torch.allclose(fill_in(2.5 * known, known, periodic), torch.full_like(known, 2.5))
    ends = torch.zeros(1, 1, *shape, dtype=torch.float64)
    line = torch.linspace(0, 1, shape[0], dtype=torch.float64).reshape(1, 1, -1, 1, 1).expand_as(ends)
    ends[:, :, [0, -1]] = 1
    assert float((fill_in(line * ends, ends, False, sweeps=200) - line).abs().max()) < 0.02


@pytest.fixture(scope="module")
def waves():
    """Three trajectories on a line."""
    return to_unified(advection1d(3, 0.5, nx=16, t=0.4, dt_save=0.1), REGISTRY, 2)


def test_an_uneven_grid_is_refused():
    coords = {"t": np.arange(4.0), "x": np.array([0, 1, 2, 4.0])}
    with pytest.raises(InputError, match="even grid"):
        to_unified(PDEDataset(np.zeros((1, 4, 4, 1)), coords, np.zeros((1, 0)), "p"), REGISTRY, 2)


def test_an_unknown_channel_is_refused_with_a_close_one():
    with pytest.raises(InputError, match=r"unknown channel.*pressure"):
        REGISTRY.indices(("presure",))


def test_a_grid_that_is_no_multiple_of_the_patch_is_refused():
    with pytest.raises(InputError, match="multiples of the patch"):
        Patchify((4, 16, 1, 1))(torch.zeros(1, 1, 16, 60, 1, 1))


@pytest.mark.parametrize("context", [0, 5, 9])
def test_a_context_without_frames_before_or_after_is_refused(context, waves):
    with pytest.raises(InputError, match="context"):
        replace(waves, context=context)


def test_a_value_that_is_not_finite_is_found(waves):
    u = waves.u.clone()
    u[2, 0, 2, 5] = torch.nan
    with pytest.raises(InputError, match="sample 2"):
        replace(waves, u=u)


@pytest.mark.parametrize("shape", [(2, 1), (3, 5), (3,)])
def test_parameters_of_another_shape_are_refused(shape, waves):
    with pytest.raises(InputError, match="params"):
        replace(waves, params=torch.zeros(shape))
