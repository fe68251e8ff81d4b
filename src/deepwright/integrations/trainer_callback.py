"""An audit while the Trainer of Hugging Face's `transformers` trains. Needs the extra `trainer`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import torch.distributed as dist
from torch import nn

from deepwright.checks import AuditReport, require_gates
from deepwright.core.errors import InputError, MissingExtraError, first_line
from deepwright.core.packages import require_package
from deepwright.integrations.training_audits import TrainingAudits, all_numbers_of, direction_of, numbers_of

require_package("accelerate", "trainer", "the callback of the Trainer")  # else transformers' Trainer is a dummy
try:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    raise MissingExtraError("transformers", "trainer", "the callback of the Trainer") from error


Numbers = tuple[dict[str, float], bool, dict[str, float]]


class AuditTrainerCallback(TrainerCallback):
    """Audit the network after every few evaluations, log its numbers, stop where a gate fails.

    Numbers are added to the metrics of the evaluation as `eval_audit/<check>/<value>`, so that
    `metric_for_best_model="audit/fragility/fi"` with `greater_is_better=False` keeps the weights that do best in an
    audit (one in which the number is infinite, or can't be told, is never the best), and to the Trainer's history.
    Where the callback is attached (`AuditTrainerCallback(test).attach(trainer)`), they are logged to its trackers too.
    Only the first process of the world runs the audit; the others wait for its numbers. The training doesn't notice
    it: see `training_audits.TrainingAudits`.

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
        self.reports = self.audits.reports
        self._seen = 0
        self._trainer: Trainer | None = None

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
            numbers, failed, beside = self._run(args, state, given["model"])
            if metrics is not None:
                metrics.update({**numbers, **beside})
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

    def _audited(self, args: TrainingArguments, model: nn.Module) -> Numbers:
        report = self.audits.run(model)
        numbers = {f"eval_{name}": value for name, value in numbers_of(report).items()}
        return numbers, report.failed, _chosen(args, report)

    def _run(self, args: TrainingArguments, state: TrainerState, model: nn.Module) -> Numbers:
        """The numbers of an audit, logged, whether a gate failed, and the Trainer's own metric where it isn't finite.

        They are the same in all processes.
        """
        if args.fsdp or args.deepspeed:
            given = "weights that are spread over processes (fsdp or deepspeed)"
            hint = "audit the saved model afterwards"
            raise InputError("the Trainer", given=given, expected="whole weights in each process", hint=hint)
        numbers, failed, beside = _from_the_first(state.is_world_process_zero, lambda: self._audited(args, model))
        if self._trainer is not None:
            self._trainer.log(dict(numbers))
        else:
            state.log_history.append({**numbers, "epoch": state.epoch, "step": state.global_step})
        return numbers, failed, beside


def _from_the_first(first: bool, work: Callable[[], Numbers]) -> Numbers:
    """What the first process of the world finds, in all of them; its error ends all, or they'd wait for ever."""
    found: list[Any] = [None, None]  # what was found, and what the first process raised, in words
    several = dist.is_initialized() and dist.get_world_size() > 1
    error: BaseException | None = None
    if first:
        try:
            found[0] = work()
        except BaseException as raised:
            error, found[1] = raised, f"{type(raised).__name__}: {first_line(raised)}"
    if several:
        dist.broadcast_object_list(found, src=0)
    if error is not None:
        raise error
    if found[1] is not None:
        raise InputError("the audit of the first process", given=found[1], expected="numbers for all processes")
    numbers: Numbers = found[0]
    return numbers


def _chosen(args: TrainingArguments, report: AuditReport) -> dict[str, float]:
    """What the Trainer is to keep the best weights by, where it is a number of the audit that isn't logged.

    It is infinite for a network that knows nothing yet, or can't be told at all (a temperature, a matched index). Such
    weights are never the best ones; a metric that isn't there would end the training.

    Raises:
        InputError: the Trainer would keep the worst weights.
    """
    name = (args.metric_for_best_model or "").removeprefix("eval_")
    if not name.startswith("audit/"):
        return {}
    better = direction_of(report, name)
    if better is not None and args.greater_is_better is not None and better != args.greater_is_better:
        raise InputError(
            "greater_is_better",
            given=f"{args.greater_is_better} (the Trainer's default where it isn't said) for {name}",
            expected=f"{better}",
            hint=f"TrainingArguments(greater_is_better={better}), or the worst weights would be kept",
        )
    value = all_numbers_of(report).get(name)
    if value is None and _is_known(name):
        value = -math.inf if args.greater_is_better else math.inf
    return {} if value is None or math.isfinite(value) else {f"eval_{name}": value}


def _is_known(name: str) -> bool:
    """Whether some check measures a value of that name."""
    _, check, value = name.split("/", 2) if name.count("/") > 1 else ("", "", "")
    try:
        require_gates([f"{check}.{value}>0"], [check])
    except InputError:
        return False
    return True
