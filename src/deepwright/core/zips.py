"""Zip files of strangers: what they would unpack to is looked at before a byte of it is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import require_plain_file

MOST_MEMBERS = 1_000_000
LARGEST_RATIO = 200  # pictures and weights hardly shrink; a bomb shrinks a thousandfold
SMALL = 256 * 2**20  # bytes: below this, nobody is harmed whatever the ratio is
DAMAGE = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError, ValueError)
"""What Python's reader raises for a member that is damaged, under a password, or packed in a way that it can't read."""


def open_zip(path: Path | str, expected: str = "a zip file") -> zipfile.ZipFile:
    """A zip file, if it is one that can be held.

    Args:
        path: of the file.
        expected: what it should have been, for the message.

    Raises:
        InputError: no zip file, a damaged one, one with a million members, one that unpacks to far more than it is.
    """
    require_plain_file(path, f"cannot read {path}")
    try:
        opened = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise InputError(f"cannot read {path}", given=str(error), expected=expected) from error
    try:
        _require_modest(opened, Path(path))
    except InputError:
        opened.close()
        raise
    return opened


def _require_modest(opened: zipfile.ZipFile, path: Path) -> None:
    members = opened.infolist()
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{path}", given=f"{len(members)} members", expected=f"at most {MOST_MEMBERS}")
    # Against the size on the disk, not what the members say: theirs may overlap.
    total, packed = sum(m.file_size for m in members), max(path.stat().st_size, 1)
    if total > SMALL and total > LARGEST_RATIO * packed:
        raise InputError(
            f"{path}",
            given=f"{packed:,} bytes that would unpack to {total:,}",
            expected=f"at most {LARGEST_RATIO} times as many",
            hint="if it is yours, unpack it and name the folder",
        )


def read_member(opened: zipfile.ZipFile, name: str, largest: int | None = None) -> bytes:
    """The content of a member, against its checksum.

    Args:
        opened: the zip file.
        name: of the member.
        largest: bytes that are allowed.

    Raises:
        InputError: no such member; it is damaged, under a password, or larger.
    """
    try:
        member = opened.getinfo(name)
    except KeyError as error:
        raise InputError(f"{opened.filename}", given=f"no {name!r} in it", expected="a file of that name") from error
    if member.flag_bits & 1:
        raise InputError(
            f"{name} of {opened.filename}",
            given="a password",
            expected="a zip file without one",
            hint="unpack it first",
        )
    if largest is not None and member.file_size > largest:
        raise InputError(
            f"{name} of {opened.filename}", given=f"{member.file_size:,} bytes", expected=f"to {largest:,}"
        )
    try:
        return opened.read(member)
    except DAMAGE as error:
        raise InputError(f"{name} of {opened.filename}", given=str(error), hint="make the zip file again") from error
