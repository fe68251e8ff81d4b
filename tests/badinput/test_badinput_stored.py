"""Bad input to labelling, to what is stored, and to programs."""

import json
import zipfile

import torch
from refusals import Bad, command, over
from torch import nn

from deepwright.core import files
from deepwright.core.journal import Journal, stored_rows
from deepwright.core.resume import Resume, stored
from deepwright.core.shards import Shards
from deepwright.core.spreadsheets import read_csv
from deepwright.core.trials import run
from deepwright.labels import (
    STRATEGIES,
    LabelingLoop,
    View,
    WholeSelector,
    badge,
    bald,
    default_trainer,
    entropy,
    k_center_greedy,
    least_confidence,
    margin,
    named,
    read_labels,
    subsampled,
    typiclust,
)
from deepwright.nets import load, load_exported
from deepwright.workflows import LabelOptions, label

NET = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
X, FEATURES, LOGITS = (torch.randn(12, d, generator=torch.Generator().manual_seed(d)) for d in (3, 4, 5))
ALL, NONE = torch.arange(12), torch.tensor([], dtype=torch.long)


def with_one(values, odd):
    """The same, with one number that is odd."""
    return torch.cat([values[:-1], torch.full_like(values[-1:], odd)])


NAN, INF = float("nan"), float("inf")


def loop(pool=X, selector=None, strategy="margin", **more):
    options = {"budget": 6, "round_size": 3, **more}
    return LabelingLoop(pool, selector or WholeSelector(NET), strategy, **options)


def told(indices=None, labels=(0, 1, 0), **more):
    made = loop(**more)
    asked = made.ask()
    made.tell(asked if indices is None else indices, labels)
    return made


def pool(folder):
    from PIL import Image

    (folder / "pool").mkdir()
    for i in range(4):
        Image.new("RGB", (4, 4), (60 * i, 0, 0)).save(folder / "pool" / f"{i}.png")
    return folder / "pool"


def labelled(text, **more):
    """Labels of a file that holds such a text."""

    def call(folder):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "mine.csv").write_bytes(data)
        network = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 2))
        options = {"budget": 4, "round_size": 4, "classes": ("a", "b"), "strategy": "random", "model": network, **more}
        return label(LabelOptions(pool(folder), labels=folder / "mine.csv", out=folder / "out", **options))

    return call


def journal(content, **more):
    """A loop on a journal with such a content after the header and a row."""

    def call(folder):
        path = folder / "j.jsonl"
        Journal(path, {"data": 1}, kind="work").add("x", 1)
        path.write_bytes(content(path.read_bytes()))
        return Journal(path, {"data": 1}, kind="work", damaged="refuse", **more)

    return call


def foreign(content, read):
    """A reader on a file that something else wrote."""

    def call(folder):
        (folder / "a.pt").write_bytes(content)
        return read(folder / "a.pt")

    return call


def resumed(path):
    with Resume(path, {"data": 1}, kind="work") as kept:
        return kept.load()


def saved(value):
    return lambda folder: Resume(folder / "a.pt", {"data": 1}, kind="work").save(value)


def program(edit):
    """A program's archive with its members changed."""

    def call(folder):
        torch.export.save(torch.export.export(NET.eval(), (torch.zeros(2, 3),)), folder / "p.pt2")
        with zipfile.ZipFile(folder / "p.pt2") as source:
            members = {name: source.read(name) for name in source.namelist()}
        with zipfile.ZipFile(folder / "q.pt2", "w") as target:
            for name, content in edit(members).items():
                target.writestr(name, content)
        return load_exported(folder / "q.pt2")

    return call


def described(change):
    """An edit of a program's description."""

    def edit(members):
        name = next(n for n in members if n.endswith("models/model.json"))
        data = json.loads(members[name])
        change(data)
        return {**members, name: json.dumps(data).encode()}

    return program(edit)


def without(end):
    return program(lambda members: {n: c for n, c in members.items() if not n.endswith(end)})


