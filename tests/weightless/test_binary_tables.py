"""Binary tables: votes by hand, flips, files of strangers; both engines."""

import warnings
import zipfile

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.weightless import BinaryWNN, Booleanizer
from deepwright.weightless.kernels import chosen_engine, packed, packed_votes
from deepwright.weightless.mapping import addresses, random_mapping

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (40, 11)).astype(np.uint8)


def network(classes=("a", "b", "c"), **options):
    tables = np.random.default_rng(1).integers(0, 2, (7, 16, len(classes)))
    return BinaryWNN(tables, random_mapping(11, 4, 7, 0), 11, np.array(classes), **options)


def by_hand(net, bits):
    """Votes by the definition, one sample, table and bit at a time."""
    votes = np.zeros((len(bits), len(net.classes)), dtype=int)
    for i, x in enumerate(bits):
        for j, inputs in enumerate(net.mapping):
            address = int("".join(str(x[f]) if f < len(x) else "0" for f in inputs), 2)
            votes[i] += net.tables[j, address]
    return votes


@pytest.mark.parametrize("engine", ["numpy", "auto"])
@pytest.mark.parametrize("count", [2, 4, 9])
def test_votes_are_those_of_the_definition(engine, count):
    net = network(tuple(range(count)), engine=engine)
    assert np.array_equal(net.votes(BITS), by_hand(net, BITS))
    assert np.array_equal(net.predict(torch.tensor(BITS)), by_hand(net, BITS).argmax(1))


@pytest.mark.parametrize("samples", [127, 128, 300])
def test_blocks_of_samples_and_the_rest_count_as_single_ones(samples):
    bits, net = np.random.default_rng(3).integers(0, 2, (samples, 11)), network(range(9))
    alone = np.concatenate([net.votes(bits[i : i + 1]) for i in range(samples)])
    assert np.array_equal(net.votes(bits), alone)
    assert np.array_equal(network(range(9), engine="numpy").votes(bits), alone)


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_lanes_hold_the_most_votes_there_can_be(engine):
    words = packed(np.ones((65_535, 2, 4), dtype=np.uint8))
    assert (packed_votes(np.ones((129, 1), np.uint8), np.zeros((65_535, 1), np.int32), words, engine) == 65_535).all()


def test_the_first_input_is_the_most_significant_bit():
    assert addresses(np.array([[1, 0, 0]], np.uint8), np.array([[0, 1, 3], [3, 1, 0]], np.int32)).tolist() == [[4, 1]]


@pytest.mark.parametrize(("features", "inputs", "luts"), [(64, 6, 33), (12, 4, 3), (10, 3, 9)])
def test_every_bit_is_used_equally_often_or_once_more(features, inputs, luts):
    padded = -(-features // inputs) * inputs
    used = np.bincount(random_mapping(features, inputs, luts, 3).ravel(), minlength=padded)
    assert used.max() - used.min() <= 1
    assert used.sum() == inputs * luts


def test_bits_in_no_table_are_told():
    with pytest.warns(UserWarning, match="54 of 66 bits"):
        random_mapping(64, 6, 2)


def test_explain_is_what_each_flip_does():
    mapping = np.array([[0, 1, 2, 0], [3, 4, 5, 11], [6, 7, 8, 9]], dtype=np.int32)  # bit 0 twice in one table
    net = BinaryWNN(RNG.integers(0, 2, (3, 16, 2)), mapping, 11, np.array([0, 1]))
    found = net.explain(BITS[:5])
    for f in range(11):
        flipped = BITS[:5].copy()
        flipped[:, f] ^= 1
        assert np.array_equal(found[:, f], net.votes(BITS[:5]) - net.votes(flipped))


def test_prune_drops_the_tables_that_vote_against_the_truth():
    tables = np.zeros((3, 2, 2), dtype=int)
    tables[0, 0, 0] = tables[0, 1, 1] = tables[2, 0, 0] = 1  # the first knows both classes, the last one of them
    tables[1, 0, 1] = tables[1, 1, 0] = 1  # always wrong
    net = BinaryWNN(tables, np.array([[0], [0], [0]], np.int32), 1, np.array([0, 1]))
    small = net.prune(0.34, [[0], [1]], [0, 1])
    assert np.array_equal(small.tables, tables[[0, 2]])
    assert np.array_equal(net.prune(0.99, [[0], [1]], [0, 1]).tables, tables[:1])


@pytest.mark.parametrize("classes", [("a", "b", "c"), (3, 7, 9), (False, True)])
def test_a_file_comes_back(tmp_path, classes):
    coder = Booleanizer("binary").fit(BITS)
    net = network(classes, booleanizer=coder)
    back = BinaryWNN.load(net.save(tmp_path / "net.npz"))
    assert np.array_equal(back.tables, net.tables)
    assert back.predict(back.booleanizer.transform(BITS)).tolist() == net.predict(BITS).tolist()
    assert back.classes.dtype == net.classes.dtype


def test_each_flipped_byte_is_refused_or_harmless(tmp_path):
    path = network().save(tmp_path / "net.npz")
    body, net = path.read_bytes(), network()
    for at in range(0, len(body), 7):
        path.write_bytes(body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :])
        try:
            back = BinaryWNN.load(path)
        except InputError:
            continue
        assert np.array_equal(back.tables, net.tables)
        assert np.array_equal(back.mapping, net.mapping)
        assert back.classes.tolist() == net.classes.tolist()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "net.npz"
    with pytest.raises(InputError, match="can't be read"):
        BinaryWNN.load(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="whole"):
        BinaryWNN.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.savez(path, a=np.arange(3))
    with pytest.raises(InputError, match="members"):
        BinaryWNN.load(path)
    network().save(path)
    with pytest.raises(InputError, match="max_memory"):
        BinaryWNN.load(path, max_memory=100)
    cut = path.read_bytes()
    path.write_bytes(cut[:-30])
    with pytest.raises(InputError, match="whole"):
        BinaryWNN.load(path)


def test_a_pickle_in_the_file_is_never_opened(tmp_path):
    path = network().save(tmp_path / "net.npz")
    np.save(tmp_path / "classes.npy", np.array([{}, {}, {}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()} | {"classes.npy": (tmp_path / "classes.npy").read_bytes()}
    with zipfile.ZipFile(path, "w") as new:
        for name, body in members.items():
            new.writestr(name, body)
    with pytest.raises(InputError, match="an array of object"):
        BinaryWNN.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tables": np.full((7, 16, 3), 2)}, "0 and 1"),
        ({"tables": np.zeros((7, 15, 3))}, "entries"),
        ({"tables": np.zeros((7, 16))}, "tables"),
        ({"classes": np.array(["a", "a", "b"])}, "distinct"),
        ({"mapping": np.full((7, 4), 12, np.int32)}, "0..11"),
        ({"mapping": np.zeros((7, 3), np.int32)}, "mapping"),
        ({"features": 0}, "features"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, said):
    net = network()
    parts = {"tables": net.tables, "mapping": net.mapping, "features": 11, "classes": net.classes}
    with pytest.raises(InputError, match=said):
        BinaryWNN(**(parts | change))


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match="unknown engine"):
        chosen_engine("cuda")
