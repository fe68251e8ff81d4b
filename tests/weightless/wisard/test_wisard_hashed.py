"""Hashed tables: dense ones' votes and counts, dictionaries at 28 inputs, exact unlearning, images of a class."""

import sys
from pathlib import Path

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.weightless import BleachingWiSARD, WiSARD

sys.path.insert(0, str(Path(__file__).parent.parent))
from authors_digits import digits


@pytest.mark.parametrize("ignore_zero", [False, True])
@pytest.mark.parametrize("kind", [WiSARD, BleachingWiSARD])
def test_hashed_tables_vote_as_dense_ones(kind, ignore_zero):
    bits, y = digits()
    nets = [
        kind(6, 33, random_state=1, tables=tables, ignore_zero=ignore_zero).fit(bits[:500], y[:500])
        for tables in ("dense", "hashed")
    ]
    dense, hashed = nets
    assert dense.bleach_ == hashed.bleach_
    assert np.array_equal(dense.decision_function(bits), hashed.decision_function(bits))
    assert np.array_equal(dense.to_binary().tables, hashed.to_binary().tables)
    assert np.array_equal(dense.class_image(3), hashed.class_image(3))
    assert (dense.counts_[:, 0].sum() == 0) == ignore_zero


@pytest.mark.parametrize("search", ["authors", "per_sample"])
def test_other_searches_are_the_same_too(search):
    bits, y = digits()
    dense, hashed = (
        BleachingWiSARD(4, 32, search=search, random_state=0, tables=tables).fit(bits[:400], y[:400])
        for tables in ("dense", "hashed")
    )
    assert np.array_equal(dense.decision_function(bits[400:500]), hashed.decision_function(bits[400:500]))


def test_28_inputs_vote_as_dictionaries():
    bits, y = digits()
    net = WiSARD(28, 9, random_state=0, tables="hashed").fit(bits[:300], y[:300])
    padded = np.pad(bits, ((0, 0), (0, 28)))
    seen = {(c, j, tuple(x[row])) for x, c in zip(padded[:300], y[:300].tolist()) for j, row in enumerate(net.mapping_)}
    for x, votes in zip(padded[300:340], net.decision_function(bits[300:340]).tolist()):
        own = [(j, tuple(x[row])) for j, row in enumerate(net.mapping_)]
        assert votes == [sum((c, *key) in seen for key in own) for c in range(10)]
    assert np.all(np.diff(net.keys_.astype(np.int64)) > 0)
    assert net.nbytes == -(-len(net.keys_) * 38 // 8)


def test_hashed_unlearning_is_exact():
    bits, y = digits()
    net = WiSARD(20, 16, random_state=0, tables="hashed").fit(bits[:200], y[:200])
    before = WiSARD(20, 16, random_state=0, tables="hashed").fit(bits[:150], y[:150])
    with pytest.raises(InputError, match="never counted"):
        net.untrain(bits[190:260], y[190:260])
    net.untrain(bits[150:200], y[150:200])
    assert np.array_equal(net.counts_, before.counts_)
    assert np.array_equal(net.keys_, before.keys_)


def test_the_image_of_a_class_is_a_sum_over_its_samples():
    bits, y = digits()
    net = WiSARD(6, 33, random_state=0).fit(bits[:300], y[:300])
    uses = np.bincount(net.mapping_.ravel(), minlength=70)[:64]
    assert np.array_equal(net.class_image(5), bits[:300][y[:300] == 5].sum(axis=0, dtype=np.int64) * uses)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (WiSARD(33, 5, tables="hashed"), "n_inputs"),
        (WiSARD(17, 5), "n_inputs"),
        (WiSARD(20, 50, tables="hashed", max_memory=1 << 10), "at most"),
        (WiSARD(tables="x"), "unknown tables"),
    ],
)
def test_bad_hashed_options_are_refused(net, said):
    bits, y = digits()
    with pytest.raises(InputError, match=said):
        net.fit(bits[:100], y[:100])


def test_too_many_inputs_make_no_binary_tables():
    bits, y = digits()
    with pytest.raises(InputError, match="to_binary"):
        WiSARD(20, 16, tables="hashed").fit(bits[:60], y[:60]).to_binary()
    with pytest.raises(InputError, match="outside the classes"):
        WiSARD(6, 16).fit(bits[:60], y[:60]).class_image(77)
