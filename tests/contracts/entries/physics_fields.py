"""Calls of kinetic equations, UniFluids and data of partial differential equations."""

import tempfile
from dataclasses import replace

import torch
from torch import nn

from deepwright.physics.kinetic import (
    AffineVelocity,
    AutogradVelocity,
    CallablePotential,
    DoubleWell,
    Free,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PairInteraction,
    PhaseSpaceParticles,
    PlasmaWave,
    Poisson1d,
    PotentialVelocity,
    QuadraticInteraction,
    StepMap,
    equilibrium,
    gaussian_flow,
    gaussian_free_energy,
    gaussian_jko,
    grid_solution,
    harmonic_matrices,
    knn_entropy,
    langevin,
    sliced_w2,
    substep,
    train_shared,
)
from deepwright.physics.pde_data import (
    ChannelRegistry,
    Patchify,
    field_errors,
    fill_in,
    from_unified,
    line_corpus,
    plane_corpus,
    unified,
)
from deepwright.physics.unifluids import (
    FNO,
    LogitNormal,
    Parameterization,
    TimeSampler,
    UNet,
    UniFluids,
    choose_prediction,
    effective_dimension,
    euler_sample,
    evaluate_forecasts,
    extrapolation,
    flow_times,
    forecast_errors,
    heun_sample,
    interleaved,
    persistence,
    relative_error,
    spread_skill,
    train_next_frame,
    train_unifluids,
)
from entries import Entry, Placed, normal, seeded, uniform

DOUBLE = torch.float64
REGISTRY = ChannelRegistry()
SYSTEM = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1)


# --- kinetic equations ---------------------------------------------------------------------------------------------


def cloud(device, n=20, d=1):
    return [normal(n, d, seed=i, dtype=DOUBLE).to(device) for i in (0, 1)]


def moments(device):
    mean, spread = torch.tensor([1.5, -0.5]), torch.tensor([[0.6, 0.1], [0.1, 0.3]])
    return mean.double().to(device), spread.double().to(device)


def mixture(device):
    return GaussianMixture.gaussian(*moments(device))


def state(run):
    return run.now.x, run.now.v, run.now.log_density, run.energies


def jko(device, system=SYSTEM, start=None, **options):
    small = {"step_size": 0.1, "batch_size": 32, "particles": 32, "iterations": 4, "first": 4}
    return KineticJKO(system, mixture(device) if start is None else start, **{**small, **options})


def jko_run(**options):
    def call(device):
        run = jko(device, **options)
        run.run(2)
        x, v = cloud(device)
        later = run.sample(8)
        return state(run), run.controls, run.log_prob(0.1 * x, 0.1 * v), later.x, later.log_density

    return call


def jko_of_host_start(device):
    """A start on the CPU, particles on the device; densities are asked for on the CPU."""
    system = KineticFokkerPlanck(Free(), 1.0, 0.5, 1, Poisson1d(6.0))
    run = KineticJKO(system, PlasmaWave(6.0, 0.3), batch_size=32, particles=32, iterations=4, first=4, device=device)
    run.run(1)
    return state(run), run.controls


def jko_asked_on_the_host(device):
    run = jko(device)
    run.run(1)
    return run.log_prob(*(0.1 * t for t in cloud("cpu")))


def jko_with_pairs(device):
    system = replace(SYSTEM, interaction=PairInteraction(lambda r: torch.exp(-r.square().sum(1)), 8))
    run = jko(device, system=system, velocity="affine")
    run.run(2)
    return state(run)


def jko_resumed(device):
    with tempfile.TemporaryDirectory() as folder:
        jko(device).run(1, checkpoint=f"{folder}/run.pt")
        run = jko(device)
        run.run(2, checkpoint=f"{folder}/run.pt")
    return state(run), run.controls


def jko_loss(device):
    run = jko(device)
    control = run.control()
    value = run.loss(control, run.now)
    value.backward()
    return value, control.w.grad


def shared(device):
    run = jko(device)
    network = AffineVelocity(1)  # on the CPU: brought to where the particles are
    train_shared(run, 2, network, iterations=2)
    return Placed(network), state(run)[0].shape


