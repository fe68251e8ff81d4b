"""An audit while the Trainer of Hugging Face's `transformers` trains. Needs the extra `trainer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch.distributed as dist
from torch import nn

from deepwright.checks import AuditReport
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.packages import require_package
from deepwright.integrations.training_audits import TrainingAudits, numbers_of

require_package("accelerate", "trainer", "the callback of the Trainer")  # else transformers' Trainer is a dummy
try:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    raise MissingExtraError("transformers", "trainer", "the callback of the Trainer") from error


class AuditTrainerCallback(TrainerCallback):
    """Audit the network after every few evaluations, log its numbers, stop where a gate fails.

    Numbers are added to the metrics of the evaluation as `eval_audit/<check>/<value>`, so that
    `metric_for_best_model="audit/fragility/fi"` keeps the weights that do best in an audit, and to the Trainer's
    history. Where the callback is attached (`AuditTrainerCallback(test).attach(trainer)`), they are logged to its
    trackers too. Only the first process of the world runs the audit; the others wait for its numbers. The training
    doesn't notice it: see `training_audits.TrainingAudits`.

    Args:
        test: batches of (inputs, targets) that can be read again and again, of dicts or of texts (with `tokenizer=`);
            see `deepwright.audit`.
        every_n_evaluations: between two audits (each of several evaluation sets counts); 0 for none but at the end.
        at_end: audit after the last step too, on the best weights where the Trainer loads these.
        checks: names of checks, quick ones by default.
        fail_on: gates, as "accuracy<0.5": training stops at the first audit that one fails.
        out: folder in which each report is kept, with a page of all of them; None keeps none.
        **options: of `deepwright.audit`.

    Attributes:
        reports: one an audit, on the first process.
    """

    def __init__(
        self,
        test: Iterable[Any],
        *,
        every_n_evaluations: int = 1,
        at_end: bool = False,
        checks: Sequence[str] = ("accuracy", "calibration"),
        fail_on: Sequence[str] = (),
        out: Path | str | None = None,
        **options: Any,
    ) -> None:
        every = {"every_n_evaluations": every_n_evaluations}
        self.audits = TrainingAudits(test, every, at_end, checks, fail_on, out, options)
        self._seen, self._trainer = 0, cast(Trainer | None, None)

    @property
    def reports(self) -> list[AuditReport]:
        """One an audit, on the first process."""
        return self.audits.reports

    def attach(self, trainer: Trainer) -> Self:
        """Add it to a Trainer, and log by that.

        Args:
            trainer: before or after it has trained.
        """
        trainer.add_callback(self)
        self._trainer = trainer
        return self

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **given: Any,
    ) -> None:
        """Audit, where it is time.

        Args:
            args: of the Trainer.
            state: of the Trainer.
            control: stops the training where a gate fails.
            metrics: of the evaluation, to which the numbers are added.
            **given: the model, and what else the Trainer holds.
        """
        self._seen += 1
        if self.audits.due(self._seen):
            numbers, failed = self._run(args, state, given["model"])
            if metrics is not None:
                metrics.update(numbers)
            control.should_training_stop |= failed

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Audit once more, if that was asked for.

        Args:
            args: of the Trainer.
            state: of the Trainer.
            control: of the Trainer.
            **given: the model, and what else the Trainer holds.
        """
        if self.audits.at_end:
            self._run(args, state, given["model"])

    def _run(self, args: TrainingArguments, state: TrainerState, model: nn.Module) -> tuple[dict[str, float], bool]:
        """The numbers of an audit, logged, and whether a gate failed; the same in all processes."""
        if args.fsdp or args.deepspeed:
            given = "weights that are spread over processes (fsdp or deepspeed)"
            hint = "audit the saved model afterwards"
            raise InputError("the Trainer", given=given, expected="whole weights in each process", hint=hint)
        found: list[Any] = [None]
        if state.is_world_process_zero:
            report = self.audits.run(model)
            found = [({f"eval_{name}": value for name, value in numbers_of(report).items()}, report.failed)]
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.broadcast_object_list(found, src=0)
        numbers, failed = found[0]
        if self._trainer is not None:
            self._trainer.log(dict(numbers))
        else:
            state.log_history.append({**numbers, "epoch": state.epoch, "step": state.global_step})
        return numbers, failed
