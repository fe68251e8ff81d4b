"""Exchanged words: exact where one may change and where words add up, never more than allowed, every query counted."""

import itertools
import math

import pytest
import torch
from torch import nn

from deepwright.adversarial.text import Substitutions, WordSubstitution, read_substitutions, typos
from deepwright.core.errors import InputError
from deepwright.core.tasks import Classification
from deepwright.core.texts import word_spans

WEIGHTS = {"great": 3.0, "good": 1.5, "fine": 0.4, "film": 0.1, "dull": -1.0, "bad": -2.0, "awful": -4.0, "plot": -0.2}
LIST = {
    "great": ["good", "fine"],
    "good": ["fine", "great"],
    "film": ["plot"],
    "dull": ["bad"],
    "bad": ["dull", "awful"],
    "the": ["a"],
}
TASK = Classification(2)


class Bag(nn.Module):
    """Logits (-s, s) of the sum s of the words' weights: what words do adds up."""

    def __init__(self, weights=WEIGHTS):
        super().__init__()
        self.weights, self.asked = weights, 0

    def forward(self, texts):
        self.asked += len(texts)
        words = [[t[a:b].lower() for a, b in word_spans(t)] for t in texts]
        s = torch.tensor([sum(self.weights.get(w, 0.0) for w in row) for row in words])
        return torch.stack([-s, s], 1)


class Pairs(nn.Module):
    """What two neighbours do together counts too: words don't add up."""

    def forward(self, texts):
        words = [[t[a:b].lower() for a, b in word_spans(t)] for t in texts]
        s = torch.tensor(
            [
                sum(math.sin(len(a) * 3.1 + 7 * len(b) + WEIGHTS.get(a, 0)) for a, b in itertools.pairwise(row))
                for row in words
            ]
        )
        return torch.stack([-s, s], 1)


TEXTS = [
    "The film was great, the plot good.",
    "Great film; dull plot.",
    "A good film, a fine plot and nothing bad.",
    "Nothing here can be exchanged.",
    "The bad film was dull, not great",
]


def margins(model, texts, y):
    out = model(texts)
    return (out.gather(1, y[:, None])[:, 0] - out.gather(1, 1 - y[:, None])[:, 0]).tolist()


def all_exchanges(text, k, candidates):
    """Every text with at most k words exchanged."""
    spans = word_spans(text)
    for places in itertools.chain.from_iterable(itertools.combinations(range(len(spans)), n) for n in range(k + 1)):
        for words in itertools.product(*(candidates(text[slice(*spans[i])]) for i in places)):
            made, end = "", 0
            new = dict(zip(places, words))
            for i, (a, b) in enumerate(spans):
                made += text[end:a] + new.get(i, text[a:b])
                end = b
            yield made + text[end:]


@pytest.mark.parametrize("model", [Bag(), Pairs()], ids=["words add up", "neighbours count"])
def test_one_word_is_exact(model):
    """Against brute force: success, and the margin of what stands."""
    y = model(TEXTS).argmax(1)
    found = WordSubstitution(TASK, Substitutions(LIST), share=1e-6)(model, TEXTS, y)
    for i, text in enumerate(TEXTS):
        options = list(all_exchanges(text, 1, Substitutions(LIST)))
        least = min(margins(model, options, y[i : i + 1].expand(len(options))))
        assert bool(found.success[i]) == (least < 0)
        assert margins(model, [found.texts[i]], y[i : i + 1])[0] == pytest.approx(least, abs=1e-5)
        assert int(found.changed[i]) <= 1


@pytest.mark.parametrize("share", [0.2, 0.35, 1.0])
def test_where_words_add_up_the_order_by_gain_is_exact(share):
    model = Bag()
    y = model(TEXTS).argmax(1)
    attack = WordSubstitution(TASK, Substitutions(LIST), share, "gain")
    found = attack(model, TEXTS, y)
    for i, text in enumerate(TEXTS):
        k = math.ceil(share * len(word_spans(text)) - 1e-9)
        options = list(all_exchanges(text, k, Substitutions(LIST)))
        least = min(margins(model, options, y[i : i + 1].expand(len(options))))
        assert bool(found.success[i]) == (least < 0), text