def particles(device):
    p = PhaseSpaceParticles.of(mixture(device), 12, seeded())
    return p, p.rows(p.x[:, 0] > 0), PhaseSpaceParticles.together([p, p])


def controls(device):
    x, v = cloud(device, d=2)

    class Own(nn.Module):
        def forward(self, s, x, v):
            return torch.tanh(x * v) + s

    found = [AffineVelocity(2).to(device)(0.1, x, v), AutogradVelocity(Own())(0.1, x, v)]
    net = PotentialVelocity(2, 8, seed=0).to(device)
    ring = PotentialVelocity(1, 8, ring=4.0).to(device)
    return found, net(0.1, x, v), net.potential(0.1, x, v), ring(0.1, x[:, :1], v[:, :1])


def potentials(device):
    x = cloud(device, d=2)[0]
    every = Harmonic(torch.tensor([1.0, 2.0])), DoubleWell(), Free(), CallablePotential(lambda x: x.pow(4).sum(1))
    return [(p.value(x), p.grad(x)) for p in every]


def interactions(device):
    x, other = cloud(device, d=1)
    pair = PairInteraction(lambda r: torch.exp(-r.square().sum(1)))
    few = PairInteraction(lambda r: torch.exp(-r.square().sum(1)), batch=5)
    every = QuadraticInteraction(2.0), pair, Poisson1d(5.0)
    return [(w.energy(x), w.grad(x, other)) for w in every], few.grad(x, other), Poisson1d(5.0).field(x, other)


def step_map(device):
    x, v = cloud(device, d=3)
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 3)
    control = PotentialVelocity(3, seed=0).to(device)
    whole = StepMap(system, 2, "split")
    p = PhaseSpaceParticles(x, v, x[:, 0])
    after, cost, felt = whole.forward(control, p, 0.05)
    back = whole.back(control, after.x, after.v, 0.05, [])
    return list(substep(system, control, 0.0, 0.05, x, v)[:4]), list(after), cost, felt, back


def energies(device):
    x, v = cloud(device)
    return SYSTEM.force(x, x), SYSTEM.free_energy(x, v, x[:, 0])


def mixture_density(device):
    x, v = cloud(device)
    a, q = harmonic_matrices(1.0, 1.0, 0.5)
    return mixture(device).log_prob(x, v), mixture(device).sample(8, seeded()), mixture(device).evolved(a, q, 1.0).means


def exact_flow(device):
    stiff = torch.tensor([2.0], device=device)
    a, q = harmonic_matrices(stiff, 1.0, 0.5)
    mean, spread = gaussian_flow(*moments(device), a, q, 0.7)
    return a, q, mean, spread, gaussian_free_energy(mean, spread, stiff, 0.5)


def scheme_on_moments(device):
    return gaussian_jko(SYSTEM, *moments(device), 0.1, 2, 2)


def grid(device):
    found = grid_solution(
        SYSTEM, mixture(device), [0.0, 0.1], x_span=(-6.5, 6.5), v_max=5.5, points=(48, 48), step=0.05
    )
    return found, found.sample(5), found.mean(torch.ones(48, 48))


def sampled(device):
    return langevin(SYSTEM, *cloud(device), 0.2, 0.05, seeded())


def distances(device):
    a, b = normal(30, 2).to(device), normal(30, 2, seed=1)
    return sliced_w2(a, b), knn_entropy(a)


def certified(device):
    found = equilibrium(SYSTEM, PhaseSpaceParticles.of(mixture(device), 50, seeded()))
    return found, found.mean(normal(50))


# --- operators -----------------------------------------------------------------------------------------------------


def corpus():
    return unified(line_corpus(6, 3, points=32, frames=8), REGISTRY)


def fluids(device, dtype=torch.float32, **options):
    sets = corpus()
    model = UniFluids(REGISTRY, list(sets), (32, 2, 2), **options)
    model.fit_units([a for a, _ in sets.values()])
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=seeded(7)))
    return model.eval().to(device, dtype), sets["burgers"]


def fluids_loss(where, sensors=False, **options):
    def call(device):
        model, (known, _) = fluids(device, **options)
        known = known.with_sensors(0.3, seeded(3)) if sensors else known
        value = model.loss(known.to(device) if where == "device" else known, seeded())
        value.backward()
        return value, model.tokens.channel.grad, model

    return call