STRATEGY_ROWS = [
    Bad("k-center of NaN", lambda _: k_center_greedy(with_one(FEATURES, NAN), NONE, 2), ("features", "nan", "[11]")),
    Bad("k-center of numbers too large", lambda _: k_center_greedy(FEATURES * 1e30, NONE, 2), ("too large to square",)),
    Bad("k-center of none", lambda _: k_center_greedy(FEATURES, NONE, 0), ("k", "1..12")),
    Bad("k-center of a negative number", lambda _: k_center_greedy(FEATURES, NONE, -1), ("k", "-1")),
    Bad("k-center of more than there are", lambda _: k_center_greedy(FEATURES, NONE, 13), ("k", "13", "1..12")),
    Bad("k-center of one and a half", lambda _: k_center_greedy(FEATURES, NONE, 1.5), ("k", "1.5", "whole number")),
    Bad("k-center of True", lambda _: k_center_greedy(FEATURES, NONE, True), ("k", "True", "whole number")),
    Bad("k-center of a word", lambda _: k_center_greedy(FEATURES, NONE, "2"), ("k", "'2'", "whole number")),
    Bad("k-center of one row", lambda _: k_center_greedy(FEATURES[0], NONE, 1), ("features", "(4,)", "(N, d)")),
    Bad("k-center of nothing", lambda _: k_center_greedy(FEATURES[:0], NONE, 1), ("features", "(0, 4)")),
    Bad("k-center of booleans", lambda _: k_center_greedy(FEATURES > 0, NONE, 1), ("features", "bool")),
    Bad("k-center of complex numbers", lambda _: k_center_greedy(FEATURES + 0j, NONE, 1), ("features", "complex")),
    Bad("k-center of lists", lambda _: k_center_greedy(FEATURES.tolist(), NONE, 1), ("features", "list")),
    Bad("k-center, labelled outside", lambda _: k_center_greedy(FEATURES, torch.tensor([99]), 1), ("labelled", "99")),
    Bad("k-center, labelled below 0", lambda _: k_center_greedy(FEATURES, torch.tensor([-1]), 1), ("labelled", "-1")),
    Bad("k-center, labelled as floats", lambda _: k_center_greedy(FEATURES, ALL.float(), 1), ("labelled", "float")),
    Bad("k-center, labelled as a mask", lambda _: k_center_greedy(FEATURES, ALL > 3, 1), ("labelled", "bool")),
    Bad("k-center, candidates twice", lambda _: k_center_greedy(FEATURES, NONE, 1, ALL % 3), ("candidates", "twice")),
    Bad("k-center, all labelled", lambda _: k_center_greedy(FEATURES, ALL, 1), ("k", "without a label")),
    Bad("k-center in chunks of none", lambda _: k_center_greedy(FEATURES, ALL[:1], 1, chunk=0), ("chunk", "1 or more")),
    Bad("badge of NaN logits", lambda _: badge(with_one(LOGITS, NAN), FEATURES, 2, ALL), ("logits", "nan", "[11]")),
    Bad("badge of infinite logits", lambda _: badge(with_one(LOGITS, INF), FEATURES, 2, ALL), ("logits", "infinity")),
    Bad(
        "badge of probabilities", lambda _: badge(LOGITS.softmax(1).repeat(2, 1), FEATURES, 2, ALL), ("probabilities",)
    ),
    Bad("badge of unlike lengths", lambda _: badge(LOGITS[:5], FEATURES, 2, ALL), ("features", "12", "5")),
    Bad("badge of one column", lambda _: badge(LOGITS[:, :1], FEATURES, 2, ALL), ("logits", "two classes")),
    Bad("badge, candidates below 0", lambda _: badge(LOGITS, FEATURES, 1, torch.tensor([-1])), ("candidates", "-1")),
    Bad("badge, a seed for a generator", lambda _: badge(LOGITS, FEATURES, 1, ALL, 3), ("generator", "3")),
    Bad("typiclust of NaN", lambda _: typiclust(with_one(FEATURES, NAN), NONE, 2), ("features", "[11]")),
    Bad("typiclust of more than there are", lambda _: typiclust(FEATURES, NONE, 13), ("k", "1..12")),
    Bad(
        "typiclust, labelled outside", lambda _: typiclust(FEATURES, torch.tensor([12]), 1), ("labelled", "12", "0..11")
    ),
    Bad("typiclust of no neighbours", lambda _: typiclust(FEATURES, NONE, 2, neighbours=0), ("neighbours", "0")),
    Bad("typiclust of a word", lambda _: typiclust(FEATURES, NONE, 2, neighbours="a"), ("neighbours", "'a'")),
    Bad("least confidence of NaN", lambda _: least_confidence(with_one(LOGITS, NAN)), ("logits", "nan", "[11]")),
    Bad("least confidence of booleans", lambda _: least_confidence(LOGITS > 0), ("logits", "bool")),
    Bad("least confidence of an array", lambda _: least_confidence(LOGITS.numpy()), ("logits", "ndarray")),
    Bad("margin of rows of minus infinity", lambda _: margin(with_one(LOGITS, -INF)), ("logits", "infinity", "[11]")),
    Bad("entropy of probabilities", lambda _: entropy(LOGITS.repeat(2, 1).softmax(1)), ("probabilities", "logits")),
    Bad("bald of NaN", lambda _: bald(torch.stack([LOGITS, with_one(LOGITS, NAN)])), ("passes", "nan")),
    Bad("bald of one class", lambda _: bald(torch.randn(2, 5, 1)), ("passes", "two classes")),
    Bad("a strategy that doesn't exist", lambda _: named("margn"), ("strategy", "did you mean 'margin'")),
    Bad("an option that no strategy has", lambda _: named("margin", k=2), ("option", "'k'")),
    Bad("a part of one and a half", lambda _: subsampled("margin", 1.5), ("most", "1.5")),
    Bad(
        "a view that is free outside",
        lambda _: STRATEGIES["margin"].select(View(LOGITS, None, NONE, ALL + 5, 0), 1),
        ("candidates", "0..11"),
    ),
    Bad(
        "a view without features",
        lambda _: STRATEGIES["badge"].select(View(LOGITS, None, NONE, ALL, 0), 1),
        ("features", "none"),
    ),
]

