"""WiSARD and bleaching: a reference of dictionaries, the published digits, exact unlearning."""

import collections
import sys
from pathlib import Path

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.weightless import BleachingWiSARD, WiSARD

sys.path.insert(0, str(Path(__file__).parent.parent))
from authors_digits import TRAIN, authors_mapping, digits


def on_authors_mapping(net, monkeypatch):
    monkeypatch.setattr("deepwright.weightless.estimator.random_mapping", lambda *_: authors_mapping())
    bits, y = digits()
    return net.fit(bits[:TRAIN], y[:TRAIN])


def dictionaries(net, bits, y):
    """{(class, table, bits): times}, one sample at a time."""
    seen = collections.Counter()
    for x, label in zip(bits, y.tolist()):
        padded = [*x.tolist(), *[0] * 8]
        seen.update((label, j, tuple(padded[f] for f in row)) for j, row in enumerate(net.mapping_.tolist()))
    return seen


def test_the_published_digits(monkeypatch):
    net = on_authors_mapping(WiSARD(6, 33), monkeypatch)
    bits, y = digits()
    assert int(net.counts_.sum()) == 47_421
    assert round(net.score(bits[TRAIN:], y[TRAIN:]) * 360) == 313
    bleached = on_authors_mapping(BleachingWiSARD(6, 33, search="authors"), monkeypatch)
    assert bleached.bleach_ == 1
    assert round(bleached.score(bits[:1000], y[:1000]) * 1000) == 953
    assert round(bleached.score(bits[TRAIN:], y[TRAIN:]) * 360) == 332


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_votes_are_those_of_dictionaries(engine):
    bits, y = digits()
    net = WiSARD(5, 20, random_state=3, engine=engine).fit(bits[:150], y[:150])
    seen = dictionaries(net, bits[:150], y[:150])
    for x, votes in zip(bits[150:170], net.decision_function(bits[150:170]).tolist()):
        padded = [*x.tolist(), *[0] * 8]
        keys = [(j, tuple(padded[f] for f in row)) for j, row in enumerate(net.mapping_.tolist())]
        assert votes == [sum(seen[(c, *key)] > 0 for key in keys) for c in range(10)]


def test_the_best_b_of_held_out_samples_is_the_smallest_of_all(monkeypatch):
    bits, y = digits()
    net = BleachingWiSARD(4, 32, random_state=0)
    monkeypatch.setattr(net, "_levels", lambda: np.arange(200))
    every = net.fit(bits[:600], y[:600]).bleach_
    assert BleachingWiSARD(4, 32, random_state=0).fit(bits[:600], y[:600]).bleach_ == every > 0


def test_each_sample_raises_b_until_its_tie_breaks():
    bits, y = digits()
    net = BleachingWiSARD(4, 32, search="per_sample", random_state=0).fit(bits[:600], y[:600])
    votes = net.decision_function(bits[600:650])
    counts = next(iter(net.seen(bits[600:650])))[1]
    for found, count in zip(votes, counts):
        b = 0
        while True:
            now = (count > b).sum(axis=0)
            more = (count > b + 1).sum(axis=0)
            if (now == now.max()).sum() == 1 or more.max() == 0:
                break
            b += 1
        assert found.tolist() == now.tolist()


def test_unlearning_is_exact():
    bits, y = digits()
    net = WiSARD(6, 33, random_state=0).fit(bits[:300], y[:300])
    before = WiSARD(6, 33, random_state=0).fit(bits[:250], y[:250]).counts_
    net.decision_function(bits[:2])
    net.untrain(bits[250:300], y[250:300])
    assert np.array_equal(net.counts_, before)
    with pytest.raises(InputError, match="never counted"):
        net.untrain(bits[:250].repeat(2, axis=0), y[:250].repeat(2))
    assert np.array_equal(net.counts_, before)


def test_tables_vote_as_the_counts():
    bits, y = digits()
    net = BleachingWiSARD(6, 33, random_state=0).fit(bits[:300], y[:300])
    assert np.array_equal(net.to_binary().votes(bits), net.decision_function(bits))


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (WiSARD(17, 5), "n_inputs"),
        (WiSARD(16, 1000, max_memory=1 << 20), "at most"),
        (BleachingWiSARD(search="x"), "unknown search"),
        (WiSARD(engine="x"), "unknown engine"),
    ],
)
def test_bad_options_are_refused(net, said):
    bits, y = digits()
    with pytest.raises(InputError, match=said):
        net.fit(bits[:100], y[:100])


def test_misuse_is_refused():
    bits, y = digits()
    with pytest.raises(InputError, match="not fitted"):
        WiSARD().to_binary()
    with pytest.raises(InputError, match="2 of some class"):
        BleachingWiSARD().fit(bits[:5], y[:5])
    with pytest.raises(InputError, match="per_sample"):
        BleachingWiSARD(search="per_sample").fit(bits[:60], y[:60]).to_binary()


def test_a_threshold_of_few_samples_is_said():
    bits, y = digits()
    with pytest.warns(UserWarning, match="on 3 samples only"):
        BleachingWiSARD(6, 20, random_state=0).fit(bits[y < 3][:15], y[y < 3][:15])
