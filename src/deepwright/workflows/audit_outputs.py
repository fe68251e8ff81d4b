"""What an audit writes beside its page: one file a form, each asked for by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from deepwright.checks import AuditReport
from deepwright.core.errors import InputError
from deepwright.core.files import reading, require_new_file, write_text
from deepwright.report import as_card, as_evidence, as_junit, as_markdown, log_report
from deepwright.report.card import MARK
from deepwright.report.evidence import require_form
from deepwright.report.tracking import tracker_of
from deepwright.workflows.options import require_several

_WRITERS: Mapping[str, Callable[[AuditReport, Path], str]] = {
    "markdown": lambda report, path: as_markdown(report),
    "junit": lambda report, path: as_junit(report),
    "evidence": lambda report, path: as_evidence(report, path.suffix.lower()),
    "card": lambda report, path: as_card(report),
}


@dataclass(frozen=True)
class Outputs:
    """Where else the report goes.

    Attributes:
        markdown: file of a summary, for the page of a CI run.
        junit: file in which each check and each gate is a test.
        evidence: file of what was measured for the clauses of ISO/IEC 24029 and the EU AI Act, and of what is missing;
            it ends in .md, .csv or .json.
        card: a model card (README.md) with the numbers in its head.
        log: trackers that get the numbers and the page, by name: "mlflow", "wandb".

    Raises:
        InputError: a file that can't be written, or one for two forms; evidence in another form; a card where there is
            a file that `card` didn't write; a tracker that isn't there.
    """

    _: KW_ONLY
    markdown: Path | str | None = None
    junit: Path | str | None = None
    evidence: Path | str | None = None
    card: Path | str | None = None
    log: Sequence[str] = ()

    def __post_init__(self) -> None:
        taken: dict[Path, str] = {}
        for name, path in self.asked().items():
            require_new_file(path, name)
            other = taken.setdefault(Path(path).resolve(), name)
            if other != name:
                raise InputError(name, given=f"{path}, the file of {other}", expected="a file of its own")
        require_several("log", self.log)
        for name in self.log:
            tracker_of(name)
        if self.evidence is not None:
            require_form(self.evidence, "evidence")
        if self.card is not None:
            _require_our_card(Path(self.card))

    def asked(self) -> dict[str, Path | str]:
        """The forms that were asked for, each with its file."""
        paths = {name: getattr(self, name) for name in _WRITERS}
        return {name: path for name, path in paths.items() if path is not None}

    def write(self, report: AuditReport) -> None:
        """Write them.

        Args:
            report: of an audit.

        Raises:
            InputError: a file that can't be written.
        """
        for name, path in self.asked().items():
            write_text(path, _WRITERS[name](report, Path(path)))

    def track(self, report: AuditReport) -> None:
        """Log it.

        Args:
            report: of an audit.

        Raises:
            InputError: a tracker refuses.
        """
        for name in dict.fromkeys(self.log):
            log_report(report, name)


def _require_our_card(path: Path) -> None:
    """A README may be somebody's work: only one that an audit wrote is written anew."""
    if not path.exists():
        return
    with reading("card", "a card that an audit wrote, or no file"):
        ours = MARK in path.read_text(encoding="utf-8")
    if not ours:
        hint = "choose another name, or move it away"
        raise InputError("card", given=f"{path}, which something else wrote", expected="a new file", hint=hint)