LOOP_ROWS = [
    Bad("a pool of nothing", lambda _: loop(X[:0]), ("pool of 0",)),
    Bad("no pool", lambda _: loop(None), ("pool", "nonetype")),
    Bad("a pool of rank 0", lambda _: loop(torch.tensor(3.0)), ("pool", "shape ()")),
    Bad("a pool of booleans", lambda _: loop(X > 0), ("pool", "bool")),
    Bad("a pool of another width", lambda _: loop(torch.randn(12, 5)), ("pool", "(1, 5)", "network takes")),
    Bad("a network for a selector", lambda _: loop(selector=NET), ("selector", "wholeselector(model)")),
    Bad("no selector", lambda _: LabelingLoop(X, None, budget=6, round_size=3), ("selector", "nonetype")),
    Bad("a task by its name", lambda _: loop(task="classification"), ("task", "classification(10)")),
    Bad("a trainer that can't be called", lambda _: loop(trainer=3), ("trainer", "a function")),
    Bad("an oracle that can't be called", lambda _: loop(oracle=3), ("oracle", "a function")),
    Bad("no oracle to run with", lambda _: loop().run(), ("oracle", "ask() and tell()")),
    Bad("an oracle that says less", lambda _: loop(oracle=lambda i: [0]).run(), ("3 indices, 1 labels",)),
    Bad("an oracle that says nothing", lambda _: loop(oracle=lambda i: None).run(), ("labels", "nonetype")),
    Bad("one class", lambda _: loop(classes=1), ("classes", "2 or more")),
    Bad("a seed that is a fraction", lambda _: loop(seed=1.5), ("seed", "1.5")),
    Bad("a budget below 0", lambda _: loop(budget=-1), ("budget", "-1")),
    Bad("a budget above the pool", lambda _: loop(budget=13), ("budget=13", "pool of 12")),
    Bad("rounds of none", lambda _: loop(round_size=0), ("round_size",)),
    Bad("known labels as a list", lambda _: loop(known=[1, 2]), ("known", "dict")),
    Bad("known labels outside the pool", lambda _: loop(known={12: 0}), ("known", "[12]", "0..11")),
    Bad("known labels of no class", lambda _: loop(known={1: 2}), ("labels", "[2]", "0..1")),
    Bad("validation labels of no class", lambda _: loop(validation=(X, ALL)), ("validation", "0..1")),
    Bad("validation labels as fractions", lambda _: loop(validation=(X, ALL / 5)), ("validation", "integers")),
    Bad("validation of NaN", lambda _: loop(validation=(with_one(X, NAN), ALL * 0)), ("validation", "nan")),
    Bad("a checkpoint that is a number", lambda _: loop(checkpoint=3), ("checkpoint", "name of a file")),
    Bad("a checkpoint without a name", lambda _: loop(checkpoint=""), ("checkpoint", "name of a file")),
    Bad("a checkpoint that is a folder", lambda folder: loop(checkpoint=folder), ("cannot read", "directory")),
    Bad("labels as fractions", lambda _: told(labels=[0.5, 1, 0]), ("labels", "0.5")),
    Bad("labels of NaN", lambda _: told(labels=[NAN, 1, 0]), ("labels", "nan")),
    Bad("labels as booleans", lambda _: told(labels=[True, False, True]), ("labels", "booleans")),
    Bad("labels as words", lambda _: told(labels=["a", "b", "a"]), ("labels", "0, 1, 2")),
    Bad("labels of another rank", lambda _: told(labels=[[0], [1], [0]]), ("labels", "(3, 1)")),
    Bad("labels of no class told", lambda _: told(labels=[0, 1, 2]), ("labels", "[2]", "0..1")),
    Bad("labels of what wasn't asked", lambda _: told(indices=[97, 98, 99]), ("97", "weren't asked for")),
    Bad("a trainer of epochs below 0", lambda _: default_trainer(-1), ("epochs", "-1")),
    Bad("a trainer of a rate that is NaN", lambda _: default_trainer(2, NAN), ("lr", "nan")),
    Bad(
        "a trainer that gives nothing",
        lambda _: told(trainer=lambda m, x, y, r, s: None).ask(),
        ("trainer", "nonetype", "trained model"),
    ),
    Bad("names for other classes", lambda _: loop(classes=2, class_names="abc"), ("class_names", "2 different")),
    Bad("dropout passes of a network without", lambda _: loop(strategy="bald"), ("bald", "dropout")),
]

