"""The Fragility Index against closed forms, its certified bracket, its guarantees and independent solvers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepwright.core.errors import InputError
from deepwright.risk import (
    CROSS_ENTROPY_BOUND,
    HINGE_BOUND,
    FragileLinearClassifier,
    FragilityIndex,
    FragilityLoss,
    FragilityTargetSearch,
    expected_cost,
    expected_cost_bound,
    flip_wasserstein_index,
    fragility_curve,
    fragility_index,
    fragility_report,
    group_gap_pvalue,
    linear_wasserstein_index,
    misjudgment,
    selective_curve,
    tail_bound,
    wasserstein_interval,
    worst_case_mean,
    worst_case_weights,
)


def kl(q, p):
    return float((q * (q / p).log().nan_to_num(0.0)).sum())


def test_two_points_have_the_closed_form():
    xi = torch.tensor([1.0, -1.0])
    value = fragility_index(xi, input="xi", weights=torch.tensor([0.1, 0.9], dtype=torch.float64))
    assert abs(float(value) - 0.4551196133) < 1e-9
    assert math.isinf(fragility_index(xi, input="xi", weights=torch.tensor([0.5, 0.5])))
    with pytest.warns(UserWarning, match="outside"):
        assert float(fragility_index(-xi.abs() * torch.tensor([0.5, 1.0]), input="xi")) == 0.0


def test_gaussian_with_quadrature_weights():
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    xi = torch.tensor(-0.6 + 0.2 * nodes)
    value = fragility_index(xi, input="xi", tau=-0.2, weights=torch.tensor(weights))
    assert abs(float(value) - 0.05) < 1e-8


def test_gaussian_sample():
    xi = torch.randn(2_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.2 - 0.6
    assert abs(float(fragility_index(xi, input="xi", tau=-0.2)) / 0.05 - 1) < 0.05


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 200), st.booleans())
def test_guarantees_hold(seed, n, weighted):
    rng = torch.Generator().manual_seed(seed)
    xi = torch.rand(n, generator=rng, dtype=torch.float64) * 2 - 1
    p = torch.rand(n, generator=rng, dtype=torch.float64) + 1e-3 if weighted else torch.ones(n, dtype=torch.float64)
    p = p / p.sum()
    mean, top = float((p * xi).sum()), float(xi.max())
    tau = mean + (top - mean) * (0.1 + 0.8 * float(torch.rand((), generator=rng)))
    k = float(fragility_index(xi, input="xi", tau=tau, weights=p))
    at_top = float(p[xi == xi.max()].sum())
    spread = float(xi.max() - xi.min())
    assert (top - tau) / math.log(1 / at_top) <= k * (1 + 1e-9)
    assert k <= spread**2 / (8 * (tau - mean)) * (1 + 1e-9)
    q = torch.rand(1000, n, generator=rng, dtype=torch.float64) ** 4
    q = q / q.sum(1, keepdim=True)
    divergence = (q * (q / p).log().nan_to_num(0.0)).sum(1)
    assert bool((q @ xi <= tau + k * divergence + 1e-9).all())
    w = worst_case_weights(xi, tau, p)
    assert abs(float((w * xi).sum()) - tau - k * kl(w, p)) < 1e-8
    for t in np.linspace(0, 2, 50):
        assert float(p[xi >= tau + t].sum()) <= tail_bound(k, t) + 1e-12
    assert abs(float(fragility_index(3 * xi, input="xi", tau=3 * tau, weights=p)) - 3 * k) < 1e-8 * max(k, 1)
    rho = kl(w, p)
    assert abs(float(worst_case_mean(xi, rho, p)) - tau - k * rho) < 1e-6


def test_curve_is_decreasing_and_convex():
    xi = torch.randn(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    taus = torch.linspace(float(xi.mean()) + 0.05, float(xi.max()) - 0.01, 60, dtype=torch.float64)
    k = fragility_curve(xi, taus)
    assert bool((k.diff() <= 1e-9).all())
    assert bool((k.diff().diff() >= -1e-9).all())


def test_implicit_gradient():
    xi = (torch.randn(50, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.5 - 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: fragility_index(a, input="xi"), (xi,), rtol=1e-5)
    logits = torch.randn(40, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y = logits.argmax(1)
    y[:4] = (y[:4] + 1) % 4
    assert torch.autograd.gradcheck(lambda a: fragility_index(a, y), (logits.requires_grad_(),), rtol=1e-4)


def test_normalised_index_ignores_scale_and_shift():
    xi = torch.randn(500, generator=torch.Generator().manual_seed(4), dtype=torch.float64) - 1
    a = fragility_index(xi, input="xi", normalize=True)
    b = fragility_index(7 * xi, input="xi", normalize=True)
    assert torch.isclose(a, b, rtol=1e-9)


def test_huge_scores_do_not_overflow():
    xi = torch.tensor([1e4, -1e4, -1e4, -1e4], dtype=torch.float64)
    expected = 1e4 / math.log(3)
    assert abs(float(fragility_index(xi, input="xi")) / expected - 1) < 1e-9


def test_surrogates_bound_the_index():
    rng = torch.Generator().manual_seed(5)
    z = torch.randn(400, 5, generator=rng, dtype=torch.float64) * 2
    y = torch.where(torch.rand(400, generator=rng) < 0.8, z.argmax(1), torch.randint(0, 5, (400,), generator=rng))
    ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
    assert float(fragility_index(z, y)) <= float(CROSS_ENTROPY_BOUND.bound(ce)) + 1e-9
    hinge = (1 + misjudgment(z, y, "score_margin")).clamp_min(0)
    assert float(fragility_index(z, y, score="score_margin")) <= float(HINGE_BOUND.bound(hinge)) + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(scores=torch.tensor([[math.nan, 0.0]])), "NaN"),
        (dict(scores=torch.tensor([[0.9, 0.9]]), input="probs"), "probs"),
        (dict(target=torch.tensor([5])), "0..1"),
        (dict(weights=torch.tensor([-1.0])), "weights"),
        (dict(weights=torch.tensor([0.0])), "weights"),
        (dict(tau=math.nan), "tau"),
        (dict(scores=torch.zeros(0, 2), target=torch.zeros(0).long()), "0 samples"),
        (dict(score="nonsense"), "prob_margin"),
        (dict(divergence="wasserstein"), "wasserstein_interval"),
        (dict(target=None), "target"),
    ],
)
def test_bad_input_names_the_argument(change, message):
    arguments = {"scores": torch.zeros(1, 2), "target": torch.zeros(1).long(), **change}
    with pytest.raises(InputError, match=message):
        fragility_index(**arguments)


def test_binary_scores_are_expanded():
    p = torch.tensor([0.9, 0.2])
    xi = misjudgment(p, torch.tensor([1, 1]), input="probs")
    assert torch.allclose(xi, torch.tensor([-0.8, 0.6], dtype=torch.float64), atol=1e-6)


def test_stream_contains_the_exact_value():
    rng = torch.Generator().manual_seed(6)
    z = torch.randn(5000, 3, generator=rng) * 2
    y = torch.where(torch.rand(5000, generator=rng) < 0.8, z.argmax(1), torch.randint(0, 3, (5000,), generator=rng))
    exact = float(fragility_index(z, y))
    metrics = []
    for shard in torch.randperm(50, generator=rng).tolist():
        metric = FragilityIndex(bins=4096)
        metric.update(z[shard * 100 : shard * 100 + 100], y[shard * 100 : shard * 100 + 100])
        metrics.append(metric)
    total = metrics[0]
    for metric in metrics[1:]:
        total.merge_state(metric)
    interval = total.compute()
    assert float(interval["low"]) <= exact <= float(interval["high"])
    assert float(interval["high"]) / float(interval["low"]) < 1.01
    whole = FragilityIndex()
    whole.update(z[:2000], y[:2000])
    whole.update(z[2000:], y[2000:])
    assert abs(float(whole.compute()) - exact) < 1e-12


def test_groups_are_normalised_too():
    rng = torch.Generator().manual_seed(7)
    z, y = torch.randn(400, 3, generator=rng) * 3, torch.arange(400) % 3
    z[torch.arange(300), y[:300]] += 6
    group = torch.arange(400) % 2
    metric = FragilityIndex(normalize=True)
    metric.update(z, y, group)
    for g, value in metric.compute_groups().items():
        mine = group == g
        assert float(value) == float(fragility_index(z[mine], y[mine], normalize=True))


def test_dense_targets_and_ignored_positions():
    z = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(7)) * 3
    y = z.argmax(1)
    y[0, 0, 0] = 255
    metric = FragilityIndex(ignore_index=255)
    metric.update(z, y)
    flat = z.movedim(1, -1).reshape(-1, 3)[1:]
    with pytest.warns(UserWarning, match="outside"):
        assert float(metric.compute()) == float(fragility_index(flat, y.reshape(-1)[1:])) == 0.0


def test_loss_modes():
    rng = torch.Generator().manual_seed(8)
    losses = torch.rand(256, generator=rng, dtype=torch.float64) ** 3
    value = FragilityLoss(0.5)(losses)
    assert abs(float(value) - float(fragility_index(losses, input="xi", tau=0.5))) < 1e-12
    assert float(FragilityLoss(0.1)(losses)) == pytest.approx(float(losses.mean()))  # infeasible phase
    tilted = FragilityLoss(0.5, "tilted", k=0.3)(losses)
    assert float(tilted) == pytest.approx(0.3 * math.log(float((losses / 0.3).exp().mean())))
    flat = (losses * 0.1).requires_grad_()
    FragilityLoss(0.5)(flat).backward()
    assert float(flat.grad.abs().max()) == 0.0  # every loss meets the target: k = 0
    assert FragilityLoss(0.5)(losses.float()).dtype == torch.float32


def test_running_normaliser_finds_the_population_index():
    """Batches of 16 underestimate k; the running value comes close to the population's."""
    rng = torch.Generator().manual_seed(9)
    population = torch.rand(20_000, generator=rng, dtype=torch.float64) ** 3 * 2
    exact = float(fragility_index(population, input="xi", tau=0.8))
    loss = FragilityLoss(0.8, ema=0.98)
    for i in range(1200):
        loss(population[torch.randint(0, 20_000, (16,), generator=rng)])
        if i == 600:
            kept = []
        if i > 600:
            kept.append(float(loss.running_k))
    assert abs(np.mean(kept) / exact - 1) < 0.15


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_linear_kl_equals_a_conic_solver(seed):
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 5))
    y = (x @ rng.normal(size=5) + rng.normal(size=200) > 0).astype(int)
    model = FragileLinearClassifier(fit_intercept=False).fit(x, y)
    w, k, s = cvxpy.Variable(5), cvxpy.Variable(), cvxpy.Variable(200)
    sign = 2 * y - 1
    u = cvxpy.Variable(200)  # l_i <= u_i; k log mean exp(u/k) <= tau
    constraints = [
        u >= cvxpy.logistic(-cvxpy.multiply(sign, x @ w)),
        cvxpy.ExpCone(u - model.target_, cvxpy.hstack([k] * 200), s),
        cvxpy.sum(s) <= 200 * k,
    ]
    cvxpy.Problem(cvxpy.Minimize(k), constraints).solve(solver="CLARABEL")
    assert model.fragility_ == pytest.approx(float(k.value), rel=1e-4)
    margins = sign * model.decision_function(x)
    again = fragility_index(torch.tensor(np.logaddexp(0, -margins)), input="xi", tau=model.target_)
    assert float(again) == pytest.approx(model.fragility_, abs=1e-6)


