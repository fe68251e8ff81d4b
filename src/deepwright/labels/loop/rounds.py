"""Label in rounds: train a selector on what has labels, score the rest, ask for the most telling, go on.

The loop belongs to nobody: `ask` gives indices, `tell` takes labels, in any portions. A label is on disk before anything
else happens to it, and a loop that was killed goes on with the same questions.
"""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from deepwright.compress import cost
from deepwright.core.errors import InputError
from deepwright.core.features import Activations, extract
from deepwright.core.files import hash_tensors, load_state, reading, save_state, write_json
from deepwright.core.fit import fit, one_cycle, sgd
from deepwright.core.inference import device_of, evaluating
from deepwright.core.journal import Journal
from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.core.trials import run
from deepwright.data.dataset import to_float
from deepwright.labels.prunefuse.selector import DistillLoss, PrunedSelector
from deepwright.labels.strategies.catalogue import STRATEGIES, Strategy, View, named

Pool = Tensor | Dataset
Trainer = Callable[[nn.Module, Tensor, Tensor, int, int], nn.Module]


def default_trainer(epochs: int = 20, lr: float = 0.1, batch_size: int = 32) -> Trainer:
    """SGD with Nesterov momentum and one cycle: (model, x, y, round, seed) -> the trained model."""

    def train(model: nn.Module, x: Tensor, y: Tensor, number: int, seed: int) -> nn.Module:
        fit(
            model,
            (x, y),
            epochs=epochs,
            batch_size=min(batch_size, max(2, len(y))),
            optimizer=sgd(lr),
            scheduler=one_cycle(lr),
            drop_last=len(y) > batch_size,
            seed=seed,
            description=f"round {number}",
        )
        return model.eval()

    train.epochs = epochs  # type: ignore[attr-defined]
    return train


def score_shard(model: nn.Module, inputs: Tensor, batch_size: int) -> Activations:
    """Logits and features of a part of the pool, in whatever process this runs."""
    return extract(model, inputs.split(batch_size), (), offload=inputs.device)


class WholeSelector:
    """The network itself as its own selector: what PruneFuse is held against."""

    def __init__(self, model: nn.Module) -> None:
        self.network = model

    def fresh(self) -> nn.Module:
        """The network as it was at the start."""
        return copy.deepcopy(self.network)


@dataclass
class Round:
    """What happened in a round: the samples asked for, what the selector cost and how sure of itself it was."""

    number: int
    asked: list[int]
    strategy: str
    train_seconds: float = 0.0
    score_seconds: float = 0.0
    macs: float = 0.0
    labelled: int = 0
    accuracy: float | None = None


@dataclass
class LabelingResult:
    """The outcome.

    Attributes:
        indices, labels: in the order in which they were told.
        rounds: one record each.
        selector: the last trained selector, or None when the budget was reached without one.
    """

    indices: list[int]
    labels: list[int]
    rounds: list[Round]
    selector: nn.Module | None = None
    seconds: float = 0.0
    macs: float = field(default=0.0)


