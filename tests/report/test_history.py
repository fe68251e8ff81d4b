"""Kept reports: whole or not there, damage named, other data on another line, two processes beside each other."""

import json
import multiprocessing
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from deepwright.checks import Finding
from deepwright.checks.running import AuditReport
from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.report import keep, write_history, write_report
from deepwright.report.kept import kept_reports

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
SUBJECT = {
    "name": "net",
    "network": "Net",
    "parameters": 3,
    "task": "classification",
    "data": "digits",
    "kind": "image",
    "input": [1, 2],
    "classes": 2,
    "class_names": ["a", "b"],
    "train": 1,
    "validation": 1,
    "test": 9,
    "test_digest": "d1",
    "device": "cpu",
    "notes": [],
}


def audited(share, grade="B", **subject):
    values = {"accuracy": Interval(share, share - 0.02, share + 0.02), "chance": 0.5}
    names = ("accuracy",)
    finding = Finding("accuracy", grade, "s", values, graded_by=names, higher_is_better=names)
    return AuditReport({**SUBJECT, **subject}, [finding])


def kept(folder, *reports):
    for day, report in enumerate(reports):
        keep(report, folder, START + timedelta(days=day))
    return (folder / "index.html").read_text()


def figure(page, title):
    return next(f for f in page.split("<figure")[1:] if f"<figcaption>{title}</figcaption>" in f)


def lines(page, title):
    """The points of each line of a figure."""
    return [len(points.split()) for points in re.findall(r'<polyline points="([^"]*)"', figure(page, title))]


def test_reports_come_back_as_they_were(tmp_path):
    first = audited(0.8)
    kept(tmp_path, first, audited(0.9, "A"))
    reports, damaged = kept_reports(tmp_path)
    assert damaged == {}
    assert [r.folder for r in reports] == ["2026-01-31T12-00-00Z", "2026-02-01T12-00-00Z"]
    assert [r.date for r in reports] == [START, START + timedelta(days=1)]
    assert reports[0].findings == first.findings
    assert reports[0].subject == SUBJECT
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_number_has_one_line_and_its_interval(tmp_path):
    page = kept(tmp_path, audited(0.8), audited(0.85), audited(0.9, "A"))
    assert lines(page, "Right answers") == [3]
    assert "78.0 to 82.0 %" in page
    assert "days since the first audit, 2026-01-31 12:00 UTC" in page
    assert "each kind has a line of its own" not in page


def test_other_samples_have_a_line_of_their_own(tmp_path):
    page = kept(tmp_path, audited(0.8), audited(0.7, test_digest="d2"), audited(0.9), audited(0.6, task="binary"))
    assert lines(page, "Right answers") == [2, 1, 1]
    assert "each kind has a line of its own" in page


def test_a_line_of_one_audit_shows_its_interval(tmp_path):
    page = kept(tmp_path, audited(0.8), audited(0.7, test_digest="d2"))
    bands = re.findall(r'<polygon points="([^"]*)" fill="[^"]*" stroke=', figure(page, "Right answers"))
    ends = [[tuple(map(float, point.split(","))) for point in band.split()] for band in bands]
    assert len(ends) == 2
    assert all(high[0] == low[0] and low[1] - high[1] > 10 for high, low in ends)  # pixels, counted downwards


def test_the_head_of_a_check_says_what_its_grade_could_be(tmp_path):
    sure, unsure = audited(0.9, "A"), audited(0.8)
    unsure.findings[0].could_be = ("A", "C")
    assert "<small>B (or A, C) → A</small>" in kept(tmp_path, unsure, sure)


def test_other_conditions_have_a_line_of_their_own(tmp_path):
    other = audited(0.9)
    other.findings[0].conditions = {"eps": 0.1}
    assert lines(kept(tmp_path, audited(0.8), other), "Right answers") == [1, 1]


