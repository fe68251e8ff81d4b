"""Encoders and the process on a tree: equal to a dense one, unseen codes, missing ones, scikit-learn's form."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from deepwright.core.errors import InputError
from deepwright.nets.padic import Tree, TreeEncoder, TreeGaussianProcess, TreeGPRegressor, TreeIndex, TreeTargetEncoder


def dense_answer(prefix, train, y, asked, variances, noise, mean):
    """Mean, variance and log-likelihood by the covariance of every pair."""
    covariance = variances.cumsum(0)[prefix]
    k = covariance[train[:, None], train[None]] + noise * torch.eye(len(train)).double()
    cross = covariance[asked[:, None], train[None]]
    solved = torch.linalg.solve(k, torch.stack([y - mean, torch.ones_like(y)], 1))
    gain = torch.linalg.solve(k, cross.T).T
    log_p = -0.5 * ((y - mean) @ solved[:, 0] + torch.linalg.slogdet(2 * torch.pi * k)[1])
    return mean + gain @ (y - mean), covariance[asked, asked] - (gain * cross).sum(1), log_p


@pytest.mark.parametrize("ragged", [False, True])
def test_it_is_the_dense_process(ragged):
    torch.manual_seed(0)
    if ragged:
        tree = TreeIndex.from_paths([("a",), ("a", "b", "c"), ("a", "d"), ("e", "f", "g"), ("e", "f", "h"), ("i",)])
    else:
        tree = Tree(3, 3)
    rows = tree.ancestors(torch.arange(tree.leaves))
    prefix = (rows[:, None, 1:] == rows[None, :, 1:]).long().cumprod(-1).sum(-1)
    variances = torch.tensor([0.5, 0.7, 0.0, 0.3]).double()
    train = torch.randint(0, tree.leaves - 2, (25,))  # with repeats; the last leaves are never seen
    y, asked = torch.randn(25).double(), torch.arange(tree.leaves)
    process = TreeGaussianProcess(tree, variances, noise_variance=0.2, mean=0.4).fit(train, y)
    mean, variance, log_p = dense_answer(prefix, train, y, asked, variances, 0.2, 0.4)
    got = process.predict(asked)
    assert torch.allclose(got[0], mean, atol=1e-8)
    assert torch.allclose(got[1], variance, atol=1e-8)
    assert process.log_likelihood_ == pytest.approx(float(log_p), abs=1e-8)


def test_variances_are_found_and_those_at_the_end_of_their_range_named():
    g = torch.Generator().manual_seed(0)
    tree = Tree(6, 3)
    rows = tree.ancestors(torch.arange(216))
    effects = torch.randn(tree.nodes, generator=g, dtype=torch.float64)
    scale = torch.tensor([0.0, 1.0, 0.0, 0.5]).double()
    value = (effects[rows] * scale).sum(1)
    leaves = torch.arange(216).repeat(8)
    y = 3 + value[leaves] + 0.5 * torch.randn(len(leaves), generator=g, dtype=torch.float64)
    process = TreeGaussianProcess(tree).fit(leaves, y)
    assert process.noise_variance_ == pytest.approx(0.25, rel=0.1)
    assert float(process.level_variances_[3]) == pytest.approx(0.25, rel=0.3)
    assert float(process.level_variances_[2]) < 0.05
    with pytest.raises(InputError, match="equal values"):
        TreeGaussianProcess(tree).fit(torch.tensor([0, 1]), torch.tensor([1.0, 1.0]))
    with pytest.raises(InputError, match="both"):
        TreeGaussianProcess(tree, noise_variance=1.0)


def test_an_encoder_sums_its_balls_and_never_touches_the_absent():
    encoder = TreeEncoder(Tree(3, 2), 4)
    leaves = torch.tensor([[0, 8], [4, 4]])
    by_hand = encoder.weight[Tree(3, 2).ancestors(leaves.flatten())].sum(1).reshape(2, 2, 4)
    assert torch.allclose(encoder(leaves), by_hand, atol=1e-6)
    encoder(torch.tensor([0])).sum().backward()
    touched = encoder.weight.grad.abs().sum(1) > 0
    assert touched.nonzero().flatten().tolist() == Tree(3, 2).ancestors(torch.tensor([0]))[0].tolist()
    strengths = TreeEncoder(Tree(3, 2), 1, [0.0, 1.0, 2.0])
    squares = strengths.weight.square().flatten()
    assert float(strengths.penalty()) == pytest.approx(float(squares[1:4].sum() + 2 * squares[4:].sum()), rel=1e-5)
    with pytest.raises(InputError, match="3 numbers"):
        TreeEncoder(Tree(3, 2), 1, [1.0])


def test_unseen_and_missing_codes_are_answered_from_above():
    codes = np.array([["A", "A1"]] * 4 + [["A", "A2"]] * 4 + [["B", "B1"]] * 4, dtype=object)
    y = np.array([1.0] * 4 + [2.0] * 4 + [-1.0] * 4)
    found = TreeGPRegressor([0.0, 1.0, 1.0], 0.1, 0.0).fit(codes, y)
    mean, std = found.predict(
        np.array([["A", None], ["A", "A9"], ["C", "A1"], [None, "A1"]], dtype=object), return_std=True
    )
    assert mean[0] == pytest.approx(mean[1])
    assert 0.9 < mean[0] < 1.5
    assert std[1] > 1
    assert mean[2] == mean[3] == 0.0
    assert std[2] == pytest.approx(2**0.5)


def test_codes_are_cross_fitted():
    """Of pure noise, in-sample codes follow the target, and cross-fitted ones don't."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 200, (1000, 1))
    y = rng.normal(size=1000)
    encoder = TreeTargetEncoder([0.0, 1.0], 1.0)
    crossed = encoder.fit_transform(codes, y)[:, 0]
    assert np.corrcoef(encoder.transform(codes)[:, 0], y)[0, 1] > 0.3
    assert abs(np.corrcoef(crossed, y)[0, 1]) < 0.12
    assert encoder.get_feature_names_out().tolist() == ["x0_mean"]


@parametrize_with_checks([TreeGPRegressor(), TreeTargetEncoder()])
def test_scikit_learn(estimator, check):
    check(estimator)