@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
def test_linear_wasserstein_equals_a_conic_solver(norm, loss):
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    y = (x @ rng.normal(size=4) + 0.5 * rng.normal(size=120) > 0).astype(int)
    model = FragileLinearClassifier(loss, "wasserstein", norm=norm).fit(x, y)
    w, b = cvxpy.Variable(4), cvxpy.Variable()
    margin = cvxpy.multiply(2 * y - 1, x @ w + b)
    value = cvxpy.pos(1 - margin) if loss == "hinge" else cvxpy.logistic(-margin)
    problem = cvxpy.Problem(
        cvxpy.Minimize(cvxpy.norm(w, {1: "inf", 2: 2, np.inf: 1}[norm])), [cvxpy.sum(value) / 120 <= model.target_]
    )
    problem.solve(solver="CLARABEL")
    assert model.fragility_ == pytest.approx(problem.value, rel=2e-4)
    assert linear_wasserstein_index(model.coef_, model.dual_value_ - 1e-9, model.target_, norm) == pytest.approx(
        model.fragility_
    )


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
@pytest.mark.parametrize(
    ("classes", "norm", "kappa"), [(2, 2, 0.5), (2, np.inf, 0.5), (3, 1, 0.5), (3, 2, np.inf), (3, np.inf, 0.5)]
)
def test_many_classes_and_flipping_labels_equal_a_conic_solver(loss, classes, norm, kappa):
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = np.argmax(x @ rng.normal(size=(3, classes)) + 0.7 * rng.normal(size=(60, classes)), 1)
    model = FragileLinearClassifier(loss, "wasserstein", norm=norm, kappa=kappa, epsilon=0.3).fit(x, y)
    w, b, k, s = cvxpy.Variable((classes, 3)), cvxpy.Variable((1, classes)), cvxpy.Variable(), cvxpy.Variable(60)
    z = x @ w.T + np.ones((60, 1)) @ b
    limits = [cvxpy.sum(s) / 60 <= model.target_]
    for c in range(classes):
        others = [j for j in range(classes) if j != c]
        value = (
            cvxpy.log_sum_exp(z, axis=1) - z[:, c]
            if loss == "cross_entropy"
            else cvxpy.pos(1 + cvxpy.max(z[:, others], axis=1) - z[:, c])
        )
        own, other = np.flatnonzero(y == c), np.flatnonzero(y != c)
        limits.append(s[own] >= value[own])
        if np.isfinite(kappa):
            limits.append(s[other] >= value[other] - kappa * k)
    dual = {1: "inf", 2: 2, np.inf: 1}[norm]
    limits += [cvxpy.norm(w[j] - w[l], dual) <= k for j in range(classes) for l in range(j)]
    problem = cvxpy.Problem(cvxpy.Minimize(k), limits)
    problem.solve(solver="CLARABEL")
    assert model.fragility_ == pytest.approx(problem.value, rel=1e-4)
    assert model.dual_value_ <= model.target_ * (1 + 1e-5)
    if classes == 2:
        margins = (2 * y - 1) * model.decision_function(x)
        again = flip_wasserstein_index(model.coef_, margins, model.target_ * (1 + 1e-5), kappa, norm, loss)
        assert again == pytest.approx(model.fragility_, rel=1e-3)


