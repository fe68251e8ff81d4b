"""An append-only file of finished pieces of work, bound to what they were done with."""

from __future__ import annotations

import hashlib
import json
import os
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
        durable: wait for the disk at every row: what a person did must outlive a power cut, what a machine did need not.
    """

    def __init__(self, path: Path | str | None, identity: Any, durable: bool = False) -> None:
        self.path = None if path is None else Path(path)
        self.durable = durable
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
        self.add_all({name: value})

    def add_all(self, rows: dict[str, Any]) -> None:
        """Keep several pieces; they are written before they count."""
        if self.path is not None and rows:
            with self.path.open("a") as stream:
                stream.writelines(json.dumps({"name": k, "value": v}) + "\n" for k, v in rows.items())
                if self.durable:
                    stream.flush()
                    os.fsync(stream.fileno())
        self.rows.update(rows)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
