"""Words of a text exchanged for others, greedily: what is found can be typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.adversarial.text.candidates import typos
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_network, require_whole, require_within
from deepwright.core.tasks import Task
from deepwright.core.texts import are_texts, word_spans

Candidates = Callable[[str], Sequence[str]]
_ORDERS = ("importance", "gain", "random")


@dataclass
class SubstitutionResult:
    """Per text: what became of it.

    Attributes:
        texts: the texts found; one that isn't fooled keeps its strongest try.
        success: (N,) whether the answer is no longer y; True without a change where it is wrong already.
        changed: (N,) words that differ.
        words: (N,) words of the text.
        queries: (N,) texts that the network was asked about.
        loss: (N,) what is raised, at `texts`.
    """

    texts: list[str]
    success: Bool[Tensor, " n"]
    changed: Int64[Tensor, " n"]
    words: Int64[Tensor, " n"]
    queries: Int64[Tensor, " n"]
    loss: Float[Tensor, " n"]


@dataclass
class _Text:
    """One text on its way: which words were exchanged so far."""

    row: int
    text: str
    spans: list[tuple[int, int]]
    candidates: list[tuple[str, ...]]
    allowed: int
    loss: float
    order: list[int] = field(default_factory=list)
    now: dict[int, str] = field(default_factory=dict)
    success: bool = False
    queries: int = 1

    def built(self, place: int | None = None, word: str = "") -> str:
        """The text with the exchanges so far and one more."""
        changes = self.now if place is None else {**self.now, place: word}
        parts: list[str] = []
        end = 0
        for i in sorted(changes):  # few of many words
            a, b = self.spans[i]
            parts += [self.text[end:a], changes[i]]
            end = b
        return "".join([*parts, self.text[end:]])

    @property
    def places(self) -> list[int]:
        """Words that have candidates."""
        return [i for i, words in enumerate(self.candidates) if len(words)]


class WordSubstitution:
    """Exchanges words for candidates until the network is wrong, at most a share of the words.

    Words are taken in the order of their importance (how much the loss rises when the word is left out); each gets the
    candidate that raises the loss most. Of several words at once that is a search from below: a text that stands may
    still fall to another choice. Where one word may change, all words and candidates are tried, so that the answer is
    exact; and so is it on networks in which words add up (`order="gain"`: words by what their best candidate gains).

    Args:
        task: what outputs mean.
        candidates: word -> what may stand in its place; `typos` by default.
        share: of the words of a text that may change, rounded up.
        order: "importance", "gain" (needs words x candidates queries first), or "random" (a control: as many random
            words and candidates, without looking).
        batch_size: texts in one pass.
        seed: of the random control.

    Source of the greedy search by importance: "Is BERT Really Robust? A Strong Baseline for Natural Language Attack on
    Text Classification and Entailment", arXiv 1907.11932; words left out one by one as there, without its synonyms.
    """

    def __init__(
        self,
        task: Task,
        candidates: Candidates = typos,
        share: float = 0.2,
        order: str = "importance",
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        if not isinstance(task, Task) or isinstance(task, type):
            raise InputError("task", given=repr(task), expected="a task of core.tasks, such as Classification(2)")
        if not callable(candidates):
            raise InputError("candidates", given=repr(candidates), expected="word -> words, as Substitutions({...})")
        if order not in _ORDERS:
            raise unknown_name("order", str(order), _ORDERS)
        require_within(0, 1, ends="(]", share=share)
        require_whole(1, batch_size=batch_size)
        require_whole(seed=seed)
        self.task, self.candidates, self.share, self.order = task, candidates, float(share), order
        self.batch_size, self.seed = batch_size, seed

    def __call__(
        self,
        model: Any,
        texts: Sequence[str],
        y: Any,
        *,
        share: float | None = None,
        ids: Int64[Tensor, " n"] | None = None,
    ) -> SubstitutionResult:
        """Attack texts.

        Args:
            model: takes a list of strings and gives what the task reads, as `nets.texts.Tokenized`; left as found.
            texts: strings.
            y: true targets.
            share: overrides the attack's.
            ids: (N,) identity of each text, for the random control (0..N-1 by default).

        Raises:
            InputError: no texts; targets or outputs that the task can't read.
        """
        if not are_texts(list(texts)):
            raise InputError("texts", given=type(texts).__name__, expected="a list of strings, at least one")
        if share is not None:
            require_within(0, 1, ends="(]", share=share)
        part = self.share if share is None else float(share)
        require_network(model)
        y = self.task.check_targets(y, len(texts))
        with evaluating(model), torch.no_grad():
            ask = _Asked(model, self.task, y, self.batch_size)
            loss, fooled = ask([(i, text) for i, text in enumerate(texts)])
            states = [self._state(i, text, part, loss[i]) for i, text in enumerate(texts)]
            for state, wrong in zip(states, fooled):
                state.success = wrong
            live = [s for s in states if not s.success and s.allowed]
            if self.order == "random":
                self._random(ask, live, torch.arange(len(texts)) if ids is None else ids)
            else:
                self._search(ask, live)
        return SubstitutionResult(
            [s.built() for s in states],
            torch.tensor([s.success for s in states]),
            torch.tensor([len(s.now) for s in states]),
            torch.tensor([len(s.spans) for s in states]),
            torch.tensor([s.queries for s in states]),
            torch.tensor([s.loss for s in states]),
        )

    def _state(self, row: int, text: str, share: float, loss: float) -> _Text:
        spans = word_spans(text)
        found = [tuple(self.candidates(text[a:b])) for a, b in spans]
        allowed = min(math.ceil(share * len(spans) - 1e-9), sum(map(bool, found)))
        return _Text(row, text, spans, found, allowed, loss)

    def _search(self, ask: _Asked, live: list[_Text]) -> None:
        single = [s for s in live if s.allowed == 1 or self.order == "gain"]
        self._by_gain(ask, single)
        self._by_importance(ask, [s for s in live if s.allowed > 1 and self.order == "importance"])
        for step in range(max((len(s.order) for s in live), default=0)):
            going = [s for s in live if not s.success and len(s.now) < s.allowed and step < len(s.order)]
            if not going:
                return
            self._take_best(ask, [(s, [s.order[step]]) for s in going])

    def _by_gain(self, ask: _Asked, states: list[_Text]) -> None:
        """All words and candidates: the best single exchange is made where no more are allowed."""
        if not states:
            return
        last = [s for s in states if s.allowed == 1]
        self._take_best(ask, [(s, s.places) for s in last])
        rest = [s for s in states if s.allowed > 1]
        tries = [(s, i, word) for s in rest for i in s.places for word in s.candidates[i]]
        best: dict[tuple[int, int], float] = {}
        for (s, i, _), value in zip(tries, ask.tried(tries)[0]):
            best[s.row, i] = max(best.get((s.row, i), -math.inf), value)
        for s in rest:
            s.order = sorted(s.places, key=_fallen(best, s.row))

    def _by_importance(self, ask: _Asked, states: list[_Text]) -> None:
        tries = [(s, i, "") for s in states for i in s.places]
        loss = {(s.row, i): value for (s, i, _), value in zip(tries, ask.tried(tries)[0])}
        for s in states:
            s.order = sorted(s.places, key=_fallen(loss, s.row))

    @staticmethod
    def _take_best(ask: _Asked, choices: list[tuple[_Text, list[int]]]) -> None:
        """Of some words' candidates the one that fools, else the one that raises the loss most, if it does."""
        tries = [(s, i, word) for s, places in choices for i in places for word in s.candidates[i]]
        loss, fooled = ask.tried(tries)
        best: dict[int, tuple[bool, float, int, str]] = {}
        for (s, i, word), value, wrong in zip(tries, loss, fooled):
            if s.row not in best or (wrong, value) > best[s.row][:2]:
                best[s.row] = (wrong, value, i, word)
        for s, _ in choices:
            wrong, value, i, word = best[s.row]
            if wrong or value > s.loss:
                s.now[i], s.loss, s.success = word, value, wrong

    def _random(self, ask: _Asked, live: list[_Text], ids: Tensor) -> None:
        if not live:
            return
        rows = torch.tensor([s.row for s in live])
        streams = Streams(self.seed, ids[rows], "random substitutions")
        most = max(len(s.spans) for s in live)
        first, second = streams.uniform(most).tolist(), streams.uniform(most).tolist()
        for s, a, b in zip(live, first, second):
            for i in sorted(s.places, key=a.__getitem__)[: s.allowed]:
                s.now[i] = s.candidates[i][int(b[i] * len(s.candidates[i]))]
        loss, fooled = ask([(s.row, s.built()) for s in live])
        for s, value, wrong in zip(live, loss, fooled):
            s.loss, s.success = value, wrong
            s.queries += 1


