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
from deepwright.workflows.robust_training import usual_l2


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
@pytest.mark.parametrize("method", ["smoothing", "sharpening", "adversarial-training", "trades", "corruption-training"])
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
    elif method == "corruption-training":
        pair = found.before["unseen corruptions"], found.after["unseen corruptions"]
        kept_back = pair[0].conditions["perturbations"]
        assert kept_back == pair[1].conditions["perturbations"]
        assert {"gaussian_noise", "fog_mapping"} <= set(kept_back)
        assert not {"contrast", "pixelate", "jpeg"} & set(kept_back)
        assert any("weren't trained on" in note for note in found.hardened.notes)
    elif method != "sharpening":
        assert "on 60 validation samples" in found.hardened.notes[0]
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


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adversarial-training", "trades"])
def test_rows_stand_farther_from_the_line(tmp_path, method):
    """One column tells the classes by far, five tell them a little and together: training moves weight to the first."""

    def rows(n, seed):
        rng = torch.Generator().manual_seed(seed)
        y = torch.arange(n) % 2
        side = (2.0 * y - 1)[:, None]
        far, near = (
            side * 1.5 + 0.6 * torch.randn(n, 1, generator=rng),
            side * 0.3 + 0.1 * torch.randn(n, 5, generator=rng),
        )
        return Split(torch.cat([far, near], 1), y)

    data = Data("rows", "tabular", ("a", "b"), rows(200, 0), rows(80, 1), rows(80, 2))
    model = nn.Linear(6, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0], [1.0]]) * torch.tensor([0.02, 0.3, 0.3, 0.3, 0.3, 0.3]))
        model.bias.zero_()
    words = {"epochs": 15, "strength": 0.4, "steps": 3, "checks": ["robustness"], "eps": (0.1, 0.4)}
    options = HardenOptions(model.eval(), data=data, method=method, out=tmp_path, **words)
    found = harden(options)
    before, after = (r["robustness"].number("robust_accuracy_at_0.4") for r in (found.before, found.after))
    assert after > before + 0.3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adversarial-training", "trades"])
def test_a_budget_in_l2_with_a_warm_up_is_told(trained, tmp_path, method):
    words = {"epochs": 2, "steps": 2, "norm": "l2", "warm_up": 0.5, "strength": 0.2, "checks": ["accuracy"]}
    notes = " ".join(harden(HardenOptions(trained, data=DATA, method=method, out=tmp_path, **words)).hardened.notes)
    assert "at 0.2 in L2" in notes


def test_the_usual_budgets_in_l2():
    def usual(*shape, kind="image"):
        rows = Split(torch.rand(20, *shape), torch.arange(20) % 2)
        data = Data("pictures", kind, ("a", "b"), rows, rows, rows)
        model = nn.Sequential(nn.Flatten(), nn.Linear(rows.x[0].numel(), 2))
        return usual_l2(Subject(model, data))

    assert usual(3, 32, 32) == 0.5
    assert usual(3, 224, 224) == 3.0
    assert usual(1, 28, 28) == pytest.approx(0.1 * 28 / 4)
    assert usual(16, kind="tabular") == pytest.approx(0.1 * 4 / 4)


@pytest.mark.slow
def test_the_fast_way_is_watched(trained, tmp_path):
    options = HardenOptions(
        trained, data=DATA, method="adversarial-training", epochs=1, steps=1, checks=["accuracy"], out=tmp_path
    )
    assert "overfit" in " ".join(harden(options).hardened.notes)


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("smoothing", {"steps": 3}),
        ("adversarial-training", {"beta": 6.0}),
        ("trades", {"held_out": ("noise",)}),
        ("smoothing", {"norm": "l2"}),
        ("detector", {"warm_up": 0.5}),
        ("corruption-training", {"strength": 0.1}),
        ("sharpening", {"mixing": "plain"}),
    ],
)
def test_no_option_is_swallowed(trained, method, option):
    with pytest.raises(InputError, match=next(iter(option))):
        HardenOptions(trained, data=DATA, method=method, **option)


def test_texts_have_no_worst_inputs(tmp_path):
    rows = Split(torch.rand(40, 7, 2), torch.arange(40) % 2)
    series = Data("series", "series", ("a", "b"), rows, rows, rows)
    model = nn.Sequential(nn.Flatten(), nn.Linear(14, 2))
    with pytest.raises(InputError, match="one of each channel"):
        harden(HardenOptions(model, data=series, method="trades", checks=["accuracy"], out=tmp_path / "never"))
    with pytest.raises(InputError, match="only pictures"):
        harden(
            HardenOptions(model, data=series, method="corruption-training", checks=["accuracy"], out=tmp_path / "never")
        )


@pytest.mark.slow
def test_what_training_can_t_better_stays(tmp_path):
    """A network that gives each class its due already, whatever it sees, and a budget as wide as the pictures."""
    model = network().eval()
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor([5.0, 0.0, 0.0]))
    words = {"epochs": 1, "strength": 1.0, "steps": 1, "checks": ["accuracy"]}
    found = harden(HardenOptions(model, data=DATA, method="adversarial-training", out=tmp_path, **words))
    assert "as it was" in found.hardened.notes[0]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), found.hardened.model.parameters()))
