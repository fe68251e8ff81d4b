"""An audit as JUnit XML, which CI servers show as tests: each check and each gate is a test case.

A check fails as a test only where it could not run, which is an error; how good its grade must be is for a gate to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from deepwright.checks.findings.finding import Finding
from deepwright.checks.findings.gates import Gate
from deepwright.checks.running import AuditReport
from deepwright.core.results import show
from deepwright.report.markdown import facts_of, grade_words
from deepwright.report.words import sentence, spread, words_of, written

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: AuditReport) -> str:
    """The checks and the gates as two suites.

    Args:
        report: of an audit.
    """
    title = f"Audit: {report.subject['name']} on {report.subject['data']}"
    suites = [junit_suite("checks", [_check(f) for f in report.findings])]
    if report.gates:
        suites.append(junit_suite("gates", [_gate(g) for g in report.gates]))
    facts = SubElement(suites[0], "system-out")
    facts.text = legal_xml(facts_of(report.subject))
    return junit_document(title, suites, report.seconds)


def junit_document(title: str, suites: Sequence[Element], seconds: float) -> str:
    """Suites as the text of a file, with the sums of what they count.

    Args:
        title: of all.
        suites: of `junit_suite`.
        seconds: that all took.
    """
    root = Element("testsuites", name=legal_xml(title))
    root.extend(suites)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.set("time", f"{seconds:.3f}")
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def junit_suite(name: str, cases: Sequence[Element]) -> Element:
    """A suite with what it counts: the tests, and those of each way not to pass.

    Args:
        name: behind "deepwright.".
        cases: its tests.
    """
    suite = Element("testsuite", name=f"deepwright.{name}")
    suite.extend(cases)
    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    suite.set("tests", str(len(cases)))
    for count, tag in counts.items():
        suite.set(count, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
    return suite


def _check(finding: Finding) -> Element:
    case = Element(
        "testcase", classname="deepwright.checks", name=legal_xml(finding.check), time=f"{finding.seconds:.3f}"
    )
    if finding.grade == "failed":
        error = SubElement(case, "error", message=legal_xml(finding.summary), type="check")
        error.text = legal_xml(finding.remedy)
    elif finding.grade == "n/a":
        SubElement(case, "skipped", message=legal_xml(finding.summary))
    said = [f"Grade: {grade_words(finding)}", finding.summary, finding.rule, finding.remedy, *_values(finding)]
    out = SubElement(case, "system-out")
    out.text = legal_xml("\n".join(line for line in said if line))
    return case


def _values(finding: Finding) -> list[str]:
    lines = []
    for key, value in finding.values.items():
        word = words_of(finding.check, key)
        interval = spread(value, word.unit)
        ends = f" ({interval}, 95 %)" if interval else ""
        lines.append(f"{key}: {sentence(word.words)}: {written(value, word.unit)}{ends}")
    return lines


def _gate(gate: Gate) -> Element:
    case = Element("testcase", classname="deepwright.gates", name=legal_xml(gate.condition), time="0.000")
    if gate.failed:
        failure = SubElement(case, "failure", message=legal_xml(f"measured {show(gate.measured)}"), type="gate")
        failure.text = legal_xml(f"The gate fails when {gate.condition}; measured {show(gate.measured)}.")
    return case


def legal_xml(words: str) -> str:
    """Words without the characters that XML can't hold.

    Args:
        words: any.
    """
    return _NOT_XML.sub("\ufffd", words)
