"""Gates: refused before anything runs where they can't do what they are for."""

import pytest

from deepwright.checks import BUILTIN, ON_REQUEST, Finding, evaluate, read_config, require_gates
from deepwright.checks.findings.measurable import MEASURABLE
from deepwright.core.errors import InputError


def test_every_built_in_check_says_what_it_can_measure():
    assert MEASURABLE.keys() == BUILTIN.keys() | ON_REQUEST.keys()


@pytest.mark.parametrize(
    "gate",
    [
        "fi>0.5",
        "fragility.fi>=0.5",
        "accuracy.grade>C",
        "ood.grade>=E",
        "ece > 0.05",
        "accuracy<0.9",
        "mae>3",
        "own.x<1",
    ],
)
def test_a_gate_that_can_fail_is_taken(gate):
    require_gates([gate], [*BUILTIN, "own"])


@pytest.mark.parametrize("gate", ["accuracy<=0", "accuracy>=1", "auroc_MSP_worst<=0", "cost.macs<=0", "fi>=1e9"])
def test_a_bound_that_can_be_met_is_taken(gate):
    require_gates([gate], BUILTIN)


@pytest.mark.parametrize(
    "gate", ["accuracy<0", "accuracy>1", "ece<0", "latency_ms<0", "fi<0", "accuracy.grade>E", "accuracy.grade<A"]
)
def test_a_gate_that_can_never_hold_is_refused(gate):
    with pytest.raises(InputError, match="expected: one that can fail"):
        require_gates([gate], BUILTIN)


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("accuracy<nan", "a finite number"),
        ("accuracy<inf", "a finite number"),
        ("accuracy<A", "a finite number"),
        ("accuracy.grade>Z", "a grade, A"),
        ("accuracy.grade>a", "capital letters: A"),
        ("accuracy.grade>b+", "a grade, A"),
        ("accuracy.grade>0.5", "a grade, A"),
        ("acuracy<0.5", "did you mean 'accuracy'"),
        ("accuracy.fi>0.5", "unknown value"),
        ("fragilty.fi>0.5", "did you mean 'fragility'"),
        ("grade>C", "unknown check"),
        ("accuracy=0.5", "one of > < >= <="),
        ("accuracy<", "one of > < >= <="),
        ("", "one of > < >= <="),
    ],
)
def test_what_is_no_gate_is_refused_in_words(gate, told):
    with pytest.raises(InputError) as refused:
        require_gates([gate], BUILTIN)
    assert told in str(refused.value)


@pytest.mark.parametrize("gate", ["fi>1", "fragility.fi>1", "fragility.grade>C"])
def test_a_gate_on_a_check_that_does_not_run_names_it(gate):
    with pytest.raises(InputError, match=r"--check fragility, from Python checks=\('fragility', ...\)"):
        require_gates([gate], ["accuracy"])


@pytest.mark.parametrize("grade", ["info", "n/a", "failed"])
@pytest.mark.parametrize("gate", ["accuracy.grade>C", "accuracy.grade<B", "accuracy.grade>=E"])
def test_what_has_no_letter_fails_its_gate(gate, grade):
    assert evaluate([gate], [Finding("accuracy", grade, "s", {})])[0].failed


def test_what_a_check_could_not_measure_here_fails_its_gate():
    gates = evaluate(["cost.onnx_latency_ms>5", "onnx_latency_ms>5"], [Finding("cost", "info", "s", {"macs": 1.0})])
    assert [(gate.failed, gate.measured) for gate in gates] == [(True, "not measured")] * 2


# --- deepwright.toml ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "gates"),
    [
        ("", []),
        ('fail-on = ["fi>0.5"]', ["fi>0.5"]),
        ('[gates]\nfail-on = ["fi>0.5"]', ["fi>0.5"]),
        ('fail-on = ["ece>1"]\n[gates]\nfail-on = ["fi>0.5"]', ["ece>1", "fi>0.5"]),
    ],
)
def test_gates_are_read_from_both_places(text, gates, tmp_path):
    (tmp_path / "d.toml").write_text(text)
    assert read_config(tmp_path / "d.toml") == gates


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'[gate]\nfail-on = ["fi>0.5"]', "did you mean 'gates'"),
        (b'fail_on = ["fi>0.5"]', "did you mean 'fail-on'"),
        (b'[gates]\nfail_on = ["fi>0.5"]', "did you mean 'fail-on'"),
        (b"[other]\nx = 1", "unknown key"),
        (b'gates = ["fi>0.5"]', "a table"),
        (b'fail-on = "fi>0.5"', "a list of conditions"),
        (b"fail-on = [0.5]", "a list of conditions"),
        (b'fail-on = ["\xff"]', "TOML in UTF-8"),
        (b"fail-on = [", "TOML in UTF-8"),
    ],
)
def test_what_would_not_be_read_is_refused(content, told, tmp_path):
    (tmp_path / "d.toml").write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_config(tmp_path / "d.toml")
    assert told in str(refused.value)
