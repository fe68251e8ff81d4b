"""Training: batches that stand alone, learning, resuming, files, choosing what to predict, two processes."""

import pytest
import torch
from uf_cases import REGISTRY, awake, scaled

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import ChannelRegistry, line_corpus, plane_corpus, unified
from deepwright.physics.unifluids import (
    UniFluids,
    choose_prediction,
    train_unifluids,
)

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

    options = {"steps": 60, "batch_size": 8, "decay": 0.9}
    whole, result = train_unifluids(fresh(), sets, **options)
    assert result.steps == 60
    before, after = (
        sum(float(m.loss(s, torch.Generator().manual_seed(0)).detach()) for s in sets)
        for m in (scaled(fresh(), sets), whole)
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
        train_unifluids(fresh(), sets, checkpoint=tmp_path / "c.pt", every=15, **options)
    again, result = train_unifluids(fresh(), sets, checkpoint=tmp_path / "c.pt", every=15, **options)
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


def test_the_prediction_is_chosen_by_trial(corpus):
    data, test = corpus["reaction-diffusion"]

    def make(kind):
        return UniFluids(REGISTRY, ["reaction-diffusion"], "tiny", prediction=kind, loss=kind)

    best, errors = choose_prediction(make, [data], [test], steps=40, batch_size=8, decay=0.9)
    assert set(errors) == {"x", "v"}
    assert errors[best] == min(errors.values())
    with pytest.raises(InputError, match="validation"):
        choose_prediction(make, [data], [])


@pytest.mark.slow
def test_two_processes_train_one_model(two_processes):
    """Each draws trajectories of one and the same equation; their weights stay the same, and aren't one process's."""
    first, second = two_processes(TWO)
    assert all(torch.equal(first[k], second[k]) for k in first)
    sets = [a for a, _ in unified(line_corpus(8, 2) | plane_corpus(4, 2, 16, 8), REGISTRY).values()]
    alone, _ = train_unifluids(UniFluids(REGISTRY, [s.pde for s in sets], "tiny"), sets, steps=6, batch_size=4, seed=3)
    assert any(not torch.equal(first[k], v) for k, v in alone.state_dict().items())
