"""What an audit writes beside its page: one file a form, each asked for by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from deepwright.checks import AuditReport
from deepwright.core.errors import InputError
from deepwright.core.files import require_new_file, write_text
from deepwright.report import as_junit, as_markdown

_WRITERS: Mapping[str, Callable[[AuditReport], str]] = {"markdown": as_markdown, "junit": as_junit}


@dataclass(frozen=True)
class Outputs:
    """Where else the report goes.

    Attributes:
        markdown: file of a summary, for the page of a CI run.
        junit: file in which each check and each gate is a test.

    Raises:
        InputError: a file that can't be written, or one for two forms.
    """

    _: KW_ONLY
    markdown: Path | str | None = None
    junit: Path | str | None = None

    def __post_init__(self) -> None:
        taken: dict[Path, str] = {}
        for name, path in self.asked().items():
            require_new_file(path, name)
            other = taken.setdefault(Path(path).resolve(), name)
            if other != name:
                raise InputError(name, given=f"{path}, the file of {other}", expected="a file of its own")

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
            write_text(path, _WRITERS[name](report))