FILE_ROWS = [
    Bad("labels of no sample", labelled("index,label\n7,a\n"), ("row 2", "'7'", "index or file")),
    Bad("labels of no class in a file", labelled("index,label\n0,cat\n"), ("class", "'cat'", "a, b")),
    Bad("labels in other columns", labelled("x,y\n1,2\n"), ("columns x, y", "label")),
    Bad("labels with a comma too many", labelled("index,label\n0,a,b\n"), ("row 2 with 3 cells", "quotes")),
    Bad("labels that are binary", labelled(b"\xff\xfe\x00\x01"), ("labels", "csv")),
    Bad(
        "labels of a sample by two names",
        labelled("index,file,label\n0,1.png,a\n"),
        ("'0.png'", "'1.png'", "one sample"),
    ),
    Bad("labels twice in a file", labelled("index,label\n0,a\n0,b\n"), ("label already", "each sample once")),
    Bad("columns twice in a file", lambda f: read_csv(_written(f, b"a,a\n1,2\n"), "x", "a CSV"), ("each column once",)),
    Bad(
        "label for one class", lambda f: command("label", pool(f), "--budget", 4, "--classes", "a"), ("two different",)
    ),
    Bad(
        "label for a class twice",
        lambda f: command("label", pool(f), "--budget", 4, "--classes", "a,a"),
        ("two different",),
    ),
    Bad("label without classes", lambda f: command("label", pool(f), "--budget", 4), ("classes",)),
    Bad(
        "label of a budget below 0",
        lambda f: command("label", pool(f), "--budget", -4, "--classes", "a,b"),
        ("budget",),
    ),
    Bad(
        "label of a pool that isn't there",
        lambda f: command("label", f / "x", "--budget", 4, "--classes", "a,b"),
        ("exist",),
    ),
    Bad(
        "label of an empty pool",
        lambda f: ((f / "e").mkdir(), command("label", f / "e", "--budget", 4, "--classes", "a,b"))[1],
        ("image",),
    ),
    Bad(
        "label by hand and by simulation",
        lambda _: command("label", "digits", "--budget", 4, "--simulate", "--interactive"),
        ("--interactive", "--simulate"),
    ),
    Bad(
        "label with more removed than there is",
        lambda f: command("label", pool(f), "--budget", 4, "--classes", "a,b", "--removed", 1),
        ("removed", "[0, 1)"),
    ),
    Bad(
        "a journal with a foreign byte", journal(lambda c: c[:-20] + b"\xff" + c[-19:]), ("line 2", "as it was written")
    ),
    Bad("a journal with a foreign line", journal(lambda c: c + b"hello\n" + c.splitlines()[1] + b"\n"), ("line 3",)),
    Bad("a journal with a foreign head", journal(lambda c: b"hello\n" + c), ("begins with", "hello")),
    Bad("a journal that is empty", journal(lambda c: b""), ("an empty file",)),
    Bad(
        "a journal of other work",
        lambda f: stored_rows(_written(f, b'{"a": 1}\n'), "work"),
        ("journal of kind 'work'",),
    ),
    Bad("labels out of a letter", foreign(b"dear friend\n", read_labels), ("dear friend", "labelling loop")),
    Bad(
        "a checkpoint of another program", foreign(b"dear friend\n", resumed), ("dear friend", "state that deepwright")
    ),
    Bad("a checkpoint that is empty", foreign(b"", resumed), ("an empty file",)),
    Bad("a state of another program", foreign(b"\x80\x04N.", files.load_state), ("cannot read",)),
    Bad("a header of another program", foreign(b"PK\x03\x04", stored), ("cannot read",)),
    Bad("a state that isn't there", lambda f: files.load_state(f / "none.pt"), ("cannot read", "none.pt")),
    Bad("a state with an object in it", saved({"x": nn.Linear(1, 1)}), ("can't be read back", "tensors")),
    Bad("a checkpoint's odd word", lambda f: Resume(f / "a", {}, kind="w", damaged="shrug"), ("damaged", "shrug")),
    Bad(
        "something unknown in an identity",
        lambda f: Resume(f / "a", {"x": object()}, kind="w"),
        ("identified", "object"),
    ),
    Bad("shards of no batches", lambda f: Shards(f, {}, 0), ("every", "1 or more")),
    Bad("trials in no process", lambda f: run(len, [{}], jobs=0), ("jobs", "1 or more")),
    Bad("trials somewhere else", lambda f: run(len, [{}], jobs=2, backend="slurm"), ("backend", "'ray'")),
    Bad("a file without a name", lambda f: files.write_text("", "x"), ("name of a file",)),
    Bad("a file in a file", lambda f: files.write_text(_written(f, b"x") / "b", "x"), ("cannot write",)),
]

