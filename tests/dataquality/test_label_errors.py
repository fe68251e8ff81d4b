"""Label errors against an independent count, against known noise, and where no label is wrong."""

import numpy as np
import pytest
import torch

from deepwright.data import load
from deepwright.dataquality import find_label_errors, fit_label_noise, out_of_fold, random_features


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def flipped(y, share, classes, seed=0):
    source = seeded(seed)
    wrong = torch.rand(len(y), generator=source) < share
    other = (y + torch.randint(1, classes, y.shape, generator=source)) % classes
    return torch.where(wrong, other, y), wrong


def drawn(n=4000, classes=4, sharp=3.0, seed=0):
    """Probabilities, and labels that are drawn from them."""
    p = (sharp * torch.randn(n, classes, generator=seeded(seed), dtype=torch.float64)).softmax(1)
    return p, torch.multinomial(p, 1, generator=seeded(seed + 1))[:, 0]


def test_the_confident_joint_is_that_of_the_definition():
    p, y = drawn(500)
    counts = np.zeros((4, 4), dtype=int)
    threshold = [float(p[y == k, k].mean()) for k in range(4)]
    for row, label in zip(p.tolist(), y.tolist()):
        above = [k for k in range(4) if row[k] >= threshold[k]]
        if above:
            counts[label, max(above, key=lambda k: row[k])] += 1
    found = find_label_errors(p, y)
    assert found.confident.tolist() == counts.tolist()
    share = np.bincount(y.numpy(), minlength=4) / len(y)
    assert np.allclose(found.joint.numpy(), counts / counts.sum(1, keepdims=True) * share[:, None])
    margins = found.margin[found.rows]
    assert bool((margins.diff() >= 0).all())


@pytest.mark.parametrize("share", [0.0, 0.03, 0.1])
def test_the_number_of_wrong_labels_is_told_from_the_classifiers_doubt(share):
    p, y = drawn(sharp=6.0)
    noisy, wrong = flipped(y, share, 4)
    found = fit_label_noise(p**0.5 / (p**0.5).sum(1, keepdim=True), noisy)  # too unsure by a temperature of 2
    assert found.rate.low - 0.005 <= float(wrong.double().mean()) <= found.rate.high + 0.005
    assert found.temperature == pytest.approx(0.5, abs=0.12)
    assert float(found.wrong.mean()) == pytest.approx(found.rate.value, abs=0.01)


def test_known_noise_in_the_digits_is_found_out_of_fold():
    data = load("digits")
    y, wrong = flipped(data.train.y, 0.05, 10)
    rows = random_features(data.train.inputs().flatten(1), 256)
    found = find_label_errors(out_of_fold(rows, y, 10, penalty=1e-2).double(), y)
    hits = wrong[found.rows]
    assert float(hits.double().mean()) > 0.75  # precision
    assert int(hits.sum()) > 0.75 * int(wrong.sum())  # recall
    assert int(wrong[found.rows[:20]].sum()) >= 18
    assert found.expected.low - 15 <= int(wrong.sum()) <= found.expected.high + 15


def test_a_sample_is_judged_by_a_fit_that_never_saw_it():
    x, y = torch.randn(300, 40, generator=seeded()), torch.arange(300) % 2
    p = out_of_fold(x, y, 2, penalty=1e-4)
    assert float((p.argmax(1) == y).double().mean()) < 0.6  # labels of noise can't be told; one that saw them could
    z = x.clone()
    z[:, 0] += 4 * y
    assert float((out_of_fold(z, y).argmax(1) == y).double().mean()) > 0.9


def test_out_of_fold_is_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    from deepwright.dataquality.logistic import folds_of

    x = torch.randn(200, 3, generator=seeded(), dtype=torch.float64)
    y = (x[:, 0] + torch.randn(200, generator=seeded(1), dtype=torch.float64) > 0).long()
    z = (x - x.mean(0)) / x.std(0, correction=0)
    fold, mine = folds_of(y), out_of_fold(x, y, penalty=0.01)
    for k in range(5):
        seen = fold != k
        n = int(seen.sum())
        # two columns of weights, w and -w: the penalty of their difference is half of one column's
        theirs = LogisticRegression(C=1 / (0.01 * n), tol=1e-8).fit(z[seen].numpy(), y[seen].numpy())
        assert np.allclose(mine[~seen].numpy(), theirs.predict_proba(z[~seen].numpy()), atol=2e-3)


def test_a_rate_that_nothing_bounds_is_not_told():
    uniform, y = torch.full((200, 3), 1 / 3, dtype=torch.float64), torch.arange(200) % 3
    against = torch.full((200, 3), 0.01, dtype=torch.float64).scatter(1, ((y + 1) % 3)[:, None], 0.98)
    for p in (uniform, against):
        found = fit_label_noise(p, y)
        assert not found.identified
        assert np.isnan(found.rate.value)
        assert found.rate.high == 1.0
        assert bool(found.wrong.isnan().all())
        assert not find_label_errors(p, y).identified
    p, y = drawn(1000)
    found = fit_label_noise(p, y)
    assert found.identified
    assert found.rate.high < 0.2
