"""Training resumes bit for bit whatever draws, leaves the model as it came, and refuses what it can't train."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.fit import Selection, fit
from deepwright.core.interrupt import Terminated
from deepwright.core.resume import Resume

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = torch.randint(3, (64,), generator=torch.Generator().manual_seed(1))


def network(dropout=0.5):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.Dropout(dropout), nn.Linear(16, 3))


class Noisy(Dataset):
    """Items that draw from torch and from NumPy as they are read."""

    def __len__(self):
        return 64

    def __getitem__(self, i):
        return X[i] + 0.1 * torch.randn(5) + 0.1 * float(np.random.rand()), Y[i]  # noqa: NPY002


class Batched(Noisy):
    """The same, read by batches."""

    def __getitems__(self, rows):
        return [self[i] for i in rows]


class Stopping:
    """A loss that asks for a stop at one step."""

    def __init__(self, at):
        self.at = at

    def __resume_identity__(self):
        return "cross-entropy"

    def __call__(self, out, y):
        self.at -= 1
        if self.at == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return F.cross_entropy(out, y)


def trained(data, tmp_path, stop=0, workers=0, **options):
    model = network()
    options = {"epochs": 2, "batch_size": 16, "workers": workers, "checkpoint": tmp_path / "fit.pt", **options}
    if stop:
        with pytest.raises(KeyboardInterrupt):
            fit(model, data, loss=Stopping(stop), **options)
        model = network()
    fit(model, data, loss=Stopping(0), **options)
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("data", [TensorDataset(X, Y), Noisy(), Batched()], ids=["dropout", "items", "batches"])
def test_a_data_set_goes_on_bit_for_bit_in_the_middle_of_an_epoch(data, workers, tmp_path):
    whole = trained(data, tmp_path / "whole", workers=workers)
    assert torch.equal(trained(data, tmp_path / "cut", stop=6, workers=workers), whole)


def test_what_a_data_set_draws_depends_on_the_seed_alone(tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    one = trained(Noisy(), tmp_path / "one")
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(trained(Noisy(), tmp_path / "two"), one)


def test_a_stop_at_the_last_write_is_not_lost(tmp_path, monkeypatch):
    finish = Resume.finish

    def stopped(self, state):
        finish(self, state)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Resume, "finish", stopped)
    with pytest.raises(Terminated):
        fit(network(), (X, Y), epochs=1, checkpoint=tmp_path / "fit.pt")


def test_values_of_numpy_are_kept(tmp_path):
    selection = Selection(lambda m: {"acc": np.mean([0.5, 0.6])})
    fit(network(), (X, Y), epochs=1, checkpoint=tmp_path / "fit.pt", selection=selection)
    again = fit(network(), (X, Y), epochs=1, checkpoint=tmp_path / "fit.pt", selection=selection)
    assert again.history[0]["acc"] == pytest.approx(0.55)


def test_a_state_that_cannot_be_read_back_is_refused_at_once(tmp_path):
    with (
        Resume(tmp_path / "x.pt", {"a": 1}, kind="test") as kept,
        pytest.raises(InputError, match="can't be read back"),
    ):
        kept.save({"x": np.zeros(3)})
    assert not (tmp_path / "x.pt").exists()


class Counting(nn.Module):
    """An attribute that training changes and no buffer holds."""

    def __init__(self):
        super().__init__()
        self.inner, self.scale = nn.Linear(5, 3), 1.0

    def forward(self, x):
        self.scale *= 0.99
        return self.scale * self.inner(x)


def test_what_a_checkpoint_does_not_hold_is_told(tmp_path):
    with pytest.warns(UserWarning, match=r"training changes model\.scale"):
        fit(Counting(), (X, Y), epochs=1, checkpoint=tmp_path / "fit.pt")


def test_a_step_that_knows_its_network_changes_nothing_beside(tmp_path, recwarn):
    model = network()
    fit(
        model,
        (X, Y),
        epochs=1,
        step=lambda m, x, y: F.cross_entropy(model(x), y),
        checkpoint=tmp_path / "fit.pt",
    )
    assert not [w for w in recwarn if "training changes" in str(w.message)]


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_comes_back_after_an_error(training):
    model = network().train(training)

    def broken(out, y):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fit(model, (X, Y), epochs=1, loss=broken)
    assert model.training == training


@pytest.mark.parametrize("precision", ["64", "bf16-true"])
def test_the_dtype_comes_back_after_another_precision(precision):
    model = network()
    fit(model, (X, Y), epochs=1, compute=Compute(precision=precision))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_precision_that_the_model_has_not_is_refused():
    with pytest.raises(InputError, match="leave precision out"):
        fit(network().double(), (X, Y), epochs=1, compute=Compute(precision="32"))


@pytest.mark.parametrize("data", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("model", [torch.float32, torch.float64])
def test_floating_data_take_the_dtype_of_the_model(data, model):
    assert fit(network(0.0).to(model), (X.to(data), Y), epochs=1).steps == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs; given: -1"),
        ({"batch_size": 0}, "batch_size; given: 0"),
        ({"every": 0}, "every; given: 0"),
        ({"clip_norm": -1.0}, "clip_norm; given: -1"),
        ({"checkpoint": ""}, "name of a file"),
        ({"checkpoint": "a\0b"}, "name of a file"),
        ({"train": (X.numpy(), Y)}, "two tensors"),
        ({"train": (X, Y.tolist())}, "two tensors"),
        ({"train": TensorDataset(X)}, "inputs and targets"),
        ({"loss": F.mse_loss, "train": (X, X[:, 0])}, "one shape"),
        ({"loss": lambda out, y: F.cross_entropy(out, y, reduction="none")}, "one number a batch"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_trained_is_refused(options, message):
    options = {"train": (X, Y), "epochs": 1, **options}
    model = nn.Linear(5, 1) if options.get("loss") is F.mse_loss else network()
    with pytest.raises(InputError, match=message):
        fit(model, **options)


def test_a_frozen_model_is_refused():
    with pytest.raises(InputError, match="asks for gradients"):
        fit(network().requires_grad_(False), (X, Y), epochs=1)


def test_patience_needs_something_to_wait_for():
    with pytest.raises(InputError, match="monitor"):
        Selection(patience=3)


@pytest.mark.parametrize(
    ("x", "y"),
    [(X, Y - 1), (X, Y + 5), (X.byte(), Y), (X, Y.float())],
    ids=["label -1", "label 7", "bytes", "float labels"],
)
def test_a_batch_that_the_loss_does_not_take_is_described(x, y):
    with pytest.raises(InputError, match=r"the first batch; given: \w+ of shape \(64, 5\), \w+ of shape \(64,\): "):
        fit(network(), (x, y), epochs=1)


@pytest.mark.usefixtures("unchecked")
def test_half_an_epoch_is_refused():
    with pytest.raises(InputError, match=r"epochs; given: 1\.5; expected: a whole number"):
        fit(network(), (X, Y), epochs=1.5)
