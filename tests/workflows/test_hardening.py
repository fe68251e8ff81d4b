"""A hardened network: its files say what it says, both audits are there, and a method that doesn't apply is refused."""

import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.checks import Subject, run_check
from deepwright.checks.smoothing import check_smoothing
from deepwright.data import Data, Split
from deepwright.nets import load_exported
from deepwright.workflows import HardenOptions, harden


def stripes(n, seed):
    """Bright on the left, on the right, or nowhere."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = 0.35 + 0.25 * torch.rand(n, 1, 8, 8, generator=rng)
    x[y == 0, :, :, :4] += 0.3
    x[y == 1, :, :, 4:] += 0.3
    return Split((x.clamp(0, 1) * 255).to(torch.uint8), y)


DATA = Data("stripes", "image", ("left", "right", "none"), stripes(150, 0), stripes(60, 1), stripes(45, 2))


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


@pytest.fixture(scope="module")
def trained():
    """Which half is brighter, and by more than half of what it can be."""
    model = network().eval()
    side = torch.ones(8, 8)
    side[:, 4:] = -1
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([side.flatten(), -side.flatten(), 0 * side.flatten()]))
        model[1].bias.copy_(torch.tensor([0.0, 0.0, 0.15 * 32]))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("method", ["smoothing", "sharpening"])
def test_files_and_both_audits(trained, tmp_path, method):
    options = HardenOptions(
        trained, data=DATA, method=method, epochs=2, checks=["accuracy"], attack_limit=20, out=tmp_path
    )
    found = harden(options)
    assert {"index.html", "report.json", "weights.safetensors", "network.pt2", "before"} <= {
        p.name for p in tmp_path.iterdir()
    }
    assert not (tmp_path / ".unfinished").exists()
    x = DATA.test.inputs(slice(0, 5))
    with torch.no_grad():
        wanted, opened = found.hardened.model(x), load_exported(tmp_path / "network.pt2")(x)
    assert torch.allclose(wanted, opened, atol=1e-4)
    assert found.difference < 1e-4
    assert found.after["accuracy"].number("accuracy") > 0.9
    assert found.after.comparison is not None
    if method == "smoothing":
        assert found.before["smoothing"].number("certified_accuracy_at_0") <= 1
        assert found.after["smoothing"].number("mean_radius") > 0
    else:
        released = found.before["preemptive"]
        assert released.grade == "info", released.summary
        assert [row[0] for row in released.tables[0].rows] == ["as it is", "sharpened", "contrast"]
        assert "attacker who has the network" in released.summary
    with torch.no_grad():
        assert torch.equal(trained(x), network_of(trained)(x))


def network_of(model):
    """The network that was given is left as it was: a copy of its state says the same."""
    again = network().eval()
    again.load_state_dict(model.state_dict())
    return again


def test_the_check_certifies_where_it_is_asked(trained):
    subject = Subject(trained, DATA, attack_limit=9)
    finding = run_check("smoothing", check_smoothing, subject)
    assert finding.grade == "info", finding.summary
    shares = [finding.number(f"certified_accuracy_at_{r:g}") for r in (0, 0.125, 0.25, 0.375, 0.5)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5


def test_what_it_doesn_t_apply_to(tmp_path):
    rows = Split(torch.rand(40, 4), torch.arange(40) % 2)
    table = Data("rows", "tabular", ("a", "b"), rows, rows, rows)
    with pytest.raises(InputError, match="pictures"):
        harden(
            HardenOptions(nn.Linear(4, 2), data=table, method="sharpening", checks=["accuracy"], out=tmp_path / "never")
        )
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
def test_a_detector_stands_beside_the_network(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    options = HardenOptions(model, data=DATA, method="detector", checks=["accuracy"], attack_limit=8, out=tmp_path)
    found = harden(options)
    x = DATA.test.inputs(slice(0, 5))
    made = found.hardened.model
    with torch.no_grad():
        assert torch.equal(made(x), model(x))
        wanted, opened = made.watched(x), load_exported(tmp_path / "network.pt2")(x)
    assert len(opened) == 3
    assert torch.allclose(opened[0], wanted[0], atol=1e-4)
    assert torch.allclose(opened[1], wanted[1], rtol=1e-3)
    assert torch.equal(opened[2], wanted[2])
    before, after = found.before["monitor"], found.after["monitor"]
    assert before.number("wrong_unnoticed_pgd") >= after.number("wrong_unnoticed_pgd")
    assert after.number("false_alarms") < 0.3
    assert "knows the monitor" in after.summary
    assert (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize(("option", "value"), [("epochs", 2), ("strength", 1.5)])
def test_a_detector_is_not_trained_and_its_strength_is_a_rate(option, value):
    with pytest.raises(InputError, match=option):
        HardenOptions("resnet8-mnist", method="detector", **{option: value})
