"""Whole audits of networks that read series: an LSTM, a 1-D CNN, a forecaster; budgets in deviations of each channel."""

import pytest
import torch
from torch import nn

from deepwright.checks import BUILTIN, Subject, audit, series_in_deviations
from deepwright.core.tasks import Forecast
from deepwright.data import Data, Split, ood_companions

LIMITS = {"attack_limit": 40, "corruption_limit": 40, "ood_limit": 40}
UNITS = torch.tensor([1000.0, 0.01])  # of two channels
CHECKS = [name for name in BUILTIN if name != "cost"]


def waves(n, seed=0, steps=24):
    """Two classes: the first channel goes up and down once or twice; the second is noise. In units that differ widely."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    t = torch.linspace(0, 2 * torch.pi, steps)
    phase = 6.3 * torch.rand(n, 1, generator=rng)
    first = torch.sin((1 + y[:, None]) * t + phase)
    x = torch.stack([first, torch.zeros_like(first)], 2) + 0.2 * torch.randn(n, steps, 2, generator=rng)
    return UNITS * x + 5, y


def series(n=240):
    x, y = waves(n)
    parts = [Split(x[a:b], y[a:b]) for a, b in ((0, n // 2), (n // 2, n // 2 + 40), (n // 2 + 40, n))]
    return Data("waves", "series", ("one", "two"), *parts)


class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 12, batch_first=True), nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.lstm((x - 5) / UNITS)[0][:, -1])


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(2, 8, 7), nn.ReLU(), nn.Conv1d(8, 8, 7), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.layers(((x - 5) / UNITS).transpose(1, 2)))


def trained(network, data, steps=150):
    torch.manual_seed(0)
    network = network()
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(data.train.x), data.train.y).backward()
        optimizer.step()
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize("network", [CNN, LSTM])
def test_a_classifier_of_series_is_audited(network):
    data = series()
    report = audit(Subject(trained(network, data), data, **LIMITS), checks=CHECKS)
    assert [f.summary for f in report.findings if f.grade == "failed"] == []
    assert {f.check for f in report.findings if f.grade == "n/a"} <= {"slices", "groups"}
    assert report["accuracy"].number("accuracy") > 0.9
    found = report["robustness"]
    assert "of a deviation of each channel" in found.rule
    assert found.number("robust_accuracy_at_0.4") <= found.number("noise_accuracy") <= 1
    assert {"far constant", "far ten times the deviation"} <= set(report["ood"].conditions["judged"])
    assert "near time out of order" not in report["ood"].conditions["judged"]


def test_budgets_are_in_deviations_of_each_channel():
    """Of z = w . x + b in own units: what stands at budget e is |z| > e sum |w| scale, whatever the channels' units."""
    data = series()
    torch.manual_seed(0)
    weight = torch.randn(24, 2) / UNITS

    class Plane(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(weight)

        def forward(self, x):
            z = ((x - 5) * self.weight).sum((1, 2))
            return torch.stack([-z, z], 1)

    z = ((data.test.x - 5) * weight).sum((1, 2))
    right = Split(data.test.x, (z > 0).long())
    known = Split(data.train.x, (((data.train.x - 5) * weight).sum((1, 2)) > 0).long())
    subject = Subject(Plane().eval(), Data("plane", "series", ("no", "yes"), known, known, right), attack_limit=80)
    scale = data.train.x.double().reshape(-1, 2).std(0)
    found = audit(subject, checks=["robustness"])["robustness"]
    for e in (0.05, 0.1, 0.2, 0.4):
        stands = (z.abs() > e * (weight.abs().double() * scale).sum()).double().mean()
        assert found.number(f"robust_accuracy_at_{e:g}") == pytest.approx(float(stands), abs=0.03)


def test_in_deviations_the_network_and_its_baseline_say_the_same():
    data = series()
    subject = Subject(trained(CNN, data, 5), data)
    moved = series_in_deviations(subject)
    x, z = data.test.x[:9], moved.data.test.x[:9]
    assert torch.allclose(moved.model(z), subject.model(x), atol=1e-4)
    assert torch.allclose(moved.baseline(z), subject.baseline(x), rtol=1e-3, atol=1e-3)
    train = moved.data.train.x.reshape(-1, 2)
    assert torch.allclose(train.mean(0), torch.zeros(2), atol=1e-4)
    assert torch.allclose(train.std(0), torch.ones(2), atol=1e-4)
    assert torch.equal(subject.data.test.x, data.test.x)


def history(n=200, steps=12):
    rng = torch.Generator().manual_seed(3)
    t = torch.arange(steps + 3) / 2
    x = 50 + 10 * torch.sin(t + 6.3 * torch.rand(n, 1, generator=rng)) + 0.5 * torch.randn(n, steps + 3, generator=rng)
    return x[:, :steps, None], x[:, steps:, None]


@pytest.mark.slow
def test_a_forecaster_is_audited_by_its_fields_metrics():
    """MASE by hand: mean absolute error over that of the last value repeated, one step ahead, in training."""
    x, y = history()

    class Ahead(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(12, 3)
            solved = torch.linalg.lstsq(torch.cat([x[:100, :, 0], torch.ones(100, 1)], 1), y[:100, :, 0]).solution
            self.head.weight.data, self.head.bias.data = solved[:-1].T.contiguous(), solved[-1]

        def forward(self, x):
            return self.head(x[..., 0])[..., None]

    parts = [Split(x[a:b], y[a:b]) for a, b in ((0, 100), (100, 120), (120, 200))]
    network = Ahead().eval()
    subject = Subject(network, Data("temperature", "series", (), *parts), task=Forecast(3), **LIMITS)
    report = audit(subject, checks=CHECKS)
    silent = {f.check for f in report.findings if f.grade == "n/a"}
    assert silent == {"calibration", "fragility", "ood", "labels", "slices", "groups"}
    assert [f.check for f in report.findings if f.grade == "failed"] == []
    gap = (network(x[120:]) - y[120:]).abs().mean()
    naive = x[:100].diff(dim=1).abs().mean()
    accuracy = report["accuracy"]
    assert accuracy.number("mae") == pytest.approx(float(gap), rel=1e-4)
    assert accuracy.number("mase") == pytest.approx(float(gap / naive), rel=1e-4)
    assert accuracy.values["mase"].low < accuracy.number("mase") < accuracy.values["mase"].high
    robust = report["robustness"]
    assert robust.number("robust_accuracy_at_0.4") <= robust.number("clean_accuracy")
    assert report["corruptions"].number("mean_error") >= report["corruptions"].number("clean_error")


class LastStep(nn.Module):
    """The next three values, from the last one; the second channel says nothing."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 3)

    def forward(self, x):
        return self.head(x[:, -1, :1])[..., None]


@pytest.mark.parametrize(("channels", "name"), [(1, "the last season repeated"), (2, "the best answer that looks at")])
def test_forecasts_are_attacked_beside_their_baseline(channels, name):
    """One channel is repeated by the baseline; of a history with other channels it looks at none."""
    x, y = history(60)
    x = torch.cat([x, torch.zeros_like(x)], 2)[:, :, :channels]
    parts = [Split(x[a:b], y[a:b]) for a, b in ((0, 30), (30, 40), (40, 60))]
    subject = Subject(LastStep().eval(), Data("heat", "series", (), *parts), task=Forecast(3), attack_limit=8)
    found = audit(subject, checks=["robustness"])["robustness"]
    assert found.grade != "failed", found.summary
    assert any(name in column for column in found.tables[0].columns)


def test_foreign_series_are_what_they_are_called():
    data = series()
    sets = ood_companions(data, 30, seed=2)
    constant = sets["far constant"]
    assert float((constant - constant[:, :1]).abs().max()) == 0
    out = sets["near time out of order"].sort(1).values
    inside = data.test.x.sort(1).values
    assert all(any(torch.equal(row, other) for other in inside) for row in out[:5])
    known = data.train.x.reshape(-1, 2)
    far = (sets["far ten times the deviation"] - known.mean(0)) / known.std(0)
    assert torch.allclose(far.std((0, 1)), torch.full((2,), 10.0), rtol=0.2)
