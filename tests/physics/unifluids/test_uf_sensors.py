"""Contexts known at some places only."""

from dataclasses import replace

import pytest
import torch
from uf_cases import REGISTRY, awake, scaled

from deepwright.core.errors import InputError
from deepwright.physics.unifluids import UniFluids


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def whole(corpus):
    return corpus["burgers"][1]


@pytest.fixture(scope="module")
def some(whole):
    """A quarter of the places."""
    return whole.with_sensors(0.25, seeded(2))


@pytest.fixture(scope="module")
def model(whole):
    return scaled(awake(UniFluids(REGISTRY, ["burgers"], "tiny")), [whole])


def test_a_share_of_the_places_is_known(whole, some):
    assert some.seen.sum((1, 2, 3)).tolist() == [16] * len(whole)


def test_nothing_else_of_the_context_is_looked_at(whole, some, model):
    seen = some.seen[:, None, None].expand_as(whole.u)
    spoilt = replace(some, u=torch.where(seen, whole.u, 5.0).contiguous())
    a, b = (model.sample(d, steps=3, generator=seeded(1))[0] for d in (some, spoilt))
    assert torch.equal(a, b)


def test_what_is_known_is_kept_and_the_rest_filled_in(whole, some, model):
    found, truth = model.sample(some, steps=3)[0][:, :, :4], whole.u[:, :, :4]
    seen = some.seen[:, None, None].expand_as(truth)
    assert torch.equal(found[seen], truth[seen])
    assert not torch.equal(found, truth)


def test_the_loss_turns_on_what_is_known(whole, some, model):
    losses = [float(model.loss(d, seeded(1), drop=0.0).detach()) for d in (some, whole)]
    assert losses[0] != losses[1]


def test_rollouts_begin_with_sensors(some, model):
    assert model.rollout(some, 2).shape[2] == 24


def test_sensors_everywhere_are_a_whole_context(whole):
    """But for the vector that says so and for hints, which are silenced here."""
    plain = scaled(awake(UniFluids(REGISTRY, ["burgers"], "tiny", target="field")), [whole])
    with torch.no_grad():
        for added in (plain.tokens.sensing, *plain.sensors.hints.values()):
            added.zero_()
    assert torch.equal(plain.predict(whole.with_sensors(1.0, seeded(0))), plain.predict(whole))


def test_moments_of_sensors_everywhere_are_those_of_the_context(whole):
    every = whole.with_sensors(1.0, seeded(0))
    assert torch.allclose(torch.stack(every.known_moments()), torch.stack(whole.known_moments()), rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_shares_out_of_range_are_refused(share, whole):
    with pytest.raises(InputError, match="share"):
        whole.with_sensors(share, seeded(0))


def test_means_of_a_context_that_is_not_whole_cannot_be_conserved(some, model):
    with pytest.raises(InputError, match="whole context"):
        model.sample(some, conserve=True)


def test_places_of_another_shape_are_refused(whole):
    with pytest.raises(InputError, match="seen"):
        replace(whole, seen=torch.ones(3, 3, dtype=torch.bool))
