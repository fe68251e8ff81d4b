"""What the network must do with channels, conditions, axes, units and times, and what it must not."""

from dataclasses import replace

import pytest
import torch
from uf_cases import REGISTRY, awake, scaled

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    ChannelRegistry,
    Patchify,
)
from deepwright.physics.unifluids import (
    UniFluids,
    persistence,
)
from deepwright.physics.unifluids.flow_matching import KINDS
from deepwright.physics.unifluids.transformer import rotations


def say(model, data, t=0.0):
    """What a network says of clean tokens at a flow time."""
    with torch.no_grad():
        times = torch.full((len(data),), t)
        return model(model.patch[data.dim](data.u), times, model.condition(data), data)


NAMES = ("advection", "navier-stokes", "advection-diffusion-3d")
EMBEDS = ("per_channel", "pad")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("embed", EMBEDS)
def test_a_fresh_model_says_nothing(embed, name, corpus):
    data = corpus[name][1]
    model = UniFluids(REGISTRY, list(corpus), "tiny", embed=embed)
    out = say(model, data)
    assert out.shape == model.patch[data.dim](data.u).shape
    assert not out.any()


@pytest.mark.parametrize("embed", EMBEDS)
def test_an_awake_model_says_something(embed, corpus):
    model = awake(UniFluids(REGISTRY, list(corpus), "tiny", embed=embed))
    assert float(say(model, corpus["advection-diffusion-3d"][1]).abs().max()) > 0


@pytest.fixture
def two(corpus):
    """A batch of two velocities."""
    data = corpus["navier-stokes"][1]
    return replace(data, u=torch.cat([data.u, data.u.flip(3)], 1), channels=(3, 4), pde="p")


def test_permuting_channels_permutes_the_answer(two):
    model = awake(UniFluids(REGISTRY, ["p"], "tiny"))
    swapped = replace(two, u=two.u.flip(1), channels=(4, 3))
    assert torch.allclose(say(model, two, 0.3), say(model, swapped, 0.3).flip(2), atol=1e-5)


def test_a_longer_registry_changes_nothing(two):
    model = awake(UniFluids(REGISTRY, ["p"], "tiny"))
    longer = UniFluids(ChannelRegistry((*REGISTRY.names, "salt")), ["p"], "tiny")
    state = longer.state_dict()
    for k, v in model.state_dict().items():
        state[k][tuple(slice(None, n) for n in v.shape)] = v
    longer.load_state_dict(state)
    assert torch.allclose(say(model, two, 0.3), say(longer.eval(), two, 0.3), atol=1e-6)


@pytest.fixture
def burgers(corpus):
    """(a model that says something, test data)."""
    return awake(UniFluids(REGISTRY, ["burgers"], "tiny")), corpus["burgers"][1]


def test_only_the_context_is_looked_at(burgers):
    model, data = burgers
    spoilt = replace(data, u=torch.cat([data.u[:, :, :4], torch.full_like(data.u[:, :, 4:], 7.0)], 2))
    a, b = (model.sample(d, steps=3, generator=torch.Generator().manual_seed(1)) for d in (data, spoilt))
    assert torch.equal(a[:, :, :, 4:], b[:, :, :, 4:])


def test_the_context_stays_as_it_was_given(burgers):
    model, data = burgers
    assert torch.equal(model.sample(data, steps=3)[0, :, :, :4], data.u[:, :, :4])


def test_members_of_an_ensemble_differ(burgers):
    model, data = burgers
    members = model.sample(data, steps=2, members=3)
    assert members.shape == (3, *data.u.shape)
    assert float((members[0] - members[1]).abs().max()) > 0


def test_means_are_conserved_where_asked(burgers):
    model, data = burgers
    kept = model.sample(data, steps=3, conserve=True)[0].mean((3, 4, 5))[:, :, 4:]
    assert torch.allclose(kept, data.u[:, :, 3:4].mean((3, 4, 5)).expand_as(kept), atol=1e-4)


def test_a_rollout_goes_on_by_windows(burgers):
    model, data = burgers
    u = model.rollout(data, 2, steps=3)
    assert u.shape[2] == 24
    assert torch.equal(u[:, :, :12], model.sample(data, steps=3)[0, :, :, 4:])


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


def silent(corpus, name, target):
    """A model that says 0, with the units of an equation."""
    return scaled(UniFluids(REGISTRY, [name], "tiny", noise=0.0, target=target), [corpus[name][0]])


EQUATIONS = ("advection", "burgers", "reaction-diffusion", "shallow-water", "navier-stokes", "advection-diffusion-3d")


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_silent_model_forecasts_the_mean_of_a_field(name, corpus):
    data, mean = corpus[name][1], float(corpus[name][0].u.mean())
    found = silent(corpus, name, "field").predict(data)[:, :, 4:]
    assert torch.allclose(found, torch.full_like(found, mean), atol=1e-5)


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_silent_model_of_changes_forecasts_persistence(name, corpus):
    data = corpus[name][1]
    assert torch.allclose(silent(corpus, name, "change").predict(data), persistence(data), atol=1e-5)


@pytest.mark.parametrize("name", EQUATIONS)
def test_whichever_varies_less_is_forecast(name, corpus):
    known, data = corpus[name]
    change = (known.u[:, :, 4:] - known.u[:, :, 3:4]).square().mean()
    kept = "change" if change < 0.5 * known.u.var() else "field"
    found, expected = (silent(corpus, name, target).predict(data) for target in ("auto", kept))
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_silent_model_of_an_unknown_equation_forecasts_persistence(corpus):
    data = corpus["advection"][1]
    stranger = UniFluids(REGISTRY, ["other"], "tiny", noise=0.0, target="change")
    assert torch.allclose(stranger.predict(data), persistence(data), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "rate"}, "auto"),
        ({"attention": "sparse"}, "axial"),
        ({"embed": "sum"}, "per_channel"),
        ({"size": (60, 2, 4)}, "width"),
        ({"size": "huge"}, "nano"),
        ({"prediction": "y"}, "x, v, eps"),
        ({"patch": {1: (0, 16, 1, 1)}}, "patch"),
    ],
)
def test_options_that_there_are_not_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        UniFluids(REGISTRY, ["advection"], **{"size": "tiny", **options})


def test_more_tokens_than_allowed_are_refused(corpus):
    with pytest.raises(InputError, match="at most 8"):
        UniFluids(REGISTRY, ["advection"], "tiny", max_tokens=8).predict(corpus["advection"][1])


def test_a_context_of_half_a_patch_is_refused(corpus):
    with pytest.raises(InputError, match="multiple of 4"):
        UniFluids(REGISTRY, ["p"], "tiny").predict(replace(corpus["advection"][1], context=6))


def test_a_dimension_without_a_patch_is_refused(corpus):
    model = UniFluids(REGISTRY, ["p"], "tiny", patch={1: (4, 16, 1, 1)})
    with pytest.raises(InputError, match="dim; given: 2"):
        model.predict(corpus["navier-stokes"][1])


@pytest.mark.parametrize("options", [{"solver": "midpoint"}, {"steps": 0}, {"members": 0}, {"shift": 0.0}])
def test_a_sampler_that_there_is_not_is_refused(options, corpus):
    model = UniFluids(REGISTRY, ["advection"], "tiny")
    with pytest.raises(InputError, match=next(iter(options))):
        model.sample(corpus["advection"][1], **options)


def test_no_windows_are_refused(corpus):
    with pytest.raises(InputError, match="windows"):
        UniFluids(REGISTRY, ["advection"], "tiny").rollout(corpus["advection"][1], 0)
