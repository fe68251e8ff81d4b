"""MAITE's protocols, both ways, through its own evaluation."""

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.adversarial import FGSM
from deepwright.checks import audit
from deepwright.core.tasks import Classification
from deepwright.data import Split
from deepwright.integrations.maite import (
    MaiteAugmentation,
    MaiteBatches,
    MaiteDataset,
    MaiteMetric,
    MaiteModel,
    MaiteNetwork,
)
from deepwright.risk import ece_interval, fragility_index

ic = pytest.importorskip("maite.protocols.image_classification")
CLASSES = ("a", "b", "c")


@pytest.fixture
def world():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
    x, y = torch.rand(50, 3, 8, 8), torch.randint(0, 3, (50,))
    return network, Split(x, y), MaiteDataset(Split(x, y), "noise", CLASSES)


def test_they_are_what_the_protocols_ask_for(world):
    network, _, dataset = world
    assert isinstance(dataset, ic.Dataset)
    assert isinstance(MaiteModel(network, "linear", CLASSES), ic.Model)
    assert isinstance(MaiteMetric(3), ic.Metric)
    assert isinstance(MaiteAugmentation(lambda x, y, ids: x, "nothing"), ic.Augmentation)


def test_its_own_evaluation_gives_our_numbers(world):
    from maite.tasks import evaluate

    network, split, dataset = world
    found, *_ = evaluate(
        model=MaiteModel(network, "linear", CLASSES), dataset=dataset, metric=MaiteMetric(3), batch_size=16
    )
    logits = network(split.x).detach()
    assert found["accuracy"] == pytest.approx(float((logits.argmax(1) == split.y).double().mean()))
    assert found["fi"] == pytest.approx(float(fragility_index(logits, split.y)), abs=1e-5)
    assert found["ece"] == pytest.approx(ece_interval(logits, split.y).value, abs=1e-5)


def test_their_model_and_data_are_audited_as_ours(world):
    network, split, dataset = world
    model = MaiteNetwork(MaiteModel(network, "linear"))
    with torch.no_grad():
        assert torch.allclose(model(split.x), network(split.x).softmax(1), atol=1e-6)
    task = Classification(3, outputs="probabilities")
    theirs = audit(model, MaiteBatches(dataset, 16), task=task, checks=["accuracy", "fragility"])
    ours = audit(network, [(split.x, split.y)], task=Classification(3), checks=["accuracy", "fragility"])
    for check, value in (("accuracy", "accuracy"), ("fragility", "fi")):
        assert theirs[check].number(value) == pytest.approx(ours[check].number(value), abs=1e-5)


def test_a_loader_will_do(world):
    _, split, dataset = world
    loader = [tuple(zip(*(dataset[i] for i in range(a, min(a + 20, 50))))) for a in (0, 20, 40)]
    batches = MaiteBatches(loader)
    for _ in range(2):
        assert torch.equal(torch.cat([x for x, _ in batches]), split.x)
        assert torch.equal(torch.cat([y for _, y in batches]), split.y)


def test_noise_belongs_to_a_sample_and_not_to_its_batch(world):
    def noise(x, severity, seed, ids):
        rows = [torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(int(i) + seed)) for i in ids]
        return torch.stack(rows)

    _, _, dataset = world
    change = MaiteAugmentation.of_perturbation(noise, 3)
    rows = [tuple(zip(*(dataset[i] for i in part))) for part in ((4, 5), (5, 9))]
    first, second = (change(batch) for batch in rows)
    assert np.array_equal(first[0][1], second[0][0])
    assert not np.array_equal(first[0][0], first[0][1])
    assert first[1:] == rows[0][1:]


def test_real_perturbations_and_attacks_fit(world):
    from deepwright.corruptions import ALL

    network, split, dataset = world
    batch = tuple(zip(*(dataset[i] for i in range(6))))
    noisy = np.stack(MaiteAugmentation.of_perturbation(ALL[0], 2)(batch)[0])
    assert noisy.shape == (6, 3, 8, 8)
    assert all((a != b).any() for a, b in zip(noisy, split.x[:6].numpy()))
    moved = np.stack(MaiteAugmentation.of_attack(FGSM(eps=0.1), network)(batch)[0])
    assert 0 < np.abs(moved - split.x[:6].numpy()).max() <= 0.1 + 1e-6
