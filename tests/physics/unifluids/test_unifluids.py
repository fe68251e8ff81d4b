"""Layouts to the bit, the algebra of flow matching, what conditioning must not do, and a model that learns a little."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics.pde_data.batches import ChannelRegistry, Patchify, PDEBatch, fill_in, from_unified, to_unified
from deepwright.physics.pde_data.corpus import line_corpus, plane_corpus, space_corpus, unified
from deepwright.physics.pde_data.trajectories import PDEDataset
from deepwright.physics.unifluids.baselines import FNO, UNet, extrapolation, persistence, train_next_frame
from deepwright.physics.unifluids.flow_matching import (
    KINDS,
    LogitNormal,
    Parameterization,
    TimeSampler,
    effective_dimension,
    euler_sample,
    grid,
    heun_sample,
)
from deepwright.physics.unifluids.forecasts import evaluate, forecast_errors, interleaved, relative_error, spread_skill
from deepwright.physics.unifluids.model import UniFluids
from deepwright.physics.unifluids.training import choose_prediction, train
from deepwright.physics.unifluids.transformer import rotations

REGISTRY = ChannelRegistry()
TWO = """
import sys, torch
from deepwright.core.devices import Compute
from deepwright.core.files import save_state
from deepwright.physics.pde_data.corpus import line_corpus, plane_corpus, unified
from deepwright.physics.pde_data.batches import ChannelRegistry
from deepwright.physics.unifluids.model import UniFluids
from deepwright.physics.unifluids.training import train
torch.set_num_threads(1)
registry = ChannelRegistry()
sets = [a for a, _ in unified(line_corpus(8, 2) | plane_corpus(4, 2, 16, 8), registry).values()]
model = UniFluids(registry, [s.pde for s in sets], "tiny")
train(model, sets, steps=6, batch=4, compute=Compute(devices=2, strategy="ddp"), seed=3)
save_state(f"{sys.argv[1]}-{torch.distributed.get_rank()}", model.state_dict())
torch.distributed.barrier()
"""


@pytest.fixture(scope="module")
def corpus():
    sets = line_corpus(24, 6) | plane_corpus(6, 2, 16, 8) | space_corpus(6, 2, 8, 8)
    return unified(sets, REGISTRY)


def awake(model):
    """Weights that say something: everything that starts at zero is drawn."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=draw))
    return model.eval()


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


def test_conversions_agree():
    draw = torch.Generator().manual_seed(0)
    x, noise = torch.randn(50, 7, generator=draw).double(), torch.randn(50, 7, generator=draw).double()
    t = torch.rand(50, 1, generator=draw).double().clamp(0.1, 0.9)
    z = t * x + (1 - t) * noise
    truth = {"x": x, "v": x - noise, "eps": noise}
    for a in KINDS:
        for b in KINDS:
            how = Parameterization(a, b)
            for to in KINDS:
                assert torch.allclose(how.convert(truth[a], z, t, to), truth[to], atol=1e-10)
            assert float(how.error(truth[a], x, noise, z, t).abs().max()) < 1e-10


@pytest.mark.parametrize("kind", ["x", "v"])
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_perfect_oracle_lands_on_the_data(kind, steps):
    x, noise = torch.randn(20, 5).double(), torch.randn(20, 5).double()
    how = Parameterization(kind)

    def velocity(z, t):
        return how.convert(x if kind == "x" else x - noise, z, t, "v")

    for sampler in (euler_sample, heun_sample):
        assert torch.allclose(sampler(velocity, noise, grid(steps).double()), x, atol=1e-6)


def test_gaussian_data_are_sampled_as_they_are():
    """With the exact posterior mean as the network, fifty Heun steps give mean and spread."""
    m, s = 1.5, 0.4

    def velocity(z, t):
        gain = t * s * s / (t * t * s * s + (1 - t) ** 2)
        return (m + gain * (z - t * m) - z) / (1 - t)

    z = heun_sample(
        velocity, torch.randn(200_000, generator=torch.Generator().manual_seed(0)).double(), grid(50).double()
    )
    assert float(z.mean()) == pytest.approx(m, rel=0.01)
    assert float(z.std()) == pytest.approx(s, rel=0.01)


