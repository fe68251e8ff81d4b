"""The evidence table says what was measured and what is missing, and never that a clause is met."""

import json
import re

import pytest
from markdown_it import MarkdownIt

from deepwright.checks import Finding, Gate
from deepwright.checks.findings.measurable import MEASURABLE, bounds_of
from deepwright.checks.running import AuditReport
from deepwright.core.spreadsheets import read_csv
from deepwright.core.statistics import Interval
from deepwright.report import as_evidence, evidence_of, evidence_table, render
from deepwright.report.clauses import CLAUSES
from deepwright.report.evidence import NOTE, UNCOVERED

EMPTY = AuditReport({}, [])
ASKED = [(check, p) for c in CLAUSES for check, patterns in c.values if check in MEASURABLE for p in patterns]


@pytest.fixture
def audited(report):
    findings = [
        Finding("accuracy", "B", "", {"accuracy": Interval(0.9, 0.8, 0.95)}, graded_by=("accuracy",)),
        Finding("robustness", "failed", "out of memory", {}),
        Finding.not_applicable("ood", "it has no classes"),
        Finding("corruptions", "C", "", {"mean_error": Interval(0.3, 0.2, 0.4), "mce": 0.9}),
    ]
    return AuditReport(report.subject, findings, [Gate("accuracy<0.8", 0.9, False)])


@pytest.mark.parametrize(("check", "pattern"), ASKED)
def test_what_a_row_looks_for_is_measured_by_the_check(check, pattern):
    assert bounds_of(check, pattern.replace(".+", "accuracy")) is not None


def test_each_clause_is_once_there_and_lacks_something():
    places = [(c.source, c.number) for c in CLAUSES]
    assert len(set(places)) == len(places) == 33
    assert all(c.missing and c.about for c in CLAUSES)


def test_a_report_without_findings_covers_nothing_by_measurement(report):
    rows = evidence_of(AuditReport(report.subject, []))
    assert len(rows) == len(CLAUSES)
    assert [r.values for r in rows] == [()] * len(rows)
    for row, clause in zip(rows, CLAUSES):
        assert (row.measured == UNCOVERED) == (row.where == "–") == (not {"subject", "data"} & set(clause.facts))


def row_of(report, source, number):
    return next(r for r in evidence_of(report) if source in r.source and r.clause == number)


def test_numbers_stand_with_their_intervals_and_places(audited):
    row = row_of(audited, "Article 15", "15(1)")
    assert "right answers 90.0 % (80.0 to 95.0 %, 95 %)" in row.measured
    assert "fails when accuracy<0.8: passed" in row.measured
    assert "index.html#accuracy" in row.where
    assert row.values[0] == {"check": "accuracy", "value": "accuracy", "measured": 0.9, "low": 0.8, "high": 0.95}


def test_what_could_not_be_measured_is_missing_and_says_why(audited):
    row = row_of(audited, "24029-2", "5.3")
    assert row.measured == UNCOVERED
    assert "Robustness could not run." in row.missing
    foreign = row_of(audited, "24029-1", "7.3")
    assert "it has no classes" in foreign.missing
    assert "Fragility was not run." in row_of(audited, "Annex IV", "3").missing
    assert "No earlier audit was compared" in row_of(audited, "Annex IV", "6").missing


def test_nothing_says_that_a_clause_is_met(audited):
    said = " ".join(f"{r.measured} {r.missing}" for r in evidence_of(audited)).lower()
    assert not re.search(r"compl(y|ies|iant)|conform(s|ant)|fulfil|satisf", said)
    assert "no declaration of conformity" in NOTE


def test_the_places_are_there(audited):
    page = render(audited)
    anchors = set(re.findall(r"index\.html#(\w+)", " ".join(r.where for r in evidence_of(audited))))
    assert anchors == {"accuracy", "corruptions", "gates"}
    assert all(f'id="{anchor}"' in page for anchor in anchors)


def test_the_three_forms_hold_the_same_rows(audited, tmp_path):
    table = evidence_table(audited)
    data = json.loads(as_evidence(audited, ".json"))
    assert [[r["source"], r["clause"], r["measured"]] for r in data["rows"]] == [[r[0], r[1], r[3]] for r in table.rows]
    (tmp_path / "e.csv").write_text(as_evidence(audited, ".csv"), newline="")
    assert [list(r.values()) for r in read_csv(tmp_path / "e.csv", "e", "e")] == table.rows
    html = MarkdownIt("commonmark").enable("table").render(as_evidence(audited))
    assert html.count("<tr>") == 1 + len(CLAUSES)
    assert html.count("<td>") == 6 * len(CLAUSES)
    assert "<script" not in html
    assert "<img" not in html
