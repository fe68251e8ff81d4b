"""Folders that Hugging Face's `datasets` writes (`save_to_disk`): Arrow files, read without that package."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from deepwright.core.errors import InputError, first_line
from deepwright.core.files import reading
from deepwright.data.dataset import Data
from deepwright.data.files.archives import Decoding
from deepwright.data.files.class_order import Matched, Named, require_names
from deepwright.data.files.folders import PARTS, labelled_pictures, outputs_by_name
from deepwright.data.files.frames import CHUNK, Frames, arrow, numbered, require_columns
from deepwright.data.files.pieces import Cut, require_split
from deepwright.data.files.stored import opened
from deepwright.data.files.tables import load_frames

_LABELS = ("label", "labels", "target", "y")
_EXPECTED = "a folder that `save_to_disk` of Hugging Face's `datasets` wrote"


def is_arrow_folder(path: Path) -> bool:
    """Whether `save_to_disk` wrote a folder.

    Args:
        path: of the folder.
    """
    return path.is_dir() and ((path / "dataset_dict.json").exists() or (path / "state.json").exists())


def load_arrow_folder(
    path: Path | str,
    how: Decoding,
    cut: Cut,
    *,
    target: str | None = None,
    classes: Sequence[str] | None = None,
    outputs: Sequence[Named] | None = None,
) -> Data:
    """What `save_to_disk` wrote: pictures with labels, or a table.

    Pictures are taken out of the Arrow files when they are needed, and nothing outside of these is looked at. The names
    of the classes, and which output each is, are those that the data set holds, where `classes` and `outputs` don't
    say otherwise.

    Args:
        path: the folder, of one data set or of several by split.
        how: size, mode, and what to do with broken pictures or rows.
        cut: how it is divided and limited.
        target: the column of the labels; by default the only one of class labels.
        classes: names of all outputs in their order.
        outputs: a network's own classes, each under all its names.

    Raises:
        InputError: a damaged folder, columns that are neither pictures nor a table, samples without a label.
        MissingExtraError: the package that reads Arrow's files isn't installed.
    """
    path = Path(path)
    require_split(cut.split)
    splits = _splits(path)
    first = next(iter(splits.values()))
    for name, split in splits.items():
        if split.features != first.features:
            raise InputError(f"{path}", given=f"other columns in {name!r}", expected="the same in all splits")
    images = [name for name, kind in first.features.items() if kind.get("_type") == "Image"]
    if len(images) > 1:
        given, expected = f"columns of pictures {', '.join(images)}", "one of them"
        raise InputError(f"{path}", given=given, expected=expected, hint="remove_columns(...) of `datasets`")
    target = _target(first, target, path)
    if images:
        return _pictures(path, splits, images[0], target, how, cut, classes, outputs)
    if len(splits) > 1:
        given, hint = f"a table in splits {', '.join(splits)}", f"name one of them: {path / next(iter(splits))}"
        raise InputError(f"{path}", given=given, expected="one split", hint=hint)
    return _table(path, first, target, how, cut, classes)


def arrow_columns(
    path: Path, columns: Sequence[str], require: Callable[[Sequence[str]], None]
) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, tuple[str, ...]]]:
    """Some columns of what `save_to_disk` wrote: rows by split, and the names of class labels by column.

    Args:
        path: the folder, of one data set or of several by split.
        columns: their names; class labels come by their names.
        require: is given the names of all columns, and refuses what is missing.

    Raises:
        InputError: a damaged folder, labels below 0.
        MissingExtraError: the package that reads Arrow's files isn't installed.
    """
    splits = _splits(path)
    kinds = next(iter(splits.values())).features
    require(list(kinds))
    names = {
        name: require_names(tuple(map(str, kinds[name]["names"])), f"names of the classes of {path}")
        for name in columns
        if isinstance(kinds[name].get("names"), list)
    }
    found: dict[str, list[tuple[Any, ...]]] = {}
    for part, split in splits.items():
        found[part] = []
        for file, _, batch in split.batches(list(dict.fromkeys(columns))):
            values = {name: batch.column(name).to_pylist() for name in columns}
            for name, known in names.items():
                labels = _labels(batch.column(name), f"column {name!r} of {file}").tolist()
                if labels and max(labels) >= len(known):
                    expected = f"below {len(known)}"
                    raise InputError(f"column {name!r} of {file}", given=f"label {max(labels)}", expected=expected)
                values[name] = [known[label] for label in labels]
            found[part] += zip(*(values[name] for name in columns), strict=True)
    return found, names


@dataclass(frozen=True)
class _Split:
    """One data set: its columns and its files."""

    features: dict[str, dict[str, Any]]
    files: tuple[Path, ...]

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[Path, Any, Any]]:
        """(file, the buffer of all of it, record batch) in order."""
        pa = arrow("reading Arrow files")
        for file in self.files:
            try:
                with pa.memory_map(str(file)) as mapped:
                    whole = mapped.read_buffer()
                    for batch in pa.ipc.open_stream(whole):
                        missing = [name for name in columns if name not in batch.schema.names]
                        if missing:
                            raise InputError(f"{file}", given=f"no column {missing[0]!r}", expected=_EXPECTED)
                        yield file, whole, batch.select(list(columns))
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"cannot read {file}", given=first_line(error), expected=_EXPECTED) from error


def _splits(path: Path) -> dict[str, _Split]:
    if not (path / "dataset_dict.json").exists():
        return {"train": _split(path)}
    names = _json(path / "dataset_dict.json").get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_name(name) for name in names):
        raise InputError(f"{path}", given=f"splits {names!r}", expected=_EXPECTED)
    known = [name for name in names if name.lower() in PARTS]
    if not known:
        given, hint = f"splits {', '.join(names)}", f"name one of them, as {path / (names or ['train'])[0]}"
        raise InputError(f"{path}", given=given, expected="train, validation or test", hint=hint)
    return {name: _split(path / name) for name in known}


def _split(path: Path) -> _Split:
    features, state = _json(path / "dataset_info.json").get("features"), _json(path / "state.json")
    files = state.get("_data_files")
    plain = isinstance(files, list) and all(isinstance(f, dict) and _is_name(f.get("filename")) for f in files)
    if not plain or not files or not isinstance(features, dict):
        raise InputError(f"{path}", given="no columns or no files in it", expected=_EXPECTED)
    if state.get("_indices_data_files"):
        hint = "flatten_indices() of `datasets`, then save_to_disk"
        raise InputError(f"{path}", given="rows in another order than they are stored", expected=_EXPECTED, hint=hint)
    kinds = {name: kind if isinstance(kind, dict) else {} for name, kind in features.items()}
    return _Split(kinds, tuple(path / str(f["filename"]) for f in files))


def _json(path: Path) -> dict[str, Any]:
    with reading(f"cannot read {path}", _EXPECTED, path):
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise InputError(f"cannot read {path}", given=type(found).__name__, expected=_EXPECTED)
    return found


def _is_name(name: Any) -> bool:
    """Whether a stranger's text names a file of the folder itself."""
    return isinstance(name, str) and bool(name) and PurePosixPath(name).name == name and name not in (".", "..")