def fluids_forecast(**options):
    def call(device):
        model, (_, held) = fluids(device, **options)
        held = held.to(device)
        some, unknown = held.with_sensors(0.3, seeded(3)), replace(held, pde="unknown")
        whole = model.predict(held, conserve=True), model.sample(held, steps=2, solver="heun", members=2)
        return whole, model.rollout(held, 2, steps=2), model.predict(some), model.predict(unknown)

    return call


def fluids_in_dtype(device, dtype=torch.float32):
    model, (_, held) = fluids(device, dtype)
    held = replace(held, u=held.u.to(dtype), params=held.params.to(dtype)).to(device)
    return model.predict(held), model.loss(held, seeded()), model.rollout(held, 1, steps=2)


def fluids_forecast_of_host_data(device):
    model, (_, held) = fluids(device)
    return model.predict(held), model.predict(held.with_sensors(0.3, seeded(3)))


def fluids_units(device):
    model = UniFluids(REGISTRY, list(corpus()), (32, 1, 2)).to(device)
    model.fit_units([a.to(device) for a, _ in corpus().values()])
    return model.units


def fluids_trained(sensors, where):
    def call(device):
        known = [a.to(device) if where == "device" else a for a, _ in corpus().values()]
        model = UniFluids(REGISTRY, [a.pde for a in known], (32, 1, 2), seed=1).to(device)
        return Placed(train_unifluids(model, known, steps=2, batch_size=4, sensors=sensors)[0]), Placed(model)

    return call


def prediction_chosen(device):
    known, held = corpus()["burgers"]

    def make(kind):
        return UniFluids(REGISTRY, ["burgers"], (32, 1, 2), prediction=kind, loss=kind).to(device)

    return sorted(choose_prediction(make, [known], [held], steps=2, batch_size=4)[1])


def fluids_stored(device):
    model, _ = fluids(device)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/m.pt")
        model.load(f"{folder}/m.pt")
    return model


def fluids_evaluated(device):
    model, (_, held) = fluids(device)
    columns = [0, *range(1, 9)]
    return [[row[c] for c in columns] for row in evaluate_forecasts(model, held.to(device), [1, 2]).rows]


def measured(device):
    data = corpus()["burgers"][1].to(device)
    u = persistence(data)  # compared as it is, and given on the CPU
    members = torch.stack([u, extrapolation(data)])
    ratios = spread_skill(members, data), spread_skill(members.cpu(), data)
    return (
        u,
        members,
        ratios,
        relative_error(u.cpu(), data),
        forecast_errors(u, data),
        interleaved(persistence, data, 2),
    )


def operator(kind):
    def call(device):
        known, held = corpus()["burgers"]
        torch.manual_seed(0)
        model = kind(len(known.channels), known.context, known.dim, 8).to(device)
        found = train_next_frame(model, known, epochs=1).history[-1]["loss"]
        x, y = model.windows(known.to(device))
        return model.rollout(held.to(device)), found, model, model(x), y

    return call


def operator_on_the_host(kind):
    def call(device):
        return kind(1, 4, 1, 8).to(device).rollout(corpus()["burgers"][1])

    return call


def flow_matching(device):
    how, z, x = Parameterization("x", "v"), normal(6, 4).to(device), normal(6, 4, seed=1).to(device)
    t = torch.full((6, 1), 0.3, device=device)

    def velocity(z, t):
        return how.convert(x, z, t, "v")

    samples = [sampler(velocity, z, flow_times(3, 2.0).to(device)) for sampler in (euler_sample, heun_sample)]
    return samples, how.error(x, x, z, t * x + (1 - t) * z, t), effective_dimension(z)


def flow_time_samplers(device):
    return [sampler(9, seeded()).to(device) for sampler in (TimeSampler(), LogitNormal())]


# --- data ----------------------------------------------------------------------------------------------------------


def batches(device):
    data = unified(plane_corpus(3, 1, 16, 6), REGISTRY)["navier-stokes"][0].to(device)
    some = data.with_sensors(0.3, seeded())
    few = some.rows(torch.tensor([0, 2], device=device))
    tokens = Patchify((2, 4, 4, 1))(data.u)
    return some, few, some.filled(), some.known_moments(), data.known_moments(), tokens


