"""What a loop is given is looked at before it counts: whole numbers, classes that there are, sizes, validation data."""

import inspect

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.identity import Identity
from deepwright.core.journal import Journal, stored_rows
from deepwright.labels import LabelingLoop, WholeSelector, named, read_labels
from deepwright.labels.loop import labeling, state
from labels.small_loops import POOL, TRUTH, loop, network


@pytest.fixture(autouse=True)
def unhinted(monkeypatch):
    """As users call it: without the type checker that stands before every function in tests."""
    for name in ("__init__", "tell"):
        method = getattr(LabelingLoop, name)
        monkeypatch.setattr(LabelingLoop, name, inspect.unwrap(method))
    monkeypatch.setitem(globals(), "named", inspect.unwrap(named))
    monkeypatch.setattr(labeling, "named", inspect.unwrap(labeling.named))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.jsonl"


def asking(file, **more):
    return loop(oracle=None, checkpoint=file, **more)


# --- whole numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        torch.Tensor.double,
        torch.Tensor.float,
        torch.Tensor.half,
        torch.Tensor.int,
        lambda t: t.to(torch.uint8),
        lambda t: t.double().numpy(),
        lambda t: t.double().tolist(),
        lambda t: list(t),
        lambda t: [np.int32(v) for v in t],
    ],
    ids=["double", "float", "half", "int", "uint8", "numpy", "floats", "tensors", "numpy scalars"],
)
def test_whole_numbers_of_any_form_are_the_same_labels(form, file):
    running = asking(file)
    asked = running.ask()
    running.tell(form(asked), form(TRUTH[asked]))
    expected = dict(zip(asked.tolist(), TRUTH[asked].tolist()))
    assert read_labels(file) == expected
    assert asking(file).labels == running.labels == expected


def with_rows(file, rows, monkeypatch=None):
    """A loop's file that holds some rows more."""
    asking(file).ask()
    identity = Identity(stored_rows(file, state.KIND)[0])
    journal = Journal(file, identity, durable=True, kind=state.KIND)
    journal.add_all(rows)
    journal.close()


def test_a_file_of_before_opens_with_the_labels_of_its_floats(file):
    asked = asking(file).ask()
    with_rows(file, {f"{int(asked[0])}.0": 1, f"{int(asked[1])}": 2.0})
    expected = {int(asked[0]): 1, int(asked[1]): 2}
    assert read_labels(file) == expected
    assert asking(file).labels == expected


@pytest.mark.parametrize("row", [{"35.5": 1}, {"cat": 1}, {"35": 0.5}, {"35": True}, {"35": "1"}, {"-3": 0}])
@pytest.mark.parametrize("read", [read_labels, asking], ids=["read_labels", "loop"])
def test_a_row_that_is_neither_round_nor_label_is_named(row, read, file):
    with_rows(file, row)
    (name,) = row
    with pytest.raises(InputError, match=f"labels.jsonl.*the row '{name}'"):
        read(file)


def test_two_labels_of_one_sample_are_refused(file):
    with_rows(file, {"35.0": 1, "35": 2})
    with pytest.raises(InputError, match="'35': 2 after the label 1"):
        read_labels(file)


@pytest.mark.parametrize("known", [{0.7: 1, 1.2: 0}, {0: 0.5}, {0: True}, {"a": 0}, {float("nan"): 0}])
def test_known_labels_are_whole_numbers(known):
    with pytest.raises(InputError, match=r"given.*expected"):
        loop(known=known)


def test_known_labels_in_whole_floats_are_taken():
    assert loop(known={3.0: 1.0, np.int64(5): np.float32(2)}).labels == {3: 1, 5: 2}


def test_a_sample_that_is_known_twice_is_refused():
    with pytest.raises(InputError, match="a sample twice"):
        loop(known={torch.tensor(3): 1, torch.tensor(3): 2})


# --- classes -------------------------------------------------------------------------------------------------------


