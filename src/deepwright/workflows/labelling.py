"""Choose what to label next, take the answers of a person, a file or known labels, and train on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import write_text
from deepwright.core.inference import logits_of, require_gradients
from deepwright.core.journal import stored_rows
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.results import Table
from deepwright.core.spreadsheets import csv_text, read_csv
from deepwright.data import Decoding, ImageSource, load, load_images, to_float
from deepwright.labels import (
    STRATEGIES,
    LabelingLoop,
    LabelingResult,
    PrunedSelector,
    default_trainer,
    train_fused,
)
from deepwright.nets import cifar_resnet, imagenet_resnet, mlp, write_weights
from deepwright.nets import load as load_model
from deepwright.workflows.options import Say, quiet, require_place, require_writable, said
from deepwright.workflows.precision import placed

_PRECISIONS = ("16-true", "bf16-true", "32-true", "64-true")  # selectors are cut and fused: their weights must be plain
_COLUMNS_TO_FILL = ["index", "file", "label"]
_COLUMNS = ["round", "labelled before", "asked", "strategy", "selector's accuracy", "GMACs", "seconds"]


@dataclass(frozen=True)
class LabelOptions:
    """What is labelled, by whom, how the next samples are chosen, and where the answers are kept.

    Attributes:
        pool: a folder or zip of images; with `simulate` a name of `deepwright list data` or any file of data.
        budget: labels in all.
        classes: their names; their order is the label's number. Needed without `simulate`.
        labels: a filled to-label.csv, with the columns index (or file) and label.
        simulate: the pool has labels: play the loop through.
        strategy: a name of `deepwright.labels.STRATEGIES`.
        removed: share of channels that the selector lacks.
        round_size: labels a round; a sixth of the budget by default.
        t_sync: fuse and prune again after so many rounds (0: never).
        epochs: of every training.
        model: `package.module:factory` of the network to be, or a module; a ResNet or an MLP by default.
        size: resize images to this side.
        target: column to predict, for a CSV (with `simulate`).
        data_root: folder of the real data sets (with `simulate`).
        seed: of everything.
        device: where networks are trained; where `model` lives by default.
        precision: "32-true", "64-true" and so on; the network's own by default.
        out: folder of labels and weights, and of the state that the next call goes on from.

    Raises:
        InputError: numbers out of their range, an unknown strategy, no classes, options that wouldn't be looked at.
    """

    pool: str | Path
    _: KW_ONLY
    budget: int
    classes: Sequence[str] | None = None
    labels: Path | str | None = None
    simulate: bool = False
    strategy: str = "least-confidence"
    removed: float = 0.5
    round_size: int | None = None
    t_sync: int = 0
    epochs: int = 20
    model: str | nn.Module | None = None
    size: int | None = None
    target: str | None = None
    data_root: Path | str | None = None
    seed: int = 0
    device: str | None = None
    precision: str | None = None
    out: Path | str = Path("labels")

    def __post_init__(self) -> None:
        require_whole(1, budget=self.budget, epochs=self.epochs, **said(round_size=self.round_size, size=self.size))
        require_whole(0, t_sync=self.t_sync, seed=self.seed)
        require_within(0, 1, ends="[)", removed=self.removed)
        if self.strategy not in STRATEGIES:
            raise unknown_name("strategy", self.strategy, STRATEGIES)
        require_place(
            self.device, self.precision, _PRECISIONS, self.model if isinstance(self.model, nn.Module) else None
        )
        self._require_answers()

    def _require_answers(self) -> None:
        """Known labels and a person's exclude each other; without either there is nobody to ask."""
        if self.simulate:
            for name in ("classes", "labels"):
                if getattr(self, name) is not None:
                    raise InputError(name, given="beside simulate", expected="none: the pool has labels")
            return
        for name in ("target", "data_root"):
            if getattr(self, name) is not None:
                raise InputError(name, given="without simulate", expected="none: the pool is images without labels")
        if not self.classes:
            raise InputError("classes", given="nothing", expected="the names of the classes, as cat,dog")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise InputError("classes", given=", ".join(self.classes), expected="two different names or more")


@dataclass(frozen=True)
class Question:
    """A sample that wants a label.

    Attributes:
        index: in the pool.
        name: of its file.
        number: of this question, from 1 on.
        budget: how many there are.
        classes: the possible answers, each as good as its number.
    """

    index: int
    name: str
    number: int
    budget: int
    classes: tuple[str, ...]


Ask = Callable[[Question], str | None]
"""A question -> the answer, or None to stop for now."""


