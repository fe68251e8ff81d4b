"""One contract for every perturbation of texts: identity, determinism, batches, bounds on what is left, errors."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.protocols import Perturbation
from deepwright.core.texts import to_codes, to_texts
from deepwright.corruptions import TEXTS

each = pytest.mark.parametrize("p", TEXTS, ids=lambda p: p.name)
SOME = [
    "The weather was surprisingly good, and nobody complained about anything.",
    "Größe und Straße, l'été déjà; 日本語 too.",
    "x",
    "I, a",
    "!?",
]
CODES = to_codes(SOME)
LONG = to_codes(["plain letters follow one another without any end in sight "] * 40)


def share_of_changed(p, severity):
    out = to_texts(p(LONG, severity))
    return sum(a != b for a, b in zip(out, to_texts(LONG))) / len(out)


@each
def test_it_fits_the_protocol(p):
    assert isinstance(p, Perturbation)


@each
def test_severity_0_is_the_identity(p):
    assert to_texts(p(CODES, 0)) == SOME


@each
def test_the_same_seed_gives_the_same_texts_and_the_input_stays(p):
    before = CODES.clone()
    assert torch.equal(p(CODES, 4, seed=3), p(CODES, 4, seed=3))
    assert torch.equal(before, CODES)


@each
def test_another_seed_or_step_draws_anew(p):
    assert to_texts(p(LONG, 3)) != to_texts(p(LONG, 3, seed=1)) or p.name == "lost punctuation"
    assert torch.equal(p(LONG, 3, seed=1), p(LONG, 3)) == torch.equal(p(LONG, 3, t=1), p(LONG, 3))


@each
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_a_text_is_the_same_in_any_batch(p, severity):
    """Whatever stands beside it, and however wide that is."""
    beside = to_texts(p(to_codes([SOME[1], SOME[0]]), severity, seed=2, ids=torch.tensor([7, 5])))
    alone = to_texts(p(to_codes([SOME[1]]), severity, seed=2, ids=torch.tensor([7])))
    assert beside[0] == alone[0]


@each
@pytest.mark.parametrize("severity", range(1, 6))
def test_no_text_becomes_empty_or_more_than_twice_as_long(p, severity):
    for before, after in zip(SOME, to_texts(p(CODES, severity, seed=severity))):
        assert after.strip()
        assert len(after) <= 2 * len(before) + 1


@pytest.mark.parametrize("p", [p for p in TEXTS if p.unit == "letters"], ids=lambda p: p.name)
def test_slips_of_letters_keep_the_number_of_words(p):
    for severity in range(1, 6):
        assert [len(t.split()) for t in to_texts(p(CODES, severity))] == [len(t.split()) for t in SOME]


@each
def test_more_texts_change_with_the_severity(p):
    if p.name == "lost punctuation":  # there is none in these
        assert share_of_changed(p, 5) == 0
        return
    assert share_of_changed(p, 1) <= share_of_changed(p, 5) + 0.05
    assert share_of_changed(p, 5) > 0.9


@each
def test_what_is_no_text_is_refused(p, unchecked):
    for bad in (torch.rand(2, 5), torch.zeros(2, 5, dtype=torch.long), ["a text"]):
        with pytest.raises(InputError, match="code points"):
            p(bad, 2)
    with pytest.raises(InputError, match="severity"):
        p(CODES, 6)


def test_the_share_that_is_hit_is_what_the_levels_say():
    """Doubled letters lengthen a text by their number; lost words shorten it by theirs."""
    named = {p.name: p for p in TEXTS}
    letters = to_codes(["a" * 500] * 40)
    for severity, share in enumerate(named["doubled letters"].levels, start=1):
        more = sum(len(t) - 500 for t in to_texts(named["doubled letters"](letters, severity)))
        assert more / 20_000 == pytest.approx(share, abs=0.015)
    words = to_codes([" ".join(["word"] * 100)] * 100)
    for severity, share in enumerate(named["lost words"].levels, start=1):
        left = sum(len(t.split()) for t in to_texts(named["lost words"](words, severity)))
        assert 1 - left / 10_000 == pytest.approx(share, abs=0.02)


def test_shuffled_and_swapped_texts_have_the_same_letters():
    named = {p.name: p for p in TEXTS}
    for name in ("words out of order", "swapped letters"):
        for before, after in zip(SOME, to_texts(named[name](CODES, 5))):
            assert sorted(before.replace(" ", "")) == sorted(after.replace(" ", ""))