def test_target_path_is_convex_and_decreasing():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(150, 3))
    y = np.argmax(x @ rng.normal(size=(3, 3)) + rng.normal(size=(150, 3)), 1)
    path = np.array(FragileLinearClassifier().target_path(x, y))
    slopes = np.diff(path[:, 1]) / np.diff(path[:, 0])
    assert (slopes < 0).all()
    assert (np.diff(slopes) > -1e-6).all()


def test_label_flips_cost():
    m = np.array([2.0, 1.0, -0.5])
    w = np.array([1.0, 1.0])
    free = flip_wasserstein_index(w, m, tau=1.0, kappa=1e9)
    assert free == pytest.approx(math.sqrt(2))
    assert flip_wasserstein_index(w, m, tau=1.0, kappa=0.1) > free
    assert math.isinf(flip_wasserstein_index(w, -10 * np.abs(m), tau=0.1, kappa=1.0))


def test_network_interval_contains_the_linear_answer():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    x = torch.randn(60, 3)
    y = model(x).argmax(1)
    lip = float((model.weight[0] - model.weight[1]).norm())
    interval = wasserstein_interval(model, x, y, lipschitz=lip)
    assert interval.certified
    assert interval.lower <= lip <= interval.upper + 1e-6


def test_report_matches_its_parts(tmp_path):
    rng = torch.Generator().manual_seed(10)
    z = torch.randn(600, 4, generator=rng) * 3
    y = torch.where(torch.rand(600, generator=rng) < 0.85, z.argmax(1), torch.randint(0, 4, (600,), generator=rng))
    report = fragility_report(z, y, groups=torch.arange(600) % 2, held_out=(z[:300], y[:300]), bootstrap_rows=200)
    assert report.fi.value == pytest.approx(float(fragility_index(z, y)))
    assert report.fi.low <= report.fi.value <= report.fi.high
    assert report.matched is not None
    assert report.matched.fi.value == pytest.approx(float(fragility_index(z / report.temperature, y)))
    assert set(report.per_group) == {"0", "1"}
    assert report.to_json(tmp_path / "r.json").exists()
    cost, rejected = expected_cost(z.softmax(1), y, reject_cost=0.0)
    assert (cost, rejected) == (0.0, 1.0)


