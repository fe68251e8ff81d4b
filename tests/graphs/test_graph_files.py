"""The TU and GIN readers on written fixtures."""

import zipfile

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.graphs import gin_text_names, node_kinds, read_gin_text, read_tu

# graph 1: a path of 3; graph 2: an edge and an isolated node; graph 3: one node
TU = {
    "DS_A.txt": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4\n",
    "DS_graph_indicator.txt": "1\n1\n1\n2\n2\n2\n3\n",
    "DS_graph_labels.txt": "1\n-1\n1\n",
    "DS_node_labels.txt": "5\n7\n5\n9\n9\n7\n5\n",
    "DS_node_attributes.txt": "0.5, 1\n1, 2\n0, 0\n0, 0\n0, 0\n0, 0\n2, -3.5\n",
}


@pytest.fixture
def tu(tmp_path):
    for name, text in TU.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_tu(tu):
    graphs = read_tu(tu)
    assert graphs.nodes.tolist() == [3, 3, 1]
    assert graphs.edges.tolist() == [4, 2, 0]
    assert graphs[1].edge_index.tolist() == [[1, 0], [0, 1]]
    assert (graphs.y.tolist(), graphs.classes) == ([1, 0, 1], ("-1", "1"))
    assert graphs.x[0].tolist() == [1, 0, 0, 0.5, 1]
    assert graphs.x[6].tolist() == [1, 0, 0, 2, -3.5]
    assert read_tu(tu, node_labels=False).x.tolist() == [[1.0]] * 7


def test_tu_from_its_zip_file(tu, tmp_path):
    path = tmp_path / "DS.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in TU.items():
            packed.writestr(f"DS/{name}", text)
    assert torch.equal(read_tu(path).x, read_tu(tu).x)


def test_tu_without_node_files(tu):
    (tu / "DS_node_labels.txt").unlink()
    (tu / "DS_node_attributes.txt").unlink()
    assert read_tu(tu, "DS").x.tolist() == [[1.0]] * 7


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("DS_A.txt", "0, 1\n", "node 0.*1 to 7"),
        ("DS_A.txt", "1, 8\n", "node 8"),
        ("DS_A.txt", "1, 4\n4, 1\n", "two graphs"),
        ("DS_A.txt", "1, b\n", "cannot read DS_A.txt"),
        ("DS_graph_labels.txt", "1\n2\n", "graph 3 and 2 labels"),
        ("DS_graph_labels.txt", "1\n2.5\n1", "2.5"),
        ("DS_graph_indicator.txt", "0\n0\n0\n0\n0\n0\n0\n", "below 1"),
        ("DS_node_labels.txt", "5\n", "1 rows.*7"),
    ],
)
def test_tu_files_that_do_not_fit(tu, file, text, words):
    (tu / file).write_text(text)
    with pytest.raises(InputError, match=words):
        read_tu(tu)


def test_tu_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        read_tu(tmp_path / "none")
    with pytest.raises(InputError, match=r"no file DS_A\.txt"):
        read_tu(tmp_path)


def test_tu_gaps_keep_graphs_without_nodes(tu):
    (tu / "DS_graph_indicator.txt").write_text("1\n1\n1\n3\n3\n3\n3\n")
    (tu / "DS_graph_labels.txt").write_text("1\n1\n2\n2\n")
    assert read_tu(tu).nodes.tolist() == [3, 0, 4, 0]


def test_tu_edges_stored_once_are_warned_of(tu):
    (tu / "DS_A.txt").write_text("1,2\n2,3\n4,5\n")
    with pytest.warns(UserWarning, match="2 of 3 graphs"):
        read_tu(tu)


GIN = "2\n3 4\n7 1 1\n2 2 0 2\n7 1 1\n2 9\n2 0\n3 0\n"


def test_gin_text(tmp_path):
    path = tmp_path / "DS.txt"
    path.write_text(GIN)
    graphs = read_gin_text(path)
    assert graphs.nodes.tolist() == [3, 2]
    assert graphs.edges.tolist() == [4, 0]
    assert graphs.x.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert (graphs.y.tolist(), graphs.classes) == ([0, 1], ("4", "9"))
    with zipfile.ZipFile(tmp_path / "sets.zip", "w") as packed:
        packed.writestr("graphs/DS.txt", GIN)
    assert gin_text_names(tmp_path / "sets.zip") == ["DS"]
    assert torch.equal(read_gin_text(tmp_path / "sets.zip", "DS").x, graphs.x)
    with pytest.raises(InputError, match="one of DS"):
        read_gin_text(tmp_path / "sets.zip", "MUTAG")


def test_gin_edges_that_one_end_lists_run_both_ways(tmp_path):
    (tmp_path / "DS.txt").write_text("1\n2 0\n0 1 1\n0 0\n")
    with pytest.warns(UserWarning, match="1 neighbours are listed, and 2"):
        assert read_gin_text(tmp_path / "DS.txt").edges.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no|number|graphs"),
        ("3\n1 0\n0 0\n", "1 graphs"),
        ("1\n2 0\n0 1 5\n0 0\n", "edge to node 5"),
        ("1\n2 0\n0 3 1\n0 0\n", "tag, degree, neighbours"),
        ("1\n1 0\n0 0\n0 0\n", "as many graphs and lines"),
        ("1\n1 0\nx 0\n", "whole numbers"),
        ("1\n5 0 3\n0 0\n", "nodes, label"),
    ],
)
def test_gin_text_that_does_not_fit(tmp_path, text, words):
    (tmp_path / "DS.txt").write_text(text)
    with pytest.raises(InputError, match=words):
        read_gin_text(tmp_path / "DS.txt")


def test_node_labels_of_another_set_get_the_columns_of_the_first(tu, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in tu.glob("*.txt"):
        (other / file.name).write_text(file.read_text())
    (other / "DS_node_labels.txt").write_text("9\n4\n9\n9\n9\n7\n9\n")
    kinds = node_kinds(tu)
    assert kinds == ((5.0, 7.0, 9.0),)
    with pytest.warns(UserWarning, match="4"):
        found = read_tu(other, kinds=kinds).x[:, :3]
    assert sorted(map(tuple, found.tolist())) == sorted([(0, 0, 1)] * 5 + [(0, 1, 0), (0, 0, 0)])
    with pytest.raises(InputError, match="as the other set"):
        read_tu(other, kinds=())
    (other / "DS_node_labels.txt").unlink()
    assert node_kinds(other) == ()