def test_a_label_outside_the_networks_columns_never_gets_on_disk(file):
    running = asking(file, classes=None)
    asked = running.ask()
    content = file.read_bytes()
    with pytest.raises(InputError, match=r"labels; given: \[5, 5\]; expected: integers 0\.\.2"):
        running.tell(asked[:2], [5, 5])
    assert file.read_bytes() == content


def test_known_labels_outside_the_networks_columns_never_get_on_disk(file):
    with pytest.raises(InputError, match=r"0\.\.2"):
        asking(file, classes=None, known={3: 5})
    assert not file.exists()


@pytest.mark.parametrize(("classes", "expected"), [(2, r"0\.\.1"), (7, r"0\.\.2")])
def test_the_fewer_of_classes_and_columns_count(classes, expected):
    running = loop(classes=classes, validation=None)
    with pytest.raises(InputError, match=expected):
        running.tell(running.ask()[:1], [3])


def test_a_stored_label_outside_the_columns_is_named_and_stays(file, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(labeling, "count_columns", lambda *_: None)  # as it was before
        running = asking(file, classes=None)
        asked = running.ask().tolist()
        running.tell(asked[:2], [5, 1])
    del running
    for _ in range(2):
        with pytest.raises(InputError, match=rf"labels\.jsonl; given: sample {asked[0]}: 5; .*read_labels"):
            asking(file, classes=None)
    assert read_labels(file) == {asked[0]: 5, asked[1]: 1}


# --- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jobs", 0),
        ("jobs", 1.5),
        ("batch_size", 0),
        ("batch_size", -1),
        ("round_size", 1.5),
        ("round_size", True),
        ("seed_size", 1.5),
        ("budget", 30.5),
        ("budget", float("nan")),
        ("t_sync", -1),
        ("t_sync", 0.5),
        ("classes", 0),
    ],
)
def test_sizes_are_integers(name, value):
    with pytest.raises(InputError, match=rf"{name}; given: {value}; expected: a whole number"):
        loop(**{name: value})


def test_numpy_sizes_are_the_same_loop(file):
    first = asking(file, round_size=np.int64(15)).ask()
    assert torch.equal(asking(file).ask(), first)


@pytest.mark.parametrize("strategy", [None, 3, ["margin"]])
def test_a_strategy_is_a_name_or_a_strategy(strategy):
    with pytest.raises(InputError, match=r"strategy; given: .*expected: a Strategy, or one of random"):
        named(strategy)
    with pytest.raises(InputError, match="strategy; given"):
        LabelingLoop(POOL, WholeSelector(network()), strategy, budget=20, round_size=10)


@pytest.mark.parametrize(
    "validation",
    [
        (POOL, TRUTH[:-1]),
        (POOL[:0], TRUTH[:0]),
        (POOL, TRUTH[:, None]),
        (POOL, TRUTH.tolist()),
        (POOL,),
        POOL,
    ],
    ids=["unequal", "empty", "a column", "a list", "no labels", "a tensor"],
)
def test_validation_data_have_one_label_a_sample(validation):
    with pytest.raises(InputError, match=r"validation; given: .*; expected: "):
        loop(validation=validation)


def test_a_round_behind_a_gap_is_refused(file):
    for _ in range(3):
        made = asking(file)
        asked = made.ask()
        made.tell(asked, asked % 2)
        made.state.close()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(line for line in lines if b'"round 1"' not in line))
    with pytest.raises(InputError, match="'round 2' without 'round 1'"):
        asking(file)
    assert len(read_labels(file)) == len(lines) - 4  # the remedy: header and three rounds are no labels


@pytest.mark.parametrize("names", [("a", "a", "b"), ("a", "b"), "abc"])
def test_class_names_are_one_each(names):
    with pytest.raises(InputError, match="class_names"):
        asking(None, classes=3, class_names=names)


def test_other_class_names_are_refused(file):
    asking(file, class_names=["cat", "dog", "cow"]).state.close()
    with pytest.raises(InputError, match=r"another class names: .*'dog', 'cat'.*was.*'cat', 'dog'"):
        asking(file, class_names=["dog", "cat", "cow"])
