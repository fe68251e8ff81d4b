"""Calls of the room of risk."""

import torch

from deepwright.risk import (
    FragileLinearClassifier,
    FragilityIndex,
    FragilityLoss,
    bootstrap_index,
    brier,
    ece,
    fit_temperature,
    fragility_curve,
    fragility_index,
    fragility_report,
    kl_roots,
    misjudgment,
    nll,
    reliability,
    selective_curve,
    wasserstein_interval,
    worst_case_mean,
    worst_case_weights,
)
from entries import Entry, image_classifier, normal, seeded


def logits(device, n=120, k=4, dtype=torch.float32):
    z, y = 2 * normal(n, k, dtype=dtype), torch.randint(k, (n,), generator=seeded(1))
    z[torch.arange(n), y] += 3.0
    return z.to(device), y.to(device)


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


MIXES = "tensors made on the CPU beside those of the device"

ENTRIES = [
    Entry("fragility_index", index),
    *(Entry(f"FragilityLoss {m}", loss_of(m, True)) for m in ("index", "tilted", "penalty")),
    Entry("FragilityLoss not moved", loss_of("index", False), fails=MIXES),
    Entry("FragilityIndex", metric),
    Entry("kl_roots", roots),
    Entry(
        "worst_case_mean, worst_case_weights",
        lambda d: (worst_case_mean(errors(d), 0.1), worst_case_weights(errors(d))),
    ),
    Entry("fragility_curve", lambda d: fragility_curve(errors(d), torch.tensor([0.1, 0.3])), fails=MIXES),
    Entry("ece", lambda d: ece(*logits(d)), fails=MIXES),
    Entry("ece, adaptive", lambda d: ece(*logits(d), adaptive=True), fails=MIXES),
    Entry("reliability", lambda d: reliability(*logits(d)), fails=MIXES),
    Entry("brier, nll, fit_temperature", lambda d: (brier(*logits(d)), nll(*logits(d)), fit_temperature(*logits(d)))),
    Entry("fragility_report", lambda d: fragility_report(*logits(d)), fails=MIXES),
    Entry("bootstrap_index", lambda d: bootstrap_index(errors(d)), fails=MIXES),
    Entry("selective_curve", lambda d: selective_curve(errors(d), -errors(d)), fails=MIXES),
    Entry("wasserstein_interval", wasserstein),
    Entry("FragileLinearClassifier", linear, fails="numpy arrays are made of the device's tensors"),
]
