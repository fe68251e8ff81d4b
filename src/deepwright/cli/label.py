"""`deepwright label`: which samples to label next, asked of a person, a file, or labels that are known."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import reading, write_bytes, write_json, write_text
from deepwright.core.results import Table
from deepwright.data import load, to_float
from deepwright.data.archives import Decoding, ImageSource
from deepwright.data.folders import load_images
from deepwright.labels import LabelingLoop, PrunedSelector, default_trainer, train_fused
from deepwright.nets import cifar_resnet, imagenet_resnet, mlp
from deepwright.nets import load as load_model
from deepwright.report import print_table


@dataclass
class _Pool:
    """Inputs with a name each, and their labels and a test split where they are known."""

    x: Tensor
    names: list[str]
    classes: tuple[str, ...]
    truth: Tensor | None = None
    test: tuple[Tensor, Tensor] | None = None


def run(**o: Any) -> int:
    """One step of the loop (or all of it with --simulate); returns the exit code."""
    pool = _simulated(o) if o["simulate"] else _own(o)
    write_text(o["out"] / ".writable", "")
    (o["out"] / ".writable").unlink()
    truth = pool.truth
    loop = LabelingLoop(
        pool.x,
        PrunedSelector(_network(o, pool), to_float(pool.x[:2]), removed=o["removed"]),
        o["strategy"],
        budget=min(o["budget"], len(pool.x)),
        round_size=o["round_size"] or max(1, o["budget"] // 6),
        trainer=default_trainer(o["epochs"]),
        oracle=None if truth is None else lambda i: truth[i],
        classes=len(pool.classes),
        t_sync=o["t_sync"],
        validation=pool.test,
        checkpoint=o["out"] / "labels.jsonl",
        seed=o["seed"],
    )
    if o["labels"] is not None:
        _tell_file(loop, pool, o["labels"])
    if o["simulate"]:
        loop.run()
    elif o["interactive"]:
        _ask_person(loop, pool)
    if not loop.done:
        return _leave_questions(loop, pool, o["out"])
    return _finish(loop, pool, o)


def _simulated(o: dict[str, Any]) -> _Pool:
    data = load(o["pool"], root=o["data_root"], target=o["target"], size=o["size"])
    truth = data.train.y
    names = [str(i) for i in range(len(truth))]
    return _Pool(data.train.x, names, data.classes, truth, (data.test.inputs(), data.test.y))


def _own(o: dict[str, Any]) -> _Pool:
    if not o["classes"]:
        raise InputError("--classes", given="nothing", expected="the class names, e.g. --classes cat,dog")
    path = Path(o["pool"])
    if not path.exists():
        raise InputError(
            "POOL",
            given=f"{path} does not exist",
            expected="a folder or zip of images",
            hint="--simulate takes names of data sets",
        )
    square = None if o["size"] is None else (o["size"], o["size"])
    how = Decoding(square, "RGB", None, False)
    names = ImageSource(path).images()
    classes = tuple(c.strip() for c in o["classes"].split(","))
    if len(set(classes)) < 2:
        raise InputError("--classes", given=o["classes"], expected="two different names or more")
    return _Pool(load_images(path, how), list(names), classes)


def _network(o: dict[str, Any], pool: _Pool) -> nn.Module:
    from deepwright.core.randomness import local_rng

    with local_rng(o["seed"]):
        if o["model"]:
            return load_model(o["model"])
        if pool.x.ndim == 2:
            return mlp(pool.x.shape[1], len(pool.classes))
        channels, side = pool.x.shape[1], pool.x.shape[-1]
        if side <= 64:
            return cifar_resnet(20, classes=len(pool.classes), channels=channels)
        return imagenet_resnet(18, classes=len(pool.classes), channels=channels)


def _class_index(text: str, classes: tuple[str, ...]) -> int:
    """A class by its name or its number."""
    text = text.strip()
    if text in classes:
        return classes.index(text)
    if text.isdigit() and int(text) < len(classes):
        return int(text)
    raise unknown_name("class", text, classes)


def _tell_file(loop: LabelingLoop, pool: _Pool, file: Path) -> None:
    """Rows of a CSV with the columns index (or file) and label; rows without a label are left for later."""
    with reading(f"--labels {file}", "a CSV with the columns index and label"), file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if rows and not ("label" in rows[0] and ("index" in rows[0] or "file" in rows[0])):
        raise InputError(
            f"--labels {file}", given=f"columns {', '.join(rows[0])}", expected="index (or file) and label"
        )
    place = {name: i for i, name in enumerate(pool.names)}
    indices, labels = [], []
    for row in rows:
        if not (row["label"] or "").strip():
            continue
        named = (row.get("index") or row.get("file") or "").strip()
        index = int(named) if row.get("index") and named.isdigit() else place.get(row.get("file") or "", -1)
        if index < 0:
            raise InputError(f"--labels {file}", given=f"sample {named!r}", expected="an index or file of to-label.csv")
        if index in loop.labels and loop.labels[index] == _class_index(row["label"], pool.classes):
            continue  # told before: the file is read again as a whole
        indices.append(index)
        labels.append(_class_index(row["label"], pool.classes))
    loop.tell(indices, labels)
    click.echo(f"{len(indices)} labels taken, {len(loop.labels)} of {loop.budget}", err=True)


def _ask_person(loop: LabelingLoop, pool: _Pool) -> None:
    """One question at a time; each answer is on disk at once."""
    shown = ", ".join(f"{i} {c}" for i, c in enumerate(pool.classes))
    while not loop.done:
        for index in loop.ask().tolist():
            while True:
                answer = click.prompt(f"[{len(loop.labels) + 1}/{loop.budget}] {pool.names[index]} ({shown}; q stops)")
                if answer.strip() == "q":
                    return
                try:
                    loop.tell([index], [_class_index(answer, pool.classes)])
                    break
                except InputError as error:
                    click.echo(str(error))


def _write_csv(path: Path, rows: list[list[Any]]) -> Path:
    """Names may hold commas and quotes."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([["index", "file", "label"], *rows])
    return write_text(path, stream.getvalue())


