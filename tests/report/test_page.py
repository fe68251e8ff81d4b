"""The page as text: nothing of a user's words gets into it unescaped, and keys stay in the JSON."""

import pytest
import torch

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.report import png, render, svg, write_study


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


def test_values_are_shown_by_words(report):
    page = render(report)
    for key in ("clean_accuracy_kept", "robust_accuracy_at"):
        assert key not in page
    assert "Of what is right, stays right under attack" in page
    assert "right under attack, at a budget of 8/255" in page.lower()


def test_a_code_is_set_as_code_and_nothing_else_is(report, evil):
    page = render(report)
    assert page.count("adversarial.suite(") == 2  # first of all, and in its section
    assert "`" not in page.split("<script>", 1)[0]
    assert evil not in page


def test_small_enough_and_quick(report):
    assert len(render(report)) < 150_000


def test_shades_are_colours():
    from deepwright.report.figures import shade

    for value in torch.linspace(-1, 2, 20).tolist():
        assert shade(value).startswith("rgb(")
    assert shade(float("nan")) == "#9ca3af"
