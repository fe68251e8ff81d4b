"""Graph classifiers under audit: what is measured on graphs, by whom foreign ones are told, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.checks import audit, foreign_graphs, graph_subject
from deepwright.checks.subjects.graphs import GraphNetwork, graph_colours, is_encoder
from deepwright.core.errors import InputError
from deepwright.graphs import Graph, is_tu, join, motif_ood, pack, pass_messages, scatter_sum
from deepwright.nets import write_weights
from deepwright.ood import LinearHead, WeightedGIN, embed
from deepwright.workflows import AuditOptions, graph_files
from deepwright.workflows import audit as audited


class Classifier(nn.Module):
    """A GIN with a head of its own."""

    def __init__(self, dim=8):
        super().__init__()
        self.encoder = WeightedGIN(1, dim, 2)
        self.head = nn.Linear(2 * dim, 2)

    def forward(self, x, edge_index, batch, num_graphs=None):
        return self.head(self.encoder(x, edge_index, batch, num_graphs=num_graphs)[0])


class Plain(nn.Module):
    """The sum of the nodes' features: no weights of edges, no count of graphs."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(1, 3)

    def forward(self, x, edge_index, batch):
        out = torch.zeros(int(batch.max()) + 1, x.shape[1]).index_add(0, batch, x)
        return self.one(out)


def made(cls=Classifier, seed=0):
    torch.manual_seed(seed)
    return cls().eval()


@pytest.fixture(scope="module")
def world():
    return motif_ood(0, 30)


def write_tu(folder, graphs, name="DS"):
    folder.mkdir(exist_ok=True)
    files = {
        "A": (graphs.edge_index.T + 1).tolist(),
        "graph_indicator": (graphs.batch[:, None] + 1).tolist(),
        "graph_labels": graphs.y[:, None].tolist(),
    }
    for part, rows in files.items():
        text = "".join(", ".join(map(str, row)) + "\n" for row in rows)
        (folder / f"{name}_{part}.txt").write_text(text)
    return folder


def test_numbers_stand_for_graphs_whatever_the_batch(world):
    network = made()
    subject = graph_subject(network, world.test, train=world.train, validation=world.val)
    want = network(world.test.x, world.test.edge_index, world.test.batch, num_graphs=len(world.test)).detach()
    torch.testing.assert_close(subject.logits(), want)
    alone = torch.cat([subject.model(row[None]) for row in subject.data.test.x]).detach()
    torch.testing.assert_close(alone, want, atol=1e-4, rtol=1e-4)


def test_an_audit_measures_what_is_known_of_graphs(world, monkeypatch):
    monkeypatch.setattr(foreign_graphs, "_EPOCHS", 2)
    report = audit(
        graph_subject(made(), world.test, train=world.train, validation=world.val, ood={"tree": world.ood["tree"]}),
        checks=["accuracy", "calibration", "fragility", "ood", "robustness", "cost", "duplicates"],
    )
    grades = {f.check: f.grade for f in report.findings}
    assert "failed" not in grades.values(), [f.summary for f in report.findings]
    assert grades["robustness"] == grades["cost"] == "n/a"
    right = float(
        (graph_subject(made(), world.test, train=world.train).logits().argmax(1) == world.test.y).double().mean()
    )
    assert report["accuracy"].values["accuracy"].value == pytest.approx(right)
    table = report["ood"].tables[0]
    assert {row[0] for row in table.rows} == {"own confidence", "SSD", "KNN", "DGP", "five statistics", "WL + OCSVM"}
    assert table.columns[1:4] == ["tree", "near rewired edges", "far random edges"]
    assert "Five statistics" in report["ood"].summary


def test_an_encoder_gets_a_head(world):
    encoder = made(lambda: WeightedGIN(1, 8, 2))
    subject = graph_subject(encoder, world.test, train=world.train)
    assert "linear head" in subject.data.notes[-1]
    h = embed(encoder, world.test)
    torch.testing.assert_close(subject.logits(), subject.model.head(h).detach(), atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match="no training graphs"):
        graph_subject(encoder, world.test, split="test")


def test_without_weights_of_edges_prompts_are_left_out(world):
    network = made(Plain)
    assert not is_encoder(network, world.test)
    graphs = world.test.labelled(world.test.y + (torch.arange(len(world.test)) % 3 == 2).long())
    subject = graph_subject(
        network,
        graphs.labelled(torch.arange(len(graphs)) % 3),
        train=world.train.labelled(torch.arange(len(world.train)) % 3),
    )
    finding = audit(subject, checks=["ood"])["ood"]
    names = {row[0] for row in finding.tables[0].rows}
    assert "DGP" not in names
    assert {"own confidence", "five statistics"} <= names
    assert "weights of edges" in finding.tables[0].caption


def test_foreign_sets_are_the_users_and_two_of_ours(world):
    subject = graph_subject(made(), world.test, train=world.train, ood={"mine": world.ood["star"]})
    assert list(subject.ood) == ["mine", "near rewired edges", "far random edges"]
    graphs = subject.model.graphs
    near = graphs[subject.ood["near rewired edges"].flatten()]
    assert near.nodes.tolist() == world.test.nodes.tolist()
    assert near.edges.tolist() == world.test.edges.tolist()


def test_copies_are_found_by_colours():
    path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    other = torch.tensor([[2, 0, 0, 1], [0, 2, 1, 0]])  # the same path, its middle elsewhere
    rows = graph_colours(pack([Graph(path, num_nodes=3), Graph(other, num_nodes=3), Graph(path[:, :2], num_nodes=3)]))
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


