"""A network of the user's gets a table's columns as they are, whatever their units; deviations are the audit's own."""

import numpy as np
import pytest
import torch
from torch import nn

import deepwright as dw
from deepwright.checks import in_deviations, in_own_units
from deepwright.data import Data, Split
from deepwright.workflows import AuditOptions
from deepwright.workflows.subjects import SubjectOptions, build_subject

UNITS = torch.tensor([0.002, 1.0, 588.0])
MEANS = torch.tensor([0.1, -3.0, 2000.0])


class Raw(nn.Module):
    """Knows the units of its columns: the class is the sign of the standardised columns' sum."""

    def forward(self, x):
        score = ((x - MEANS) / UNITS).sum(1)
        return torch.stack([-score, score], 1)


class Codes(nn.Module):
    """A table of three codes: what is cut off at 1.9999999 is another class."""

    def forward(self, x):
        return nn.functional.one_hot(x[:, 0].long(), 3).float()


def rows(n=300, seed=0):
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return z * UNITS + MEANS, (z.sum(1) > 0).long()


@pytest.fixture
def table(tmp_path):
    x, y = rows()
    path = tmp_path / "table.csv"
    lines = [",".join([*map(str, row.tolist()), str(int(c))]) for row, c in zip(x, y)]
    path.write_text("\n".join(["a,b,c,sick", *lines]))
    return path


def test_a_network_of_yours_is_right_on_its_own_columns(table):
    subject = build_subject(SubjectOptions(Raw(), data=table, target="sick"), trains=False)
    assert float(subject.right.double().mean()) > 0.98
    assert "columns as they are" in subject.data.notes[0]
    assert "--standardised" in subject.data.notes[0]


def test_a_workflow_that_trains_feeds_the_columns_too(table):
    subject = build_subject(SubjectOptions(Raw(), data=table, target="sick"), trains=True)
    assert isinstance(subject.model, Raw)
    assert float(subject.right.double().mean()) > 0.98


def test_standardised_feeds_deviations(table):
    subject = build_subject(SubjectOptions(Raw(), data=table, target="sick", standardised=True), trains=False)
    assert float(subject.data.test.x.std(0).max()) < 1.5
    assert isinstance(subject.model, Raw)


def test_a_budget_means_the_same_in_every_unit():
    x, y = rows()
    z = (x - MEANS) / UNITS

    class Standard(nn.Module):
        def forward(self, x):
            return Raw()(x * UNITS + MEANS)

    options = {"checks": ["robustness"], "attack_limit": 60}
    raw, same = (
        dw.audit(net, test=[(a[100:], y[100:])], train=[(a[:100], y[:100])], **options)["robustness"]
        for net, a in ((Raw().eval(), x), (Standard().eval(), z))
    )
    for name in ("clean_accuracy", "robust_accuracy_at_0.1", "robust_accuracy_at_0.4"):
        assert raw.number(name) == pytest.approx(same.number(name), abs=0.02), name
    assert "of a deviation" in raw.rule


def test_codes_come_back_as_the_numbers_that_they_were():
    x = (torch.arange(300) % 3).float()[:, None]
    part = Split(x, x[:, 0].long())
    model, data = in_deviations(Codes(), Data("codes", "tabular", ("a", "b", "c"), part, part, part))
    assert torch.equal(model(data.test.x).argmax(1), part.y)


def test_audits_from_python_have_the_option():
    assert AuditOptions(Raw(), standardised=True).standardised


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_column_far_from_zero_comes_back_as_it_was(dtype):
    z = torch.randn(300, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (1234567.37 + z).to(dtype)
    part = Split(x, (z[:, 0] > 0).long())
    seen = []

    class Looks(nn.Linear):
        def forward(self, rows):
            seen.append(rows)
            return super().forward(rows)

    model, data = in_deviations(Looks(1, 2).double(), Data("far", "tabular", ("a", "b"), part, part, part))
    model(data.test.x.double())
    assert float((seen[0] - x.double()).abs().max()) < 1e-6 * float(z.std())


def test_a_network_in_half_precision_gets_its_own_dtype():
    x, y = rows(60)
    net = nn.Linear(3, 2).bfloat16().eval()
    assert dw.audit(net, test=[(x, y)], checks=["accuracy"])["accuracy"].grade != "failed"


def test_a_workflow_that_trains_gets_codes_as_the_numbers_that_they_were(tmp_path):
    codes = torch.multinomial(torch.tensor([0.2, 0.5, 0.3]), 200, True, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "codes.csv"
    path.write_text("\n".join(["code,y", *(f"{c},{c}" for c in codes.tolist())]))
    data = build_subject(SubjectOptions(nn.Linear(1, 3), data=path, target="y"), trains=True).data
    for part in (data.train, data.validation, data.test):
        assert torch.equal(part.x[:, 0], part.y.float())


def test_foreign_rows_go_back_with_the_others():
    x, y = rows()
    part = Split(x, y)
    _, made = in_deviations(Raw(), Data("t", "tabular", ("a", "b"), part, part, part, ood={"own rows": x + 1}))
    back = in_own_units(made)
    torch.testing.assert_close(back.ood["own rows"], x + 1)
    torch.testing.assert_close(back.test.x, x)
    assert in_own_units(back) is back


@pytest.mark.parametrize("kind", ["float64", "uint8"])
def test_an_npz_without_a_network_is_standardised_and_with_one_it_is_not(tmp_path, kind):
    """Columns of 0..1 and of thousands: an MLP that is trained on them raw sees the second only."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(80) % 2
    x = torch.stack([y + 0.2 * torch.randn(80, generator=rng), 1000 * torch.randn(80, generator=rng) + 4000], 1)
    if kind == "uint8":
        x = torch.stack([20 * y + torch.randint(0, 9, (80,), generator=rng), torch.randint(0, 255, (80,))], 1)
    path = tmp_path / "table.npz"
    np.savez(path, x=x.numpy().astype(kind), y=y.numpy())
    trained = build_subject(SubjectOptions(data=path))
    assert trained.data.train.x.std(0).tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    assert "standardised" in trained.data.notes[0]
    assert float(trained.right.double().mean()) > 0.9
    seen = []
    network = nn.Linear(2, 2)
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    given = build_subject(SubjectOptions(network.eval(), data=path))
    given.outputs()
    own = torch.cat(seen)[-len(given.data.test) :]
    values = x.float() / 255 if kind == "uint8" else x.float()
    assert float(torch.cdist(own.double(), values.double()).amin(1).max()) < 1e-2