def batches_to_arrays(device):
    return from_unified(corpus()["burgers"][0].to(device))


def filled(device):
    known = (uniform(2, 1, 8, 8, 1) < 0.4).float().to(device)
    values = normal(2, 3, 8, 8, 1).to(device)
    return fill_in(values * known, known, True), fill_in(values * known, known, False)


def errors(device):
    return field_errors(normal(2, 3, 8, 8, 1), normal(2, 3, 8, 8, 1, seed=1).to(device))


ENTRIES = [
    Entry("KineticJKO.run, sample, log_prob", jko_run()),
    Entry("KineticJKO.run, split, affine, adaptive", jko_run(scheme="split", velocity="affine", tolerance=1.0)),
    Entry("KineticJKO.run, interaction", jko_run(system=replace(SYSTEM, interaction=QuadraticInteraction(1.0)))),
    Entry("KineticJKO(device=), PlasmaWave", jko_of_host_start),
    Entry("KineticJKO.log_prob of points on the CPU", jko_asked_on_the_host, returns="cpu"),
    Entry("KineticJKO.run, random partners", jko_with_pairs),
    Entry("KineticJKO.run, resumed", jko_resumed),
    Entry("KineticJKO.loss", jko_loss),
    Entry("train_shared", shared),
    Entry("PhaseSpaceParticles", particles),
    Entry("AffineVelocity, AutogradVelocity, PotentialVelocity", controls),
    Entry("Harmonic, DoubleWell, Free, CallablePotential", potentials),
    Entry("QuadraticInteraction, PairInteraction, Poisson1d", interactions),
    Entry("StepMap, substep", step_map),
    Entry("KineticFokkerPlanck", energies),
    Entry("GaussianMixture", mixture_density),
    Entry("harmonic_matrices, gaussian_flow, gaussian_free_energy", exact_flow),
    Entry("gaussian_jko", scheme_on_moments),
    Entry("grid_solution", grid),
    Entry("langevin", sampled),
    Entry("sliced_w2, knn_entropy", distances),
    Entry("equilibrium", certified),
    Entry("UniFluids.loss, data on the CPU", fluids_loss("cpu")),
    Entry("UniFluids.loss, data on the device", fluids_loss("device")),
    Entry("UniFluids.loss, sensors", fluids_loss("device", True)),
    Entry("UniFluids.loss, sensors on the CPU", fluids_loss("cpu", True)),
    Entry("UniFluids.loss, padded, axial", fluids_loss("device", embed="pad", attention="axial")),
    Entry("UniFluids.predict, sample, rollout", fluids_forecast()),
    Entry("UniFluids.sample, eps", fluids_forecast(prediction="eps", loss="eps", target="field")),
    Entry("UniFluids, dtypes", fluids_in_dtype, dtypes=(torch.float64, torch.bfloat16)),
    Entry("UniFluids.predict, data on the CPU", fluids_forecast_of_host_data, returns="cpu"),
    Entry("UniFluids.fit_units", fluids_units),
    Entry("train_unifluids", fluids_trained(None, "cpu")),
    Entry("train_unifluids, sensors, data on the device", fluids_trained((0.2, 0.5), "device")),
    Entry("choose_prediction", prediction_chosen),
    Entry("UniFluids.save, load", fluids_stored),
    Entry("evaluate_forecasts", fluids_evaluated),
    Entry("persistence, extrapolation, spread_skill, forecast_errors, interleaved", measured),
    *(Entry(f"{k.__name__}.rollout, windows, train_next_frame", operator(k)) for k in (FNO, UNet)),
    *(Entry(f"{k.__name__}.rollout, data on the CPU", operator_on_the_host(k), returns="cpu") for k in (FNO, UNet)),
    Entry("Parameterization, euler_sample, heun_sample, effective_dimension", flow_matching),
    Entry("TimeSampler, LogitNormal", flow_time_samplers),
    Entry("PDEBatch, Patchify", batches),
    Entry("from_unified", batches_to_arrays),
    Entry("fill_in", filled),
    Entry("field_errors", errors),
]
