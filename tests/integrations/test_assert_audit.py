"""What must hold of an audit, inside tests."""

import json

import pytest

from deepwright.checks import AuditReport, Finding, evaluate, require_gates
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.integrations import assert_audit

pytest_plugins = ["pytester"]


@pytest.fixture
def report():
    fragile = Finding("fragility", "D", "It fails.", {"fi": Interval(0.62, 0.55, 0.7), "nfi": 0.3}, rule="D above 0.5.")
    missing = Finding.not_applicable("ood", "there are no foreign sets")
    return AuditReport({}, [fragile, missing])


@pytest.mark.parametrize("condition", ["fi<0.7", "fi>=0.62", "fragility.nfi<=0.3", "fragility.grade<=D"])
def test_what_holds_passes(report, condition):
    assert_audit(report, condition)


def test_a_failure_says_value_interval_and_rule(report):
    with pytest.raises(AssertionError) as caught:
        assert_audit(report, "nfi<1", "fi<0.5", "fragility.grade<=B")
    text = str(caught.value)
    assert "fi<0.5 doesn't hold: fi is 0.62 [0.55, 0.7] (of fragility, D)" in text
    assert "fragility.grade<=B doesn't hold: D" in text
    assert text.count("D above 0.5.") == 2
    assert "nfi<1" not in text


def test_what_was_not_measured_does_not_hold(report):
    with pytest.raises(AssertionError, match="ood is n/a"):
        assert_audit(report, "ood.auroc_worst>0.5")


@pytest.mark.parametrize(
    ("conditions", "words"),
    [((), "none"), (("fi=1",), "fi=1"), (("fy<1",), "fy"), (("fi>=0",), "never hold"), (("fi<half",), "finite number")],
)
def test_conditions_that_say_nothing_are_refused(report, conditions, words):
    with pytest.raises(InputError, match=words):
        assert_audit(report, *conditions)


def test_a_stored_report_will_do(report, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report.to_dict()))
    assert_audit(path, "fi<0.7")
    with pytest.raises(AssertionError, match=r"0\.62 \[0\.55, 0\.7\]"):
        assert_audit(path, "fi<0.5")


def test_the_fixture_audits_once(pytester):
    pytester.makeconftest('pytest_plugins = ["deepwright.integrations.fixtures"]')
    pytester.makepyfile(
        """
        import deepwright.integrations.fixtures as fixtures
        calls = []
        fixtures.audit = lambda *given, **options: calls.append(given) or object()
        model, data = object(), [object()]

        def test_one(audited):
            assert audited(model, data, checks=["cost"]) is audited(model, data, checks=["cost"])

        def test_two(audited):
            audited(model, data, checks=["cost"])
            audited(model, data, checks=["accuracy"])
            audited(object(), data, checks=["cost"])
            assert len(calls) == 3
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


@pytest.mark.parametrize("name", ["robust_accuracy_at_0.1", "robustness.robust_accuracy_at_0.1"])
def test_names_may_hold_a_dot(name):
    values = {"robust_accuracy_at_0.1": Interval(0.4, 0.3, 0.5)}
    report = AuditReport({}, [Finding("robustness", "D", "It falls.", values, rule="A from 70 %.")])
    assert_audit(report, f"{name}>=0.4")
    with pytest.raises(AssertionError, match=r"robust_accuracy_at_0.1 is 0.4.*of robustness, D(.|\n)*A from 70 %"):
        assert_audit(report, f"{name}>0.5")
    (gate,) = evaluate([f"{name}<0.5"], report.findings)
    assert gate.failed
    require_gates([f"{name}<0.5"], ["robustness"])
    with pytest.raises(InputError, match="--check robustness"):
        require_gates([f"{name}<0.5"], ["accuracy"])