def test_times_and_dimensions():
    draw = torch.Generator().manual_seed(0)
    t = TimeSampler(0.3)(20_000, draw)
    assert float((t == 0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(t[t > 0].mean()) == pytest.approx(0.5, abs=0.02)
    assert float(LogitNormal()(20_000, draw).logit().mean()) == pytest.approx(-0.8, abs=0.03)
    assert float(grid(4, 3.0)[1]) == pytest.approx(0.1)
    rows = torch.randn(400, 3, generator=draw) @ torch.randn(3, 50, generator=draw)
    count, ratio, d = effective_dimension(rows)
    assert count <= 3
    assert ratio <= 3.001
    assert d == 50


@pytest.mark.parametrize("embed", ["per_channel", "pad"])
def test_a_fresh_model_says_nothing_and_an_awake_one_does(embed, corpus):
    model = UniFluids(REGISTRY, list(corpus), "tiny", embed=embed)
    for _, data in corpus.values():
        tokens = model.patch[data.dim](data.u)
        out = model(tokens, torch.zeros(len(data)), model.condition(data), data)
        assert out.shape == tokens.shape
        assert not out.detach().any()
    model = awake(model)
    assert float(model(tokens, torch.zeros(len(data)), model.condition(data), data).abs().max()) > 0


def test_channels_are_known_by_name(corpus):
    """Permuting a batch's channels permutes the answer; a longer registry changes nothing."""
    _, data = corpus["navier-stokes"]
    two = PDEBatch(
        torch.cat([data.u, data.u.flip(3)], 1), (3, 4), data.spacing, data.extent, data.params, "p", data.bc, 2, 4
    )
    swapped = PDEBatch(
        two.u.flip(1),
        (4, 3),
        *(getattr(two, k) for k in ("spacing", "extent", "params", "pde", "bc", "dim", "context")),
    )
    model = awake(UniFluids(REGISTRY, ["p"], "tiny"))

    def ask(model, batch):
        with torch.no_grad():
            return model(model.patch[2](batch.u), torch.full((len(batch),), 0.3), model.condition(batch), batch)

    assert torch.allclose(ask(model, two), ask(model, swapped).flip(2), atol=1e-5)
    longer = UniFluids(ChannelRegistry((*REGISTRY.names, "salt")), ["p"], "tiny")
    state = longer.state_dict()
    for k, v in model.state_dict().items():
        state[k][tuple(slice(None, n) for n in v.shape)] = v
    longer.load_state_dict(state)
    assert torch.allclose(ask(model, two), ask(longer.eval(), two), atol=1e-6)


def test_only_the_context_is_looked_at(corpus):
    _, data = corpus["burgers"]
    model = awake(UniFluids(REGISTRY, ["burgers"], "tiny"))
    spoilt = PDEBatch(
        torch.cat([data.u[:, :, :4], torch.full_like(data.u[:, :, 4:], 7.0)], 2),
        *(getattr(data, k) for k in ("channels", "spacing", "extent", "params", "pde", "bc", "dim", "context")),
    )
    a, b = (model.sample(d, steps=3, generator=torch.Generator().manual_seed(1)) for d in (data, spoilt))
    assert torch.equal(a[:, :, :, 4:], b[:, :, :, 4:])
    assert torch.equal(a[0, :, :, :4], data.u[:, :, :4])
    members = model.sample(data, steps=2, members=3)
    assert members.shape == (3, *data.u.shape)
    assert float((members[0] - members[1]).abs().max()) > 0
    kept = model.sample(data, steps=3, conserve=True)[0]
    assert torch.allclose(
        kept.mean((3, 4, 5))[:, :, 4:], data.u[:, :, 3:4].mean((3, 4, 5)).expand(-1, -1, 12), atol=1e-4
    )
    assert model.rollout(data, 2).shape[2] == 24


def test_a_batch_stands_alone(corpus):
    """Its loss depends on its own trajectories and generator only."""
    data, _ = corpus["advection"]
    model = awake(UniFluids(REGISTRY, list(corpus), "tiny"))
    model.fit_units([a for a, _ in corpus.values()])
    alone = model.loss(data, torch.Generator().manual_seed(3))
    model.loss(corpus["advection-diffusion-3d"][0], torch.Generator().manual_seed(9))
    assert torch.equal(alone, model.loss(data, torch.Generator().manual_seed(3)))


def test_training_learns_and_resumes(corpus, tmp_path, monkeypatch):
    sets = [corpus[k][0] for k in ("advection", "reaction-diffusion", "navier-stokes", "advection-diffusion-3d")]

    def fresh():
        return UniFluids(REGISTRY, [s.pde for s in sets], "tiny", noise=0.0, seed=1)

    options = {"steps": 60, "batch": 8, "decay": 0.9}
    whole, result = train(fresh(), sets, **options)
    assert result.steps == 60
    before, after = (
        sum(float(m.loss(s, torch.Generator().manual_seed(0)).detach()) for s in sets)
        for m in (_scaled(fresh(), sets), whole)
    )
    assert after < 0.9 * before

    class Killed(Exception):
        pass

    calls, original = [], UniFluids.loss

    def dying(*args):
        calls.append(1)
        if len(calls) == 40:
            raise Killed
        return original(*args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(UniFluids, "loss", dying)
        train(fresh(), sets, checkpoint=tmp_path / "c.pt", every=15, **options)
    again, result = train(fresh(), sets, checkpoint=tmp_path / "c.pt", every=15, **options)
    assert result.resumed_at == 30
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters()))
    whole.save(tmp_path / "m.pt")
    other = UniFluids(ChannelRegistry(REGISTRY.names[::-1]), [s.pde for s in sets], "tiny")
    with pytest.raises(InputError, match="another registry"):
        other.load(tmp_path / "m.pt")
    back = fresh()
    back.load(tmp_path / "m.pt")
    assert torch.equal(back.predict(sets[0]), whole.predict(sets[0]))
    made = UniFluids.read(tmp_path / "m.pt")
    assert torch.equal(made.predict(sets[2]), whole.predict(sets[2]))
    with pytest.raises(InputError, match="another settings"):
        UniFluids(REGISTRY, [s.pde for s in sets], "tiny", target="field").load(tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"UniFluids\.save"):
        UniFluids.read(tmp_path / "c.pt")


def _scaled(model, sets):
    model.fit_units(sets)
    return model


def test_baselines(corpus):
    data, test = corpus["advection"]
    assert torch.equal(persistence(test)[:, :, 9], test.u[:, :, 3])
    line = extrapolation(test)
    assert torch.allclose(line[:, :, 4] - line[:, :, 3], test.u[:, :, 3] - test.u[:, :, 2], atol=1e-6)
    for dim, name in ((1, "advection"), (2, "navier-stokes"), (3, "advection-diffusion-3d")):
        few = corpus[name][1]
        fno = FNO(1, 4, dim, 6, 3, 2)
        with torch.no_grad():
            assert fno.rollout(few).shape == few.u.shape
        unet = UNet(1, 4, dim, 4, 2, bc=few.bc)
        assert unet.rollout(few).shape == few.u.shape
        turned = few.u[:, 0, :4, ..., 0].roll(4, 2) if dim == 2 else None
        if turned is not None:  # a wrapped domain has no edge: shifting by a coarse cell commutes
            with torch.no_grad():
                assert torch.allclose(unet(turned), unet(few.u[:, 0, :4, ..., 0]).roll(4, 2), atol=1e-5)
    with pytest.raises(InputError, match="multiples of 8"):
        UNet(1, 4, 1, 4, 3)(torch.zeros(1, 4, 12))
    for wrong in (FNO(1, 6, 1, 6, 3, 2), FNO(1, 4, 2, 6, 3, 2), FNO(2, 4, 1, 6, 3, 2)):
        with pytest.raises(InputError, match="4 frames of 1 channels on 1 axes"):
            wrong.rollout(test)
    x, y = FNO(1, 4, 1, 6, 3, 2).windows(data, 2)
    assert len(x) == 11 * len(data)
    assert torch.equal(x[: len(data), 3], data.u[:, 0, 3, :, 0, 0])
    assert torch.equal(y[: len(data), 1], data.u[:, 0, 5, :, 0, 0])
    fno = FNO(1, 4, 1, 8, 6, 2)
    losses = [row["loss"] for row in train_next_frame(fno, data, epochs=4).history]
    assert losses[-1] < losses[0]
    losses = [row["loss"] for row in train_next_frame(UNet(1, 4, 1, 8, 2), data, epochs=4, push=True).history]
    assert losses[-1] < losses[0]
    assert isinstance(fno.lift, nn.Conv1d)


def test_bad_input(corpus):
    _, data = corpus["advection"]
    model = UniFluids(REGISTRY, ["advection"], "tiny", max_tokens=8)
    with pytest.raises(InputError, match="at most 8"):
        model.predict(data)
    with pytest.raises(InputError, match="multiples of the patch"):
        Patchify((4, 16, 1, 1))(torch.zeros(1, 1, 16, 60, 1, 1))
    with pytest.raises(InputError, match="unknown channel"):
        REGISTRY.indices(("presure",))
    with pytest.raises(InputError, match="context"):
        PDEBatch(data.u, data.channels, data.spacing, data.extent, data.params, "p", "periodic", 1, 16)
    odd = PDEBatch(data.u, data.channels, data.spacing, data.extent, data.params, "p", "periodic", 1, 6)
    with pytest.raises(InputError, match="multiple of 4"):
        UniFluids(REGISTRY, ["p"], "tiny").predict(odd)
    u = data.u.clone()
    u[3, 0, 2, 5] = torch.nan
    with pytest.raises(InputError, match="sample 3"):
        PDEBatch(u, data.channels, data.spacing, data.extent, data.params, "p", "periodic", 1, 4)
    uneven = PDEDataset(
        np.zeros((1, 4, 4, 1)), {"t": np.arange(4.0), "x": np.array([0, 1, 2, 4.0])}, np.zeros((1, 0)), "p"
    )
    with pytest.raises(InputError, match="even grid"):
        to_unified(uneven, REGISTRY, 2)
    with pytest.raises(InputError, match="width"):
        UniFluids(REGISTRY, [], (60, 2, 4))
    with pytest.raises(InputError, match="x, v, eps"):
        Parameterization("y", "x")


def test_the_prediction_is_chosen_by_trial(corpus):
    data, test = corpus["reaction-diffusion"]

    def make(kind):
        return UniFluids(REGISTRY, ["reaction-diffusion"], "tiny", prediction=kind, loss=kind)

    best, errors = choose_prediction(make, [data], [test], steps=40, batch=8, decay=0.9)
    assert set(errors) == {"x", "v"}
    assert errors[best] == min(errors.values())
    with pytest.raises(InputError, match="validation"):
        choose_prediction(make, [data], [])


def test_axial_attention_looks_along_one_axis_a_block(corpus):
    """With two blocks a change of one context value reaches every token; with one block only its own time's."""
    _, data = corpus["navier-stokes"]
    changed = data.u.clone()
    changed[:, :, 0, 0, 0] += 1.0

    def reach(depth):
        model = awake(UniFluids(REGISTRY, ["navier-stokes"], (64, depth, 4), attention="axial"))
        with torch.no_grad():
            cond = model.condition(data)
            a, b = (model(model.patch[2](u), torch.zeros(len(data)), cond, data) for u in (data.u, changed))
        return ((a - b).abs().amax((0, 2, 3)) > 1e-9).reshape(4, -1)  # (times, places)

    one, two = reach(1), reach(2)
    assert one[0].all()
    assert not one[1:].any()
    assert two.all()
    with pytest.raises(InputError, match="axial"):
        UniFluids(REGISTRY, [], "tiny", attention="sparse")


@pytest.mark.parametrize("kind", KINDS)
def test_every_prediction_forecasts_finite_fields(kind, corpus):
    _, data = corpus["advection"]
    model = awake(UniFluids(REGISTRY, ["advection"], "tiny", prediction=kind, loss=kind))
    for steps in (1, 4):
        size = float(model.sample(data, steps=steps, solver="heun").abs().max())
        assert size < 1e3  # dividing by a flow time of 0 would give 1e6


def test_tokens_know_their_time_whatever_the_unit_of_time(corpus):
    """Rotations and clocks come from shares of the window: with seconds or days between frames, times stay told apart."""
    _, data = corpus["navier-stokes"]  # a frame a second: 2 pi t would be whole turns
    assert data.spacing[0] == 1.0
    patch = Patchify((2, 8, 8, 1))
    places = patch.positions(tuple(data.u.shape[2:]), data.spacing, data.extent, 8.0)
    cos, sin = rotations(places, 16)
    times = torch.cat([cos, sin], 1)[:: len(cos) // 4]
    assert float(torch.cdist(times, times).fill_diagonal_(9.0).min()) > 0.5
    model = awake(UniFluids(REGISTRY, ["navier-stokes"], "tiny", target="field"))
    model.fit_units([data])
    days = replace(data, spacing=(86_400.0, *data.spacing[1:]))
    later = UniFluids(REGISTRY, ["navier-stokes"], "tiny", target="field")
    later.load_state_dict(model.state_dict())
    later.fit_units([days])
    a, b = (
        (m.patch[2](d.u), torch.zeros(len(d)), torch.zeros(len(d), 64), d) for m, d in ((model, data), (later, days))
    )
    with torch.no_grad():
        assert torch.allclose(model(*a), later.eval()(*b), atol=1e-5)


def test_what_is_forecast_is_the_field_or_its_change(corpus):
    """A model that says 0 forecasts the mean of a field, or persistence where the change is what it says."""
    for name, data in ((k, v[1]) for k, v in corpus.items()):
        models = {t: UniFluids(REGISTRY, [name], "tiny", noise=0.0, target=t) for t in ("field", "change", "auto")}
        for m in models.values():
            m.fit_units([corpus[name][0]])
        mean = float(corpus[name][0].u.mean())
        assert torch.allclose(
            models["field"].predict(data)[:, :, 4:], torch.full_like(data.u[:, :, 4:], mean), atol=1e-5
        )
        assert torch.allclose(models["change"].predict(data), persistence(data), atol=1e-5)
        train_set = corpus[name][0]
        change = (train_set.u[:, :, 4:] - train_set.u[:, :, 3:4]).square().mean()
        kept = "change" if change < 0.5 * train_set.u.var() else "field"
        assert torch.allclose(models["auto"].predict(data), models[kept].predict(data), atol=1e-5)
    stranger = UniFluids(REGISTRY, ["other"], "tiny", noise=0.0, target="change")
    assert torch.allclose(stranger.predict(data), persistence(data), atol=1e-5)
    with pytest.raises(InputError, match="auto"):
        UniFluids(REGISTRY, [], "tiny", target="rate")


def test_sensors_are_kept_and_nothing_else_of_the_context_is_looked_at(corpus):
    _, data = corpus["burgers"]
    draw = torch.Generator().manual_seed(2)
    some = data.with_sensors(0.25, draw)
    assert some.seen.sum((1, 2, 3)).tolist() == [16] * len(data)
    model = awake(UniFluids(REGISTRY, ["burgers"], "tiny"))
    model.fit_units([data])
    hidden = some.seen[:, None, None].expand_as(data.u)
    spoilt = replace(some, u=torch.where(hidden, data.u, 5.0).contiguous())
    a, b = (model.sample(d, steps=3, generator=torch.Generator().manual_seed(1))[0] for d in (some, spoilt))
    assert torch.equal(a, b)
    assert torch.equal(a[:, :, :4][hidden[:, :, :4]], data.u[:, :, :4][hidden[:, :, :4]])
    assert not torch.equal(a[:, :, :4], data.u[:, :, :4])
    loss = [model.loss(d, torch.Generator().manual_seed(1), drop=0.0) for d in (some, data)]
    assert float((loss[0] - loss[1]).detach().abs()) > 0
    assert model.rollout(some, 2).shape[2] == 24
    every = data.with_sensors(1.0, draw)
    plain = awake(UniFluids(REGISTRY, ["burgers"], "tiny", target="field"))
    plain.fit_units([data])
    with torch.no_grad():
        for added in (plain.sensing, *plain.hints.values()):
            added.zero_()
    assert torch.equal(plain.predict(every), plain.predict(data))
    assert torch.allclose(torch.stack(every.known_moments()), torch.stack(data.known_moments()), rtol=1e-5)
    model, _ = train(
        UniFluids(REGISTRY, ["burgers"], "tiny"), [corpus["burgers"][0]], steps=6, batch=4, sensors=(0.2, 0.5)
    )
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    for bad in (0.0, 1.5):
        with pytest.raises(InputError, match="share"):
            data.with_sensors(bad, draw)
    with pytest.raises(InputError, match="sensors"):
        train(model, [data], steps=2, sensors=(0.5, 0.2))
    with pytest.raises(InputError, match="whole context"):
        model.sample(some, conserve=True)
    with pytest.raises(InputError, match="seen"):
        replace(data, seen=torch.ones(3, 3, dtype=torch.bool))


def test_an_honest_ensemble_has_a_spread_that_is_its_error(corpus):
    """Truth and members drawn from one distribution: the ratio is 1, at any size of the ensemble."""
    _, data = corpus["advection"]
    draw = torch.Generator().manual_seed(0)
    big = replace(data, u=torch.randn(40, *data.u.shape[1:], generator=draw), params=torch.zeros(40, 1))
    for m in (2, 8):
        members = torch.randn(m, *big.u.shape, generator=draw)
        assert spread_skill(members, big)[1] == pytest.approx(1.0, abs=0.03)
        assert spread_skill(0.1 * members, big)[1] < 0.2
    with pytest.raises(InputError, match="2 or more"):
        spread_skill(members[:1], big)


def test_the_table_of_an_evaluation(corpus):
    _, data = corpus["shallow-water"]
    model = awake(UniFluids(REGISTRY, ["shallow-water"], "tiny"))
    model.fit_units([data])
    table = evaluate(model, data, [1, 3], solver="heun", members=2)
    rows = [dict(zip(table.columns, r)) for r in table.rows]
    assert [r["evaluations"] for r in rows] == [1, 5]
    one = model.predict(data, generator=torch.Generator().manual_seed(0))
    assert rows[0]["rel_l2"] == relative_error(one, data)
    assert relative_error(data.u, data) == 0
    assert forecast_errors(data.u, data)["spectrum"] == 0
    wave = torch.sin(2 * torch.pi * 3 * torch.arange(16) / 16).reshape(1, 1, 1, 16, 1, 1).expand(2, 1, 8, 16, 16, 1)
    pure = replace(data, u=wave.contiguous())
    noisy = wave + 1e-4 * torch.randn(wave.shape, generator=torch.Generator().manual_seed(0))
    assert forecast_errors(0.5 * noisy, pure)["spectrum"] == pytest.approx(
        np.log(4), abs=1e-2
    )  # silent modes don't count


def test_a_finer_grid_is_forecast_as_coarse_ones(corpus):
    for name in ("advection", "navier-stokes", "advection-diffusion-3d"):
        _, data = corpus[name]
        assert torch.equal(interleaved(persistence, data, 2), persistence(data))
        steps = []
        interleaved(lambda d, steps=steps: steps.append(d.spacing) or d.u, data, 2)
        assert len(steps) == 2**data.dim
        assert steps[0][1] == 2 * data.spacing[1]
    with pytest.raises(InputError, match="divisor"):
        interleaved(persistence, data, 3)


@pytest.mark.slow
def test_two_processes_train_one_model(two_processes):
    """Each draws trajectories of its own of one and the same equation; their weights stay the same, and aren't those of one process."""
    first, second = two_processes(TWO)
    assert all(torch.equal(first[k], second[k]) for k in first)
    sets = [a for a, _ in unified(line_corpus(8, 2) | plane_corpus(4, 2, 16, 8), REGISTRY).values()]
    alone, _ = train(UniFluids(REGISTRY, [s.pde for s in sets], "tiny"), sets, steps=6, batch=4, seed=3)
    assert any(not torch.equal(first[k], v) for k, v in alone.state_dict().items())


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