def _leave_questions(loop: LabelingLoop, pool: _Pool, out: Path) -> int:
    asked = loop.ask().tolist()
    path = _write_csv(out / "to-label.csv", [[i, pool.names[i], ""] for i in asked])
    click.echo(
        f"{len(loop.labels)} of {loop.budget} labelled. Fill the column label of {path} ({', '.join(pool.classes)}) and run the same command with --labels {path}."
    )
    return 0


def _finish(loop: LabelingLoop, pool: _Pool, o: dict[str, Any]) -> int:
    from safetensors.torch import save

    result = loop.result()
    out: Path = o["out"]
    rows = [[i, pool.names[i], pool.classes[y]] for i, y in zip(result.indices, result.labels)]
    _write_csv(out / "labels.csv", rows)
    assert result.selector is not None
    x, y = loop.data()
    fused = train_fused(loop.selector, result.selector, x, y, epochs=o["epochs"], seed=o["seed"])
    data = save({k: v.contiguous() for k, v in fused.state_dict().items()})
    write_bytes(out / "weights.safetensors", data)
    columns = ["round", "labelled before", "asked", "strategy", "selector's accuracy", "GMACs", "seconds"]
    cells: list[list[Any]] = [
        [r.number, r.labelled, len(r.asked), r.strategy, r.accuracy, r.macs / 1e9, r.train_seconds + r.score_seconds]
        for r in result.rounds
    ]
    print_table(Table(columns, cells, f"{len(result.indices)} labels"))
    summary: dict[str, Any] = {"indices": result.indices, "labels": result.labels, "rounds": cells, "macs": result.macs}
    if pool.test is not None:
        from deepwright.core.inference import logits_of

        out_logits = logits_of(fused, pool.test[0].split(250))
        summary["test_accuracy"] = float((out_logits.argmax(1) == pool.test[1]).double().mean())
        click.echo(
            f"the whole network, fused and trained on these labels: {summary['test_accuracy']:.1%} of {len(pool.test[1])} test samples"
        )
    if o["json_file"] is not None:
        write_json(o["json_file"], summary)
    click.echo(f"{out / 'labels.csv'}\n{out / 'weights.safetensors'}")
    return 0
