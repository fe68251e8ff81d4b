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


def test_variances_are_found_where_gradients_are_off():
    leaves, y = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1.0, 2.0, -1.0, 0.5, 1.2])
    wanted = TreeGaussianProcess(Tree(2, 2)).fit(leaves, y).noise_variance_
    with torch.no_grad():
        assert TreeGaussianProcess(Tree(2, 2)).fit(leaves, y).noise_variance_ == wanted


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


VARIANCES = {"level_variances": [0.0, 1.0, 1.0], "noise_variance": 0.5}


def test_lists_and_frames_hold_the_same_codes():
    """A list of texts, numbers and NaN must not become one of texts alone."""
    pandas = pytest.importorskip("pandas")
    rows, y = [["A", 1], ["A", 2], ["B", 1], ["B", 2], ["A", 1], ["A", 2]], [1.0, 2.0, 3.0, 4.0, 1.0, 2.0]
    frame = pandas.DataFrame(rows, columns=["group", "part"])
    fitted = TreeGPRegressor(**VARIANCES).fit(rows, y)
    wanted = TreeGPRegressor(**VARIANCES).fit(frame, y).predict(frame)
    assert np.ptp(wanted) > 1
    for asked in (rows, frame.to_numpy(), [[a, float(b)] for a, b in rows], tuple(rows)):
        assert np.array_equal(fitted.predict(asked), wanted)
    for cv in (2, 3):
        encoder = TreeTargetEncoder(**VARIANCES, cv=cv)
        assert np.array_equal(encoder.fit_transform(rows, y), encoder.fit_transform(frame.to_numpy(), y))


@pytest.mark.parametrize("missing", [None, float("nan"), "", "NA"])
def test_what_is_missing_in_a_list_of_texts_is_missing(missing):
    if missing == "NA":
        missing = pytest.importorskip("pandas").NA
    train = np.array([["A", "x"], ["A", missing], ["B", "y"]], dtype=object)
    for rows in (train, [["A", "x"], ["A", missing], ["B", "y"]]):
        fitted = TreeGPRegressor(**VARIANCES).fit(rows, [1.0, 2.0, 3.0])
        assert fitted.nodes_.index.paths == (("A", "x"), ("A",), ("B", "y"))
        assert np.array_equal(fitted.predict([["A", "nan"]]), fitted.predict(train[1:2]))


def test_codes_read_otherwise_than_in_fit_are_refused():
    fitted = TreeGPRegressor(**VARIANCES).fit(np.array([["A", "1"], ["B", "2"]]), [1.0, 2.0])
    with pytest.raises(InputError, match="column 1"):
        fitted.predict([["A", 1], ["B", 2]])
    numbers = TreeGPRegressor(**VARIANCES).fit([[1, 1], [2, 2]], [1.0, 2.0])
    with pytest.raises(InputError, match="column 0"):
        numbers.predict(np.array([["1", "1"]]))
    assert np.isfinite(fitted.predict([["C", "9"], [None, None]])).all()


def test_labels_of_none_and_nan():
    index = TreeIndex.from_paths([("a",), ("a", None)])
    assert len(set(index.ancestors_of_leaves[:, -1].tolist())) == 2
    with pytest.raises(InputError, match="nan"):
        TreeIndex.from_paths([(float("nan"), 1), (float("nan"), 2)])


def test_degenerate_fits_are_refused_or_named(unchecked):
    tree, leaves = Tree(2, 2), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    with pytest.raises(InputError, match="equal values"):
        TreeGaussianProcess(tree).fit(leaves, torch.full((7,), 0.7).double())  # whose variance rounds to 1e-32
    with pytest.raises(InputError, match="float64"):
        TreeGaussianProcess(tree).fit(leaves, torch.arange(7).double() * 1e170)
    with pytest.raises(InputError, match="float64"):
        TreeGaussianProcess(tree, [0, 1e300, 1e300], noise_variance=1e-300).fit(leaves[:2], torch.tensor([1.0, 3.0]))
    with pytest.raises(InputError, match="mean"):
        TreeGaussianProcess(tree, [0, 1, 1], noise_variance=1.0, mean=float("nan"))
    for where in (tree, TreeIndex.from_paths(["aa", "ab", "ba", "bb"])):
        process = TreeGaussianProcess(where, [0, 1, 1], noise_variance=1.0)
        for wrong in (torch.tensor([[0], [1]]), [0, 1]):
            with pytest.raises(InputError, match="leaves"):
                process.fit(wrong, torch.tensor([1.0, 3.0]))


def test_variances_that_only_add_up_are_named():
    """One row a leaf: what is the leaf's and what is noise can't be told apart."""
    torch.manual_seed(0)
    tree, y = Tree(2, 3), torch.randn(16).double()
    once = TreeGaussianProcess(tree).fit(torch.arange(8), y[:8])
    assert once.undetermined_ == ("level 3",)
    levels, noise = once.level_variances_.clone(), once.noise_variance_
    levels[3], noise = levels[3] + noise / 2, noise / 2
    moved = TreeGaussianProcess(tree, levels, noise_variance=noise).fit(torch.arange(8), y[:8])
    assert moved.log_likelihood_ == pytest.approx(once.log_likelihood_)
    assert TreeGaussianProcess(tree).fit(torch.arange(16) % 8, y).undetermined_ == ()
