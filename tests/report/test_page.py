"""The page in a real browser, and that nothing of a user's words gets into it unescaped."""

import os
import shutil

import pytest
import torch

from deepwright.checks import Finding, Gate
from deepwright.checks.running import AuditReport
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import Interval
from deepwright.report import png, render, svg, write_report, write_study

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def report():
    figures = [
        Figure(
            "line",
            EVIL,
            [
                {
                    "name": EVIL,
                    "x": [0, 1, 2],
                    "y": [1.0, 0.5, float("nan")],
                    "low": [0.9, 0.4, 0.1],
                    "high": [1, 0.6, 0.2],
                }
            ],
            EVIL,
            EVIL,
        ),
        Figure("bar", "bars", [{"name": "a", "x": [EVIL, "b"], "y": [1.0, 2.0]}]),
        Figure("heatmap", "heat", [{"rows": [EVIL], "columns": ["c"], "values": [[0.5]]}]),
        Figure("images", "pictures", [{"png": _PNG, "caption": EVIL, "note": EVIL}]),
    ]
    table = Table(["name", "number"], [[EVIL if i == 3 else f"row {i}", float(i % 7)] for i in range(12)], EVIL)
    finding = Finding(
        "evil", "B", EVIL, {EVIL: Interval(0.5, 0.4, 0.6), "inf": float("inf")}, EVIL, EVIL, [table], figures
    )
    subject = {
        "name": EVIL,
        "network": EVIL,
        "parameters": 3,
        "data": EVIL,
        "kind": "image",
        "input": [1, 2],
        "classes": 2,
        "class_names": [EVIL],
        "train": 1,
        "validation": 1,
        "test": 1,
        "device": "cpu",
        "notes": [EVIL],
    }
    long = "a_name_without_any_break_" * 12
    wide = Finding(long, "failed", long, {long: 1.0}, long, long, [Table([long], [[long]], long)])
    silent = Finding.not_applicable("silent", "no classes")
    return AuditReport(subject, [finding, wide, silent], [Gate("fi>0.5", 0.7, True), Gate(long, long, True)], table)


def test_every_word_is_escaped(report):
    page = render(report)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("<script>") == 1
    for word in ("http://", "https://", 'src="//', "@import", "url("):
        assert word not in page


def test_pictures_must_be_pictures():
    with pytest.raises(ValueError):
        svg(Figure("images", "t", [{"png": '"><script>', "caption": "c"}]))


def test_figures_as_png(report, tmp_path):
    path = png(report.findings[0].figures, tmp_path / "f.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    result = StudyResult("s", [Claim.at_least("a", [1.0], 0.5)], Table(["a"], [[1]]), [report.findings[0].figures[1]])
    assert "| a | 1 |" in write_study(result, tmp_path).read_text()


def browser():
    if shutil.which("chromium") is None:
        if os.environ.get("DEEPWRIGHT_REQUIRE_BROWSER"):
            pytest.fail("chromium is required here and not installed")
        pytest.skip("*** chromium is not installed: the report is NOT tested in a browser ***")
    return pytest.importorskip("playwright.sync_api")


@pytest.mark.browser
def test_in_a_real_browser(report, tmp_path):
    playwright = browser()
    page_path = write_report(report, tmp_path)
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            problems = []
            page.on("console", lambda m, found=problems: found.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda e, found=problems: found.append(str(e)))
            page.on("dialog", lambda d, found=problems: found.append(d.message))
            page.goto(page_path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.locator("#evil details summary").first.click()
            table = page.locator("#evil details table.data").first
            header = table.locator("th", has_text="number")
            for order in (sorted, lambda v: sorted(v, reverse=True)):
                header.click()
                numbers = [float(t) for t in table.locator("tbody td.n").all_inner_texts()]
                assert numbers == order(numbers)
            page.locator("#evil details input[type=search]").first.fill("row 5")
            assert table.locator("tbody tr:visible").count() == 1
            page.locator("#evil rect.dot").first.hover()
            assert "1" in page.locator("#tip").inner_text()
            shot = page.screenshot()
            assert len(shot) > 10_000
            assert problems == []
            page.close()
        chromium.close()


def test_shades_are_colours():
    from deepwright.report.figures import shade

    for value in torch.linspace(-1, 2, 20).tolist():
        assert shade(value).startswith("rgb(")
    assert shade(float("nan")) == "#9ca3af"
