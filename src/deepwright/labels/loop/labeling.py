"""Label in rounds: train a selector on what has labels, score the rest, ask for the most telling, go on.

The loop belongs to nobody: `ask` gives indices, `tell` takes labels, in any portions. A label is on disk before
anything else happens to it, and a loop that was killed goes on with the same questions.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress import cost
from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Task
from deepwright.labels.loop.pool import Inputs, Pool
from deepwright.labels.loop.records import LabelingResult, Round
from deepwright.labels.loop.requirements import count_columns, require_parts, require_validation, whole_numbers
from deepwright.labels.loop.scoring import accuracy, dropout_layers, dropout_passes, score_pool
from deepwright.labels.loop.state import LoopState
from deepwright.labels.loop.synchronising import RoundSelectors
from deepwright.labels.loop.training import Trainer, default_trainer
from deepwright.labels.prunefuse.selector import PrunedSelector
from deepwright.labels.strategies.catalogue import STRATEGIES, Strategy, View, named

_COLLAPSED = 0.95  # a selector that names one class for more of the pool says nothing about it


class LabelingLoop:
    """Active labelling.

    Args:
        pool: (N, ...) inputs, or a map-style data set of inputs (of (input, anything): what stands beside is ignored).
        selector: a `PrunedSelector`, a `WholeSelector`, or any other `Selector`.
        strategy: a name of `STRATEGIES` or a `Strategy`.
        budget: labels in all. It may be raised when a loop goes on.
        round_size: labels a round.
        seed_size: labels drawn at random first (round_size by default).
        trainer: (model, x, y, round, seed) -> model; `default_trainer()` by default. Its attribute `epochs`, where it
            has one, is what the MACs of training are counted from.
        oracle: indices -> labels, for `run`.
        classes: labels are 0..classes-1; as many as the task says or, without one, as the network has columns, by
            default.
        class_names: of them, in their order. Who labels by names should give them: a stored loop then refuses others,
            or another order, which would give every label that is there another meaning.
        task: how to read outputs, where they are no plain logits of classes: any task of which each sample has one
            class.
        known: sample -> class, labels that exist already: they take the place of the first random draw.
        t_sync: after every so many rounds the whole network is fused, trained and pruned again for the next selector
            (0: never); needs a `PrunedSelector`.
        validation: (x, y) that each round's selector is measured on.
        checkpoint: a file for questions and labels, each on disk before anything else happens; a loop that was killed
            goes on there with the same questions. It belongs to pool, selector, strategy, trainer, oracle, options and
            package version: with others the loop refuses and says what differs. Synchronised networks are kept beside
            it as `<name>.sync-<round>.pt`.
        seed: of everything.
        batch_size: of scoring.
        jobs: shards of the pool that are scored side by side; whatever it is, the same samples are asked for.
        backend: where they are scored (see `core.trials.run`).

    Raises:
        InputError: sizes that are no integers or don't fit the pool, unknown strategies, a task without classes,
            validation data without one label a sample; a checkpoint of another loop, that another process is writing,
            or that holds labels of classes that there aren't.
        DamagedFileError: a checkpoint that isn't as it was written.
    """

    def __init__(
        self,
        pool: Pool,
        selector: Any,
        strategy: str | Strategy = "least-confidence",
        *,
        budget: int,
        round_size: int,
        seed_size: int | None = None,
        trainer: Trainer | None = None,
        oracle: Callable[[Tensor], Tensor] | None = None,
        classes: int | None = None,
        class_names: Sequence[str] | None = None,
        task: Task | None = None,
        known: Mapping[int, int] | None = None,
        t_sync: int = 0,
        validation: tuple[Tensor, Tensor] | None = None,
        checkpoint: Path | str | None = None,
        seed: int = 0,
        batch_size: int = 256,
        jobs: int = 1,
        backend: str = "local",
    ) -> None:
        self.pool, self.strategy = pool, named(strategy)
        seed_size = round_size if seed_size is None else seed_size
        require_whole(1, batch_size=batch_size, budget=budget, jobs=jobs)
        require_whole(0, round_size=round_size, seed_size=seed_size, t_sync=t_sync)
        require_whole(seed=seed)
        self.batch_size, self.jobs, self.backend = int(batch_size), int(jobs), backend
        self.inputs = Inputs(pool, self.batch_size)
        self.size = len(self.inputs)
        self.budget, self.round_size, self.seed_size = int(budget), int(round_size), int(seed_size)
        require_parts(selector, trainer, oracle, task)
        self.trainer, self.oracle = trainer or default_trainer(task=task), oracle
        self.task, self.classes = task, _classes(task, classes)
        self.class_names = _names(class_names, self.classes)
        self.t_sync, self.seed, self.validation = int(t_sync), int(seed), validation
        self._check_sizes(selector)
        self._most = self._count_classes(selector)
        require_validation(validation, self._most)
        if self.strategy.needs_passes:
            dropout_layers(selector.fresh())  # now, and not after a person answered a round
        self.known = self._checked_known(known or {})
        self.state = LoopState(checkpoint, {} if checkpoint is None else self._parts(selector))
        self._check_stored()
        self.selectors = RoundSelectors(selector, self.trainer, self.state, self.data, self.t_sync, seed)
        self._macs: int | None = None
        if self.known and not self.state.rounds:
            self.state.ask(Round(0, sorted(self.known), "known"))
        if self.known and self.state.pending:
            self.state.tell({i: self.known[i] for i in self.state.pending if i in self.known})
        if self.strategy.needs_network:
            self.selectors.enter(len(self.rounds) - 1)

    def _check_sizes(self, selector: Any) -> None:
        if not 0 < self.seed_size <= self.budget <= self.size or self.round_size < 1:
            sizes = f"seed_size={self.seed_size}, round_size={self.round_size}, budget={self.budget}"
            raise InputError(
                "sizes",
                given=f"{sizes}, pool of {self.size}",
                expected="0 < seed_size <= budget <= pool, round_size >= 1",
            )
        if self.t_sync and not isinstance(selector, PrunedSelector):
            raise InputError("t_sync", given=self.t_sync, expected="0, or 1 and more with a PrunedSelector to fuse")

    def _count_classes(self, selector: Any) -> int | None:
        """What labels stay below: one outside the network's columns could be stored, and then never trained on."""
        network = getattr(selector, "network", None)
        columns = None if network is None else count_columns(network, self.inputs.rows(torch.arange(1)), self.task)
        return min((n for n in (self.classes, columns) if n is not None), default=None)

    def _checked_known(self, known: Mapping[Any, Any]) -> dict[int, int]:
        if not isinstance(known, Mapping):
            raise InputError("known", given=type(known).__name__, expected="a dict, sample -> class")
        samples, classes = whole_numbers(list(known), "known"), whole_numbers(list(known.values()), "labels")
        strange = sorted(i for i in samples if not 0 <= i < self.size)
        if strange:
            raise InputError("known", given=f"samples {strange[:5]}", expected=f"indices 0..{self.size - 1}")
        if len(set(samples)) < len(samples):
            raise InputError("known", given="a sample twice", expected="each sample once")
        self._check_labels(classes)
        return dict(zip(samples, classes))

    def _check_stored(self) -> None:
        """Name the labels that no training could use; they stay in the file."""
        wrong = {i: y for i, y in self.labels.items() if self._outside(y)}
        if wrong:
            self.state.close()
            raise InputError(
                f"labels in {self.state.path}",
                given=", ".join(f"sample {i}: {y}" for i, y in [*wrong.items()][:5]),
                expected=self._labels_expected(),
                hint="read_labels() gives them; put them right, and a new loop takes them as known=",
            )

    def _parts(self, selector: Any) -> dict[str, Any]:
        """All that questions depend on. The budget only says when to stop, jobs and backend only where work is done."""
        own = getattr(selector, "__resume_identity__", None)
        return {
            "pool": self.pool,
            "selector": selector if own is None else own(),
            "strategy": self.strategy,
            "trainer": self.trainer,
            "counted_epochs": getattr(self.trainer, "epochs", 0),
            "oracle": self.oracle,
            "classes": self.classes,
            "class_names": None if self.class_names is None else ", ".join(map(repr, self.class_names)),
            "task": self.task,
            "known_labels": sorted(self.known.items()),
            "t_sync": self.t_sync,
            "validation": self.validation,
            "round_size": self.round_size,
            "seed_size": self.seed_size,
            "seed": self.seed,
            "batch_size": self.batch_size,
        }

    # --- ask and tell ------------------------------------------------------------------------------------------

    @property
    def selector(self) -> Any:
        """The one in force: after a synchronisation another than was given."""
        return self.selectors.current

    @property
    def labels(self) -> dict[int, int]:
        """Sample -> class, in the order in which they were told."""
        return self.state.labels

    @property
    def rounds(self) -> list[Round]:
        """A record of each round so far."""
        return self.state.rounds

    @property
    def pending(self) -> list[int]:
        """Samples that were asked for and have no label yet."""
        return self.state.pending

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        return len(self.labels) >= self.budget

    def ask(self) -> Tensor:
        """The samples to label now; trains and scores when a round is complete. Empty when the budget is spent."""
        if not self.pending and not self.done:
            self._next_round()
        return torch.tensor(self.pending, dtype=torch.long)

    def tell(self, indices: Sequence[int] | Tensor, labels: Sequence[int] | Tensor) -> None:
        """Take labels; they are on disk before this returns.

        Args:
            indices: samples that `ask` gave, in any order and portion; floats where they are whole numbers.
            labels: the class of each; likewise.

        Raises:
            InputError: indices that weren't asked for, are outside the pool or have a label already; labels that are
                no whole numbers or outside the classes; a full disk. Then nothing of what was told is taken.
        """
        samples, classes = whole_numbers(indices, "indices"), whole_numbers(labels, "labels")
        if len(samples) != len(classes):
            raise InputError("tell", given=f"{len(samples)} indices, {len(classes)} labels", expected="as many of each")
        twice = sorted({i for i, n in Counter(samples).items() if n > 1 or i in self.labels})
        if twice:
            raise InputError(
                "tell", given=f"samples {twice[:10]} that have a label already", expected="each sample once"
            )
        strange = sorted(set(samples) - set(self.pending))
        if strange:
            raise InputError("tell", given=f"samples {strange[:10]} that weren't asked for", expected="those of ask()")
        self._check_labels(classes)
        self.state.tell(dict(zip(samples, classes)))

    def _check_labels(self, labels: list[int]) -> None:
        wrong = [y for y in labels if self._outside(y)]
        if wrong:
            raise InputError("labels", given=wrong[:5], expected=self._labels_expected())

    def _outside(self, label: int) -> bool:
        return label < 0 or (self._most is not None and label >= self._most)

    def _labels_expected(self) -> str:
        return "integers, 0 or more" if self._most is None else f"integers 0..{self._most - 1}"

    def run(self) -> LabelingResult:
        """All rounds, with the oracle.

        Raises:
            InputError: no oracle.
        """
        if self.oracle is None:
            raise InputError(
                "oracle", given="none", expected="a function indices -> labels, or ask() and tell() by hand"
            )
        while not self.done:
            asked = self.ask()
            self.tell(asked, self.oracle(asked))
        return self.result()

    def result(self) -> LabelingResult:
        """What there is so far.

        Its selector is the last round's, trained on the labels that the round began with; where no round has trained
        one and the budget is spent, one is trained on all labels. A loop that goes on from a file trains it again.
        """
        last = len(self.rounds) - 1
        trained: nn.Module | None = None
        if self._trains(last) or self.done:
            trained = self.selectors.trained(last if self._trains(last) else last + 1)
        seconds = sum(r.train_seconds + r.score_seconds for r in self.rounds)
        macs = sum(r.macs for r in self.rounds)
        return LabelingResult(list(self.labels), list(self.labels.values()), self.rounds, trained, seconds, macs)

    def data(self, before: int | None = None) -> tuple[Tensor, Tensor]:
        """Inputs and labels of what is labelled, in the order of the pool, where the pool is.

        Args:
            before: only what was labelled before this round.
        """
        labels = self.labels if before is None else self.state.before(before)
        order = sorted(labels)
        x = self.inputs.rows(torch.tensor(order, dtype=torch.long))
        return x, torch.tensor([labels[i] for i in order], device=x.device)

    # --- rounds ------------------------------------------------------------------------------------------------

    def _next_round(self) -> None:
        number = len(self.rounds)
        k = min(self.seed_size if number == 0 else self.round_size, self.budget - len(self.labels))
        free = torch.tensor([i for i in range(self.size) if i not in self.labels], dtype=torch.long)
        seed = derive_seed("round", number, seed=self.seed)
        if self._trains(number):
            record = self._scored_round(number, k, free, seed)
        else:
            picks = STRATEGIES["random"].select(View(torch.zeros(0), None, torch.zeros(0), free, seed), k)
            record = Round(number, picks.tolist(), "random", labelled=len(self.labels))
        self.state.ask(record)

    def _trains(self, number: int) -> bool:
        """Whether a round has a selector."""
        return number > 0 and self.strategy.needs_network

    def _scored_round(self, number: int, k: int, free: Tensor, seed: int) -> Round:
        begin = time.perf_counter()
        macs = self.selectors.enter(number)
        model = self.selectors.trained(number)
        trained = time.perf_counter()
        found = score_pool(model, self.inputs, self.task, jobs=self.jobs, backend=self.backend, name=f"score {number}")
        passes = dropout_passes(model, self.inputs, seed, self.task) if self.strategy.needs_passes else None
        used = self._trusted(number, found)
        picks = used.select(self._view(found, free, seed, passes), k)
        seconds = time.perf_counter() - trained
        looks = self.size * (1 if passes is None else 1 + len(passes))
        macs += self._macs_each() * (3 * getattr(self.trainer, "epochs", 0) * len(self.labels) + looks)
        right = None
        if self.validation is not None:
            right = accuracy(model, *self.validation, self.batch_size, self.task)
        return Round(number, picks.tolist(), used.name, trained - begin, seconds, macs, len(self.labels), right)

    def _view(self, found: Activations, free: Tensor, seed: int, passes: Tensor | None) -> View:
        """What the strategy sees: it doesn't depend on the order in which a round's labels were told."""
        if self.strategy.needs_features and found.features is None:
            raise InputError("selector", given="no last linear layer", expected=f"features for {self.strategy.name!r}")
        known = self.state.before(len(self.rounds))
        labelled, truth = (torch.tensor(list(part), dtype=torch.long) for part in (known, known.values()))
        return View(found.logits, found.features, labelled, free, seed, passes, truth)

    def _trusted(self, number: int, found: Activations) -> Strategy:
        """The strategy, or a random draw where the selector names one class for nearly all of the pool."""
        share = float(torch.bincount(found.logits.argmax(1)).max() / self.size)
        if share <= _COLLAPSED:
            return self.strategy
        warnings.warn(
            f"round {number}: the selector names one class for {share:.0%} of the pool: drawn at random", stacklevel=5
        )
        return STRATEGIES["random"]

    def _macs_each(self) -> int:
        if self._macs is None:
            self._macs = cost(self.selector.network, self.inputs.rows(torch.arange(1))).macs
        return self._macs


def _classes(task: Task | None, classes: int | None) -> int | None:
    """How many classes labels may have."""
    own = getattr(task, "classes", None)
    if classes is not None and own is not None and classes != own:
        raise InputError("classes", given=f"{classes}, and a task of {own}", expected="the same")
    if classes is None:
        return own
    require_whole(2, classes=classes)
    return int(classes)


def _names(names: Sequence[str] | None, classes: int | None) -> tuple[str, ...] | None:
    """Names of classes, one each."""
    if names is None:
        return None
    found = tuple(map(str, names))
    if isinstance(names, str) or len(set(found)) < len(found) or classes not in (None, len(found)):
        expected = "a name for each class" if classes is None else f"{classes} different names"
        raise InputError("class_names", given=repr(names), expected=expected)
    return found
