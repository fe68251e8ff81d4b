"""DWN, ULEEN and heads: hardened tables vote the same, pruning by hand, seeds, thresholds, refusals."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError, NotFittedError
from deepwright.weightless import DWN, ULEEN, Booleanizer, DWNClassifier, ULEENClassifier, WNNHead
from deepwright.weightless.differentiable.layers import LearnedThresholds
from deepwright.weightless.mapping import addresses

sys.path.insert(0, str(Path(__file__).parent.parent))
from authors_digits import digits


def bits_of(samples, features, seed=0):
    return (torch.rand(samples, features, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


@pytest.mark.parametrize("mapping", ["learnable", "random"])
def test_a_dwn_is_its_hardened_tables(mapping):
    net, bits = DWN(20, 3, (14, 12), 4, mapping=mapping, seed=1).eval(), bits_of(50, 20)
    x = bits.numpy().astype(np.uint8)
    for layer in net.layers:
        tables, read = (found.numpy() for found in layer.hardened())
        x = tables[np.arange(len(tables)), addresses(x, read.astype(np.int32))]
    assert np.array_equal(net.votes(bits).numpy(), x.reshape(50, 3, 4).sum(axis=2))
    assert torch.allclose(net(bits) * net.head.tau, net.votes(bits).float(), atol=1e-5)
    assert net.nbytes == (14 + 12) * 16 // 8


def test_a_filter_bank_hashes_as_a_loop_does():
    net, bits = ULEEN(20, 3, n_inputs=(4, 12), entries=32, hashes=2, seed=1).eval(), bits_of(8, 20)
    for bank in net.banks:
        found = bank(bits)
        for i, j in np.ndindex(8, len(bank.mapping)):
            padded, at = np.pad(bits[i].numpy().astype(int), (0, 12)), []
            for words in bank.words.tolist():
                place = 0
                for word, f in zip(words, bank.mapping[j].tolist()):
                    place ^= word * int(padded[f])
                at.append(place)
            assert found[i, j].tolist() == (bank.tables[j, at].amin(dim=0) >= 0).float().tolist()
    assert net.banks[0].tables.shape[1] == 16


def test_pruning_leaves_out_what_follows_its_class_least():
    net, bits = ULEEN(20, 2, n_inputs=(4,), seed=0), bits_of(200, 20)
    labels = bits[:, 0].long()
    nodes = net.eval().nodes(bits).detach().numpy()
    before = net.votes(bits).float().mean(dim=0)
    net.prune(bits, labels, 0.4)
    for c in range(2):
        true = (labels.numpy() == c).astype(float)
        follows = [
            0.0 if nodes[:, j, c].std() == 0 else np.corrcoef(nodes[:, j, c], true)[0, 1] for j in range(nodes.shape[1])
        ]
        gone = sorted(np.argsort(follows, kind="stable")[:2].tolist())
        assert np.flatnonzero(net.banks[0].kept[:, c].numpy() == 0).tolist() == gone
        assert net.bias[c].item() == pytest.approx(nodes[:, gone, c].mean(axis=0).sum(), abs=1e-5)
    assert (net.votes(bits).float().mean(dim=0) - before).abs().max() <= 0.5 + 1e-5
    assert net.nbytes == 2 * 3 * 16 // 8


def test_entries_stay_in_their_range_while_training():
    net, bits = DWN(12, 2, (8,), 3, mapping="random"), bits_of(32, 12)
    with torch.no_grad():
        net.layers[0].tables.mul_(5)
    net(bits)
    assert net.layers[0].tables.abs().max() == 1


@pytest.mark.parametrize(
    "net",
    [
        DWNClassifier((100,), epochs=15, random_state=0),
        ULEENClassifier((6, 8), epochs=10, random_state=0),
    ],
)
def test_classifiers_learn_and_repeat(net):
    bits, y = digits()
    net.fit(bits[:600], y[:600])
    assert net.score(bits[600:], y[600:]) > 0.65
    assert net.predict_proba(bits[:9]).sum(axis=1) == pytest.approx(np.ones(9))
    first = net.decision_function(bits[600:])
    assert np.array_equal(net.fit(bits[:600], y[:600]).decision_function(bits[600:]), first)
    named = np.array(list("abcdefghij"))[y]
    assert np.array_equal(named[:1].dtype.kind, net.fit(bits[:99], named[:99]).predict(bits[:5]).dtype.kind)


def parity(count, features, samples=1600):
    bits = bits_of(samples, features)
    return bits.numpy(), (bits[:, :count].sum(dim=1) % 2).long().numpy()


@pytest.mark.parametrize("mapping", ["learnable", "random"])
def test_two_layers_learn_exclusive_or(mapping):
    bits, y = parity(2, 8)
    net = DWNClassifier((40, 20), 4, mapping=mapping, epochs=12, random_state=0).fit(bits[:800], y[:800])
    assert net.score(bits[800:], y[800:]) > 0.93


def test_two_layers_learn_what_one_can_not():
    """Parity of three by tables of two inputs: no sum of them follows it."""
    bits, y = parity(3, 6)
    scores = []
    for layers in ((60,), (60, 60)):
        net = DWNClassifier(layers, 2, epochs=10, random_state=0).fit(bits[:800], y[:800])
        scores.append(net.score(bits[800:], y[800:]))
    assert scores[0] < 0.7
    assert scores[1] > 0.85


def test_a_learnable_mapping_finds_the_bits_that_matter():
    """Only 2 of 16 bits do; at the authors' temperature of 0.001 hardly any choice changes."""
    bits, y = parity(2, 16)
    moved, scores = [], []
    for tau in (0.1, 0.001):
        net = DWNClassifier((40,), 4, epochs=10, random_state=0, mapping_tau=tau).fit(bits[:800], y[:800])
        before = DWN(16, 2, (40,), 4, seed=net.seed_).layers[0].hardened()[1]
        moved.append((net.module_.layers[0].hardened()[1] != before).float().mean().item())
        scores.append(net.score(bits[800:], y[800:]))
    assert moved[0] > 0.3 > 0.2 > moved[1]
    assert scores[0] > 0.93 > 0.75 > scores[1]


