"""Training in torch: the states of the sequential rule at batches of one, sums that hold, options, any chunk's device."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.weightless import TorchTsetlinWiSARD, TsetlinWiSARD

sys.path.insert(0, str(Path(__file__).parent.parent))
from authors_digits import digits


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"update": "margin", "margin": 4},
        {"update": "always"},
        {"only_wrong_votes": True},
        {"n_states": 4},
    ],
)
def test_batches_of_one_are_the_sequential_rule(options):
    bits, y = digits()
    same = {"p_update": 1.0, "tie": "first", "epochs": 1, "random_state": 0, **options}
    plain = TsetlinWiSARD(4, 16, engine="numpy", **same).fit(bits[:250], y[:250])
    batched = TorchTsetlinWiSARD(4, 16, batch_size=1, **same).fit(bits[:250], y[:250])
    assert np.array_equal(plain.states_, batched.states_)
    assert [row["accuracy"] for row in plain.history_] == [row["accuracy"] for row in batched.history_]
    assert batched.states_.dtype == plain.states_.dtype


def test_steps_up_and_down_are_what_changes():
    bits, y = digits()
    net = TorchTsetlinWiSARD(5, 20, epochs=2, init="zeros", random_state=0).fit(bits[:500], y[:500])
    change = net.states_.astype(int).sum() - net.states_.size * 127
    assert change == sum(row["raised"] - row["lowered"] for row in net.history_)
    wrong = sum(round(500 * (1 - row["accuracy"])) for row in net.history_)
    for kind in ("raised", "lowered"):  # each of them a coin for every table of a mistake
        steps = sum(row[kind] for row in net.history_)
        assert abs(steps - wrong * 20 / 2) < 5 * np.sqrt(wrong * 20) / 2


def test_batches_learn_repeat_and_stop_early():
    bits, y = digits()
    net = TorchTsetlinWiSARD(6, 33, epochs=6, batch_size=64, early_stopping=True, patience=3, random_state=0)
    states = net.fit(bits[:900], y[:900]).states_
    assert net.score(bits[900:], y[900:]) > 0.7
    assert "validation" in net.history_[0]
    assert np.array_equal(net.fit(bits[:900], y[:900]).states_, states)
    more = net.partial_fit(bits[900:901], y[900:901])
    assert more.n_seen_ > 0


def test_ties_are_drawn():
    bits, y = digits()
    found = {
        tie: TorchTsetlinWiSARD(4, 4, p_update=1.0, epochs=1, tie=tie, random_state=0).fit(bits[:200], y[:200]).states_
        for tie in ("random", "first")
    }
    assert not np.array_equal(found["random"], found["first"])


@pytest.mark.parametrize(("options", "said"), [({"batch_size": 0}, "batch_size"), ({"device": "x"}, "device")])
def test_bad_batches_are_refused(options, said):
    bits, y = digits()
    with pytest.raises(InputError, match=said):
        TorchTsetlinWiSARD(**options).fit(bits[:50], y[:50])


@pytest.mark.parametrize("n_inputs", [3, 6])
def test_tables_in_torch_vote_the_same(n_inputs):
    bits, y = digits()
    net = TsetlinWiSARD(n_inputs, 24, epochs=2, random_state=0, engine="numpy").fit(bits[:300], y[:300])
    small = net.to_binary()
    module = small.to_torch()
    for dtype in (torch.uint8, torch.bool, torch.float32):
        assert np.array_equal(module(torch.from_numpy(bits).to(dtype)).numpy(), small.votes(bits))
    assert np.array_equal(small.classes[module.predict(torch.from_numpy(bits)).numpy()], small.predict(bits))
    again = type(small)(small.tables * 0, small.mapping, small.features, small.classes).to_torch()
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(torch.from_numpy(bits)), module(torch.from_numpy(bits)))
    with pytest.raises(InputError, match="samples, 64"):
        module(torch.zeros(3, 5))


def test_the_image_of_binary_tables():
    bits, y = digits()
    small = TsetlinWiSARD(4, 20, epochs=2, random_state=0, engine="numpy").fit(bits[:200], y[:200]).to_binary()
    image = np.zeros(64, dtype=int)
    for j, row in enumerate(small.mapping.tolist()):
        for a in np.flatnonzero(small.tables[j, :, 7]):
            for b, f in enumerate(row):
                image[f] += (a >> (3 - b)) & 1
    assert np.array_equal(small.class_image(7), image)