def test_what_is_no_network_of_graphs_is_refused(world):
    with pytest.raises(InputError, match="network of graphs"):
        graph_subject(nn.Linear(1, 2), world.test, train=world.train)
    with pytest.raises(InputError, match="no labels"):
        graph_subject(made(), world.test.labelled(None))
    wide = pack([Graph(torch.zeros(2, 0, dtype=torch.long), torch.zeros(3, 4))])
    with pytest.raises(InputError, match="width 4"):
        graph_subject(made(), world.test, train=world.train, ood={"wide": wide})


def test_a_folder_in_tu_format_is_audited(world, tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_graphs, "_EPOCHS", 1)
    (tmp_path / "own_graph_network.py").write_text(
        "from torch import nn\nfrom deepwright.ood import WeightedGIN\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.encoder, self.head = WeightedGIN(1, 8, 2), nn.Linear(16, 2)\n\n"
        "    def forward(self, x, edge_index, batch, num_graphs=None):\n"
        "        return self.head(self.encoder(x, edge_index, batch, num_graphs=num_graphs)[0])\n\n\n"
        "def make():\n    return Net()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_weights("w.safetensors", made())
    folder = write_tu(tmp_path / "graphs", world.train)
    foreign = write_tu(
        tmp_path / "foreign", world.ood["star"].labelled(torch.zeros(100, dtype=torch.long)[: len(world.ood["star"])])
    )
    assert is_tu(folder)
    assert not is_tu(tmp_path)
    named = {"weights": "w.safetensors", "data": folder, "ood": foreign, "out": tmp_path / "report"}
    report = audited(AuditOptions("own_graph_network:make", checks=("accuracy", "ood"), **named))
    assert report.subject["task"] == "graph classification"
    assert report["ood"].tables[0].columns[1] == "own foreign"
    assert (tmp_path / "report" / "index.html").exists()
    with pytest.raises(InputError, match="target"):
        audited(AuditOptions("own_graph_network:make", target="y", **named))
    with pytest.raises(InputError, match="nothing"):
        audited(AuditOptions(data=folder, out=None))


def test_another_device_and_dtype(world):
    network = made().double()
    graphs = world.test
    model = GraphNetwork(network, graphs.to("cpu", torch.float64))
    assert model(torch.arange(3)[:, None]).dtype == torch.float64
    assert np.isfinite(model(torch.arange(3)[:, None]).detach().numpy()).all()


class InProportion(nn.Module):
    """A weighted mean over neighbours, which halves of all weights don't change; or one that looks at no weight."""

    def __init__(self, looks=True):
        super().__init__()
        self.looks = looks
        self.one = nn.Linear(1, 4)

    def forward(self, x, edge_index, batch, edge_weight=None, num_graphs=None):
        w = edge_weight if self.looks and edge_weight is not None else torch.ones(edge_index.shape[1])
        x = torch.arange(float(len(x)))[:, None]
        total = scatter_sum(w, edge_index[1], len(x)).clamp_min(1e-9)[:, None]
        nodes = self.one(pass_messages(x, edge_index, w) / total)
        return scatter_sum(nodes, batch, num_graphs), nodes


class WithoutWeights(Plain):
    """A classifier that takes any word and refuses this one."""

    def forward(self, x, edge_index, batch, **others):
        if "edge_weight" in others:
            raise ValueError("no weights of edges")
        return super().forward(x, edge_index, batch)


def test_whether_weights_count_is_told_by_uneven_ones_on_graphs_with_edges(world):
    assert is_encoder(InProportion(), world.test)
    bare = pack([Graph(torch.zeros(2, 0, dtype=torch.long), num_nodes=2)] * 2)
    assert not is_encoder(InProportion(looks=False), join([bare, world.test.labelled(None)]))
    assert not is_encoder(WithoutWeights(), world.test)


def test_outputs_that_are_no_pair_of_embeddings_are_named(world):
    class Odd(Plain):
        def forward(self, x, edge_index, batch):
            return super().forward(x, edge_index, batch), None

    with pytest.raises(InputError, match="NoneType"):
        graph_subject(Odd(), world.test, train=world.train)


def test_a_head_needs_training_graphs_of_each_class_that_is_measured(world):
    with pytest.raises(InputError, match="class '1'"):
        graph_subject(WeightedGIN(1, 4, 2).eval(), world.test, train=world.train[world.train.y == 0])


def test_a_head_of_half_embeddings_is_fitted_in_floats():
    h = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    y = (h[:, 0] > 0).long()
    whole, half = LinearHead(h, y, 2), LinearHead(h.half(), y, 2)
    torch.testing.assert_close(half(h.half()), whole(h), atol=0.05, rtol=0.05)


def test_foreign_node_labels_keep_their_meaning(world, tmp_path, monkeypatch):
    own, foreign = (write_tu(tmp_path / name, world.test) for name in ("own", "foreign"))
    n = len(world.test.x)
    (own / "DS_node_labels.txt").write_text("".join(f"{k % 2}\n" for k in range(n)))
    (foreign / "DS_node_labels.txt").write_text("".join(f"{1 + k % 2}\n" for k in range(n)))
    seen, some = {}, graph_subject(made(), world.test, train=world.train)
    monkeypatch.setattr(graph_files, "graph_subject", lambda *args, ood, **others: seen.update(ood) or some)
    with pytest.warns(UserWarning, match="2"):
        graph_files.subject_of_graphs(
            AuditOptions(model=made(), data=own, ood=foreign), train_limit=None, trains=False, fields_of=AuditOptions
        )
    x = seen["own foreign"].x  # label 1 has the second column, label 2 none
    assert x.sum(0).tolist() == [0.0, float((n + 1) // 2)]
