"""Slabs go on from each other, to the bit after a stop, and forecast by the slab that a time is in."""

import pytest
import torch
from known_flows import FEW

from deepwright.core.errors import InputError
from deepwright.physics.two_phase import Slabs, droplet

SCHEDULE = [("lm", 25)]


def make():
    return Slabs(droplet(end=0.4), 0.2, hidden=(8,), counts=FEW)


@pytest.fixture(scope="module")
def slabs():
    return make().fit(SCHEDULE)


@pytest.fixture(scope="module")
def z(slabs):
    """50 points in each slab."""
    return torch.cat([s.space.sample(50) for s in slabs.solvers])


def test_edges(slabs):
    assert slabs.edges == pytest.approx([0.0, 0.2, 0.4])


def test_each_point_is_asked_of_its_slab(slabs, z):
    first, second = slabs.solvers
    assert torch.equal(slabs.predict(z), torch.cat([first.predict(z[:50]), second.predict(z[50:])]))


def test_a_slab_begins_where_the_last_one_ended(slabs):
    first, second = slabs.solvers
    (start,) = [b for b in second.blocks() if b.name == "start 1"]
    at, u = start.tensors
    assert torch.allclose(at[:, 2], torch.full_like(at[:, 2], 0.2))
    assert torch.allclose(u, first.model.phase_forward(1, at)[:, :2])


def test_the_flow_is_found(slabs):
    assert slabs.errors(500)["u"] < 0.2


def test_a_stopped_run_goes_on_to_the_same_bits(slabs, z, tmp_path):
    halfway = make()
    halfway.edges = halfway.edges[:2]
    halfway.fit(SCHEDULE, checkpoint=tmp_path / "flow.pt")
    again = make().fit(SCHEDULE, checkpoint=tmp_path / "flow.pt")
    assert torch.equal(again.predict(z), slabs.predict(z))
    assert sorted(f.name for f in tmp_path.glob("*.pt")) == ["flow.slab-0.pt", "flow.slab-1.pt"]


def test_times_that_are_not_solved_are_refused(z):
    with pytest.raises(InputError, match="slabs solved"):
        make().predict(z)


def test_slabs_have_a_length():
    with pytest.raises(InputError, match="above 0"):
        Slabs(droplet(), 0.0)


def test_other_words_are_refused_at_once():
    with pytest.raises(TypeError, match="unknown"):
        Slabs(droplet(), 0.1, unknown={"mu0": 1.0})


@pytest.mark.filterwarnings("ignore:the interface still moved")
def test_a_free_interface_begins_where_the_last_slab_left_it():
    moving = Slabs(droplet(free=24, end=0.2), 0.1, (6,), counts=FEW)
    moving.fit_free(first=[("lm", 4)], later=[("lm", 2)], sweeps=1, keep_area=True, steps=20)
    one, two = (s.problem.interface for s in moving.solvers)
    assert torch.allclose(one.path[-1], two.path[0])
    assert [len(t.shifts) for t in moving.tracked] == [1, 1]
