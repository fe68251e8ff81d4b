"""A check that goes wrong in any way is a finding that says so, and the audit goes on; a signal ends it."""

import os
import signal
import sys

import pytest
import subjects
import torch

from deepwright.checks import Finding, audit, evaluate, resolve, run_check
from deepwright.core.errors import InputError
from deepwright.core.interrupt import Terminated
from deepwright.core.statistics import Interval


class Odd(BaseException):
    """An exception that isn't an `Exception`."""


@pytest.fixture(scope="module")
def subject():
    return subjects.subject("classification")


def raising(error):
    def check_broken(subject):
        raise error

    return check_broken


@pytest.mark.parametrize(
    "error",
    [
        ValueError("v"),
        KeyError("k"),
        AssertionError("a"),
        OSError("o"),
        MemoryError("m"),
        StopIteration("s"),
        AttributeError("t"),
        NotImplementedError("n"),
        Odd("b"),
        SystemExit(0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_broken_check_is_named_and_the_audit_goes_on(subject, error):
    report = audit(subject, checks=[raising(error), "accuracy"])
    assert report["broken"].grade == "failed"
    assert type(error).__name__ in report["broken"].summary
    assert report["accuracy"].grade in "ABCDE"
    assert report.failed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated()], ids=lambda e: type(e).__name__)
def test_an_interrupt_goes_through(subject, error):
    with pytest.raises(type(error)):
        run_check("broken", raising(error), subject)


def test_an_exit_by_a_signal_goes_through(subject):
    def stop(number, frame):
        sys.exit(143)

    def check_signalled(subject):
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(SystemExit) as caught:
            run_check("signalled", check_signalled, subject)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 143


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "NaN"),
        (torch.tensor(float("nan")), "NaN"),
        (Interval(0.5, float("nan"), 1.0), "NaN"),
        ("0.5", "a number or an Interval"),
        (None, "a number or an Interval"),
        (torch.zeros(2), "a number or an Interval"),
    ],
    ids=str,
)
def test_what_is_no_number_is_refused(subject, value, message):
    def check_odd(subject):
        return Finding("odd", "A", "", {"size": value})

    found = audit(subject, checks=[check_odd])["odd"]
    assert found.grade == "failed"
    assert "size" in found.summary
    assert message in found.summary
    assert found.values == {}


@pytest.mark.parametrize(
    "value", [3, 2.5, True, float("inf"), torch.tensor(4.0), Interval(1.0, 0.0, float("inf"))], ids=str
)
def test_numbers_of_all_kinds_are_taken(subject, value):
    def check_fine(subject):
        return Finding("fine", "A", "", {"size": value})

    found = run_check("fine", check_fine, subject)
    assert found.grade == "A"
    assert isinstance(found.values["size"], int | float | Interval)


def test_what_json_cannot_hold_is_refused(subject):
    def check_odd(subject):
        return Finding("odd", "A", "", {}, conditions={"model": {1, 2}.__iter__})

    assert run_check("odd", check_odd, subject).grade == "failed"


def test_a_check_returns_a_finding(subject):
    found = run_check("none", lambda subject: None, subject)
    assert found.grade == "failed"
    assert "NoneType" in found.summary


def test_a_failed_check_is_run_again(tmp_path, subject):
    journal = tmp_path / "journal"
    audit(subject, checks=[raising(ValueError("v")), "accuracy"], journal=journal)
    lines = journal.read_text().splitlines()
    assert len(lines) == 2  # the header and accuracy
    assert "accuracy" in lines[1]


def test_two_checks_of_one_name_are_refused():
    with pytest.raises(InputError, match="two named 'broken'"):
        resolve([raising(ValueError()), raising(KeyError())])


def test_a_gate_on_what_a_failed_check_would_have_measured_fails():
    failed = Finding("fragility", "failed", "s", {})
    gates = evaluate(["fi>0.5", "fragility.fi>0.5"], [failed])
    assert [g.failed for g in gates] == [True, True]
    assert gates[1].measured == "fragility is failed"


def test_a_gate_on_what_does_not_apply_fails():
    gates = evaluate(["calibration.ece>0.1"], [Finding.not_applicable("calibration", "no classes")])
    assert gates[0].failed
    assert gates[0].measured == "calibration is n/a"


def test_a_gate_with_a_misspelt_check_is_refused():
    with pytest.raises(InputError, match="value in a gate"):
        evaluate(["fragilty.fi>0.5"], [Finding("fragility", "failed", "s", {})])