class LabelingLoop:
    """Active labelling.

    Args:
        pool: (N, ...) inputs, or a map-style data set of inputs (of (input, anything): what stands beside is ignored).
        selector: a `PrunedSelector`, a `WholeSelector`, or anything with `fresh() -> nn.Module`.
        strategy: a name of `STRATEGIES` or a `Strategy`.
        budget: labels in all.
        round_size: labels a round.
        seed_size: labels drawn at random first (round_size by default).
        trainer: (model, x, y, round, seed) -> model; `default_trainer()` by default.
        oracle: indices -> labels, for `run`.
        classes: labels are 0..classes-1 (checked where given).
        t_sync: after every so many rounds the whole network is fused, trained and pruned again for the next selector
            (0: never); needs a `PrunedSelector`.
        validation: (x, y) that each round's selector is measured on.
        state_dir: labels and rounds are kept here.
        seed: of everything.
        batch_size: of scoring.
        jobs, backend: shards of the pool that are scored side by side, and where (see `core.trials.run`); whatever they
            are, the same samples are asked for.

    Raises:
        InputError: sizes that don't fit the pool, unknown strategies, state of another loop.
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
        t_sync: int = 0,
        validation: tuple[Tensor, Tensor] | None = None,
        state_dir: Path | str | None = None,
        seed: int = 0,
        batch_size: int = 256,
        jobs: int = 1,
        backend: str = "local",
    ) -> None:
        self.pool, self.selector, self.strategy = pool, selector, named(strategy)
        self.size = len(pool)  # type: ignore[arg-type]
        self.budget, self.round_size = budget, round_size
        self.seed_size = round_size if seed_size is None else seed_size
        if not 0 < self.seed_size <= budget <= self.size or round_size < 1:
            raise InputError(
                "sizes",
                given=f"seed_size={self.seed_size}, round_size={round_size}, budget={budget}, pool of {self.size}",
                expected="0 < seed_size <= budget <= pool, round_size >= 1",
            )
        if t_sync and not isinstance(selector, PrunedSelector):
            raise InputError("t_sync", given=t_sync, expected="0, or a PrunedSelector to fuse")
        self.trainer, self.oracle, self.classes = trainer or default_trainer(), oracle, classes
        self.t_sync, self.validation, self.seed, self.batch_size = t_sync, validation, seed, batch_size
        self.labels: dict[int, int] = {}
        self.rounds: list[Round] = []
        self.last: nn.Module | None = None
        self.jobs, self.backend = jobs, backend
        self.folder = None if state_dir is None else Path(state_dir)
        self.journal = Journal(None, None)
        if self.folder is not None:
            self._pool_hash = self._hash_pool()
            self._resume()

    # --- ask and tell ------------------------------------------------------------------------------------------

    @property
    def pending(self) -> list[int]:
        """Samples that were asked for and have no label yet."""
        return [i for i in self.rounds[-1].asked if i not in self.labels] if self.rounds else []

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

        Raises:
            InputError: indices that weren't asked for, are outside the pool or have a label already; labels out of range.
        """
        pairs = list(zip(torch.as_tensor(indices).tolist(), torch.as_tensor(labels).tolist()))
        if len(torch.as_tensor(indices)) != len(torch.as_tensor(labels)):
            raise InputError("tell", given=f"{len(indices)} indices, {len(labels)} labels", expected="as many of each")
        seen = [i for i, _ in pairs]
        twice = sorted({i for i, n in Counter(seen).items() if n > 1 or i in self.labels})
        if twice:
            raise InputError(
                "tell", given=f"samples {twice[:10]} that have a label already", expected="each sample once"
            )
        strange = sorted(set(seen) - set(self.pending))
        if strange:
            raise InputError("tell", given=f"samples {strange[:10]} that weren't asked for", expected="those of ask()")
        wrong = [y for _, y in pairs if type(y) is not int or y < 0 or (self.classes is not None and y >= self.classes)]
        if wrong:
            upper = "" if self.classes is None else f"..{self.classes - 1}"
            raise InputError("labels", given=wrong[:5], expected=f"integers 0{upper}")
        self.journal.add_all({str(i): y for i, y in pairs})
        self.labels.update(pairs)

    def run(self) -> LabelingResult:
        """All rounds, with the oracle."""
        if self.oracle is None:
            raise InputError(
                "oracle", given="none", expected="a function indices -> labels, or ask() and tell() by hand"
            )
        while not self.done:
            asked = self.ask()
            self.tell(asked, self.oracle(asked))
        return self.result()

    def result(self) -> LabelingResult:
        """What there is so far; the selector is trained on all labels if it wasn't yet."""
        if self.last is None and self.done:
            self.last = self._train_selector(len(self.rounds))[0]
        seconds = sum(r.train_seconds + r.score_seconds for r in self.rounds)
        return LabelingResult(
            list(self.labels),
            list(self.labels.values()),
            self.rounds,
            self.last,
            seconds,
            sum(r.macs for r in self.rounds),
        )

    # --- rounds ------------------------------------------------------------------------------------------------

    def _next_round(self) -> None:
        number = len(self.rounds)
        k = min(self.seed_size if number == 0 else self.round_size, self.budget - len(self.labels))
        free = torch.tensor([i for i in range(self.size) if i not in self.labels], dtype=torch.long)
        seed = derive_seed("round", number, seed=self.seed)
        if number == 0 or not self.strategy.needs_network:
            picks = STRATEGIES["random"].select(View(torch.zeros(0), None, torch.zeros(0), free, seed), k)
            record = Round(number, picks.tolist(), "random", labelled=len(self.labels))
        else:
            record = self._scored_round(number, k, free, seed)
        self.rounds.append(record)
        self.last = None if number == 0 else self.last
        if self.folder is not None:
            write_json(
                self.folder / "rounds.json", {"identity": self._identity(), "rounds": [asdict(r) for r in self.rounds]}
            )

    def _scored_round(self, number: int, k: int, free: Tensor, seed: int) -> Round:
        whole_macs, whole_seconds = 0.0, 0.0
        if self.t_sync and number % self.t_sync == 0:
            whole_macs, whole_seconds = self._synchronise(number)
        self.last, train_seconds = self._train_selector(number)
        begin = time.perf_counter()
        labelled = torch.tensor(list(self.labels), dtype=torch.long)
        found = self._score(number)
        passes = self._passes(seed) if self.strategy.needs_passes else None
        if self.strategy.needs_features and found.features is None:
            raise InputError("selector", given="no last linear layer", expected=f"features for {self.strategy.name!r}")
        truth = torch.tensor(list(self.labels.values()), dtype=torch.long)
        view = View(found.logits, found.features, labelled, free, seed, passes, truth)
        used = self.strategy
        share = torch.bincount(found.logits.argmax(1)).max() / self.size
        if float(share) > 0.95:
            warnings.warn(
                f"round {number}: the selector names one class for {float(share):.0%} of the pool: drawn at random",
                stacklevel=2,
            )
            used = STRATEGIES["random"]
        picks = used.select(view, k)
        each = self._macs()
        epochs = getattr(self.trainer, "epochs", 0)
        work = whole_macs + each * (
            3 * epochs * len(self.labels) + self.size * (1 if passes is None else 1 + len(passes))
        )
        accuracy = None
        if self.validation is not None:
            with evaluating(self.last), torch.no_grad():
                out = torch.cat(
                    [self.last(x.to(device_of(self.last))).cpu() for x in self.validation[0].split(self.batch_size)]
                )
            accuracy = float((out.argmax(1) == self.validation[1]).double().mean())
        return Round(
            number,
            picks.tolist(),
            used.name,
            whole_seconds + train_seconds,
            time.perf_counter() - begin,
            work,
            len(self.labels),
            accuracy,
        )

    def _score(self, number: int) -> Activations:
        """Logits and features of the whole pool."""
        assert self.last is not None
        everyone = torch.arange(self.size)
        if self.jobs == 1 and self.backend == "local":
            return extract(self.last, self._batches(everyone), (), offload="cpu", progress=f"score {number}")
        shards = [
            {"model": self.last, "inputs": self._inputs(rows), "batch_size": self.batch_size}
            for rows in everyone.tensor_split(self.jobs)
            if len(rows)
        ]
        parts = run(score_shard, shards, jobs=self.jobs, backend=self.backend, description=f"score {number}")
        return Activations.cat(parts)

    def _train_selector(self, number: int) -> tuple[nn.Module, float]:
        begin = time.perf_counter()
        x, y = self.data()
        model = self.trainer(self.selector.fresh(), x, y, number, derive_seed("train", number, seed=self.seed) % 2**31)
        return model, time.perf_counter() - begin

    def _synchronise(self, number: int) -> tuple[float, float]:
        """Fuse, train the whole network, prune it again: the next selector starts from what was learned.

        Gives the MACs and seconds that the whole network's training took (0 where it lies on disk already).
        """
        begin, macs = time.perf_counter(), 0.0
        path = None if self.folder is None else self.folder / f"sync-{number}.pt"
        whole = copy.deepcopy(self.selector.dense)
        if path is not None and path.exists():
            whole.load_state_dict(load_state(path)["model"])
        else:
            small = self.last if self.last is not None else self._train_selector(number)[0]
            rng = generator(derive_seed("fuse", number, seed=self.seed) % 2**31)
            x, y = self.data()
            fused = self.selector.fuse(small, generator=rng)
            whole = self.trainer(fused, x, y, number, derive_seed("sync", number, seed=self.seed) % 2**31)
            macs = 3.0 * getattr(self.trainer, "epochs", 0) * len(y) * self.selector.macs[1]
            if path is not None:
                save_state(path, {"model": whole.state_dict()})
        old = self.selector
        self.selector = PrunedSelector(
            whole, old.graph.example, removed=old.removed, criterion=old.criterion, rescale=False
        )
        return macs, time.perf_counter() - begin

    def _passes(self, seed: int, count: int = 10) -> Tensor:
        """Outputs with dropout on."""
        assert self.last is not None
        layers = [m for m in self.last.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
        if not layers:
            raise InputError("strategy 'bald'", given="a network without dropout", expected="dropout layers")
        rows = []
        with evaluating(self.last), torch.no_grad(), local_rng(seed % 2**31):
            for layer in layers:
                layer.training = True
            for _ in range(count):
                rows.append(
                    torch.cat(
                        [self.last(x.to(device_of(self.last))).cpu() for x in self._batches(torch.arange(self.size))]
                    )
                )
        return torch.stack(rows)

    def _macs(self) -> int:
        if not hasattr(self, "_macs_each"):
            self._macs_each = cost(self.selector.network, self._inputs(torch.arange(1))).macs
        return self._macs_each

    def data(self) -> tuple[Tensor, Tensor]:
        """Inputs and labels of what is labelled, in the order of the pool."""
        order = sorted(self.labels)
        return self._inputs(torch.tensor(order, dtype=torch.long)), torch.tensor([self.labels[i] for i in order])

    def _inputs(self, rows: Tensor) -> Tensor:
        if isinstance(self.pool, Tensor):
            return to_float(self.pool[rows])
        items = [self.pool[int(i)] for i in rows]  # type: ignore[index]
        return torch.stack([torch.as_tensor(i[0] if isinstance(i, tuple | list) else i) for i in items])

    def _batches(self, rows: Tensor) -> Iterator[Tensor]:
        for part in rows.split(self.batch_size):
            yield self._inputs(part)

    # --- state -------------------------------------------------------------------------------------------------

    def _hash_pool(self) -> str:
        """Of a tensor all of it; of a data set its size and 64 of its samples, since reading all could take hours."""
        some = torch.linspace(0, self.size - 1, min(64, self.size)).long()
        shown = self.pool if isinstance(self.pool, Tensor) else self._inputs(some)
        return f"{self.size} samples, {hash_tensors({'pool': shown})}"

    def _identity(self) -> dict[str, Any]:
        return {
            "pool": self._pool_hash,
            "budget": self.budget,
            "round_size": self.round_size,
            "seed_size": self.seed_size,
            "strategy": self.strategy.name,
            "t_sync": self.t_sync,
            "seed": self.seed,
        }

    def _resume(self) -> None:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        rounds = self.folder / "rounds.json"
        if rounds.exists():
            with reading(f"cannot read {rounds}", "rounds.json of a labelling loop"):
                state = json.loads(rounds.read_text())
                self.rounds = [Round(**r) for r in state["rounds"]]
                identity = dict(state["identity"])
            other = [k for k, v in self._identity().items() if identity.get(k) != v and k != "budget"]
            if other:
                raise InputError(
                    f"state in {self.folder}",
                    given=f"another {', '.join(other)}",
                    expected="the same loop",
                    hint="use another folder",
                )
        self.journal = Journal(self.folder / "labels.jsonl", {"pool": self._identity()["pool"]}, durable=True)
        self.labels = {int(i): int(y) for i, y in self.journal.rows.items()}
        for number in range(1, len(self.rounds)):
            if self.t_sync and number % self.t_sync == 0 and (self.folder / f"sync-{number}.pt").exists():
                self._synchronise(number)


def train_fused(
    selector: PrunedSelector,
    small: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    rest: str = "random",
    epochs: int = 10,
    lr: float = 0.1,
    distill: float = 0.3,
    seed: int = 0,
) -> nn.Module:
    """Fuse a trained selector into the whole network and train it on, taught by the selector.

    Args:
        selector: where the selector came from.
        small: the trained selector.
        x, y: labelled data.
        rest: see `compress.embed`.
        epochs, lr: of the training; distill: the teacher's weight (0 = none).
        seed: of everything.
    """
    fused = selector.fuse(small, rest=rest, generator=generator(seed, "fuse"))
    loss = DistillLoss(small, distill)

    def step(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(model(inputs), inputs, targets)

    fit(
        fused,
        (x, y),
        epochs=epochs,
        batch_size=min(32, max(2, len(y))),
        step=step if distill else None,
        optimizer=sgd(lr),
        scheduler=one_cycle(lr),
        drop_last=len(y) > 32,
        seed=seed,
        description="fused",
    )
    return fused.eval()