def _fallen(values: dict[tuple[int, int], float], row: int) -> Callable[[int], float]:
    """Sorts the words of a text by their values, the largest first."""
    return lambda i: -values[row, i]


class _Asked:
    """The network's loss and success on texts, a batch at a time."""

    def __init__(self, model: Any, task: Task, y: Any, batch: int) -> None:
        self.model, self.task, self.y, self.batch = model, task, y, batch

    def __call__(self, rows: list[tuple[int, str]]) -> tuple[list[float], list[bool]]:
        loss: list[float] = []
        fooled: list[bool] = []
        for start in range(0, len(rows), self.batch):
            part = rows[start : start + self.batch]
            out = self.task.read(self.model([text for _, text in part]), len(part), strict=False)
            y = self.y[torch.tensor([row for row, _ in part])].to(device_of(self.model))
            value = self.task.adversarial_loss(out, y).double()
            loss += torch.nan_to_num(value, -math.inf, -math.inf, -math.inf).tolist()
            fooled += self.task.fooled(out, y).tolist()
        return loss, fooled

    def tried(self, tries: list[tuple[_Text, int, str]]) -> tuple[list[float], list[bool]]:
        """The same of exchanges, each counted as a query of its text."""
        for s, _, _ in tries:
            s.queries += 1
        return self([(s.row, s.built(i, word)) for s, i, word in tries])
