"""Sharpen a folder of pictures before they are released: another folder, nothing overwritten, nothing lost."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import torch

from deepwright.adversarial.sharpening import LaplacianSharpen, blocking, psnr, ssim
from deepwright.adversarial.sharpening.pictures import encoded
from deepwright.core import trials
from deepwright.core.errors import InputError
from deepwright.core.files import require_plain_file, write_bytes, write_json
from deepwright.core.requirements import require_whole
from deepwright.core.results import Table
from deepwright.workflows.options import Say, finished, quiet, require_writable, unfinished
from deepwright.workflows.picture_files import SUFFIXES, encoded_picture, read_picture

_PLAN = "names.json"
_BLOCKS = 2.0
_DECIBELS = 32.0


@dataclass(frozen=True)
class PublishOptions:
    """Which pictures are sharpened, how strongly, and where to.

    Attributes:
        images: a folder of pictures, in folders of any depth.
        out: the folder of the published ones; not the same, none inside the other.
        psnr: decibels that each picture keeps; 32 where nothing is said.
        ssim: in place of `psnr`, the similarity that each keeps.
        strength: in place of both, one strength for all.
        neighbours: 4 or 8.
        space: "rgb", or "luma" for no fringes of colour.
        max_change: no pixel changes by more.
        linear: the files hold linear light; they are sharpened, and measured, as sRGB shows them.
        jobs: processes.
        fresh: forget what an interrupted run left.

    Raises:
        InputError: options out of range, or two of which one is asked for.
    """

    images: Path | str
    _: KW_ONLY
    out: Path | str
    psnr: float | None = None
    ssim: float | None = None
    strength: float | None = None
    neighbours: int = 4
    space: str = "rgb"
    max_change: float | None = None
    linear: bool = False
    jobs: int = 1
    fresh: bool = False

    def __post_init__(self) -> None:
        given = [n for n in ("psnr", "ssim", "strength") if getattr(self, n) is not None]
        if len(given) > 1:
            raise InputError(given[1], given=f"beside {given[0]}", expected="one of psnr, ssim and strength")
        require_whole(1, jobs=self.jobs)
        _sharpen(_said(self), 255)
        inside, outside = (Path(os.path.realpath(p)) for p in (self.images, self.out))
        if not inside.is_dir():
            raise InputError("images", given=f"{self.images} is no folder", expected="a folder of pictures")
        if inside == outside or inside in outside.parents or outside in inside.parents:
            given_ = f"{self.out} beside {self.images}"
            raise InputError(
                "out",
                given=given_,
                expected="another folder, none inside the other",
                hint="pictures are never overwritten",
            )


def _sharpen(words: dict[str, Any], levels: int | None, alpha: bool = False) -> LaplacianSharpen:
    """The transform of a file of so many levels, with transparency or without, by the words of `PublishOptions`."""
    strength, options = words["strength"], {name: words[name] for name in ("space", "max_change", "linear")}
    if words["ssim"] is not None:
        strength = f"ssim:{words['ssim']!r}"
    elif strength is None:
        strength = f"psnr:{_DECIBELS if words['psnr'] is None else words['psnr']!r}"
    return LaplacianSharpen(strength, words["neighbours"], quantize=levels, alpha=alpha, **options)


@dataclass
class Published:
    """What became of each picture.

    Attributes:
        rows: of each published one, as plain data: file, strength, psnr, ssim, notes, hash of the file.
        left_out: file -> why.
    """

    rows: list[dict[str, Any]]
    left_out: dict[str, str] = field(default_factory=dict)

    def table(self) -> Table:
        """Of each picture its strength and what it kept."""
        columns = ["file", "strength", "PSNR (dB)", "SSIM", "notes"]
        rows = [
            [r["file"], r["strength"], "" if r["psnr"] is None else r["psnr"], r["ssim"], "; ".join(r["notes"])]
            for r in self.rows
        ]
        rows += [[name, "", "", "", f"left out: {why}"] for name, why in self.left_out.items()]
        return Table(columns, rows, f"{len(self.rows)} published, {len(self.left_out)} left out; measured in the files")

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"published": self.rows, "left_out": self.left_out}


def publish(options: PublishOptions, *, say: Say = quiet) -> Published:
    """Sharpen every picture of a folder into another, in its own format and depth, with EXIF and colour profile.

    What was measured of each stands in `published.json` there. An interrupted run goes on; a file that is there already
    and isn't of such a run is refused before anything is written.

    Args:
        options: the folders and the strength.
        say: told about each step.

    Raises:
        InputError: no picture, a file in `out` of a name that would be written.
    """
    source, out = Path(options.images), Path(options.out)
    names = sorted(_pictures(source))
    if not names:
        raise InputError("images", given=f"no picture in {source}", expected=", ".join(SUFFIXES))
    require_writable(out)
    state = unfinished(out, options.fresh)
    planned = _planned(state)
    _require_free(out, {*names, "published.json"} - planned)
    write_json(state / _PLAN, sorted(planned.union(names)))
    say(f"{len(names)} pictures")
    work: list[dict[str, Any]] = [
        {
            "source": str(source / n),
            "target": str(out / n),
            "name": n,
            "content": _hash(source / n),
            "options": _said(options),
        }
        for n in names
    ]
    rows = trials.run(publish_file, work, store=state / "files", jobs=options.jobs, description="pictures")
    again = [i for i, (w, row) in enumerate(zip(work, rows)) if "why" not in row and not _stands(w["target"], row)]
    for i in again:  # taken away or changed while the run was interrupted, or written again with other options
        rows[i] = publish_file(**work[i])
    found = Published([r for r in rows if "why" not in r], {r["file"]: r["why"] for r in rows if "why" in r})
    if not found.rows:
        name, why = next(iter(found.left_out.items()))
        raise InputError("images", given=f"no picture that can be published; {name}: {why}", expected="at least one")
    write_json(out / "published.json", found.to_dict())
    finished(out)
    return found


def publish_file(source: str, target: str, name: str, content: str, options: dict[str, Any]) -> dict[str, Any]:
    """Publish one picture, and measure the file that was written.

    Args:
        source: its file.
        target: the file to write.
        name: for the report.
        content: hash of its file: another one is other work.
        options: of `PublishOptions`, as plain data.

    Returns:
        file, strength, psnr, ssim, notes and hash of what was written; or file and why it was left out.
    """
    torch.set_num_threads(1)
    try:
        picture = read_picture(source)
        sharpen = _sharpen(options, picture.levels, picture.alpha)
        batch = picture.pixels[None]
        found = sharpen.strengths(batch)
        if not bool(found.reached):
            picture.notes.append(f"{sharpen.target} can't be reached: it is published as it was")
        if picture.format == "JPEG" and float(blocking(_opaque(batch, picture.alpha))) > _BLOCKS:
            picture.notes.append("the blocks of JPEG are in it, and sharpening shows them")
        written = encoded_picture(picture, sharpen.at(batch, found.strength)[0])
    except InputError as error:
        return {"file": name, "why": str(error.given or error)}
    write_bytes(target, written)
    before, after = (_opaque(b, picture.alpha) for b in (batch, read_picture(target).pixels[None]))
    if sharpen.linear:
        before, after = encoded(before), encoded(after)
    measured = float(psnr(after, before))
    return {
        "file": name,
        "strength": float(found.strength),
        "psnr": measured if math.isfinite(measured) else None,  # of an equal picture there is none
        "ssim": float(ssim(after, before)),
        "notes": picture.notes,
        "hash": _hash(Path(target)),
    }


def _opaque(batch: torch.Tensor, alpha: bool) -> torch.Tensor:
    return batch[:, :-1] if alpha else batch


def _said(options: PublishOptions) -> dict[str, Any]:
    names = ("psnr", "ssim", "strength", "neighbours", "space", "max_change", "linear")
    return {name: getattr(options, name) for name in names}


def _pictures(source: Path) -> Iterator[str]:
    for file in source.rglob("*"):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            yield file.relative_to(source).as_posix()


def _hash(file: Path) -> str:
    require_plain_file(file, f"cannot read {file}")
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def _planned(state: Path) -> set[str]:
    """What interrupted runs found free, and may have written since."""
    plan = state / _PLAN
    return set(json.loads(plan.read_text("utf-8"))) if plan.exists() else set()


def _stands(target: str, row: dict[str, Any]) -> bool:
    return Path(target).exists() and _hash(Path(target)) == row["hash"]


def _require_free(out: Path, names: set[str]) -> None:
    there = sorted(n for n in names if os.path.lexists(out / n))
    if there:
        given = f"{len(there)} files that are there already, as {there[0]}"
        raise InputError("out", given=given, expected="a folder without them", hint="choose another, or move them away")
