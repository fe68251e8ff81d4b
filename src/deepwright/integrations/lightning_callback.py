"""An audit while Lightning trains. Needs the extra `lightning`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn

from deepwright.checks import AuditReport, audit, require_gates
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.requirements import require_whole

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise MissingExtraError("lightning", "lightning", "the Lightning callback") from error


class AuditCallback(Callback):
    """Audit the network after every few epochs of training, log its numbers, stop where a gate fails.

    Numbers are logged as `audit/<check>/<value>`. Each process runs the audit on all of `test`, so all of them log and
    decide the same.

    Args:
        test: batches of (inputs, targets) that can be read again and again; see `deepwright.audit`.
        every_n_epochs: between two audits.
        checks: names of checks, quick ones by default.
        fail_on: gates, as "accuracy<0.5": training stops at the first audit that one fails.
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
        checks: Sequence[str] = ("accuracy", "calibration"),
        fail_on: Sequence[str] = (),
        network: Callable[[LightningModule], nn.Module] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        require_whole(1, every_n_epochs=every_n_epochs)
        require_gates(fail_on, checks)
        if iter(test) is test:
            raise InputError("test", given=f"a {type(test).__name__}, which ends", expected="a list or a loader")
        self.test, self.every_n_epochs, self.network, self.options = test, every_n_epochs, network, options
        self.checks, self.fail_on = tuple(checks), tuple(fail_on)
        self.reports: list[AuditReport] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Audit, where it is time.

        Args:
            trainer: stops where a gate fails.
            pl_module: in training.
        """
        if (trainer.current_epoch + 1) % self.every_n_epochs:
            return
        network = pl_module if self.network is None else self.network(pl_module)
        report = audit(network, self.test, checks=self.checks, fail_on=self.fail_on, **self.options)
        self.reports.append(report)
        for finding in report.findings:
            for name in finding.values:
                pl_module.log(f"audit/{finding.check}/{name}", finding.number(name))
        if report.failed:
            trainer.should_stop = True