def test_grades_that_changed_are_listed_and_judged(tmp_path):
    page = kept(
        tmp_path,
        audited(0.8, "C"),
        audited(0.9, "A"),
        audited(0.9, "B"),
        audited(0.9, "D", classes=3),
        audited(0.8, "E"),
    )
    section = page.split('id="grades"')[1].split("</details>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", section.split("<tbody>")[1])
    cells = [re.sub("<[^>]*>", "|", row).split("|") for row in rows]
    told = [[cell for cell in row if cell][1:] for row in cells]
    assert told[0] == ["Accuracy", "C", "A", "better"]
    assert told[1] == ["Accuracy", "A", "B", "within noise"]
    assert [row[-1] for row in told[2:]] == ["another task or other classes: not compared"] * 2


@pytest.mark.parametrize("name", ["report.json", "report.blake2b"])
@pytest.mark.parametrize("how", ["flipped", "cut", "missing", "bytes"])
def test_a_damaged_report_is_named_and_left_out(tmp_path, name, how):
    kept(tmp_path, audited(0.8), audited(0.9))
    file = tmp_path / "2026-01-31T12-00-00Z" / name
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    damaged = {"flipped": bytes(content), "cut": file.read_bytes()[:9], "bytes": b"\xff\xfe"}
    file.unlink() if how == "missing" else file.write_bytes(damaged[how])
    page = write_history(tmp_path).read_text()
    assert "Left out: 2026-01-31T12-00-00Z: damaged" in page
    assert "1 audit over time" in page
    assert lines(page, "Right answers") == [1]


def test_two_in_one_second_are_both_kept_in_order(tmp_path):
    for share in (0.8, 0.9, 0.7):
        keep(audited(share), tmp_path, START)
    reports, _ = kept_reports(tmp_path)
    assert [r.folder.partition("Z")[2] for r in reports] == ["", "-2", "-3"]
    assert [r.findings[0].number("accuracy") for r in reports] == [0.8, 0.9, 0.7]


def _keeper(folder):
    for _ in range(3):
        keep(audited(0.8), folder, START)


def test_two_processes_lose_nothing(tmp_path):
    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=_keeper, args=(tmp_path,)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join(60)
    assert [p.exitcode for p in others] == [0, 0]
    assert len(kept_reports(tmp_path)[0]) == 6
    assert "6 audits over time" in (tmp_path / "index.html").read_text()


def test_a_crash_while_writing_leaves_no_report(tmp_path, monkeypatch):
    kept(tmp_path, audited(0.8))

    def full(*_):
        raise InputError("the disk is full")

    monkeypatch.setattr("deepwright.report.kept.write_text", full)
    with pytest.raises(InputError, match="full"):
        keep(audited(0.9), tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["2026-01-31T12-00-00Z"]


def test_a_single_report_is_not_replaced(tmp_path):
    write_report(audited(0.8), tmp_path)
    before = (tmp_path / "index.html").read_text()
    with pytest.raises(InputError, match="a report of its own"):
        keep(audited(0.9), tmp_path)
    assert (tmp_path / "index.html").read_text() == before


def test_no_word_becomes_html(tmp_path, report, evil):
    keep(report, tmp_path, START)
    page = keep(AuditReport(report.subject, report.findings[:1]), tmp_path, START).parent / "index.html"
    seen = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, dict(attrs)))
    parser.feed(page.read_text())
    assert sum(tag == "script" for tag, _ in seen) == 1  # the page's own
    assert not [tag for tag, attrs in seen if tag == "img" or any(name.startswith("on") for name in attrs)]
    links = {attrs["href"] for tag, attrs in seen if tag == "a"}
    assert links == {"2026-01-31T12-00-00Z/index.html", "2026-01-31T12-00-00Z-2/index.html"}
    assert json.loads((tmp_path / "2026-01-31T12-00-00Z" / "report.json").read_text())["subject"]["name"] == evil


@pytest.mark.slow
def test_the_command_keeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["audit", "resnet8-mnist", "--check", "accuracy", "--limit", "40", "--out", "runs", "--keep"]
    for n in (1, 2):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        assert len(kept_reports(tmp_path / "runs")[0]) == n
    assert done.output.strip().endswith("runs/index.html")
    assert "2 audits over time" in (tmp_path / "runs" / "index.html").read_text()
