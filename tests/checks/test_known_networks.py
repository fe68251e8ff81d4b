"""The order of the grades of networks that everybody knows, as docs/audit.md has them."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = "ABCDE"


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def grades(monkeypatch_module):
    spec = importlib.util.spec_from_file_location("grades_of_known_networks", ROOT / "benchmarks" / "grades.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch_module.setitem(sys.modules, spec.name, module)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_that_was_measured(grades):
    rows = json.loads((ROOT / "benchmarks" / "grades.json").read_text())
    assert grades.table(rows) in (ROOT / "docs" / "audit.md").read_text()
    assert len(rows) >= len(grades.EMBEDDED)


def measured_again(grades, network, checks):
    """(as it is now, as benchmarks/grades.json has it) of a network of the digits."""
    (known,) = (each for each in grades.EMBEDDED if each.name == network and each.data == "mnist")
    rows = json.loads((ROOT / "benchmarks" / "grades.json").read_text())
    (kept,) = (row for row in rows if (row["network"], row["data"]) == (network, "mnist"))
    return grades.grades(known, checks), kept


@pytest.mark.parametrize("check", ["accuracy", "calibration", "fragility"])
def test_the_table_is_of_this_code(grades, check):
    now, kept = measured_again(grades, "ResNet-8 (bundled)", (check,))
    assert now[check]["grade"] == kept[check]["grade"]
    assert now[check]["by"] == pytest.approx(kept[check]["by"], abs=2e-3)


@pytest.mark.slow
def test_the_slow_columns_of_the_table_are_of_this_code(grades):
    checks = ("robustness", "corruptions", "ood")
    now, kept = measured_again(grades, "ResNet-8 (bundled)", checks)
    for check in checks:
        assert now[check]["grade"] == kept[check]["grade"]
        assert now[check]["by"] == pytest.approx(kept[check]["by"], abs=2e-3)


@pytest.mark.slow
def test_known_networks_come_out_in_their_order(grades):
    wanted = ("untrained", "class frequencies", "linear", "ResNet-8 (bundled)", "x 5", "another order")
    checks = ("accuracy", "calibration", "robustness", "corruptions")
    limits = {"attack_limit": 40, "corruption_limit": 40, "ood_limit": 40}
    found = {
        word: grades.grades(known, checks, **limits)
        for word in wanted
        for known in grades.EMBEDDED
        if word in known.name
    }

    def letter(word, check):
        return found[word][check]["grade"]

    for word in ("untrained", "class frequencies", "another order"):
        assert letter(word, "accuracy") == "E"
        assert {letter(word, check) for check in checks[1:]} == {"info"}
    assert letter("ResNet-8 (bundled)", "accuracy") < letter("linear", "accuracy") < "E"
    assert letter("ResNet-8 (bundled)", "calibration") == "A"
    assert letter("x 5", "calibration") > "A"
    assert letter("x 5", "accuracy") == letter("ResNet-8 (bundled)", "accuracy")
    assert {letter(word, "robustness") for word in ("linear", "ResNet-8 (bundled)")} == {"E"}  # undefended, at 0.3
    assert letter("ResNet-8 (bundled)", "corruptions") in "ABC"


def test_the_measured_grades_are_those_that_an_expert_expects():
    rows = {(r["network"], r["data"]): r for r in json.loads((ROOT / "benchmarks" / "grades.json").read_text())}

    def letter(network, check, data="mnist"):
        return rows[network, data][check]["grade"]

    hardened, plain = "small CNN, adversarially trained at 0.3", "small CNN"
    assert letter(hardened, "robustness") < letter(plain, "robustness")
    assert letter("MLP, half of its training labels drawn anew", "accuracy") > letter("MLP", "accuracy")
    assert letter("MLP, half of its training labels drawn anew", "fragility") == "E"
    assert letter("ResNet-8, logits / 5", "calibration") == "E"
    assert letter("ResNet-8 (bundled)", "calibration") == "A"
    if ("ResNet-20 (bundled)", "cifar10") in rows:  # 88 % is no A: one of nine is wrong
        assert letter("ResNet-20 (bundled)", "accuracy", "cifar10") == "B"
        assert letter("ResNet-20 (bundled)", "robustness", "cifar10") == "E"
    assert letter("ResNet-8, logits / 5", "fragility") == letter("ResNet-8 (bundled)", "fragility")  # at matched T
