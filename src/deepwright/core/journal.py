"""An append-only file of finished pieces of work, bound to what they were done with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import write_text


class Journal:
    """JSON lines on disk: a first line with a key, then one row a finished piece.

    A row that was being written when the process died is dropped at the next start, so at most that piece is redone.

    Args:
        path: the file, or None to keep rows in memory only.
        identity: what the rows depend on (model hash, settings, data); another identity is an error.
    """

    def __init__(self, path: Path | str | None, identity: Any) -> None:
        self.path = None if path is None else Path(path)
        self.rows: dict[str, Any] = {}
        if self.path is None:
            return
        key = hashlib.blake2b(json.dumps(identity, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()
        if not self.path.exists():
            write_text(self.path, json.dumps({"key": key}) + "\n")
            return
        lines = [row for row in map(_parse, self.path.read_text().splitlines()) if row is not None]
        if not lines or lines[0].get("key") != key:
            raise InputError(
                f"checkpoint {self.path}",
                given="another model, data or settings",
                hint="delete it, or use another file",
            )
        self.rows = {row["name"]: row["value"] for row in lines[1:]}
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def add(self, name: str, value: Any) -> None:
        """Keep a finished piece."""
        self.rows[name] = value
        if self.path is not None:
            with self.path.open("a") as stream:
                stream.write(json.dumps({"name": name, "value": value}) + "\n")


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
