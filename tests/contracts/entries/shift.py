"""Calls of the room of shift: work happens where the training rows are."""

import warnings

import torch
from torch import nn

from deepwright.shift import (
    AFR,
    DFR,
    ERM,
    HSFM,
    JTT,
    CVaRDRO,
    GroupDRO,
    GroupDROLoss,
    JTTSampler,
    LastLayerRetrain,
    compare_heads,
    discover_groups,
    edit_report,
    extract_features,
    group_metrics,
    hard_set,
    hypergradient,
    make_groups,
    replace_head,
)
from entries import Entry, normal


def rows(device, n=200, seed=0, dtype=torch.float32):
    x = normal(n, 6, seed=seed, dtype=dtype)
    y, a = torch.arange(n) % 2, torch.arange(n) // 2 % 4 // 3
    x[:, 0] += 2.0 * y
    x[:, 1] += 2.0 * ((a + y) % 2)
    return x.to(device), y.to(device), make_groups(y.to(device), a.to(device), 2)


def quiet(method, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method.fit(*given, **options)


def groups(device):
    x, y, g = rows(device)
    found = group_metrics(x[:, :2], y, g, [9, 9, 9, 9])
    return found.per_group, found.n_per_group, found.weighted_average, discover_groups(x, y, 2, logits=x[:, :2])


def gradient(device, dtype=torch.float32):
    (H, y, _), (Q, hard, _) = rows(device, 12, dtype=dtype), rows(device, 20, 1, dtype)
    W, b = normal(2, 6, seed=2, dtype=dtype).to(device), torch.zeros(2, device=device, dtype=dtype)
    direct = hypergradient(H, y, W, b, Q, hard, 4, 0.3, path="direct")
    return direct, hypergradient(H, y, W, b, Q, hard, 4, 0.3, path="gram"), hard_set(Q[:, :2], hard, 4)


def fitted(method):
    def call(device, dtype=torch.float32):
        train, val = rows(device, dtype=dtype), rows(device, 160, 1, dtype)
        found = quiet(method(), *train[:2], *val)
        return found.head_, found.predict(val[0])

    return call


def edited(device):
    train, val = rows(device), rows(device, 160, 1)
    found = quiet(HSFM(n_support=20, epochs=4, k_hard=16), *train[:2], *val)
    report = edit_report(found, train[0][0])
    return found.head_, found.support_, report.shift, report.attribute_cosine, found.best_epoch_


def robust_loss(device):
    x, y, g = rows(device)
    loss = GroupDROLoss(4).to(device)
    return loss(x[:, :2], y, g), loss.q, len(JTTSampler(y == 1, 3))


def compared(device):
    train, val = rows(device), rows(device, 160, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compare_heads(train[:2], val, rows(device, 100, 2), methods=[ERM, DFR(l1=(1e-2,), draws=2)])
    return {name: one.per_group for name, one in found.metrics.items()}


def replaced(device):
    x, y, _ = rows(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).to(device)
    found = extract_features(model, [(x, y)])
    changed = replace_head(model, found.head)
    return found.x, changed, changed(x)


ENTRIES = [
    Entry("group_metrics, discover_groups", groups),
    Entry("hypergradient", gradient, dtypes=(torch.float64,)),
    Entry("ERM", fitted(ERM), tolerance=1e-2, dtypes=(torch.float64,)),
    Entry("LastLayerRetrain", fitted(LastLayerRetrain), tolerance=1e-2),
    Entry("AFR", fitted(lambda: AFR(gamma=(2.0,), pull=(0.1,))), tolerance=1e-2),
    Entry("JTT", fitted(lambda: JTT(up=(5.0,))), tolerance=1e-2),
    Entry("DFR", fitted(lambda: DFR(l1=(1e-2,), draws=2)), tolerance=1e-2, dtypes=(torch.float64,)),
    Entry("GroupDRO", fitted(lambda: GroupDRO(l2=(1e-2,), steps=50)), tolerance=1e-2),
    Entry("CVaRDRO", fitted(lambda: CVaRDRO(alpha=(0.5,), steps=50)), tolerance=1e-2),
    Entry("HSFM, edit_report", edited, tolerance=1e-2),
    Entry("GroupDROLoss, JTTSampler", robust_loss),
    Entry("compare_heads", compared, tolerance=1e-2),
    Entry("extract_features, replace_head", replaced),
]
