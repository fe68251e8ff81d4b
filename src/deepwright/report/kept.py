"""Reports that are kept: a dated folder each, whole or not there at all, read back under a checksum."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deepwright.checks.findings.comparison import read_report
from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.errors import InputError, first_line
from deepwright.core.files import cannot_write, reading, write_text
from deepwright.core.lock import LockedError, lock
from deepwright.report.page import write_report

_DATE = "%Y-%m-%dT%H-%M-%SZ"
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-(\d+))?")
_SUM = "report.blake2b"
_PATIENCE = 60.0  # seconds for which another process may draw


@dataclass(frozen=True)
class Kept:
    """A report of the past.

    Attributes:
        folder: its name.
        date: when it was kept, in UTC.
        subject: what was audited.
        findings: what was found.
    """

    folder: str
    date: datetime
    subject: dict[str, Any]
    findings: list[Finding]


def keep_report(report: AuditReport, folder: Path | str, now: datetime | None = None) -> Path:
    """Write a report into a dated folder of its own; it is there whole or, after a crash, not at all.

    Args:
        report: of an audit.
        folder: of all reports; it is made.
        now: the date; the present by default.

    Returns:
        The dated folder.

    Raises:
        InputError: a folder that can't be written, or that holds a single report.
    """
    folder = Path(folder)
    require_history(folder)
    date = (now or datetime.now(UTC)).astimezone(UTC).strftime(_DATE)
    making = folder / f".{date}.{secrets.token_hex(4)}.tmp"
    try:
        write_report(report, making)
        write_text(making / _SUM, f"{_digest(making / 'report.json')}\n")
        return _placed(making, date)
    except OSError as error:
        raise cannot_write(making, error) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def require_history(folder: Path | str) -> None:
    """Refuse a folder in which a single report lies: its page would be replaced.

    Args:
        folder: of all reports.

    Raises:
        InputError: it holds a report.json.
    """
    if (Path(folder) / "report.json").exists():
        given = f"{folder}, which holds a report of its own"
        raise InputError("keep", given=given, expected="a folder of kept reports", hint="choose another by --out")


def _placed(making: Path, date: str) -> Path:
    """The finished folder under the first free name of its second: renaming onto a full folder fails."""
    for number in range(1, 1000):
        target = making.with_name(date if number == 1 else f"{date}-{number}")
        if target.exists():
            continue
        try:
            return making.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster
                raise
    raise InputError("keep", given=f"a thousand reports of {date}", expected="fewer in one second")


def kept_reports(folder: Path | str) -> tuple[list[Kept], dict[str, str]]:
    """The reports by date, and for each that can't be read its folder and why.

    Args:
        folder: of all reports.
    """
    found, damaged = [], {}
    for name in sorted(path.name for path in Path(folder).iterdir() if path.is_dir() and _NAME.fullmatch(path.name)):
        try:
            subject, findings = _read(Path(folder) / name)
            found.append(Kept(name, _date(name), subject, findings))
        except InputError as error:
            damaged[name] = first_line(error)
    return sorted(found, key=lambda kept: (kept.date, _number(kept.folder))), damaged


def _read(folder: Path) -> tuple[dict[str, Any], list[Finding]]:
    path = folder / "report.json"
    with reading("damaged", "the report as it was written", path):
        written = (folder / _SUM).read_text(encoding="ascii").strip()
        if written != _digest(path):
            raise InputError("damaged", given="its checksum doesn't fit", expected="the report as it was written")
    return read_report(path)


def _date(name: str) -> datetime:
    with reading("damaged", "a date as its name"):
        return datetime.strptime(name.partition("Z")[0] + "Z", _DATE).replace(tzinfo=UTC)


def _number(name: str) -> int:
    return int(name.partition("Z-")[2] or 1)


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process writes a file.

    Args:
        path: of the file.

    Raises:
        LockedError: another process doesn't end.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            held = lock(path)
            break
        except LockedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    try:
        yield
    finally:
        del held


def same_measure(subject: dict[str, Any], finding: Finding) -> str:
    """What two numbers of a check have in common when they may lie on one line: task, classes, samples, conditions.

    Args:
        subject: what was audited.
        finding: of the check.
    """
    keys = ("task", "kind", "classes", "class_names", "input")
    data = subject.get("test_digest") or [subject.get("data"), subject.get("test")]
    return json.dumps([[subject.get(k) for k in keys], data, finding.conditions], sort_keys=True, default=str)