PROGRAM_ROWS = [
    Bad("a program that isn't there", lambda f: load(str(f / "none.pt2")), ("none.pt2", "does not exist")),
    Bad(
        "a program that is a folder",
        lambda f: ((f / "a.pt2").mkdir(), load(str(f / "a.pt2")))[1],
        ("a.pt2", "a folder"),
    ),
    Bad("a program that is empty", lambda f: load_exported(_written(f, b"")), ("cannot load", "zip")),
    Bad("a program that is a pickle", lambda f: load_exported(_written(f, b"\x80\x04N.")), ("cannot load", "zip")),
    Bad("a program without its description", without("model.json"), ("models/model.json",)),
    Bad("a program without its weights", without("weight_0"), ("weight_0",)),
    Bad(
        "a program with weights beside",
        lambda f: load(str(f / "a.pt2"), weights="w.safetensors"),
        ("--weights", "has its own"),
    ),
    Bad(
        "a program that calls the system",
        described(lambda d: _node(d).update(target="torch.os.system")),
        ("torch.os.system",),
    ),
    Bad(
        "a program with code for a name",
        described(lambda d: _node(d).update(name="a,b=exit()")),
        ("node.name", "a name"),
    ),
    Bad(
        "a program with code for a guard",
        described(lambda d: d.update(guards_code=["exit()"])),
        ("guards_code", "exit()"),
    ),
    Bad("a program of a hundred powers", described(lambda d: d.update(guards_code=["9**9**9 > 1"])), ("exponent",)),
    Bad("a program of two folders", program(lambda m: {**m, "other/x": b""}), ("2 folders",)),
]


def _node(data):
    return data["graph_module"]["graph"]["nodes"][0]


def _written(folder, content):
    (folder / "file").write_bytes(content)
    return folder / "file"


ROWS = [*STRATEGY_ROWS, *LOOP_ROWS, *FILE_ROWS, *PROGRAM_ROWS]

test_it_is_refused = over(ROWS)
