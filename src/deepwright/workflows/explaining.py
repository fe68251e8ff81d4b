"""Understand a network: what it uses, what is cheap to read from it, what its shape forbids, how it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from deepwright.checks import AuditReport, Finding, attributes_of
from deepwright.checks import audit as run_checks
from deepwright.report import write_report
from deepwright.workflows.options import (
    Say,
    finished,
    quiet,
    require_choice,
    require_several,
    require_writable,
    unfinished,
)
from deepwright.workflows.subjects import SubjectOptions, build_subject

_TRAIN_LIMIT = 5000  # training samples from which explanations are fitted
QUESTIONS = {
    "uses": "reliance",
    "costs": "attribute_cost",
    "forbids": "embedding",
    "sees": "perception",
}
"""What may be asked, and the check that answers it."""


@dataclass(frozen=True)
class ExplainOptions(SubjectOptions):
    """Which network is explained, by which questions, and where the page goes.

    Attributes:
        questions: some of "uses" (which inputs, and how few combinations of them), "costs" (bits that each attribute
            takes to be read from its features), "forbids" (what its residual blocks can't represent) and "sees"
            (effects of human vision). All by default; each says where it doesn't apply.
        attributes: what the cost is asked of: columns of a table (those `aside`, too), what is known of the samples
            beside their inputs, statistics of pictures as "brightness". All that is known beside by default.
        out: folder of `index.html` and `report.json`, and of what an interrupted run goes on from; None writes nothing.
        fresh: forget what an interrupted run left.

    Raises:
        InputError: an unknown question; see also `SubjectOptions`.
    """

    _: KW_ONLY
    questions: Sequence[str] = ()
    attributes: Sequence[str] = ()
    out: Path | str | None = Path("explanation")
    fresh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        unheard = ["ood", "eps", "attack_limit", "corruption_limit", "substitutions"]
        self._refuse(unheard, "an explanation, which nothing attacks and nothing foreign is shown to")
        require_several("questions", self.questions)
        require_several("attributes", self.attributes)
        for question in self.questions:
            require_choice("questions", question, QUESTIONS)


def explain(
    options: ExplainOptions = ExplainOptions(),
    *,
    on_finding: Callable[[Finding], object] | None = None,
    say: Say = quiet,
) -> AuditReport:
    """Answer questions about a network and write the page.

    An interrupted run goes on from its last answer; with another network, other data or options it is refused by name.

    Args:
        options: the network, the data, and the questions.
        on_finding: called after each answer.
        say: told what happens before them.

    Raises:
        InputError: bad input of any kind.
        OtherWorkError: an interrupted run of something else lies in `out`.
    """
    asked = [q for q in QUESTIONS if not options.questions or q in options.questions]
    checks = [QUESTIONS[q] for q in asked]
    if options.out is not None:
        require_writable(options.out)
    subject = build_subject(options, train_limit=_TRAIN_LIMIT, trains=False, say=say)
    if options.attributes:
        known = attributes_of(subject, subject.data.test)
        for name in options.attributes:
            require_choice("attributes", name, known)
        subject = replace(subject, attributes=tuple(options.attributes))
    journal = None if options.out is None else unfinished(options.out, options.fresh) / "answers.jsonl"
    if journal is not None and journal.exists():
        say(f"going on from {journal} (start afresh with --fresh)")
    report = run_checks(subject, checks=checks, journal=journal, on_finding=on_finding)
    report.kind = "explanation"
    if options.out is not None:
        write_report(report, options.out)
        finished(options.out)
    return report
