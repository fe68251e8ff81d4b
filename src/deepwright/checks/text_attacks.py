"""Can a network that reads texts be fooled: by other words, which can be typed, or moved embeddings, which can't?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from deepwright.adversarial.text import WordSubstitution, typos
from deepwright.checks.curves import line
from deepwright.checks.embedding_attacks import MOST, embedding_table, embedding_values, moved_embeddings
from deepwright.checks.findings.finding import Finding, NotApplicableError, from_to
from deepwright.checks.grading import Graded
from deepwright.checks.kept import grade_kept, share_kept
from deepwright.checks.subjects.baselines import TrivialPredictor
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.subjects.texts import excerpt
from deepwright.core.errors import InputError
from deepwright.core.progress import bar
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson
from deepwright.core.texts import to_codes, to_texts
from deepwright.data import Split

_SHARES, _JUDGED = (0.1, 0.2, 0.3), 0.2
_SHOWN = 8


@dataclass
class _Words:
    """What exchanges of words do, by the share of the words that may change.

    Attributes:
        right: share that is right, at no change and at each share.
        queries: mean over the texts that were attacked.
        found: (text, what became of it) of the samples that were fooled last.
    """

    right: list[Interval]
    queries: float = 0.0
    found: list[tuple[int, str]] = field(default_factory=list)


def attacked_texts(subject: Subject) -> Finding:
    """Share of texts that stays right over the share of words that may change, with a random control and the baseline.

    Beside it, and not graded: the same under attacks on the embedding's output, whose points no text need give.

    Args:
        subject: of texts.

    Raises:
        NotApplicableError: no word has a candidate.
        InputError: shares of words that aren't within (0, 1].
    """
    shares = _SHARES if subject.eps is None else subject.eps
    if shares[-1] > 1:
        raise InputError("eps", given=shares, expected="shares of the words that may change, within (0, 1]")
    split = subject.data.test.take(subject.attack_limit, subject.seed)
    candidates = typos if subject.substitutions is None else subject.substitutions
    texts = to_texts(split.x)
    with bar("robustness", 4) as running:
        greedy = WordSubstitution(subject.task, candidates, batch_size=subject.batch_size, seed=subject.seed)
        network = _exchanged(subject.model, texts, split.y, greedy, shares)
        if network is None:
            raise NotApplicableError("no word of the test texts has a candidate in the substitutions")
        running.advance(1, "random words")
        blind = WordSubstitution(subject.task, candidates, 0.2, "random", subject.batch_size, subject.seed)
        control = _exchanged(subject.model, texts, split.y, blind, shares)
        running.advance(1, "baseline")
        base = _baseline(subject, texts, split, candidates, shares)
        running.advance(1, "embeddings")
        embedded, why = moved_embeddings(subject, split.take(MOST, subject.seed))
        running.advance()
    assert control is not None
    return _finding(subject, split, shares, network, control, base, embedded, why)


def _exchanged(
    model: nn.Module, texts: list[str], y: Any, attack: WordSubstitution, shares: tuple[float, ...]
) -> _Words | None:
    """Rising shares: only what stands is attacked again. None where no word of any text has a candidate."""
    first = attack(model, texts, y, share=shares[0])
    wrong = first.success & (first.changed == 0)
    if int(first.queries.sum()) == len(texts) and bool((~wrong).any()):
        return None
    n, found = len(texts), _Words([wilson(int((~wrong).sum()), len(texts))])
    alive, queries = ~wrong, torch.zeros(n, dtype=torch.long)
    fooled: dict[int, str] = {}
    for k, share in enumerate(shares):
        rows = alive.nonzero().flatten()
        if len(rows):
            some = [texts[i] for i in rows.tolist()]
            result = attack(model, some, y[rows], share=share, ids=rows) if k else None
            success = first.success[rows] if result is None else result.success
            made = [first.texts[i] for i in rows.tolist()] if result is None else result.texts
            queries[rows] += first.queries[rows] if result is None else result.queries
            fooled |= {i: made[j] for j, i in enumerate(rows.tolist()) if bool(success[j])}
            alive[rows] = ~success
        found.right.append(wilson(int(alive.sum()), n))
    attacked = queries > 0
    found.queries = float(queries[attacked].double().mean()) if bool(attacked.any()) else 0.0
    found.found = list(fooled.items())
    return found


def _baseline(
    subject: Subject, texts: list[str], split: Split, candidates: Any, shares: tuple[float, ...]
) -> list[Interval] | None:
    """The baseline under the same attack; None where there is none that looks at the text."""
    if subject.baseline is None or isinstance(subject.baseline, TrivialPredictor):
        return None
    attack = WordSubstitution(subject.baseline_task, candidates, batch_size=subject.batch_size, seed=subject.seed)
    found = _exchanged(subject.baseline, texts, split.y, attack, shares)
    return None if found is None else found.right


def _finding(
    subject: Subject,
    split: Split,
    shares: tuple[float, ...],
    network: _Words,
    control: _Words,
    base: list[Interval] | None,
    embedded: dict[str, list[Interval]],
    why: str,
) -> Finding:
    n = len(split)
    judged = _JUDGED if _JUDGED in shares else shares[-1]
    at = 1 + shares.index(judged)
    kept = share_kept(network.right[0], network.right[at], n)
    found, rule = grade_kept(subject, kept, network.right[at], subject.chance, False)
    values: dict[str, Any] = {"clean_accuracy": network.right[0]}
    if kept is not None:
        values["clean_accuracy_kept"] = kept
    values |= {f"robust_accuracy_at_{share:g}": point for share, point in zip(shares, network.right[1:])}
    values |= {f"random_accuracy_at_{judged:g}": control.right[at], "queries_per_text": network.queries}
    if base is not None:
        values[f"baseline_robust_accuracy_at_{judged:g}"] = base[at].value
    values |= embedding_values(embedded)
    means = "slips of the keyboard" if subject.substitutions is None else "the words of your list"
    beside = f" Embeddings aren't attacked ({why})." if why else ""
    if embedded:
        l2 = embedded["l2"]
        beside = (
            " Beside that, and no text need give such points: embeddings moved by up to a tenth of their mean length "
            f"in all (L2; {min(MOST, n)} texts) leave {l2[1].value:.1%} of {l2[0].value:.1%} right."
        )
    better = tuple(name for name in values if name.startswith(("clean", "robust", "random", "embedding")))
    return Finding(
        check="robustness",
        grade=found.grade,
        summary=f"With up to {judged:.0%} of the words exchanged ({means}, greedily; {n} texts) the share that is "
        f"right {from_to(network.right[0].value, network.right[at].value)}; as many random words leave "
        f"{control.right[at].value:.1%}.{beside}",
        values=values,
        rule=f"Judged at {judged:.0%} of the words (rounded up; texts have no usual budget, this one is ours). {rule} "
        "The search is greedy: where several words may change, a text that stands may still fall to other choices.",
        remedy=_remedy(subject, found, judged),
        tables=[
            _table(shares, network, control, base, subject.baseline_name),
            *embedding_table(embedded),
            *_examples(subject, split, network),
        ],
        figures=[_figure(shares, network, control, base, subject.baseline_name)],
        higher_is_better=better,
        lower_is_better=(),
        could_be=found.could_be,
        graded_by=("clean_accuracy_kept",) if kept is not None else (f"robust_accuracy_at_{judged:g}",),
        conditions={"shares of words": list(shares), "judged at": judged, "candidates": means},
    )


def _remedy(subject: Subject, found: Graded, judged: float) -> str:
    if found.grade in ("A", "info"):
        return "Try a list of your own: --substitutions FILE (substitutions= from Python), words that keep the meaning."
    made = f"adversarial.text.WordSubstitution(subject.task, share={judged:g})"
    if subject.substitutions is not None:
        made = f"adversarial.text.WordSubstitution(subject.task, subject.substitutions, {judged:g})"
    return (
        f"Train on the texts that `{made}(subject.model, texts, labels).texts` gives beside the training texts, each "
        "with its label, or correct the spelling before the network reads; by how much it helps is known when that is "
        "done: audit again with --compare."
    )


def _table(
    shares: tuple[float, ...], network: _Words, control: _Words, base: list[Interval] | None, name: str
) -> Table:
    columns = ["words that may change", "share right", "95 % from", "95 % to", "random words"] + (
        [name] if base else []
    )
    rows: list[list[Any]] = []
    for i, share in enumerate((0.0, *shares)):
        point = network.right[i]
        row: list[Any] = [f"{share:.0%}", point.value, point.low, point.high, control.right[i].value]
        rows.append(row + ([] if base is None else [base[i].value]))
    return Table(columns, rows, "share right by the share of the words that may change")


def _examples(subject: Subject, split: Split, network: _Words) -> list[Table]:
    rows: list[list[Any]] = []
    for i, text in network.found[:_SHOWN]:
        rows.append([excerpt(split.x[i], 200), excerpt(to_codes([text])[0], 200)])
    return [Table(["text", "fools it as"], rows, "texts that were right, and what became of them")] if rows else []


def _figure(
    shares: tuple[float, ...], network: _Words, control: _Words, base: list[Interval] | None, name: str
) -> Figure:
    grid = [0.0, *shares]
    series = [line("network", grid, network.right), line("random words", grid, control.right, True)]
    series += [] if base is None else [line(name, grid, base, True)]
    return Figure(
        "line",
        "Share right by exchanged words",
        series,
        "share of words that may change",
        "share right",
        y_range=(0.0, 1.0),
    )