def _target(split: _Split, target: str | None, path: Path) -> str:
    if target is not None:
        if target not in split.features:
            expected = "one of " + ", ".join(split.features)
            raise InputError(f"target column of {path.name}", given=repr(target), expected=expected)
        return target
    labels = [name for name, kind in split.features.items() if kind.get("_type") == "ClassLabel"]
    labels = labels or [name for name in _LABELS if name in split.features]
    if len(labels) != 1:
        given = f"columns {', '.join(split.features)}"
        expected = "one column of class labels, or the name of one"
        raise InputError(f"{path.name} needs a target column", given=given, expected=expected, hint="--target NAME")
    return labels[0]


class ArrowPictures:
    """Pictures in Arrow files, each under the name of its split and its row.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, tuple[Path, int, int]] = {}  # name -> file, position and bytes; -1 where there is none
        self.count: dict[str, int] = {}
        self.files: dict[Path, Any] = {}
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens the files anew; each picture is compared with what it was."""
        return vars(self) | {"lock": None, "files": {file: file.absolute() for file in self.files}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = {file: opened(path) for file, path in state["files"].items()}
        self.__dict__.update(state | {"lock": threading.Lock(), "files": files})

    def enter(self, part: str, file: Path, whole: Any, column: Any) -> list[str]:
        """Remember where the pictures of a batch lie.

        Args:
            part: the split.
            file: that the batch is in.
            whole: the buffer of all of the file.
            column: of pictures, Arrow's.

        Returns:
            their names.
        """
        import pyarrow as pa

        wanted = pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0
        contents = column.field("bytes") if wanted else None
        if contents is None or not (pa.types.is_binary(contents.type) or pa.types.is_large_binary(contents.type)):
            raise InputError(f"{file}", given=f"pictures as {column.type}", expected="bytes of picture files")
        large = pa.types.is_large_binary(contents.type)
        _, starts, data = contents.buffers()
        count, kind = len(contents), np.int64 if large else np.int32
        ends = (
            np.frombuffer(starts, kind)[contents.offset : contents.offset + count + 1] if count else np.zeros(1, kind)
        )
        begin = 0 if data is None else data.address - whole.address
        if not 0 <= begin <= whole.size - int(ends[-1]):
            hint = "load_from_disk and save_to_disk of `datasets` write it anew"
            raise InputError(f"{file}", given="compressed Arrow batches", expected=_EXPECTED, hint=hint)
        there = np.asarray(contents.is_valid()) & np.asarray(column.is_valid())
        if file not in self.files:
            self.files[file] = opened(file)
        first, names = self.count.get(part, 0), []
        for i in range(count):
            size = int(ends[i + 1] - ends[i]) if there[i] else -1
            names.append(f"{part} row {first + i}")
            self.places[names[-1]] = (file, begin + int(ends[i]), size)
        self.count[part] = first + count
        return names

    def read(self, name: str) -> bytes:
        """The bytes of one picture.

        Args:
            name: as `enter` gave it.

        Raises:
            InputError: there is none in the Arrow file: a path to another file isn't followed.
        """
        file, position, size = self.places[name]
        if size < 0:
            raise InputError(name, given="no picture in the Arrow file", hint="save_to_disk stores pictures in it")
        with self.lock:
            self.files[file].seek(position)
            return self.files[file].read(size)

    def opened(self, name: str) -> io.BytesIO:
        """One picture, open for reading.

        Args:
            name: as `enter` gave it.

        Raises:
            InputError: as `read`.
        """
        return io.BytesIO(self.read(name))


def _pictures(
    path: Path,
    splits: dict[str, _Split],
    image: str,
    target: str,
    how: Decoding,
    cut: Cut,
    classes: Sequence[str] | None,
    outputs: Sequence[Named] | None,
) -> Data:
    source = ArrowPictures(path)
    pools: dict[str, list[tuple[str, int]]] = {"train": [], "validation": [], "test": []}
    for name, split in splits.items():
        for file, whole, batch in split.batches((image, target)):
            labels = _labels(batch.column(target), f"column {target!r} of {file}")
            names = source.enter(name, file, whole, batch.column(image))
            pools[PARTS[name.lower()]] += zip(names, labels.tolist())
    seen = [label for items in pools.values() for _, label in items]
    if not seen:
        raise InputError(f"{path}", given="no sample", expected="at least one")
    kind = next(iter(splits.values())).features[target]
    own = _class_names(kind, max(seen) + 1, path)
    if max(seen) >= len(own):
        raise InputError(f"column {target!r} of {path}", given=f"label {max(seen)}", expected=f"below {len(own)}")
    order = Matched(own, {name: i for i, name in enumerate(own)})
    named = outputs_by_name([own[i] for i in sorted(set(seen))], classes, outputs, f"class of {path}")
    if named is not None:
        moved = {own.index(name): output for name, output in named.index.items()}
        pools = {part: [(name, moved[label]) for name, label in items] for part, items in pools.items()}
    return labelled_pictures(source, pools, named or order, how, cut)


def _labels(column: Any, what: str) -> np.ndarray:
    import pyarrow as pa

    if not pa.types.is_integer(column.type):
        raise InputError(what, given=f"{column.type}", expected="whole numbers, one a sample")
    if column.null_count:
        raise InputError(what, given=f"{column.null_count} samples without a label", expected="one a sample")
    found = column.to_numpy(zero_copy_only=False).astype(np.int64)
    if len(found) and found.min() < 0:
        given = f"{int((found < 0).sum())} labels below 0, as of samples without one"
        raise InputError(what, given=given, expected="labels from 0")
    return found


def _class_names(kind: dict[str, Any], count: int, path: Path) -> tuple[str, ...]:
    names = kind.get("names")
    if not names:
        return tuple(map(str, range(max(2, count))))
    if not isinstance(names, list):
        raise InputError(f"names of the classes of {path}", given=repr(names), expected="a list")
    return require_names(tuple(map(str, names)), f"names of the classes of {path}")


def _table(path: Path, split: _Split, target: str, how: Decoding, cut: Cut, classes: Sequence[str] | None) -> Data:
    """A table, in which class labels go by their names."""
    pa = arrow(f"reading {path.name}")
    named = {name: kind["names"] for name, kind in split.features.items() if isinstance(kind.get("names"), list)}

    def batches() -> Iterator[Any]:
        for _, _, batch in split.batches(tuple(split.features)):
            require_columns(batch.schema, path)
            for name, names in named.items():
                place = batch.schema.get_field_index(name)
                _labels(batch.column(name), f"column {name!r} of {path}")
                texts = pa.array(list(map(str, names))).take(batch.column(name))
                batch = batch.set_column(place, name, texts)
            yield from (batch.slice(at, CHUNK) for at in range(0, len(batch), CHUNK))

    frames = Frames(path, lambda: numbered(batches()), 0, "rows")
    order = classes if classes is not None or target not in named else tuple(map(str, named[target]))
    return load_frames(frames, target, order, cut.split, how.skip_broken, cut.seed, cut.stream).limited(
        cut.limit, cut.train_limit, cut.seed
    )
