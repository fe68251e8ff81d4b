"""Runs: the energy law, inversion, resuming, steps that adapt, and what is refused."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
from kinetic_cases import M0, S0, SYSTEM

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    AffineVelocity,
    FoldedError,
    Free,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PairInteraction,
    PhaseSpaceParticles,
    substep,
)

SCHEMES = ("constrained", "split")
ADAPTIVE = {
    "step_size": 0.02,
    "tolerance": 0.02,
    "velocity": "affine",
    "iterations": 80,
    "first": 200,
    "batch_size": 512,
    "particles": 1024,
    "lr": 1e-2,
}


def two_clouds():
    means, spread = torch.tensor([[1.0, 0.0], [-1.0, 0.5]]), 0.2 * torch.eye(2).expand(2, 2, 2)
    return GaussianMixture(torch.tensor([0.5, 0.5]), means, spread)


def fresh(scheme="constrained", **other):
    options = {"step_size": 0.1, "iterations": 40, "first": 120, "batch_size": 256, "particles": 512, "seed": 1}
    return KineticJKO(SYSTEM, two_clouds(), scheme=scheme, **{**options, **other})


def quick(**other):
    """A run whose steps cost nothing and are worth nothing."""
    options = {"velocity": "affine", "iterations": 2, "first": 2, "batch_size": 16, "particles": 16}
    return KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), **{**options, **other})


@pytest.fixture(scope="module")
def taken():
    """Scheme -> a run of three steps."""
    runs = {scheme: fresh(scheme) for scheme in SCHEMES}
    for run in runs.values():
        run.run(3)
    return runs


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_step_keeps_the_energy_law(scheme, taken):
    run = taken[scheme]
    assert all(i.slack > -1e-3 for i in run.infos)
    assert all(b < a for a, b in itertools.pairwise(run.energies))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_densities_go_back_through_the_maps(scheme, taken):
    p = taken[scheme].now
    assert torch.allclose(taken[scheme].log_prob(p.x, p.v), p.log_density, atol=1e-8)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_density_has_mass_one(scheme, taken):
    axis = torch.linspace(-5, 5, 161, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    density = taken[scheme].log_prob(z[:, :1], z[:, 1:]).exp()
    assert float(density.sum() * (axis[1] - axis[0]) ** 2) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(scheme, taken, tmp_path):
    fresh(scheme).run(2, checkpoint=tmp_path / "run.pt")
    again = fresh(scheme)
    again.run(3, checkpoint=tmp_path / "run.pt")
    assert torch.equal(again.now.log_density, taken[scheme].now.log_density)
    assert again.energies == taken[scheme].energies


def test_samples_after_a_step_are_as_many_as_asked_for(taken):
    assert len(taken["split"].sample(10, 1)) == 10


def test_a_step_that_is_not_there_is_refused(taken):
    with pytest.raises(InputError, match=r"0\.\.3"):
        taken["split"].sample(5, 9)


def test_a_checkpoint_of_another_equation_is_refused_by_name(tmp_path):
    quick().run(1, checkpoint=tmp_path / "run.pt")
    stiffer = KineticFokkerPlanck(Harmonic(2.0), 1.0, 0.5, 1)
    options = {"velocity": "affine", "iterations": 2, "first": 2, "batch_size": 16, "particles": 16}
    run = KineticJKO(stiffer, GaussianMixture.gaussian(M0, S0), **options)
    with pytest.raises(InputError, match=r"another system\.potential"):
        run.run(2, checkpoint=tmp_path / "run.pt")


def test_a_checkpoint_that_went_further_is_refused(tmp_path):
    quick().run(3, checkpoint=tmp_path / "run.pt")
    with pytest.raises(InputError, match="further than asked; given: 3 steps"):
        quick().run(2, checkpoint=tmp_path / "run.pt")


def test_steps_in_memory_must_be_those_of_the_checkpoint(tmp_path):
    quick().run(2, checkpoint=tmp_path / "run.pt")
    run = quick()
    run.take(AffineVelocity(1))
    with pytest.raises(InputError, match="doesn't begin with"):
        run.run(3, checkpoint=tmp_path / "run.pt")


def test_steps_in_memory_go_on_from_the_checkpoint(tmp_path):
    quick().run(3, checkpoint=tmp_path / "run.pt")
    run = quick()
    run.run(1)
    run.run(3, checkpoint=tmp_path / "run.pt")
    assert len(run.infos) == 3


def test_every_step_is_shown(tmp_path):
    seen = []
    infos = quick().run(3, on_step=seen.append)
    assert seen == infos


def test_controls_of_ones_own_are_drawn_from_the_seed():
    """A factory that draws from the global generator gives the same run, and leaves that generator alone."""

    class Drawn(AffineVelocity):
        def __init__(self):
            super().__init__(1)
            torch.nn.init.normal_(self.alpha, std=0.01)

    before = torch.get_rng_state()
    energies = [run.energies for run in (quick(velocity=Drawn), quick(velocity=Drawn)) if run.run(2)]
    assert energies[0] == energies[1]
    assert torch.equal(before, torch.get_rng_state())


class Single:
    """A start in float32."""

    def __init__(self):
        self.double = GaussianMixture.gaussian(M0, S0)

    def sample(self, n, generator):
        x, v = self.double.sample(n, generator)
        return x.float(), v.float()

    def log_prob(self, x, v):
        return self.double.log_prob(x, v).float()


@pytest.mark.parametrize("velocity", ["affine", "potential"])
def test_a_run_keeps_the_dtype_of_its_start(velocity):
    run = KineticJKO(SYSTEM, Single(), velocity=velocity, iterations=5, first=10, batch_size=64, particles=64)
    run.run(2)
    assert run.now.x.dtype == run.now.log_density.dtype == torch.float32
    assert torch.allclose(run.log_prob(run.now.x, run.now.v), run.now.log_density, atol=1e-4)


def test_random_partners_have_no_way_back():
    pairs = PairInteraction(lambda r: torch.exp(-r.square().sum(1)), batch=4)
    options = {"velocity": "affine", "iterations": 2, "first": 2, "batch_size": 16, "particles": 16}
    run = KineticJKO(replace(SYSTEM, interaction=pairs), GaussianMixture.gaussian(M0, S0), **options)
    run.run(1)
    with pytest.raises(InputError, match="random partners"):
        run.log_prob(run.now.x, run.now.v)


@pytest.fixture(scope="module")
def adapted():
    """A run with steps that adapt, up to 1.5."""
    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), **ADAPTIVE)
    run.run(until=1.5)
    return run


def test_adapted_steps_land_on_the_time(adapted):
    assert adapted.times[-1] == pytest.approx(1.5, abs=1e-12)


def test_adapted_steps_grow_where_little_is_lost(adapted):
    taus = [i.tau for i in adapted.infos]
    assert taus[1] > taus[0]
    assert len(taus) < 20  # 75 steps of the first size
    assert all(i.mismatch <= 4 * 0.02 for i in adapted.infos)


def test_adapted_steps_go_back_through_the_maps(adapted):
    p = adapted.now
    assert torch.allclose(adapted.log_prob(p.x, p.v), p.log_density, atol=1e-8)


def test_adapted_steps_go_on_from_their_checkpoint_bit_for_bit(adapted, tmp_path):
    start = GaussianMixture.gaussian(M0, S0)
    KineticJKO(SYSTEM, start, **ADAPTIVE).run(3, checkpoint=tmp_path / "run.pt")
    again = KineticJKO(SYSTEM, start, **ADAPTIVE)
    again.run(until=1.5, checkpoint=tmp_path / "run.pt")
    assert [i.tau for i in again.infos] == [i.tau for i in adapted.infos]
    assert torch.equal(again.now.v, adapted.now.v)


def test_steps_grow_no_larger_than_told():
    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), **ADAPTIVE, largest=0.03)
    run.run(4)
    assert max(i.tau for i in run.infos) <= 0.03


def test_a_tolerance_below_the_sampling_noise_is_warned_of():
    options = {**ADAPTIVE, "tolerance": 1e-9, "iterations": 5, "first": 5}
    with pytest.warns(UserWarning, match="below the sampling noise"):
        KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), **options).run(1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheme": "euler"}, "constrained"),
        ({"velocity": "cubic"}, "velocity"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"step_size": 0.0}, "step_size=0"),
        ({"particles": 0}, "particles; given: 0"),
        ({"batch_size": 0}, "batch_size; given: 0"),
        ({"iterations": 0}, "iterations; given: 0"),
        ({"lr": 0.0}, "lr; given: 0"),
        ({"largest": 0.0}, "largest; given: 0"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), **options)


def test_a_run_without_an_end_is_refused():
    with pytest.raises(InputError, match="no end"):
        quick().run()


def test_a_temperature_of_zero_is_warned_of():
    with pytest.warns(UserWarning, match="temperature 0"):
        KineticJKO(KineticFokkerPlanck(Harmonic(), 1.0, 0.0), GaussianMixture.gaussian(M0, S0), particles=8)


def test_a_negative_friction_is_refused():
    with pytest.raises(InputError, match="friction"):
        KineticFokkerPlanck(Free(), -1.0)


def test_particles_are_finite():
    with pytest.raises(InputError, match="finite"):
        PhaseSpaceParticles(torch.zeros(2, 1), torch.zeros(2, 1), torch.tensor([0.0, math.nan]))


def test_an_interaction_needs_two_particles():
    with pytest.raises(InputError, match="2 or more"):
        PairInteraction(lambda r: r.sum(1)).energy(torch.zeros(1, 1))


def test_a_folding_kick_is_refused():
    folding = AffineVelocity(1)
    with torch.no_grad():
        folding.bv.fill_(-20.0)
    with pytest.raises(FoldedError, match="2 of 2"):
        substep(SYSTEM, folding, 0.0, 0.1, torch.zeros(2, 1).double(), torch.ones(2, 1).double())


@pytest.mark.parametrize(
    ("weights", "spread", "words"),
    [
        (torch.ones(2), torch.eye(2)[None], "GaussianMixture"),
        (-torch.ones(1), torch.eye(2)[None], "weights"),
        (0.9 * torch.ones(1), torch.eye(2)[None], "sum of 1"),
        (torch.ones(1), -torch.eye(2)[None], "positive definite"),
    ],
)
def test_a_mixture_that_is_none_is_refused(weights, spread, words):
    with pytest.raises(InputError, match=words):
        GaussianMixture(weights, torch.zeros(1, 2), spread)


FEW = {"velocity": "affine", "iterations": 4, "first": 6, "batch_size": 32, "particles": 32}
KINDS_OF_RUNS = {
    "fixed": (SYSTEM, {}),
    "adaptive": (SYSTEM, {"tolerance": 0.05}),
    "random partners": (
        replace(SYSTEM, interaction=PairInteraction(lambda r: torch.exp(-r.square().sum(1)), batch=4)),
        {},
    ),
}


@pytest.mark.parametrize("kind", KINDS_OF_RUNS)
@pytest.mark.parametrize("way", ["the same run", "a checkpoint"])
def test_a_run_that_stopped_on_the_way_comes_to_the_same_end(kind, way, tmp_path):
    """0.12 cuts a step of 0.05 to 0.02; up to 0.2, whole steps are taken as in a run that never stopped there."""
    system, options = KINDS_OF_RUNS[kind]

    def fresh():
        own = copy.deepcopy(system)
        return KineticJKO(own, GaussianMixture.gaussian(M0, S0), step_size=0.05, **FEW, **options)

    whole, file = fresh(), tmp_path / "run.pt"
    whole.run(until=0.2)
    run = fresh()
    run.run(until=0.12, checkpoint=file)
    assert run.times[-1] == pytest.approx(0.12)
    assert len(run.run(until=0.12, checkpoint=file)) == len(run.infos)  # nothing left to do, nothing taken back
    run = run if way == "the same run" else fresh()
    run.run(until=0.2, checkpoint=file)
    assert [i.tau for i in run.infos] == [i.tau for i in whole.infos]
    assert run.energies == whole.energies
    assert torch.equal(run.now.x, whole.now.x)
    again = fresh()
    again.run(until=0.2, checkpoint=file)
    assert torch.equal(again.now.v, whole.now.v)