def test_target_search_resumes(tmp_path):
    calls = tmp_path / "calls"  # a file: what a list holds would be a part of the function's identity

    def train(tau):
        with calls.open("a") as file:
            file.write(f"{tau}\n")
        torch.manual_seed(0)
        return torch.nn.Linear(2, 2)

    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()

    def evaluate(model):
        with torch.no_grad():
            return model(x) + 2 * torch.nn.functional.one_hot(y, 2), y

    first = FragilityTargetSearch(train, evaluate, folder=tmp_path / "trials").run(2)
    assert len(calls.read_text().splitlines()) == 6
    second = FragilityTargetSearch(train, evaluate, folder=tmp_path / "trials").run(2)
    assert len(calls.read_text().splitlines()) == 6
    assert first.nfi == second.nfi


def test_groups_and_selection():
    rng = torch.Generator().manual_seed(11)
    xi = torch.rand(400, generator=rng, dtype=torch.float64) * 1.2 - 1
    groups = torch.arange(400) % 2
    assert group_gap_pvalue(xi, groups, rows=99) > 0.02  # the same distribution in both
    worse = torch.where(groups == 1, xi + 0.25 * (xi > 0), xi - 0.3)
    assert group_gap_pvalue(worse, groups, rows=99) <= 0.02
    curve = selective_curve(xi, -xi)  # confidence that ranks the errors last
    assert curve["coverage"][-1] == 1.0
    assert curve["fi"][-1] == pytest.approx(float(fragility_index(xi, input="xi")))
    assert curve["fi"] == sorted(curve["fi"])
    assert expected_cost_bound(0.5, 0.0, cost_per_score=10.0, shift=0.1) == pytest.approx(0.5)
