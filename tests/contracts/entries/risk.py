"""Calls of the room of risk."""

import torch

from deepwright.risk import (
    CROSS_ENTROPY_BOUND,
    HINGE_BOUND,
    FragileLinearClassifier,
    FragilityIndex,
    FragilityLoss,
    FragilityTargetSearch,
    aurc,
    bootstrap_index,
    boundary_f1,
    brier,
    confidence_ece,
    conformal_half_width,
    coverage,
    drawn_pixels,
    ece,
    ece_by_chance,
    ece_interval,
    excess_aurc,
    expected_cost,
    expected_cost_bound,
    fit_temperature,
    flip_wasserstein_index,
    fragility_curve,
    fragility_index,
    fragility_report,
    group_gap_pvalue,
    grouped_calibration,
    kl_roots,
    linear_wasserstein_index,
    lipschitz_estimate,
    localisation_ece,
    miscoverage,
    misjudgment,
    nll,
    reliability,
    risk_at_coverage,
    selective_curve,
    tail_bound,
    temperature_gain,
    wasserstein_interval,
    worst_case_mean,
    worst_case_weights,
)
from entries import Entry, image_classifier, normal, seeded, uniform


def logits(device, n=120, k=4, dtype=torch.float32):
    z, y = 2 * normal(n, k, dtype=dtype), torch.randint(k, (n,), generator=seeded(1))
    z[torch.arange(n), y] += 3.0
    return z.to(device), y.to(device)


def claims(device):
    z, y = logits(device)
    sure, called = z.softmax(1).max(1)
    return sure, called == y, torch.arange(120) // 4


def intervals(device):
    gap = normal(60).to(device)
    half = conformal_half_width(gap, 0.9)
    held = {0.9: (gap.abs() < 1.6)[:, None], 0.5: (gap.abs() < 0.5)[:, None]}
    return half, coverage(gap - half, gap + half, gap, 0.9), miscoverage(held, resamples=200)


def regions(device):
    maps = [torch.randint(0, 3, (3, 12, 16), generator=seeded(s)).to(device) for s in (0, 1)]
    return boundary_f1(*maps, 3), drawn_pixels(maps[0], 9, 2)


def kept(device):
    """Confidences beside the errors; flags on the host are taken along."""
    sure, right, image = claims(device)
    wrong = ~right
    areas = aurc(sure, wrong), excess_aurc(sure, wrong.cpu()), risk_at_coverage(sure, wrong, 0.8)
    return areas, localisation_ece(sure, right.float(), image)


def errors(device):
    return misjudgment(*logits(device))


def index(device, dtype=torch.float32):
    z, y = logits(device, dtype=dtype)
    value = fragility_index(z.requires_grad_(True), y, normalize=True)
    value.backward()
    return value, z.grad


def loss_of(mode, moved):
    def call(device):
        z, y = logits(device)
        out = []
        loss = FragilityLoss(2.0, mode)
        loss = loss.to(device) if moved else loss
        for n in (120, 32):
            rows = z[:n].clone().requires_grad_(True)
            value = loss(rows, y[:n])
            value.backward()
            out += [value, rows.grad]
        return out

    return call


def metric(device):
    z, y = logits(device)
    found = FragilityIndex().to(device)
    found.update(z[:50], y[:50])
    found.update(z[50:], y[50:])
    return found.compute()


def roots(device):
    xi = errors(device)
    return kl_roots(xi[None].repeat(3, 1), torch.zeros(3, dtype=torch.float64, device=device))


def wasserstein(device):
    model, x, y = image_classifier(device)
    found = wasserstein_interval(model, x, y, steps=3, restarts=1)
    return {k: v for k, v in vars(found).items() if isinstance(v, int | float)}


def linear(device):
    z, y = logits(device, 60, 3)
    return FragileLinearClassifier().fit(z, y).predict(z)


def report(device):
    z, y = logits(device)
    groups = torch.arange(len(y)) % 2  # on the CPU: brought to the scores
    cost = 1 - torch.eye(4)
    return fragility_report(z, y, groups=groups, held_out=(z, y), cost_matrix=cost, reject_cost=0.4, bootstrap_rows=50)


