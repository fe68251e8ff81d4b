"""The contract of all strategies: what they give, what they refuse, and how they read outputs."""

import dataclasses

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.tasks import (
    Binary,
    Classification,
    Forecast,
    GraphClassification,
    MultiLabel,
    Regression,
    Segmentation,
)
from deepwright.labels import STRATEGIES, View, badge, bald, entropy, least_confidence, margin, named, subsampled
from deepwright.labels.strategies.scores import top

SCORES = {"least-confidence": least_confidence, "entropy": entropy, "margin": margin}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def view(n=60, labelled=10, **more):
    rows = torch.arange(n)
    parts = {"logits": normal(n, 4), "features": normal(n, 5, seed=1), "passes": normal(3, n, 4, seed=2)}
    return View(**{**parts, **more}, labelled=rows[:labelled], free=rows[labelled:], seed=7)


@pytest.mark.parametrize("name", STRATEGIES)
def test_choices_are_distinct_and_free(name):
    picks = named(name).select(view(), 9).tolist()
    assert len(set(picks)) == 9
    assert min(picks) >= 10


@pytest.mark.parametrize("name", STRATEGIES)
def test_choices_are_the_same_for_the_same_seed(name):
    assert torch.equal(named(name).select(view(), 9), named(name).select(view(), 9))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_view_is_left_as_found(name):
    given, kept = view(), view()
    named(name).select(given, 9)
    for field in ("logits", "features", "passes", "labelled", "free"):
        assert torch.equal(getattr(given, field), getattr(kept, field))


@pytest.mark.parametrize("k", [0, 51])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_number_that_cannot_be_chosen_is_refused(name, k):
    with pytest.raises(InputError, match=rf"k; given: {k}; expected: 1\.\.50"):
        named(name).select(view(), k)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_word_that_a_strategy_does_not_support_is_refused(name):
    with pytest.raises(InputError, match=f"strategy '{name}'; given: .*'temperature'"):
        named(name, temperature=2.0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_subsampled_strategy_refuses_what_the_inner_one_refuses(name):
    with pytest.raises(InputError, match="'temperature'"):
        subsampled(name, 20).having(temperature=2.0)


@pytest.mark.parametrize(
    ("name", "word"), [(s.name, word) for s in STRATEGIES.values() for word in s.options], ids=lambda v: v
)
def test_an_option_that_is_offered_has_an_effect(name, word):
    given = view(200, 1, features=normal(200, 2, seed=1))
    plain = named(name).select(given, 4)
    assert not torch.equal(named(name, **{word: 1}).select(given, 4), plain)


@pytest.mark.parametrize("word", STRATEGIES["typiclust"].options)
def test_an_option_out_of_range_is_refused(word):
    with pytest.raises(InputError, match=f"{word}; given: 0"):
        named("typiclust", **{word: 0}).select(view(), 9)


def test_options_reach_the_strategy_inside_a_subsampled_one():
    given, base = view(200, 1, features=normal(200, 2, seed=1)), subsampled("typiclust", 150)
    assert not torch.equal(base.having(neighbours=1).select(given, 4), base.select(given, 4))


def test_a_part_of_no_samples_is_refused():
    with pytest.raises(InputError, match="most"):
        subsampled("margin", 0)


@pytest.mark.parametrize(("name", "part"), [("k-center", "features"), ("badge", "features"), ("bald", "passes")])
def test_a_view_without_what_a_strategy_needs_is_refused(name, part):
    with pytest.raises(InputError, match=part):
        named(name).select(view(**{part: None}), 9)


# --- tasks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [Classification(4), GraphClassification(4)], ids=lambda t: t.kind)
@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_one_class_a_sample_scores_as_its_logits(score, task):
    assert torch.equal(score(normal(50, 4), task), score(normal(50, 4)))


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_probabilities_score_as_the_logits_that_they_come_from(score):
    task = Classification(4, outputs="probabilities")
    assert torch.allclose(score(normal(50, 4).softmax(1), task), score(normal(50, 4)), atol=1e-6)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_one_logit_scores_as_two(score):
    z = normal(50, 1)
    assert torch.allclose(score(z, Binary()), score(torch.cat([torch.zeros_like(z), z], 1)))


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_labels_that_do_not_exclude_each_other_score_by_their_mean(score):
    z = normal(50, 3)
    alone = [score(z[:, i : i + 1], Binary()) for i in range(3)]
    assert torch.allclose(score(z, MultiLabel(3)), torch.stack(alone).mean(0), atol=1e-6)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_positions_score_by_their_mean(score):
    z = normal(6, 4, 3, 2)
    alone = [score(z[:, :, i, j]) for i in range(3) for j in range(2)]
    assert torch.allclose(score(z, Segmentation(4)), torch.stack(alone).mean(0), atol=1e-6)


def test_entropy_of_labels_in_closed_form():
    p = normal(50, 3).sigmoid().double()
    expected = -(p * p.log() + (1 - p) * (1 - p).log()).mean(1)
    assert torch.allclose(entropy(normal(50, 3), MultiLabel(3)).double(), expected, atol=1e-6)


def test_passes_of_labels_gain_the_mean_of_what_each_gains():
    z = normal(5, 40, 3)
    alone = [bald(torch.stack([torch.zeros(5, 40), z[:, :, i]], -1)) for i in range(3)]
    assert torch.allclose(bald(z, MultiLabel(3)), torch.stack(alone).mean(0), atol=1e-6)


@pytest.mark.parametrize("score", [*SCORES.values(), lambda z, task: bald(torch.stack([z, 2 * z]), task)])
@pytest.mark.parametrize(
    ("task", "shape"), [(Regression(3), (20, 3)), (Forecast(4, 2), (20, 4, 2))], ids=lambda v: getattr(v, "kind", "")
)
def test_a_task_without_probabilities_is_refused(task, shape, score):
    with pytest.raises(InputError, match=f"task; given: {task.kind}.*claim no probabilities"):
        score(normal(*shape), task)


@pytest.mark.parametrize("task", [MultiLabel(4), Segmentation(4), Regression(4)], ids=lambda t: t.kind)
def test_badge_refuses_a_task_without_classes(task):
    out = normal(20, 4, 2, 2) if isinstance(task, Segmentation) else normal(20, 4)
    with pytest.raises(InputError, match="one class"):
        badge(out, normal(20, 5), 3, torch.arange(20), task=task)


def test_badge_reads_one_logit():
    z, h = normal(30, 1), normal(30, 5, seed=1)
    both = torch.cat([torch.zeros_like(z), z], 1)
    found = [
        badge(out, h, 6, torch.arange(30), torch.Generator().manual_seed(0), task)
        for out, task in ((z, Binary()), (both, None))
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize("name", SCORES)
def test_a_strategy_reads_outputs_through_the_views_task(name):
    given = view(logits=normal(60, 4, 3, 3), task=Segmentation(4))
    assert torch.equal(named(name).select(given, 5), top(SCORES[name](given.logits, given.task), given.free, 5))


def test_the_same_probabilities_are_asked_for_whatever_their_form():
    plain = view()
    other = dataclasses.replace(plain, logits=plain.logits.softmax(1), task=Classification(4, outputs="probabilities"))
    for name in ("least-confidence", "entropy", "margin", "badge"):
        assert torch.equal(named(name).select(plain, 5), named(name).select(other, 5))


def test_ties_go_to_the_lower_index():
    assert top(torch.zeros(9), torch.tensor([7, 2, 5]), 2).tolist() == [7, 2]
