"""The page in a real browser: nothing overflows, everything can be read, heard and reached."""

import csv
import importlib.util
import io
import os
import shutil
from pathlib import Path

import pytest

from deepwright.core.spreadsheets import csv_text
from deepwright.report import write_report

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]

# Smallest letters on the screen, in pixels, with what they say: charts scale theirs.
SMALLEST = """() => {
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const owner = node.parentElement;
    if (!node.data.trim() || !owner.checkVisibility() || ["SCRIPT", "STYLE"].includes(owner.tagName)) continue;
    const scale = owner.ownerSVGElement ? owner.getScreenCTM().a : 1;
    found.push([parseFloat(getComputedStyle(owner).fontSize) * scale, node.data.slice(0, 30)]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, 3);
}"""


def missing(what):
    if os.environ.get("DEEPWRIGHT_REQUIRE_BROWSER"):
        pytest.fail(f"{what} is required here and not installed")
    pytest.skip(f"*** {what} is not installed: the report is NOT tested in a browser ***")


@pytest.fixture(scope="module")
def chromium():
    if shutil.which("chromium") is None:
        missing("chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, report, tmp_path):
    """Opens the report and gathers what goes wrong in it."""
    path = write_report(report, tmp_path)
    pages, problems = [], []

    def opened(width=1280, scheme="light", anchor=""):
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.on("dialog", lambda d: problems.append(d.message))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else problems.append(r.url))
        page.goto(path.as_uri() + anchor)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert problems == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_overflows_and_all_can_be_read(opened, width, scheme):
    page = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#all").click()
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    size, words = page.evaluate(SMALLEST)[0]
    assert size >= 11, words
    assert len(page.screenshot()) > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_sound_for_keyboards_and_screen_readers(opened, scheme):
    """axe-core comes in the wheel of axe-playwright-python."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None:
        missing("axe-playwright-python")
    page = opened(390, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate((Path(next(iter(spec.submodule_search_locations))) / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 20
    grave = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"][:200], len(v["nodes"])) for v in grave] == []


def test_tables_sort_and_search(opened):
    page = opened()
    page.locator("#evil > summary").click()
    page.locator("#evil details summary").last.click()
    table = page.locator("#evil details table.data").last
    header = table.locator("th button", has_text="number")
    for order in (sorted, lambda v: sorted(v, reverse=True)):
        header.press("Enter")
        numbers = [float(t) for t in table.locator("tbody td.n").all_inner_texts()]
        assert numbers == order(numbers)
    page.locator("#evil details input[type=search]").last.fill("row 5")
    assert table.locator("tbody tr:visible").count() == 1


def test_a_table_is_downloaded_as_the_house_writes_it(opened, report):
    table = report.findings[0].tables[0]
    page = opened()
    page.locator("#evil > summary").click()
    page.locator("#evil details summary").last.click()
    with page.expect_download() as download:
        page.locator("#evil details button[data-csv]").last.click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    found = list(csv.reader(io.StringIO(text)))
    expected = list(csv.reader(io.StringIO(csv_text([table.columns, *table.rows]))))
    assert [row[0] for row in found] == [row[0] for row in expected]
    assert [float(row[1]) for row in found[1:]] == [float(row[1]) for row in expected[1:]]


def test_copies_what_is_shown(opened):
    page = opened()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator(".first button[data-code]").first
    button.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator(".first .block code").first.text_content()


def test_anchors_open_their_section(opened):
    page = opened(anchor="#robustness")
    assert page.locator("#robustness").get_attribute("open") is not None
    assert page.locator("#evil").get_attribute("open") is None
    page.locator('.chip[href="#evil"]').click()
    page.wait_for_function("document.getElementById('evil').open")
    assert page.evaluate("Math.abs(document.getElementById('evil').getBoundingClientRect().top) < 450")


def test_print_opens_all(opened):
    page = opened()
    closed = page.locator("details:not([open])").count()
    assert closed > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == closed


def test_values_are_told_under_the_pointer(opened):
    page = opened(anchor="#evil")
    page.locator("#evil .bar").first.hover()
    assert "1" in page.locator("#tip").inner_text()