@pytest.mark.parametrize("order", ["importance", "gain", "random"])
@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_no_more_words_change_than_may_and_all_else_stays(order, share):
    model = Bag()
    y = model(TEXTS).argmax(1)
    found = WordSubstitution(TASK, Substitutions(LIST), share, order)(model, TEXTS, y)
    for i, (before, after) in enumerate(zip(TEXTS, found.texts)):
        a, b = ([t[s:e] for s, e in word_spans(t)] for t in (before, after))
        assert len(a) == len(b) == int(found.words[i])
        changed = [(u, v) for u, v in zip(a, b) if u != v]
        assert len(changed) == int(found.changed[i]) <= math.ceil(share * len(a) - 1e-9)
        assert all(v in Substitutions(LIST)(u) for u, v in changed)
    assert torch.equal(found.success, model(found.texts).argmax(1) != y)


@pytest.mark.parametrize("order", ["importance", "gain", "random"])
def test_every_query_is_counted(order):
    model = Bag()
    y = model(TEXTS).argmax(1)
    model.asked = 0
    found = WordSubstitution(TASK, Substitutions(LIST), 0.5, order, batch_size=3)(model, TEXTS, y)
    assert int(found.queries.sum()) == model.asked


def test_the_batch_makes_no_difference():
    model = Bag()
    y = model(TEXTS).argmax(1)
    for order in ("importance", "gain", "random"):
        attack = WordSubstitution(TASK, Substitutions(LIST), 0.4, order, seed=5)
        together = attack(model, TEXTS, y)
        for i, text in enumerate(TEXTS):
            alone = attack(model, [text], y[i : i + 1], ids=torch.tensor([i]))
            assert alone.texts[0] == together.texts[i]
            assert int(alone.queries[0]) == int(together.queries[i])


def test_wrong_texts_stay_as_they_are():
    model = Bag()
    y = 1 - model(TEXTS).argmax(1)
    found = WordSubstitution(TASK, Substitutions(LIST))(model, TEXTS, y)
    assert found.texts == TEXTS
    assert bool(found.success.all())
    assert found.queries.tolist() == [1] * len(TEXTS)


def test_numbers_that_are_not_finite_are_no_success():
    class Broken(Bag):
        def forward(self, texts):
            out = super().forward(texts)
            return torch.where(torch.tensor(["plot" in t for t in texts])[:, None], math.nan, out)

    found = WordSubstitution(TASK, Substitutions({"film": ["plot"]}), 1.0)(Broken(), ["great film"], torch.tensor([1]))
    assert not bool(found.success[0])
    assert found.texts == ["great film"]


def test_slips_keep_the_first_and_last_letter_and_are_other_words():
    for word in ("good", "weather", "surprisingly"):
        made = typos(word)
        assert made
        assert len(set(made)) == len(made) <= 12
        assert all(w != word and w[0] == word[0] and w[-1] == word[-1] and abs(len(w) - len(word)) <= 1 for w in made)
    assert typos("bad") == ()
    assert typos("2026") == ()


def test_lists_from_files(tmp_path):
    (tmp_path / "a.csv").write_text("good,fine,decent\nBad,poor\n")
    (tmp_path / "a.json").write_text('{"good": ["fine", "decent"], "Bad": ["poor"]}')
    for name in ("a.csv", "a.json"):
        found = read_substitutions(tmp_path / name)
        assert found("Good") == ("Fine", "Decent")
        assert found("bad") == ("poor",)
        assert found("film") == ()
    (tmp_path / "b.json").write_text('{"good": "fine"}')
    with pytest.raises(InputError, match="list of words"):
        read_substitutions(tmp_path / "b.json")
