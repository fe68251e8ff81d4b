"""Training: batches that stand alone, learning, resuming, files, choosing what to predict, two processes."""

import pytest
import torch
from uf_cases import REGISTRY, awake, scaled

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import ChannelRegistry, line_corpus, plane_corpus, unified
from deepwright.physics.unifluids import UniFluids, choose_prediction, train_unifluids

NAMES = ("advection", "reaction-diffusion", "navier-stokes", "advection-diffusion-3d")
OPTIONS = {"steps": 60, "batch_size": 8, "decay": 0.9}
TWO = """
import sys, torch
from deepwright.core.devices import Compute
from deepwright.core.files import save_state
from deepwright.physics.pde_data import ChannelRegistry, line_corpus, plane_corpus, unified
from deepwright.physics.unifluids import UniFluids, train_unifluids
torch.set_num_threads(1)
registry = ChannelRegistry()
sets = [a for a, _ in unified(line_corpus(8, 2) | plane_corpus(4, 2, 16, 8), registry).values()]
model = UniFluids(registry, [s.pde for s in sets], "tiny")
train_unifluids(model, sets, steps=6, batch_size=4, compute=Compute(devices=2, strategy="ddp"), seed=3)
save_state(f"{sys.argv[1]}-{torch.distributed.get_rank()}", model.state_dict())
torch.distributed.barrier()
"""


@pytest.fixture(scope="module")
def sets(corpus):
    return [corpus[k][0] for k in NAMES]


def fresh(**options):
    return UniFluids(REGISTRY, list(NAMES), "tiny", **{"noise": 0.0, "seed": 1, **options})


@pytest.fixture(scope="module")
def trained(sets):
    """A trained model that nothing disturbed."""
    return train_unifluids(fresh(), sets, **OPTIONS)[0]


@pytest.fixture
def stored(trained, tmp_path):
    return trained.save(tmp_path / "m.pt")


def test_a_batch_stands_alone(corpus):
    """Its loss depends on its own trajectories and generator only."""
    data, _ = corpus["advection"]
    model = awake(UniFluids(REGISTRY, list(corpus), "tiny"))
    model.fit_units([a for a, _ in corpus.values()])
    alone = model.loss(data, torch.Generator().manual_seed(3))
    model.loss(corpus["advection-diffusion-3d"][0], torch.Generator().manual_seed(9))
    assert torch.equal(alone, model.loss(data, torch.Generator().manual_seed(3)))


def test_training_learns(sets, trained):
    def loss(model):
        return sum(float(model.loss(s, torch.Generator().manual_seed(0)).detach()) for s in sets)

    assert loss(trained) < 0.9 * loss(scaled(fresh(), sets))


def test_a_killed_training_goes_on_to_the_same_bits(sets, trained, tmp_path, monkeypatch):
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
        train_unifluids(fresh(), sets, checkpoint=tmp_path / "c.pt", every=15, **OPTIONS)
    again, result = train_unifluids(fresh(), sets, checkpoint=tmp_path / "c.pt", every=15, **OPTIONS)
    assert result.resumed_at == 30
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters()))


def test_a_model_in_float64_is_trained_in_it(sets):
    model, _ = train_unifluids(fresh().double(), sets[:1], steps=2, batch_size=2)
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_training_from_sensors_stays_finite(corpus):
    model = UniFluids(REGISTRY, ["burgers"], "tiny")
    model, _ = train_unifluids(model, [corpus["burgers"][0]], steps=6, batch_size=4, sensors=(0.2, 0.5))
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [({"sensors": (0.5, 0.2)}, "sensors"), ({"batch_size": 0}, "batch_size"), ({"steps": 0}, "0 steps")],
)
def test_bad_options_are_refused(options, words, sets):
    with pytest.raises(InputError, match=words):
        train_unifluids(fresh(), sets, **{**OPTIONS, **options})


def test_no_data_is_refused():
    with pytest.raises(InputError, match="0 data sets"):
        train_unifluids(fresh(), [])


def test_a_file_makes_its_model_again(sets, trained, stored):
    assert torch.equal(UniFluids.read(stored).predict(sets[2]), trained.predict(sets[2]))


def test_a_model_made_alike_takes_the_weights_of_a_file(sets, trained, stored):
    back = fresh()
    back.load(stored)
    assert torch.equal(back.predict(sets[0]), trained.predict(sets[0]))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (UniFluids(ChannelRegistry(REGISTRY.names[::-1]), NAMES, "tiny", noise=0.0), "another registry"),
        (UniFluids(REGISTRY, NAMES[::-1], "tiny", noise=0.0), "another pdes"),
        (UniFluids(REGISTRY, NAMES, "tiny", noise=0.0, target="field"), "another settings"),
    ],
)
def test_weights_of_another_model_are_refused(model, words, stored):
    with pytest.raises(InputError, match=words):
        model.load(stored)


def test_a_file_of_other_work_is_named(sets, tmp_path):
    train_unifluids(fresh(), sets[:1], steps=1, batch_size=2, checkpoint=tmp_path / "c.pt")
    with pytest.raises(InputError, match=r"c\.pt.*UniFluids\.save"):
        UniFluids.read(tmp_path / "c.pt")


def test_a_damaged_file_is_named(stored):
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.pt; given: a damaged file"):
        UniFluids.read(stored)


def test_the_prediction_is_chosen_by_trial(corpus):
    data, test = corpus["reaction-diffusion"]

    def make(kind):
        return UniFluids(REGISTRY, ["reaction-diffusion"], "tiny", prediction=kind, loss=kind)

    best, errors = choose_prediction(make, [data], [test], steps=40, batch_size=8, decay=0.9)
    assert set(errors) == {"x", "v"}
    assert errors[best] == min(errors.values())


def test_a_choice_needs_validation_data(sets):
    with pytest.raises(InputError, match="validation"):
        choose_prediction(lambda kind: fresh(prediction=kind), sets, [])


@pytest.mark.slow
def test_two_processes_train_one_model(two_processes):
    """Each draws trajectories of one and the same equation; their weights stay the same, and aren't one process's."""
    first, second = two_processes(TWO)
    assert all(torch.equal(first[k], second[k]) for k in first)
    sets = [a for a, _ in unified(line_corpus(8, 2) | plane_corpus(4, 2, 16, 8), REGISTRY).values()]
    model = UniFluids(REGISTRY, [s.pde for s in sets], "tiny")
    alone, _ = train_unifluids(model, sets, steps=6, batch_size=4, seed=3)
    assert any(not torch.equal(first[k], v) for k, v in alone.state_dict().items())
