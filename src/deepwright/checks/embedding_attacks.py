"""Networks of texts under moved embeddings, which no text need give; of token ids it is all that can be attacked."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from deepwright.adversarial import suite
from deepwright.adversarial.text import EmbeddedTexts, FromEmbeddings
from deepwright.checks.curves import curve_in_batches
from deepwright.checks.findings.finding import Finding, NotApplicableError, from_to
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.data import Split
from deepwright.nets.texts import Tokenized, TokenNetwork

BUDGETS = (0.1, 0.5, 1.0)
MOST = 100  # texts whose embeddings are attacked


def attacked_tokens(subject: Subject) -> Finding:
    """Share that stays right where embeddings of token ids are moved; words can't be exchanged without a tokenizer.

    Args:
        subject: of token ids.

    Raises:
        NotApplicableError: no embedding that is asked for the ids.
    """
    split = subject.data.test.take(min(subject.attack_limit, MOST), subject.seed)
    found, why = moved_embeddings(subject, split)
    words = "words aren't exchanged: token ids alone don't say which words may stand for which (tokenizer=)"
    if not found:
        raise NotApplicableError(f"{words}; embeddings aren't attacked ({why})")
    l2 = found["l2"]
    return Finding(
        check="robustness",
        grade="info",
        summary=f"Embeddings moved by up to a tenth of their mean length in all (L2; {len(split)} texts): the share "
        f"that is right {from_to(l2[0].value, l2[1].value)}. No text need give such points; {words}.",
        values={"clean_accuracy": l2[0]} | embedding_values(found),
        rule="Not graded: embeddings have no usual budget, and what moves them need be no text.",
        remedy="Give the tokenizer too (tokenizer=): words are then exchanged, and what is found can be typed.",
        tables=embedding_table(found),
        higher_is_better=("clean_accuracy", *embedding_values(found)),
        lower_is_better=(),
        conditions={"budgets": list(BUDGETS)},
    )


def moved_embeddings(subject: Subject, split: Split) -> tuple[dict[str, list[Interval]], str]:
    """Norm -> share right at budget 0 and at each of `BUDGETS`; or none, and why that can't be measured.

    Args:
        subject: of texts or token ids.
        split: some of its samples.
    """
    model = subject.model
    if not isinstance(model, Tokenized | TokenNetwork):
        return {}, "it takes strings, and has no embedding that could be looked at"
    if not subject.has_gradients:
        return {}, "no gradients lead through it"
    tokens = model.encode(split.x) if isinstance(model, Tokenized) else split.x.to(subject.device)
    real = model.real(tokens)
    network = model.network if isinstance(model, Tokenized) else model
    found: dict[str, list[Interval]] = {}
    try:
        for norm in ("l2", "linf"):
            inner = FromEmbeddings(network, tokens, real, norm)
            found[norm] = _curve(inner, inner.embed(tokens, real), split.y, norm, subject)
    except InputError as error:
        return {}, f"{error.what}: {error.given}" if error.given else error.what
    return found, ""


def _curve(model: nn.Module, embedded: EmbeddedTexts, y: Tensor, norm: str, subject: Subject) -> list[Interval]:
    bounds = (-math.inf, math.inf)
    attack = suite("quick", BUDGETS[0], norm, task=subject.task, seed=subject.seed, bounds=bounds)
    batches = zip(*(part.split(subject.batch_size) for part in (embedded.x, y, embedded.mask)))
    return curve_in_batches(model, batches, attack, BUDGETS)


def embedding_values(found: dict[str, list[Interval]]) -> dict[str, Any]:
    """Shares that stay right, as values of a finding.

    Args:
        found: see `moved_embeddings`.
    """
    return {
        f"embedding_{norm}_accuracy_at_{e:g}": point
        for norm, points in found.items()
        for e, point in zip(BUDGETS, points[1:])
    }


def embedding_table(found: dict[str, list[Interval]]) -> list[Table]:
    """Shares that stay right, as a table; none where there are none.

    Args:
        found: see `moved_embeddings`.
    """
    rows: list[list[Any]] = []
    names = {"l2": "L2, over all words", "linf": "L-inf, each number"}
    for norm, points in found.items():
        rows += [[names[norm], e, p.value, p.low, p.high] for e, p in zip((0.0, *BUDGETS), points)]
    caption = (
        "moved embeddings, which no text need give: budgets are relative to the mean length of a word's embedding "
        "(L2), or to that over the root of its numbers (L-inf)"
    )
    return [Table(["norm", "budget", "share right", "95 % from", "95 % to"], rows, caption)] if rows else []
