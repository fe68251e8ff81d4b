"""An audit while Lightning trains."""

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError

lightning = pytest.importorskip("lightning.pytorch")
pytestmark = pytest.mark.slow


class Small(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def trained(callbacks, folder, epochs=4):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    x = torch.randn(80, 4)
    data = torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long())
    trainer.fit(Small(), torch.utils.data.DataLoader(data, batch_size=20))
    return trainer


@pytest.fixture
def test_batches():
    x = torch.randn(60, 4)
    return [(x, (x[:, 0] > 0).long())]


@pytest.mark.parametrize("network", [None, lambda module: module.net])
def test_numbers_are_logged(test_batches, tmp_path, network):
    from deepwright.integrations.lightning_callback import AuditCallback

    callback = AuditCallback(test_batches, every_n_epochs=2, network=network)
    trainer = trained([callback], tmp_path)
    assert len(callback.reports) == 2
    last = callback.reports[-1]["accuracy"].number("accuracy")
    assert float(trainer.callback_metrics["audit/accuracy/accuracy"]) == pytest.approx(last)
    assert "audit/calibration/ece" in trainer.callback_metrics


def test_a_gate_stops_the_training(test_batches, tmp_path):
    from deepwright.integrations.lightning_callback import AuditCallback

    callback = AuditCallback(test_batches, checks=["accuracy"], fail_on=["accuracy<=1"])
    assert trained([callback], tmp_path).current_epoch == 1
    assert callback.reports[-1].failed


def test_the_training_does_not_notice(tmp_path):
    from deepwright.integrations.lightning_callback import AuditCallback

    class Shuffled:
        def __iter__(self):
            x = torch.randn(60, 4)
            yield x, (x[:, 0] > 0).long()

    callback = AuditCallback(Shuffled(), every_n_epochs=2, at_end=True, checks=["accuracy"], out=tmp_path / "kept")
    weights = []
    for callbacks in ([], [callback]):
        torch.manual_seed(0)
        trainer = trained(callbacks, tmp_path)
        weights.append(trainer.lightning_module.net.weight.detach().clone())
    assert torch.equal(*weights)
    assert len(callback.reports) == 3
    assert len([path for path in (tmp_path / "kept").iterdir() if path.is_dir()]) == 3


def test_bad_words_are_refused(test_batches):
    from deepwright.integrations.lightning_callback import AuditCallback

    for call, words in (
        (lambda: AuditCallback(test_batches, every_n_epochs=0), "every_n_epochs.*at_end"),
        (lambda: AuditCallback(test_batches, checks=["accuracy"], fail_on=["fi>1"]), "fi>1"),
        (lambda: AuditCallback(iter(test_batches)), "which ends"),
        (lambda: AuditCallback(test_batches, checks=["acuracy"]), "did you mean 'accuracy'"),
        (lambda: AuditCallback(test_batches, attack_limt=8), "did you mean 'attack_limit'"),
    ):
        with pytest.raises(InputError, match=words):
            call()
