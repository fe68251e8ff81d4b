"""Operators that go frame by frame, and no operator at all."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics.unifluids import FNO, UNet, extrapolation, persistence, train_next_frame

BY_DIMENSION = ((1, "advection"), (2, "navier-stokes"), (3, "advection-diffusion-3d"))


def test_persistence_repeats_the_last_known_frame(corpus):
    _, test = corpus["advection"]
    assert torch.equal(persistence(test)[:, :, 9], test.u[:, :, 3])


def test_extrapolation_goes_on_with_the_last_change(corpus):
    _, test = corpus["advection"]
    line = extrapolation(test)
    assert torch.allclose(line[:, :, 4] - line[:, :, 3], test.u[:, :, 3] - test.u[:, :, 2], atol=1e-6)


def test_extrapolation_needs_a_change(corpus):
    _, test = corpus["advection"]
    with pytest.raises(InputError, match="2 frames"):
        extrapolation(replace(test, context=1))


@pytest.mark.parametrize(("dim", "name"), BY_DIMENSION)
def test_a_rollout_keeps_the_context(dim, name, corpus):
    _, few = corpus[name]
    for model in (FNO(1, 4, dim, 6, 3, 2), UNet(1, 4, dim, 4, 2, bc=few.bc)):
        u = model.rollout(few)
        assert u.shape == few.u.shape
        assert torch.equal(u[:, :, :4], few.u[:, :, :4])


def test_a_wrapped_domain_has_no_edge(corpus):
    """Shifting by a coarse cell commutes with the network."""
    _, few = corpus["navier-stokes"]
    unet, frames = UNet(1, 4, 2, 4, 2, bc=few.bc), few.u[:, 0, :4, ..., 0]
    with torch.no_grad():
        assert torch.allclose(unet(frames.roll(4, 2)), unet(frames).roll(4, 2), atol=1e-5)


def test_a_unet_knows_how_large_a_field_is(corpus):
    """Norms alone would say the same change of a field and of its double, but for the biases."""
    frames = corpus["burgers"][1].u[:, 0, :4, :, 0, 0]
    unet = UNet(1, 4, 1, 8, 2)

    def change(x):
        return unet(x) - x[:, -1:]

    with torch.no_grad():
        assert (change(8 * frames) - change(4 * frames)).norm() > 0.2 * change(4 * frames).norm()


def test_a_grid_that_cannot_be_halved_is_refused():
    with pytest.raises(InputError, match="multiples of 8"):
        UNet(1, 4, 1, 4, 3)(torch.zeros(1, 4, 12))


@pytest.mark.parametrize("made_for", [(1, 6, 1), (1, 4, 2), (2, 4, 1)])
def test_data_that_the_network_is_not_made_for_are_refused(made_for, corpus):
    with pytest.raises(InputError, match="4 frames of 1 channels on 1 axes"):
        FNO(*made_for, 6, 3, 2).rollout(corpus["advection"][1])


@pytest.mark.parametrize("made_for", [(1, 4, 2), (2, 4, 1)])
def test_windows_of_data_that_the_network_is_not_made_for_are_refused(made_for, corpus):
    with pytest.raises(InputError, match="of 1 channels on 1 axes"):
        FNO(*made_for, 6, 3, 2).windows(corpus["advection"][1])


def test_windows_are_all_contexts_and_what_follows(corpus):
    data, _ = corpus["advection"]
    x, y = FNO(1, 4, 1, 6, 3, 2).windows(data, 2)
    assert len(x) == 11 * len(data)
    assert torch.equal(x[: len(data), 3], data.u[:, 0, 3, :, 0, 0])
    assert torch.equal(y[: len(data), 1], data.u[:, 0, 5, :, 0, 0])


@pytest.mark.parametrize(("model", "push"), [(FNO(1, 4, 1, 8, 6, 2), False), (UNet(1, 4, 1, 8, 2), True)])
def test_training_learns(model, push, corpus):
    losses = [row["loss"] for row in train_next_frame(model, corpus["advection"][0], epochs=4, push=push).history]
    assert losses[-1] < losses[0]


def test_no_epochs_are_refused(corpus):
    with pytest.raises(InputError, match="epochs"):
        train_next_frame(FNO(1, 4, 1, 8, 6, 2), corpus["advection"][0], epochs=0)


def test_an_operator_on_a_line_convolves_along_it():
    assert isinstance(FNO(1, 4, 1, 8, 6, 2).lift, nn.Conv1d)


@pytest.mark.parametrize("model", [FNO(1, 4, 1, 8, 6, 2), UNet(1, 4, 1, 8, 2)])
def test_a_model_in_float64_forecasts_and_trains_in_it(model, corpus):
    data, test = corpus["advection"]
    model = copy.deepcopy(model)
    single, double = model.rollout(test), model.double().rollout(test)
    assert torch.allclose(double[:, :, 4], single[:, :, 4], atol=1e-4)
    train_next_frame(model, data, epochs=1)
    assert next(model.parameters()).dtype == torch.float64
