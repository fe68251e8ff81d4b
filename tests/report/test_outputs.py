"""Markdown, JUnit XML and the notebook's fragment: read by other people's parsers, with hostile words inside."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from deepwright.checks import Finding, Gate
from deepwright.checks.running import AuditReport
from deepwright.cli import main
from deepwright.core.statistics import Interval
from deepwright.report import as_fragment, as_junit, as_markdown
from deepwright.report.markdown import coded, facts_of, grade_words, plain, table_markdown


class Tags(HTMLParser):
    """What stands in a piece of HTML: its tags, their attributes, its text, and the cells of each row."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.rows, self.names = [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_data(self, data):
        self.words.append(data)


def rendered(text):
    return Tags(MarkdownIt("commonmark").enable("table").render(text))


def test_no_word_of_a_report_becomes_markdown(report, evil):
    seen = rendered(as_markdown(report))
    assert set(seen.tags) <= {
        "h1",
        "h2",
        "p",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ol",
        "ul",
        "li",
    } | {"code"}
    assert set(seen.rows) <= {3, 4, 5}
    assert len(seen.rows) == sum(
        1 + n for n in (len(report.findings), 1, len(report.gates), len(report.comparison.rows) - 1)
    )  # a head and one row each: grades, numbers, gates, and what changed by more than noise
    assert evil in "".join(seen.words)


@pytest.mark.parametrize(
    "words", ["a | b", "# a", "- x", "1. x", "[a](http://b)", "**b**", "`c`", "a\n\nb", "<b>", "\\|", "&lt;"]
)
def test_words_stay_as_they_were(words):
    cell = rendered(table_markdown(["a", "b"], [[words, "x"]]))
    assert cell.rows == [2, 2]
    assert " ".join(words.split()) in "".join(cell.words)
    assert set(cell.tags) <= {"table", "thead", "tbody", "tr", "th", "td"}


def test_addresses_are_no_links_where_bare_ones_are():
    assert not re.search(r"://|www\.|mailto:|@", plain("http://a.b WWW.c.d mailto:e@f @g"))


def test_code_of_a_remedy_stays_code():
    said = "Run `f(x)[0] | g` first, `open"
    seen = rendered(coded(said))
    assert seen.tags == ["p", "code"]
    assert "".join(seen.words).split() == ["Run", "f(x)[0]", "|", "g", "first,", "`open"]


@pytest.mark.parametrize(
    ("grade", "could_be", "words"),
    [
        ("A", (), "A"),
        ("B", ("A", "C"), "B (or A, C)"),
        ("info", ("A", "B", "D"), "not graded (A to D)"),
        ("n/a", (), "does not apply"),
        ("failed", (), "could not run"),
    ],
)
def test_grades_in_words(grade, could_be, words):
    assert grade_words(Finding("x", grade, "", {}, could_be=could_be)) == words


def test_the_length_of_texts_is_called_so(report):
    assert "inputs 12 x 3;" in facts_of({**report.subject, "kind": "series", "input": [12, 3]})
    assert "texts of up to 113 characters;" in facts_of({**report.subject, "kind": "text", "input": [113]})


# What CI servers read: tag -> (attributes that it needs, those that it may have, children).
_SHAPE = {
    "testsuites": ({"tests", "failures", "errors"}, {"name", "time", "disabled"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped"},
        {"time", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": ({"name", "classname"}, {"time"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "skipped": (set(), {"message", "type"}, set()),
    "error": (set(), {"message", "type"}, set()),
    "failure": (set(), {"message", "type"}, set()),
    "system-out": (set(), set(), set()),
}


def shaped(element):
    needed, allowed, children = _SHAPE[element.tag]
    assert needed <= set(element.attrib) <= needed | allowed
    for child in element:
        assert child.tag in children
        shaped(child)


def test_junit_has_the_usual_shape(report, evil):
    root = ElementTree.fromstring(as_junit(report).encode())
    shaped(root)
    checks, gates = root.findall("testsuite")
    assert [c.get("name") for c in checks.iter("testcase")] == [f.check for f in report.findings]
    assert [c.get("name") for c in gates.iter("testcase")] == [g.condition for g in report.gates]
    counted = {name: sum(1 for _ in root.iter(tag)) for name, tag in (("failures", "failure"), ("errors", "error"))}
    assert counted == {"failures": 2, "errors": 1}  # both gates failed, and one check could not run
    assert {k: int(root.get(k)) for k in counted} == counted
    assert int(root.get("tests")) == len(report.findings) + len(report.gates)
    assert (checks.get("skipped"), gates.get("failures")) == ("1", "2")
    assert evil in checks[0].find("system-out").text


def test_junit_is_xml_whatever_a_name_holds(report):
    report.findings[0].check = "a\0b\x1b\ud800\ufffe\tc"
    root = ElementTree.fromstring(as_junit(report).encode())
    assert next(root.iter("testcase")).get("name") == "a\ufffdb\ufffd\ufffd\ufffd\tc"


def test_a_bad_grade_is_no_failure_and_a_passed_gate_is_none(report):
    graded = Finding("accuracy", "E", "Bad.", {"accuracy": Interval(0.5, 0.4, 0.6)})
    root = ElementTree.fromstring(as_junit(AuditReport(report.subject, [graded], [Gate("accuracy<0.1", 0.5, False)])))
    assert (root.get("failures"), root.get("errors")) == ("0", "0")
    assert "accuracy: Right answers: 50.0 % (40.0 to 60.0 %, 95 %)" in root.find(".//system-out").text


def test_the_fragment_is_html_of_our_own(report, evil):
    seen = Tags(as_fragment(report))
    assert set(seen.tags) == {"div", "p", "b", "small", "table", "thead", "tbody", "tr", "th", "td"}
    assert seen.names == {"class", "style", "scope"}  # nothing that runs or fetches
    assert set(seen.rows) == {3}
    assert evil in "".join(seen.words)
    assert report._repr_html_() == as_fragment(report)


def test_the_command_writes_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "audit resnet8-mnist --check accuracy --limit 40 --fail-on accuracy>0.5 --markdown s/a.md --junit a.xml "
    words += "--evidence e.csv --card README.md"
    done = CliRunner().invoke(main, words.split())
    assert done.exit_code == 1, done.output
    assert "failed" in (tmp_path / "s" / "a.md").read_text()
    assert ElementTree.parse(tmp_path / "a.xml").getroot().get("failures") == "1"
    assert "Annex IV" in (tmp_path / "e.csv").read_text()
    assert "model-index" in (tmp_path / "README.md").read_text()
