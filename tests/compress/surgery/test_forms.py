"""Networks whose outputs or inputs have other forms are answered, not refused; what can't be followed is told shortly."""

import pytest
import torch
from networks import trained_like
from torch import nn

from deepwright.compress import (
    ExportError,
    OnnxError,
    ShrinkGraph,
    check_fusion,
    cost,
    export,
    importance,
    plan,
    shrink,
)
from deepwright.compress.files import run, session

X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))


class Several(nn.Module):
    """A network whose outputs come as a tuple or a dict."""

    def __init__(self, form):
        super().__init__()
        self.a, self.b, self.form = nn.Linear(6, 8), nn.Linear(8, 3), form

    def forward(self, x):
        y = self.b(self.a(x).relu())
        return self.form(y)


FORMS = [lambda y: (y, y.relu()), lambda y: {"a": y, "b": y.relu()}, lambda y: [y]]


@pytest.mark.parametrize("form", FORMS, ids=["tuple", "dict", "list"])
def test_outputs_of_other_forms(form, tmp_path):
    torch.manual_seed(0)
    model = trained_like(Several(form))
    graph = ShrinkGraph.from_module(model, X)
    result = shrink(model, plan(graph, importance(graph), ratio=0.5))
    assert result.verification.error <= 1e-9
    assert cost(model, X).macs == 6 * 8 + 8 * 3
    assert check_fusion(model, result.model, X) > 0
    assert check_fusion(model, model, X) == 0
    written = export(model, X, tmp_path / "m.onnx")
    assert len(run(session(written.path), (X,))) == len(torch.utils._pytree.tree_leaves(model(X)))


def test_taylor_scores_by_a_loss_of_the_users_own():
    torch.manual_seed(0)
    model = Several(FORMS[0])
    graph = ShrinkGraph.from_module(model, X)
    y = torch.zeros(4, dtype=torch.long)
    scores = importance(graph, "taylor", [(X, y)], loss=lambda out, y: nn.functional.cross_entropy(out[0], y))
    plain = Several(lambda y: y)
    plain.load_state_dict(model.state_dict())
    own = ShrinkGraph.from_module(plain, X)
    assert torch.allclose(scores[graph["a"]], importance(own, "taylor", [(X, y)])[own["a"]])


class Add(nn.Module):
    def forward(self, x, y):
        return x - 2 * y


def test_one_tensor_given_twice_is_two_inputs(tmp_path):
    written = export(Add(), (X, X), tmp_path / "m.onnx")
    (out,) = run(session(written.path), (X, X + 1))
    assert torch.allclose(torch.from_numpy(out), -X - 2, atol=1e-6)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float16, 8e-3), (torch.float64, 1e-12)])
def test_other_precisions_are_written(dtype, error, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).to(dtype)
    assert export(model, X, tmp_path / "m.onnx").error <= error


class Branches(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.kind == "if":
            return x if x.sum() > 0 else -x
        if self.kind == "while":
            while (x > 0.5).any():
                x = x / 2
            return x
        return x * int(x.sum())


@pytest.mark.parametrize("kind", ["if", "while", "int"])
def test_a_branch_on_a_value_is_told_in_one_line(kind, capfd):
    with pytest.raises(ExportError) as found:
        ShrinkGraph.from_module(Branches(kind), X)
    text = str(found.value)
    assert "branches on a tensor's value" in text
    assert "test_forms.py:" in text
    assert {"if": "x.sum() > 0", "while": "while (x > 0.5)", "int": "int(x.sum())"}[kind] in text
    assert len(text) < 500
    assert "\n" not in text
    assert "def forward" not in "".join(capfd.readouterr())  # torch's own dump of the graph


class Airy(nn.Module):
    def forward(self, x):
        return torch.special.airy_ai(x)


def test_an_operation_without_an_onnx_form_is_named(tmp_path):
    with pytest.raises(OnnxError, match=r"ONNX has no form.*aten\.special_airy_ai") as found:
        export(Airy(), X, tmp_path / "m.onnx")
    assert "torch.cond" not in str(found.value)
    assert not (tmp_path / "m.onnx").exists()


def test_weights_beside_a_file_are_read(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = nn.Linear(6, 3)
    path = export(model, X, tmp_path / "m.onnx").path
    onnx.save(onnx.load(path), tmp_path / "n.onnx", save_as_external_data=True, location="n.bin", size_threshold=0)
    assert (tmp_path / "n.bin").stat().st_size >= 72
    (out,) = run(session(tmp_path / "n.onnx"), (X,))
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(out), model(X), atol=1e-6)
