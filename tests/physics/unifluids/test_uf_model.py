"""What the network must do with channels, conditions, axes, units and times, and what it must not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from uf_cases import REGISTRY, awake

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    ChannelRegistry,
    Patchify,
    PDEBatch,
    PDEDataset,
    to_unified,
)
from deepwright.physics.unifluids import (
    Parameterization,
    UniFluids,
    persistence,
    train_unifluids,
)
from deepwright.physics.unifluids.flow_matching import KINDS
from deepwright.physics.unifluids.transformer import rotations


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
    """Rotations and clocks come from shares of the window: with seconds or days between frames, times differ."""
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
        for added in (plain.tokens.sensing, *plain.sensors.hints.values()):
            added.zero_()
    assert torch.equal(plain.predict(every), plain.predict(data))
    assert torch.allclose(torch.stack(every.known_moments()), torch.stack(data.known_moments()), rtol=1e-5)
    model, _ = train_unifluids(
        UniFluids(REGISTRY, ["burgers"], "tiny"), [corpus["burgers"][0]], steps=6, batch_size=4, sensors=(0.2, 0.5)
    )
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    for bad in (0.0, 1.5):
        with pytest.raises(InputError, match="share"):
            data.with_sensors(bad, draw)
    with pytest.raises(InputError, match="sensors"):
        train_unifluids(model, [data], steps=2, sensors=(0.5, 0.2))
    with pytest.raises(InputError, match="whole context"):
        model.sample(some, conserve=True)
    with pytest.raises(InputError, match="seen"):
        replace(data, seen=torch.ones(3, 3, dtype=torch.bool))


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