def searched(device):
    z, y = logits(device, 80, 2)

    def train(target):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return torch.nn.Linear(2, 2).to(device)

    found = FragilityTargetSearch(train, lambda model: (model(z).detach() + z, y.cpu())).run(2)
    return found.accuracy, found.nfi, found.state


def bounds(device):
    losses = uniform(60).to(device)
    return CROSS_ENTROPY_BOUND.bound(losses, 0.2), HINGE_BOUND.bound(losses), tail_bound(0.3, 0.2)


def labels_on_the_host(device):
    z, y = logits(device)
    y = y.cpu()
    return (
        [fragility_index(z, y), ece(z, y), reliability(z, y), brier(z, y), nll(z, y), fit_temperature(z, y)],
        FragilityLoss(2.0)(z, y),
    )


def linear_indices(device):
    weight = normal(2, 5).to(device)
    return linear_wasserstein_index(weight, 0.1, 0.5), flip_wasserstein_index(weight[0], normal(9).to(device), 2.0, 1.0)


ENTRIES = [
    Entry("fragility_index", index),
    *(Entry(f"FragilityLoss {m}", loss_of(m, True)) for m in ("index", "tilted", "penalty")),
    *(Entry(f"FragilityLoss {m}, not moved", loss_of(m, False)) for m in ("index", "tilted", "penalty")),
    Entry("FragilityIndex", metric),
    Entry("FragilityTargetSearch", searched),
    Entry("kl_roots", roots),
    Entry(
        "worst_case_mean, worst_case_weights",
        lambda d: (worst_case_mean(errors(d), 0.1), worst_case_weights(errors(d))),
    ),
    Entry("fragility_curve", lambda d: fragility_curve(errors(d), torch.tensor([0.1, 0.3]))),
    Entry("SurrogateBound, tail_bound, expected_cost_bound", lambda d: (bounds(d), expected_cost_bound(0.3, 0, 2, 1))),
    Entry("ece", lambda d: ece(*logits(d))),
    Entry("ece_interval, ece_by_chance", lambda d: (ece_interval(*logits(d)), ece_by_chance(logits(d)[0]))),
    Entry("ece, adaptive", lambda d: ece(*logits(d), adaptive=True)),
    Entry("reliability", lambda d: reliability(*logits(d))),
    Entry("brier, nll, fit_temperature", lambda d: (brier(*logits(d)), nll(*logits(d)), fit_temperature(*logits(d)))),
    Entry("temperature_gain", lambda d: temperature_gain(*logits(d))),
    Entry("labels on the CPU", labels_on_the_host),
    Entry(
        "confidence_ece, grouped_calibration",
        lambda d: (confidence_ece(*claims(d)[:2]), grouped_calibration(*claims(d))),
    ),
    Entry("conformal_half_width, coverage, miscoverage", intervals),
    Entry("aurc, excess_aurc, risk_at_coverage, localisation_ece", kept),
    Entry("boundary_f1, drawn_pixels", regions),
    Entry("bootstrap_index, groups", lambda d: bootstrap_index(errors(d), rows=50, group=torch.arange(120) // 3)),
    Entry("fragility_report", report),
    Entry("bootstrap_index", lambda d: bootstrap_index(errors(d))),
    Entry("group_gap_pvalue", lambda d: group_gap_pvalue(errors(d), torch.arange(120) % 2, rows=20)),
    Entry("selective_curve", lambda d: selective_curve(errors(d), -errors(d))),
    Entry("expected_cost", lambda d: expected_cost(logits(d)[0].softmax(1), logits(d)[1].cpu(), 1 - torch.eye(4))),
    Entry("wasserstein_interval", wasserstein),
    Entry("lipschitz_estimate", lambda d: lipschitz_estimate(*image_classifier(d), steps=3)),
    Entry("FragileLinearClassifier", linear),
    Entry("linear_wasserstein_index, flip_wasserstein_index", linear_indices),
]
