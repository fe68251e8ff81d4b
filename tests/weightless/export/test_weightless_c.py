"""Headers of C99: compiled and compared inside export itself; here that it can fail, and what its texts say."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_wine

from deepwright.core.errors import InputError
from deepwright.weightless import BinaryWNN, Booleanizer, TsetlinWiSARD
from deepwright.weightless.export import ExportMismatch, c, learning
from deepwright.weightless.export.compilers import compiler
from deepwright.weightless.mapping import random_mapping

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def network(classes, luts=19, inputs=3, features=10, coder=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapping = random_mapping(features, inputs, luts, 0)
    tables = np.random.default_rng(1).integers(0, 2, (luts, 1 << inputs, len(classes)))
    return BinaryWNN(tables, mapping, features, np.array(classes), coder, "numpy")


@needs_compiler
@pytest.mark.parametrize(("count", "luts"), [(2, 5), (9, 8), (33, 19)])
def test_bytes_half_words_and_several_words_count_as_python(tmp_path, count, luts):
    text = network(range(count), luts).export_c(tmp_path / "a.h").read_text()
    width = 8 if count <= 8 else 16 if count <= 16 else 32
    assert f"#define WNN_TABLE_BYTES {luts * 8 * -(-count // width) * width // 8} " in text
    assert "malloc" not in text


@needs_compiler
def test_codes_of_numbers_are_the_booleanizers(tmp_path):
    X, y = load_wine(return_X_y=True)
    coder = Booleanizer("quantile_onehot", bits=4).fit(X)
    net = TsetlinWiSARD(4, 20, epochs=2, random_state=0, engine="numpy").fit(coder.transform(X), y)
    assert "wine_encode" in net.to_binary(coder).export_c(tmp_path / "a.h", name="wine").read_text()


@needs_compiler
@pytest.mark.parametrize("n_states", [4, 1024])
def test_steps_on_the_device_are_the_rules(tmp_path, n_states):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 2, (60, 12)), rng.integers(0, 3, 60)
    net = TsetlinWiSARD(4, 9, n_states, epochs=3, random_state=0, engine="numpy").fit(X, y)
    text = net.export_c(tmp_path / "a.h", samples=X).read_text()
    assert f"#define WNN_RAM_BYTES {net.states_.nbytes}\n" in text


@needs_compiler
def test_a_wrong_table_bit_constant_or_draw_is_found(tmp_path, monkeypatch):
    net = network(("a", "b"))
    header = c._header

    def damaged(plain, words, name):
        broken = words.copy()
        broken[0, 0, 0] ^= 1
        return header(plain, broken, name)

    monkeypatch.setattr(c, "_header", damaged)
    with pytest.raises(ExportMismatch, match="tables in the header"):
        net.export_c(tmp_path / "a.h")
    monkeypatch.setattr(c, "_header", lambda *given: header(*given).replace("votes[best]", "votes[0]"))
    with pytest.raises(ExportMismatch, match="vectors differ"):
        network(range(5)).export_c(tmp_path / "a.h")
    monkeypatch.setattr(learning, "_TAPS", 0x80200001)
    machine = TsetlinWiSARD(3, 9, epochs=1, random_state=0, engine="numpy").fit(np.eye(6), [0, 1, 0, 1, 0, 1])
    with pytest.raises(ExportMismatch, match="draws"):
        machine.export_c(tmp_path / "a.h")
    assert not (tmp_path / "a.h").exists()


@needs_compiler
def test_labels_of_anybody_stay_inside_their_quotes(tmp_path):
    labels = ('*/ #error "', "a\\\n", "é??/")
    text = network(labels).export_c(tmp_path / "a.h").read_text()
    assert "\\052\\057 \\043error \\042" in text
    assert "\\303\\251\\077\\077\\057" in text


@pytest.mark.parametrize("name", ["", "2a", "a b", "a;b", "int", "a" * 32, 'a"', "_a"])
def test_names_that_arent_identifiers_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="name"):
        network(("a", "b")).export_c(tmp_path / "a.h", name=name)


def test_without_a_compiler_the_tables_are_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    net = network(("a", "b", "c"))
    text = net.export_c(tmp_path / "a.h").read_text()
    assert np.array_equal(c.read_constants(text, "wnn_tables"), c.class_words(net.tables).ravel())


def test_the_register_has_the_longest_period():
    """x has order 2^32 - 1 modulo the polynomial: its power is 1 there, and at none of the largest proper divisors."""

    def power(exponent):
        result, base = 1 << 31, 1 << 30  # 1 and x; the highest bit is the constant term
        for bit in bin(exponent)[2:]:
            result = product(result, result)
            if bit == "1":
                result = product(result, base)
        return result

    def product(a, b):
        total = 0
        for k in range(32):
            if b >> (31 - k) & 1:
                total ^= a
            a = (a >> 1) ^ (learning._TAPS if a & 1 else 0)
        return total

    whole = (1 << 32) - 1
    assert power(whole) == 1 << 31
    assert all(power(whole // p) != 1 << 31 for p in (3, 5, 17, 257, 65537))