def test_thresholds_begin_at_quantiles_and_learn():
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    coder = LearnedThresholds(4, 3)
    coder.start(x)
    assert torch.allclose(coder.thresholds.detach(), torch.quantile(x, torch.tensor([0.25, 0.5, 0.75]), dim=0).T)
    bits = coder(x)
    assert torch.equal(bits.round(), (x[:, :, None] > coder.thresholds).float().flatten(1))
    assert Booleanizer("thermometer", bits=4, compact=True).fit(x).n_bits_ == bits.shape[1]
    bits.sum().backward()
    assert (coder.thresholds.grad < 0).all()  # a higher threshold is fewer bits


def test_a_head_learns_and_is_unsure_of_noise():
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(600) % 3
    x = torch.randn(600, 8, generator=draw) + 3 * torch.nn.functional.one_hot(y, 8)
    head = WNNHead(8, 3, layers=(150,))
    head.start(x)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(x), y).backward()
        optimizer.step()
    head.eval()
    assert (head(x).argmax(dim=1) == y).float().mean() > 0.93
    noise = torch.randn(600, 8, generator=draw)
    assert head.anomaly(noise).mean() > head.anomaly(x).mean() + 0.05
    assert 0 <= head.margin(noise).min() <= head.margin(x).max() <= 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_networks_keep_their_dtype(dtype):
    bits = bits_of(6, 16).to(dtype)
    for net in (DWN(16, 2, (8,)), ULEEN(16, 2, (4, 12)), WNNHead(16, 2, layers=(8,))):
        assert net.to(dtype)(bits).dtype == dtype


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DWN(8, 3, (10,)), "a multiple of 3"),
        (lambda: DWN(8, 2, ()), "layers"),
        (lambda: DWN(8, 2, (4,), n_inputs=7), "n_inputs"),
        (lambda: DWN(8, 2, (4,), mapping="x"), "mapping"),
        (lambda: DWN(8, 2, (4,), tau=0), "tau"),
        (lambda: ULEEN(8, 2, entries=12), "power of two"),
        (lambda: ULEEN(8, 2, dropout=1), "dropout"),
        (lambda: ULEEN(8, 2, n_inputs=()), "n_inputs"),
        (lambda: ULEEN(8, 2).prune(bits_of(4, 8), torch.zeros(4), 1), "fraction"),
        (lambda: DWN(8, 2, (4,))(bits_of(4, 9)), r"\(samples, 8\)"),
        (lambda: WNNHead(8, 2, layers=(4,)).start(torch.full((3, 8), torch.nan)), "NaN"),
        (lambda: DWNClassifier(device="x").fit(digits()[0][:50], digits()[1][:50]), "device"),
        (lambda: DWNClassifier(lr=-1).fit(digits()[0][:50], digits()[1][:50]), "lr"),
    ],
)
def test_bad_networks_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_a_classifier_must_be_fitted():
    with pytest.raises(NotFittedError):
        DWNClassifier().predict(digits()[0])
