"""`audit` as a workflow: options, the page, what an interrupted audit is bound to."""

import json

import pytest
import torch
from torch import nn

from deepwright.checks import Finding, Subject
from deepwright.core.errors import InputError
from deepwright.core.resume import OtherWorkError
from deepwright.data import Data, Split
from deepwright.workflows import AuditOptions, audit, build_subject
from deepwright.workflows.precision import Mixed


def network(width=8):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2)).eval()


def rows(n=40):
    rng = torch.Generator().manual_seed(0)
    parts = []
    for _ in range(3):
        x = torch.randn(n, 4, generator=rng)
        parts.append(Split(x, (x[:, 0] > 0).long()))
    return Data("rows", "tabular", ("no", "yes"), *parts)


def options(tmp_path, **more):
    return AuditOptions(network(), data=rows(), **{"checks": ["accuracy"], "out": tmp_path / "r", **more})


def waits(subject):
    raise KeyboardInterrupt


@pytest.fixture
def interrupted(tmp_path):
    """A folder in which an audit stopped after its first check."""
    with pytest.raises(KeyboardInterrupt):
        audit(options(tmp_path, checks=["accuracy", waits]))
    return tmp_path


def test_the_page_and_its_numbers_are_written(tmp_path):
    report = audit(options(tmp_path))
    assert (tmp_path / "r" / "index.html").exists()
    assert json.loads((tmp_path / "r" / "report.json").read_text()) == json.loads(json.dumps(report.to_dict()))


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    audit(options(tmp_path, out=None))
    assert list(tmp_path.iterdir()) == []


def test_a_ready_subject_is_audited_as_it_is(tmp_path):
    subject = Subject(network(), rows(), name="mine")
    assert audit(AuditOptions(subject, checks=["accuracy"], out=None)).subject["name"] == "mine"


def test_a_finished_audit_leaves_no_state(interrupted):
    audit(options(interrupted))
    assert not (interrupted / "r" / ".unfinished").exists()


def test_an_interrupted_audit_goes_on(interrupted):
    told = []
    audit(options(interrupted), say=told.append)
    assert told[0].startswith("going on from")


@pytest.mark.parametrize(("words", "named"), [({"seed": 1}, "options.seed: 1, was 0"), ({"limit": 20}, "another test")])
def test_another_audit_is_refused_by_name_where_one_was_interrupted(words, named, interrupted):
    with pytest.raises(OtherWorkError, match=named):
        audit(options(interrupted, **words))


def test_afresh_another_audit_may_begin(interrupted):
    audit(options(interrupted, seed=1, fresh=True))
    assert (interrupted / "r" / "index.html").exists()


def test_an_edited_check_is_run_again(interrupted):
    def check_waits(subject):
        return Finding("waits", "A", "no more", {})

    assert audit(options(interrupted, checks=["accuracy", check_waits]))["waits"].summary == "no more"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"limit": 0}, "limit"),
        ({"attack_limit": -1}, "attack_limit"),
        ({"size": 0}, "size"),
        ({"seed": -1}, "seed"),
        ({"std": [1.0, 0.0]}, "std"),
        ({"mean": [float("nan")]}, "mean"),
        ({"eps": [-0.1]}, "eps"),
        ({"device": "gpu"}, "device"),
        ({"precision": "8"}, "precision"),
        ({"precision": "16-mixed"}, "16-mixed on the CPU"),
        ({"checks": ["acuracy"]}, "did you mean"),
        ({"fail_on": ["fi is large"]}, "gate"),
        ({"weights": "w.pt"}, "beside a ready network"),
        ({"data": rows(), "target": "y"}, "beside ready data"),
    ],
)
def test_options_are_checked_when_they_are_made(words, message):
    with pytest.raises(InputError, match=message):
        AuditOptions(network(), **words)


def test_nothing_may_be_said_beside_a_ready_subject():
    with pytest.raises(InputError, match="limit; given: 20 beside a ready Subject"):
        AuditOptions(Subject(network(), rows()), limit=20)


def test_a_table_without_data_is_refused():
    with pytest.raises(InputError, match="data; given: nothing"):
        build_subject(AuditOptions(network()))


# --- where and in which precision --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "dtype"), [("64", torch.float64), ("bf16-true", torch.bfloat16)])
def test_a_true_precision_casts_a_copy(precision, dtype):
    model = network()
    subject = build_subject(AuditOptions(model, data=rows(), precision=precision))
    assert {p.dtype for p in subject.model.parameters()} == {dtype}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_double_precision_gives_the_outputs_of_a_double_network():
    subject = build_subject(AuditOptions(network(), data=rows(), precision="64-true"))
    expected = network().double()(rows().test.x.double())
    assert torch.equal(subject.logits(), expected)


def test_a_mixed_precision_rounds_products_to_bfloat16():
    subject = build_subject(AuditOptions(network(), data=rows(), precision="bf16-mixed"))
    x, first, last = rows().test.x, network()[0], network()[2]
    hidden = torch.relu((x.bfloat16() @ first.weight.bfloat16().T + first.bias.bfloat16()).bfloat16())
    expected = hidden @ last.weight.bfloat16().T + last.bias.bfloat16()
    assert subject.logits().dtype == torch.float32
    assert torch.allclose(subject.logits(), expected.float(), atol=0.02)
    assert not torch.equal(subject.logits(), network()(x))


def test_gradients_flow_through_a_mixed_network():
    model, x = Mixed(network(), torch.bfloat16), torch.randn(3, 4, requires_grad=True)
    model(x).sum().backward()
    assert bool((x.grad != 0).any())


@pytest.mark.parametrize("precision", [pytest.param("64-true", marks=pytest.mark.slow), "bf16-mixed"])
def test_every_check_works_in_another_precision(precision):
    report = audit(AuditOptions(network(), data=rows(), precision=precision, attack_limit=10, out=None))
    assert {f.check: f.summary for f in report.findings if f.grade == "failed"} == {}


def test_an_exported_program_is_audited_with_its_journal(tmp_path):
    """What `shrink` writes and README names: its identity is that of its code and weights."""
    example = (torch.rand(4, 4),)
    program = torch.export.export(network(), example, dynamic_shapes=({0: torch.export.Dim("n", max=65535)},))
    torch.export.save(program, tmp_path / "net.pt2")
    report = audit(AuditOptions(str(tmp_path / "net.pt2"), data=rows(), checks=["accuracy"], out=tmp_path / "r"))
    plain = audit(AuditOptions(network(), data=rows(), checks=["accuracy"], out=None))
    assert report["accuracy"].number("accuracy") == plain["accuracy"].number("accuracy")
