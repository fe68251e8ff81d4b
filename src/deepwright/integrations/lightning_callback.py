"""An audit while Lightning trains. Needs the extra `lightning`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.checks import AuditReport
from deepwright.core.errors import MissingExtraError
from deepwright.integrations.training_audits import TrainingAudits, numbers_of

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise MissingExtraError("lightning", "lightning", "the Lightning callback") from error


class AuditCallback(Callback):
    """Audit the network after every few epochs of training, log its numbers, stop where a gate fails.

    Numbers are logged as `audit/<check>/<value>`. Each process runs the audit on all of `test`, so all of them log and
    decide the same. The training doesn't notice it: see `training_audits.TrainingAudits`.

    Args:
        test: batches of (inputs, targets) that can be read again and again; see `deepwright.audit`.
        every_n_epochs: between two audits; 0 for none but at the end.
        at_end: audit after the last epoch too, whose numbers go to the loggers alone.
        checks: names of checks, quick ones by default.
        fail_on: gates, as "accuracy<0.5": training stops at the first audit that one fails.
        out: folder in which the first process keeps each report, with a page of all of them; None keeps none.
        network: takes the LightningModule and gives the network to audit; the module itself by default.
        **options: of `deepwright.audit`.

    Attributes:
        reports: one an audit.
    """

    def __init__(
        self,
        test: Iterable[Any],
        *,
        every_n_epochs: int = 1,
        at_end: bool = False,
        checks: Sequence[str] = ("accuracy", "calibration"),
        fail_on: Sequence[str] = (),
        out: Path | str | None = None,
        network: Callable[[LightningModule], nn.Module] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        every = {"every_n_epochs": every_n_epochs}
        self.network, self.audits = network, TrainingAudits(test, every, at_end, checks, fail_on, out, options)
        self.reports = self.audits.reports

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Audit, where it is time.

        Args:
            trainer: stops where a gate fails.
            pl_module: in training.
        """
        if not self.audits.due(trainer.current_epoch + 1):
            return
        report = self._run(trainer, pl_module)
        for name, value in numbers_of(report).items():
            pl_module.log(name, value)
        if report.failed:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Audit once more, if that was asked for.

        Args:
            trainer: whose loggers get the numbers.
            pl_module: trained.
        """
        if not self.audits.at_end:
            return
        numbers = numbers_of(self._run(trainer, pl_module))
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=trainer.global_step)

    def _run(self, trainer: Trainer, module: LightningModule) -> AuditReport:
        network = module if self.network is None else self.network(module)
        return self.audits.run(network, kept=trainer.is_global_zero)
