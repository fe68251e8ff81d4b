"""Pictures with their annotation: in memory, as a data set of torch, and on disk as the published one is laid out."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import jsonable, reading, write_bytes, write_text
from deepwright.core.pictures import Strip, strips
from deepwright.core.requirements import require_whole
from deepwright.core.results import Figure
from deepwright.core.spreadsheets import csv_text, read_csv

ANNOTATION, CONFIG = "annotation.csv", "config.json"


@dataclass(eq=False)
class StimulusSet(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Pictures and what is known of each.

    Attributes:
        images: (N, 3, H, W), 0 to 255.
        factors: name -> (N,) values; "Type" is the condition and "Item" what conditions share.
        name: of the experiment.
        settings: what it was made with.

    Raises:
        InputError: pictures of another form, factors of another length.
    """

    images: UInt8[Tensor, "n 3 h w"]
    factors: dict[str, np.ndarray]
    name: str = "stimuli"
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = isinstance(self.images, Tensor) and self.images.ndim == 4 and self.images.dtype == torch.uint8
        if not known or self.images.shape[1] != 3:
            given = (
                f"{self.images.dtype} {tuple(self.images.shape)}" if isinstance(self.images, Tensor) else "no tensor"
            )
            raise InputError("images", given=given, expected="uint8 (N, 3, H, W), 0 to 255")
        for name, values in self.factors.items():
            if len(values) != len(self.images):
                raise InputError(f"factor {name!r}", given=len(values), expected=f"{len(self.images)}, one a picture")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, dict[str, Any]]:
        """One picture and its factors."""
        return self.images[row], {name: values[row] for name, values in self.factors.items()}

    def factor(self, name: str) -> np.ndarray:
        """One factor's values.

        Args:
            name: of the factor.

        Raises:
            InputError: a name that isn't there; near ones are told.
        """
        if name not in self.factors:
            raise unknown_name(f"factor of {self.name}", name, self.factors)
        return self.factors[name]

    def rows(self, given: Mapping[str, Any] | None = None, /, **wanted: Any) -> np.ndarray:
        """Which pictures have these values, as numbers of rows.

        Args:
            given: factor -> a value, or several of which one will do.
            wanted: the same, by keyword.
        """
        chosen = np.ones(len(self), dtype=bool)
        for name, value in {**(given or {}), **wanted}.items():
            values = list(value) if isinstance(value, list | tuple | set | range) else [value]
            chosen &= np.isin(self.factor(name), values)
        return np.flatnonzero(chosen)

    def where(self, given: Mapping[str, Any] | None = None, /, **wanted: Any) -> StimulusSet:
        """The pictures that have these values.

        Args:
            given: factor -> a value, or several.
            wanted: the same, by keyword.

        Raises:
            InputError: there is none.
        """
        rows = self.rows(given, **wanted)
        if len(rows) == 0:
            raise InputError(f"pictures of {self.name}", given=f"none with {given or wanted}", expected="at least one")
        return self.take(rows)

    def take(self, rows: np.ndarray | list[int]) -> StimulusSet:
        """Some of the pictures.

        Args:
            rows: their numbers.
        """
        index = torch.as_tensor(np.asarray(rows), device=self.images.device)
        return StimulusSet(
            self.images[index], {k: v[np.asarray(rows)] for k, v in self.factors.items()}, self.name, self.settings
        )

    def sheet(self, each: int = 6, by: str = "Type") -> Figure:
        """A contact sheet: the first pictures of each condition in a row.

        Args:
            each: pictures a row.
            by: the factor whose values are the rows.
        """
        require_whole(1, each=each)
        kinds = list(dict.fromkeys(self.factor(by).tolist()))
        rows = [Strip(str(kind), self.images[self.rows({by: kind})[:each]].float() / 255) for kind in kinds]
        return strips(self.name, rows)

    def save(self, folder: Path | str) -> Path:
        """Write a folder of PNGs a condition, and one `annotation.csv` whose column `Path` is relative to it.

        Args:
            folder: made where it is missing.

        Raises:
            InputError: a condition whose name leads out of the folder.
        """
        from PIL import Image

        folder = Path(folder)
        kinds = self.factors.get("Type", np.full(len(self), "all"))
        paths = [f"{kind}/{i:06d}.png" for i, kind in enumerate(kinds.tolist())]
        for path in dict.fromkeys(kinds.tolist()):
            if not (folder / str(path)).resolve().is_relative_to(folder.resolve()):
                raise InputError("Type", given=repr(path), expected="names of folders within the one that is written")
        for path, image in zip(paths, self.images.cpu()):
            stream = io.BytesIO()
            Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(stream, "PNG")
            write_bytes(folder / path, stream.getvalue())
        rows = zip(paths, *(values.tolist() for values in self.factors.values()))
        write_text(folder / ANNOTATION, csv_text([["Path", *self.factors], *rows]))
        write_text(folder / CONFIG, json.dumps(jsonable({"name": self.name, "settings": self.settings}), indent=1))
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> StimulusSet:
        """Read what `save` wrote, or any folder with an `annotation.csv` that has a column `Path`.

        Args:
            folder: holds `annotation.csv`.

        Raises:
            InputError: no such file, no column `Path`, a picture that is missing or of another size.
        """
        folder = Path(folder)
        expected = "a table with a column Path, relative to its folder, and one a factor"
        table = read_csv(folder / ANNOTATION, "annotation", expected)
        if not table or "Path" not in table[0]:
            raise InputError(str(folder / ANNOTATION), given="no row or no column Path", expected=expected)
        pictures = [_picture(folder / row["Path"]) for row in table]
        for row, picture in zip(table, pictures):
            if picture.shape != pictures[0].shape:
                given = f"{tuple(picture.shape[1:])} beside {tuple(pictures[0].shape[1:])}"
                raise InputError(f"picture {row['Path']!r}", given=given, expected="all of one size")
        images = torch.stack(pictures)
        factors = {name: _typed([row[name] for row in table]) for name in table[0] if name != "Path"}
        config = folder / CONFIG
        with reading(f"cannot read {config}", "what StimulusSet.save writes", config):
            known = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
            return cls(images, factors, known.get("name", folder.name), known.get("settings", {}))


def _picture(path: Path) -> Tensor:
    from PIL import Image

    with reading(f"cannot read {path}", "a picture", path), Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def _typed(cells: list[str]) -> np.ndarray:
    """Truths, whole numbers, numbers, or text: whichever all cells are; codes with leading zeros stay text."""
    if set(cells) <= {"True", "False"}:
        return np.array([cell == "True" for cell in cells])
    if any(len(cell) > 1 and cell[0] == "0" and cell.isdigit() for cell in cells):
        return np.array(cells)
    for kind in (np.int64, np.float64):
        try:
            return np.array(cells).astype(kind)
        except ValueError:
            continue
    return np.array(cells)
