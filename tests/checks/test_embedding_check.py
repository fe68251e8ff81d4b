"""What its shape forbids, as a finding."""

import pytest
import torch
from torch import nn

from deepwright.checks import Subject
from deepwright.checks.embedding import check_embedding
from deepwright.checks.findings.finding import NotApplicableError
from deepwright.core.tasks import Classification
from deepwright.data import Data, Split
from deepwright.nets import NarrowResNet, cifar_resnet


def _data(width: int = 2) -> Data:
    x = torch.randn(90, width, generator=torch.Generator().manual_seed(0))
    y = (x.norm(dim=1) < width**0.5 * 0.8).long()
    split = Split(x, y)
    return Data("rings", "tabular", ("out", "in"), split, split, split)


def _subject(model: nn.Module, data: Data | None = None) -> Subject:
    return Subject(model.eval(), data or _data(), task=Classification(2))


def test_a_perceptron_cannot_enclose() -> None:
    torch.manual_seed(0)
    found = check_embedding(_subject(NarrowResNet(2, 2, 2, 2, skip=0.0)))
    assert found.values["outputs_absent"] == 1
    assert "tunnel" in found.summary
    assert found.values["floor_of_samples"] == 0.5
    assert found.tables[0].rows[0][1] == "ABSENT"
    assert found.tables[0].rows[0][4] > 0
    found.require_numbers()


def test_what_it_does_not_apply_to() -> None:
    flat = _data()
    flat.test.x[:, 0] = 1.0
    with pytest.raises(NotApplicableError, match="vary"):
        check_embedding(_subject(NarrowResNet(2, 2, 1, 2), flat))


def test_large_networks_have_their_blocks_listed() -> None:
    x = torch.rand(30, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    split = Split(x, torch.arange(30) % 10)
    data = Data("noise", "image", tuple("abcdefghij"), split, split, split)
    found = check_embedding(Subject(cifar_resnet(8).eval(), data))
    assert found.values["blocks"] == 3
    assert len(found.tables[0].rows) == 3