@dataclass
class Labelled:
    """Where the labelling stands.

    Attributes:
        count: labels that there are.
        budget: labels in all.
        classes: their names.
        to_label: the file to fill, where labels are missing.
        result: of the whole loop, when it is done.
        network: the whole network, fused with the selector and trained on all labels, when it is done.
        table: a row for each round.
        test_accuracy: of that network, where the pool came with a test split.
    """

    count: int
    budget: int
    classes: tuple[str, ...]
    to_label: Path | None = None
    result: LabelingResult | None = None
    network: nn.Module | None = None
    table: Table = field(default_factory=lambda: Table(_COLUMNS, []))
    test_accuracy: float | None = None

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        return self.result is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain data: indices, labels, rounds, MACs; so far only counts, where labels are missing."""
        if self.result is None:
            return {"count": self.count, "budget": self.budget, "classes": list(self.classes)}
        found = {"indices": self.result.indices, "labels": self.result.labels, "rounds": self.table.rows}
        measured = {} if self.test_accuracy is None else {"test_accuracy": self.test_accuracy}
        return {**found, "macs": self.result.macs, **measured}


@dataclass
class _Pool:
    """Inputs with a name each, and their labels and a test split where they are known."""

    x: Tensor
    names: list[str]
    classes: tuple[str, ...]
    truth: Tensor | None = None
    test: tuple[Tensor, Tensor] | None = None


def label(options: LabelOptions, *, ask: Ask | None = None, say: Say = quiet) -> Labelled:
    """Take the labels that there are, and either name the next samples or finish.

    Every label is on disk before anything else happens, so a call goes on from the one before in the same `out`,
    however that ended. There are then `to-label.csv`, or `labels.csv` and `weights.safetensors`.

    Args:
        options: the pool, the classes, and the rest.
        ask: answers questions one at a time.
        say: told about labels that were taken, and answers that no class has.

    Raises:
        InputError: a pool that can't be read, labels that fit no class or no sample, state of another loop.
    """
    pool = _known(options) if options.simulate else _unknown(options)
    require_writable(options.out)
    loop = _loop(options, pool)
    try:
        return _labelled(loop, pool, options, ask, say)
    finally:
        loop.state.close()  # the next call may come from another process, while somebody still holds this one's result


def _labelled(loop: LabelingLoop, pool: _Pool, options: LabelOptions, ask: Ask | None, say: Say) -> Labelled:
    if options.labels is not None:
        _take_file(loop, pool, Path(options.labels), say)
    elif not options.simulate:
        _require_taken(Path(options.out) / "to-label.csv", loop, pool)
    if options.simulate:
        loop.run()
    elif ask is not None:
        _ask(loop, pool, ask, say)
    return _finished(loop, pool, options) if loop.done else _left(loop, pool, Path(options.out))


def _known(options: LabelOptions) -> _Pool:
    data = load(str(options.pool), root=options.data_root, target=options.target, size=options.size)
    truth = data.train.y
    names = [str(i) for i in range(len(truth))]
    return _Pool(data.train.x, names, data.classes, truth, (data.test.inputs(), data.test.y))


def _unknown(options: LabelOptions) -> _Pool:
    path = Path(options.pool)
    if not path.exists():
        raise InputError(
            "pool",
            given=f"{path} does not exist",
            expected="a folder or zip of images",
            hint="simulate takes names of data sets",
        )
    square = None if options.size is None else (options.size, options.size)
    names = ImageSource(path).images()
    return _Pool(load_images(path, Decoding(square, "RGB", None, False)), list(names), tuple(options.classes or ()))


def _loop(options: LabelOptions, pool: _Pool) -> LabelingLoop:
    truth = pool.truth
    network = placed(_network(options, pool), options.device, options.precision)
    file, budget = Path(options.out) / "labels.jsonl", min(options.budget, len(pool.x))
    return LabelingLoop(
        pool.x,
        PrunedSelector(network, to_float(pool.x[:2]), removed=options.removed),
        options.strategy,
        budget=budget,
        round_size=options.round_size or _begun_with(file) or max(1, budget // 6),
        trainer=default_trainer(options.epochs),
        oracle=None if truth is None else lambda i: truth[i],
        classes=len(pool.classes),
        class_names=pool.classes,
        t_sync=options.t_sync,
        validation=pool.test,
        checkpoint=file,
        seed=options.seed,
    )


def _begun_with(file: Path) -> int | None:
    """Labels a round of a loop that was begun: a larger budget makes no larger rounds of it."""
    if not file.exists():
        return None
    size = stored_rows(file, "labelling loop")[0].get("round size", "")
    return int(size) if size.isdecimal() else None


def _network(options: LabelOptions, pool: _Pool) -> nn.Module:
    if isinstance(options.model, nn.Module):
        return options.model
    classes = len(pool.classes)
    with local_rng(options.seed):
        if options.model:
            network = load_model(options.model)
            require_gradients(network, "label")
            return network
        if pool.x.ndim == 2:
            return mlp(pool.x.shape[1], classes)
        channels, side = pool.x.shape[1], pool.x.shape[-1]
        if side <= 64:
            return cifar_resnet(20, classes=classes, channels=channels)
        return imagenet_resnet(18, classes=classes, channels=channels)


def _class_index(text: str, classes: tuple[str, ...]) -> int:
    """A class by its name or its number."""
    text = text.strip()
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    raise unknown_name("class", text, classes)


def _take_file(loop: LabelingLoop, pool: _Pool, file: Path, say: Say) -> None:
    """Rows of a CSV with the columns index (or file) and label; rows without a label are left for later."""
    found = [(i, y) for i, y in _filled(file, pool) if loop.labels.get(i) != y]  # else told before: it is read whole
    loop.tell([i for i, _ in found], [y for _, y in found])
    say(f"{len(found)} labels taken, {len(loop.labels)} of {loop.budget}")


def _filled(file: Path, pool: _Pool) -> list[tuple[int, int]]:
    """(sample, class) of each row that has a label."""
    what = f"labels {file}"
    rows = read_csv(file, what, "a CSV with the columns index and label")
    if rows and not ("label" in rows[0] and ("index" in rows[0] or "file" in rows[0])):
        raise InputError(what, given=f"columns {', '.join(rows[0])}", expected="index (or file) and label")
    place = {name: i for i, name in enumerate(pool.names)}
    return [
        (_row_index(row, place, pool.names, f"{what}, row {number}"), _class_index(row["label"], pool.classes))
        for number, row in enumerate(rows, 2)
        if row["label"].strip()
    ]


def _row_index(row: dict[str, str], place: dict[str, int], names: list[str], what: str) -> int:
    """The sample of a row; where it is told twice, both ways must mean the same one."""
    number, name = row.get("index", "").strip(), row.get("file", "")
    by_number = int(number) if number.isdecimal() and int(number) < len(names) else None
    by_name = place.get(name)
    if (number and by_number is None) or (name and by_name is None) or not (number or name):
        given = f"sample {(number if number and by_number is None else name)!r}"
        raise InputError(what, given=given, expected="an index or file of to-label.csv")
    if by_number is not None and by_name is not None and by_number != by_name:
        given = f"index {by_number}, which is {names[by_number]!r}, beside file {name!r}, which has index {by_name}"
        raise InputError(what, given=given, expected="one sample", hint="sort whole rows, not single columns")
    return next(i for i in (by_number, by_name) if i is not None)


def _ask(loop: LabelingLoop, pool: _Pool, ask: Ask, say: Say) -> None:
    """One question at a time; each answer is on disk at once."""
    while not loop.done:
        for index in loop.ask().tolist():
            value = _answer(
                Question(index, pool.names[index], len(loop.labels) + 1, loop.budget, pool.classes), ask, say
            )
            if value is None:
                return
            loop.tell([index], [value])


def _answer(question: Question, ask: Ask, say: Say) -> int | None:
    while True:
        answer = ask(question)
        if answer is None:
            return None
        try:
            return _class_index(answer, question.classes)
        except InputError as error:
            say(str(error))


def _left(loop: LabelingLoop, pool: _Pool, out: Path) -> Labelled:
    path = out / "to-label.csv"
    _require_taken(path, loop, pool)
    asked = loop.ask().tolist()
    write_text(path, csv_text([_COLUMNS_TO_FILL, *([i, pool.names[i], ""] for i in asked)]))
    return Labelled(len(loop.labels), loop.budget, pool.classes, path)


def _require_taken(path: Path, loop: LabelingLoop, pool: _Pool) -> None:
    """Whether all labels of a filled file are in the loop: what a person wrote is never overwritten."""
    if not path.exists():
        return
    waiting = [i for i, y in _filled(path, pool) if loop.labels.get(i) != y]
    if waiting:
        raise InputError(
            f"{path} is filled",
            given=f"{len(waiting)} labels in it that weren't taken",
            expected="a file that may be overwritten",
            hint=f"run the same command with --labels {path}, or move it away",
        )


def _finished(loop: LabelingLoop, pool: _Pool, options: LabelOptions) -> Labelled:
    result, out = loop.result(), Path(options.out)
    rows = [[i, pool.names[i], pool.classes[y]] for i, y in zip(result.indices, result.labels)]
    write_text(out / "labels.csv", csv_text([_COLUMNS_TO_FILL, *rows]))
    assert result.selector is not None
    x, y = loop.data()
    fused = train_fused(loop.selector, result.selector, x, y, epochs=options.epochs, seed=options.seed)
    write_weights(out / "weights.safetensors", fused)
    cells: list[list[Any]] = [
        [r.number, r.labelled, len(r.asked), r.strategy, r.accuracy, r.macs / 1e9, r.train_seconds + r.score_seconds]
        for r in result.rounds
    ]
    table = Table(_COLUMNS, cells, f"{len(result.indices)} labels")
    accuracy = None
    if pool.test is not None:
        right = logits_of(fused, pool.test[0].split(250)).argmax(1) == pool.test[1]
        accuracy = float(right.double().mean())
    count = len(loop.labels)
    return Labelled(count, loop.budget, pool.classes, None, result, fused, table, accuracy)
