"""BTHOWeN: hashes bit by bit, counters one sample at a time, no false negatives, hashed WiSARD as its limit."""

import sys
from pathlib import Path

import numpy as np
import pytest

from deepwright.core.errors import InputError, NotFittedError
from deepwright.weightless import BTHOWeN, WiSARD

sys.path.insert(0, str(Path(__file__).parent.parent))
from authors_digits import digits


def fitted(**options):
    bits, y = digits()
    return BTHOWeN(**{"n_inputs": 12, "n_luts": 16, "n_entries": 64, "random_state": 0, **options}).fit(
        bits[:300], y[:300]
    )


def places(net, x):
    """The hashes of one sample, bit by bit."""
    padded = np.pad(x, (0, 32))
    result = []
    for row in net.mapping_.tolist():
        own = []
        for words in net.words_.tolist():
            found = 0
            for word, f in zip(words, row):
                found ^= word if padded[f] else 0
            own.append(found)
        result.append(own)
    return np.array(result)


@pytest.mark.parametrize("n_inputs", [3, 8, 12, 28])
def test_a_hash_is_the_exclusive_or_of_the_words_of_bits_that_are_1(n_inputs):
    bits, _ = digits()
    net = fitted(n_inputs=n_inputs, n_luts=24, n_hashes=3)
    found = net.places(bits[:8])
    assert all(np.array_equal(at, places(net, x)) for at, x in zip(found, bits))


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_counters_are_those_of_a_loop(engine):
    bits, y = digits()
    net = fitted(engine=engine)
    counts, done = np.zeros_like(net.counts_), 0
    from deepwright.core.randomness import derive_seed
    from deepwright.weightless.estimator import held_out

    kept = held_out(y[:300], 0.1, np.random.default_rng(derive_seed("weightless held out", seed=0)))
    for i in [*np.flatnonzero(~kept), *np.flatnonzero(kept)]:
        for j, at in enumerate(places(net, bits[i])):
            least = min(counts[j, a, y[i]] for a in at)
            for a in set(at.tolist()):
                if counts[j, a, y[i]] == least:
                    counts[j, a, y[i]] += 1
            done += 1
    assert done == 300 * 16
    assert np.array_equal(counts, net.counts_)


def test_what_was_seen_has_all_votes_without_bleaching(monkeypatch):
    monkeypatch.setattr(BTHOWeN, "_best", lambda *_: 0)
    bits, y = digits()
    net = fitted()
    votes = net.decision_function(bits[:300])
    assert (votes[np.arange(300), y[:300]] == 16).all()


def test_large_filters_vote_as_hashed_wisard(monkeypatch):
    monkeypatch.setattr(BTHOWeN, "_best", lambda *_: 0)
    bits, y = digits()
    net = fitted(n_entries=65_536, n_hashes=4)
    exact = WiSARD(12, 16, random_state=0, tables="hashed").fit(bits[:300], y[:300])
    assert np.array_equal(net.decision_function(bits[300:]), exact.decision_function(bits[300:]))


def test_bytes_and_accuracy():
    bits, y = digits()
    net = fitted(n_entries=512, n_luts=32)
    assert net.nbytes == 32 * 512 * 10 // 8
    assert net.score(bits[300:], y[300:]) > 0.8
    assert net.bleach_ >= 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_entries": 100}, "power of two"),
        ({"n_inputs": 33}, "n_inputs"),
        ({"n_hashes": 0}, "n_hashes"),
        ({"engine": "x"}, "unknown engine"),
        ({"max_memory": 10}, "at most"),
    ],
)
def test_bad_options_of_filters_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        fitted(**options)


def test_filters_need_samples():
    bits, y = digits()
    with pytest.raises(InputError, match="2 of some class"):
        BTHOWeN().fit(bits[:5], y[:5])
    with pytest.raises(NotFittedError):
        print(BTHOWeN().nbytes)
