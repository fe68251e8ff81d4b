"""`harden --with roast`: a forecaster of several entities gets a detector in front of it."""

import numpy as np
import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.checks import Subject
from deepwright.checks.stream_guards import measured_stream_guard
from deepwright.core.tasks import Forecast
from deepwright.data import Data, Split
from deepwright.nets import load_exported
from deepwright.workflows import HardenOptions, harden


class Last(nn.Module):
    """The last reading for each of three steps."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x[:, -1:, :1].repeat(1, 3, 1) * self.one


def series(entities=5, seen=False):
    draws = torch.Generator().manual_seed(0)
    parts = []
    for n in (60, 30, 40):
        level = torch.arange(entities).repeat_interleave(n)
        x = level[:, None, None] + (0.1 + 0.1 * level)[:, None, None] * torch.randn(len(level), 8, 2, generator=draws)
        y = x[:, -3:, :1] + 0.1 * torch.randn(len(level), 3, 1, generator=draws)
        parts.append(Split(x, y, {"who": np.array([f"e{k}" for k in level.tolist()], dtype=object)}))
    return Data("made", "series", (), *parts, features=("a", "b"), seen_validation=seen)


def subject(**options):
    return Subject(Last().eval(), series(**options), task=Forecast(3, tolerance=0.5), eps=(0.3,))


@pytest.mark.parametrize("seen", [False, True])
def test_what_passes_is_never_more_than_without(seen):
    made = subject(seen=seen)
    found = measured_stream_guard(made, 0.1)
    before, after = found.without.values, found.beside.values
    for harm in ("harm", "harm_by_one_who_knows"):
        assert 0 <= after[harm].value <= before[harm].value + 1e-9
    assert before["harm"].value > 0
    assert after["false_alarms"].value < 0.3
    assert set(found.kept) <= {f"e{k}" for k in range(5)}
    assert ("validation windows" in found.notes[0]) is not seen
    by_hand = (found.watched.score(made.data.test.x) > 1).double().reshape(5, -1).mean(1)
    assert after["false_alarms"].value == pytest.approx(float(by_hand.mean()))


def test_files_and_both_audits(tmp_path):
    model = Last().eval()
    options = HardenOptions(
        model, data=series(), task=Forecast(3, tolerance=0.5), method="roast", eps=(0.3,), out=tmp_path
    )
    found = harden(options)
    assert {"index.html", "report.json", "weights.safetensors", "network.pt2", "before"} <= {
        p.name for p in tmp_path.iterdir()
    }
    x = series().test.inputs(slice(0, 6))
    wanted, opened = found.hardened.model.watched(x), load_exported(tmp_path / "network.pt2")(x)
    assert torch.equal(wanted[0], model(x))
    assert torch.allclose(opened[1], wanted[1], atol=1e-4)
    assert torch.equal(opened[2], wanted[2])
    assert [f.check for f in found.after.findings] == ["accuracy", "stream guard"]
    assert "who knows it" in found.after["stream guard"].summary


def test_what_it_doesn_t_apply_to(tmp_path):
    rows = Split(torch.rand(40, 4), torch.arange(40) % 2)
    table = Data("rows", "tabular", ("a", "b"), rows, rows, rows)
    with pytest.raises(InputError, match="forecasts"):
        harden(HardenOptions(nn.Linear(4, 2), data=table, method="roast", out=tmp_path / "never"))
    with pytest.raises(InputError, match="epochs"):
        HardenOptions(nn.Linear(4, 2), data=table, method="roast", epochs=2)
