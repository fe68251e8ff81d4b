"""The lists of a PASCAL-VOC kit: which pictures are of which part, for boxes and for label maps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.data.files.parts import PART_OF

BOXES, MAPS = "Main", "Segmentation"
_LISTS = ("train", "val", "test")


def voc_lists(path: Path, of: str) -> dict[str, tuple[str, ...]]:
    """Part -> names of its pictures, without their endings; none where a folder has no such lists.

    Read are `train.txt`, `val.txt` and `test.txt` in `ImageSets/Main` or `ImageSets/Segmentation`, and `trainval.txt`
    as the training part where it stands alone or beside `test.txt`. Lists of single classes (`cat_val.txt`) aren't.

    Args:
        path: of the kit.
        of: "Main" or "Segmentation".

    Raises:
        InputError: a list that is empty, names a picture twice or two parts, or leads out of the kit.
    """
    home = path / "ImageSets" / of
    if not home.is_dir():
        return {}
    names = {PART_OF[name]: name for name in _LISTS if (home / f"{name}.txt").is_file()}
    if not {"train", "validation"} & set(names) and (home / "trainval.txt").is_file():
        names["train"] = "trainval"
    found = {part: _listed(home / f"{name}.txt") for part, name in names.items()}
    times = Counter(stem for stems in found.values() for stem in stems)
    twice = next((stem for stem, n in times.items() if n > 1), None)
    if twice is not None:
        raise InputError(f"{home}", given=f"{twice!r} twice", expected="each picture once, in one part")
    return found


def _listed(file: Path) -> tuple[str, ...]:
    with reading(f"cannot read {file}", "a name a line", file):
        found = tuple(line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if not found:
        raise InputError(f"{file}", given="no name", expected="a name a line")
    for stem in found:
        if PurePosixPath(stem).name != stem or stem in (".", ".."):
            raise InputError(f"{file}", given=repr(stem)[:60], expected="names of pictures, without folders")
    return found
