"""Data sets by name, and the user's own by path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_whole
from deepwright.core.resizing import Resizing
from deepwright.data.dataset import Data
from deepwright.data.files.archives import Decoding
from deepwright.data.files.arrays import holds_arrays, load_npz
from deepwright.data.files.arrow_folders import is_arrow_folder, load_arrow_folder
from deepwright.data.files.box_folders import holds_boxes, load_boxes
from deepwright.data.files.class_order import Named, require_names
from deepwright.data.files.folders import load_folder
from deepwright.data.files.mask_folders import holds_masks, load_masks
from deepwright.data.files.pieces import FOR_TRAINING, Cut, require_split, with_parts
from deepwright.data.files.series import BySeries, load_series
from deepwright.data.files.tables import load_csv, load_heart_failure, load_parquet
from deepwright.data.files.target_tables import holds_labels, load_targets
from deepwright.data.files.texts import holds_texts, load_texts
from deepwright.data.files.yolo_yaml import YAML
from deepwright.data.named.anatomy import load_nested_anatomy
from deepwright.data.named.camvid import load_camvid
from deepwright.data.named.cifar import CLASSES as CIFAR10
from deepwright.data.named.cifar import load_cifar10
from deepwright.data.named.embedded import DIGITS, load_breast_cancer, load_digits, load_mnist
from deepwright.data.named.imagenet import imagenet_classes, load_imagenet_sample
from deepwright.data.named.sentences import load_sentences
from deepwright.data.named.spurious import gaussian_spurious, mnist_dominoes
from deepwright.data.named.synthetic import load_confident_error, load_texture_waves


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes:
        name: as `load` takes it.
        kind: "image", "tabular", "text" or "segmentation".
        what: in words.
        needs_root: whether it lies in a data root, and isn't bundled.
        decoded: whether its pictures are decoded to the size that is asked for.
    """

    name: str
    kind: str
    what: str
    needs_root: bool
    decoded: bool = False


WORDS = ("classification", "binary", "multilabel", "regression", "segmentation", "detection")
_OF_TABLES = WORDS[:4]

ENTRIES = (
    Entry(
        "mnist", "image", "5,000 handwritten digits, 28 x 28 (bundled); the 10,000 test digits with a data root", False
    ),
    Entry("digits", "image", "1,797 digits, 8 x 8 (scikit-learn)", False),
    Entry("cifar10", "image", "60,000 small photographs, 10 classes", True),
    Entry(
        "imagenet-sample", "image", "photographs of ImageNet classes, told by the synsets in their names", True, True
    ),
    Entry("camvid", "segmentation", "road scenes with 11 classes", True, True),
    Entry("heart-failure", "tabular", "299 patients, 12 features", True),
    Entry("breast-cancer", "tabular", "569 biopsies, 30 features (scikit-learn)", False),
    Entry("confident-error", "tabular", "synthetic: a hidden subgroup with the reversed mechanism", False),
    Entry("nested-anatomy", "segmentation", "synthetic: layers inside one another, 48 x 48, grey; 4 classes", False),
    Entry("texture-waves", "image", "synthetic: waves of eight kinds in 1/f noise, 32 x 32, grey", False),
    Entry("gaussian-spurious", "tabular", 'synthetic: 64 features, one a shortcut; column "attribute"', False),
    Entry("mnist-dominoes", "image", 'pairs of digits, 56 x 28; the upper one, "attribute", is a shortcut', False),
    Entry("sentences", "text", "1,500 sentences from templates: praise or blame, with a known answer", False),
)


def root_of(root: Path | str | None = None) -> Path | None:
    """The folder of the real data sets: the given one, else the environment's DEEPWRIGHT_DATA; None without both.

    Args:
        root: the folder.
    """
    found = os.environ.get("DEEPWRIGHT_DATA") if root is None else root
    return None if found is None else Path(found)


def load(
    source: str | Path,
    *,
    root: Path | str | None = None,
    target: str | Sequence[str] | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    size: int | tuple[int, int] | None = None,
    mode: str | None = None,
    seed: int = 0,
    skip_broken: bool = False,
    classes: Sequence[str] | None = None,
    outputs: Sequence[Named] | None = None,
    shares: tuple[float, float] = FOR_TRAINING,
    split: str | None = None,
    stream: bool | None = None,
    aside: Sequence[str] = (),
    task: str | None = None,
    text: str | Sequence[str] | None = None,
    series: BySeries | None = None,
    resizing: Resizing | None = None,
) -> Data:
    """A data set by catalogue name or by path.

    Args:
        source: a name of the catalogue, an image folder or zip (of classes, of label maps, or with boxes in COCO, VOC
            or YOLO form), an `.npz` or a folder of `.npy`, a `.csv`, a `.parquet`, a folder that `save_to_disk` of
            Hugging Face's `datasets` wrote, or texts (see `load_texts`).
        root: folder of the real data sets; the environment's DEEPWRIGHT_DATA when not given.
        target: the column to predict, for a table; several of numbers, or of 0 and 1.
        limit: at most so many test (and validation) samples.
        train_limit: at most so many training samples.
        size: resize images to this (height, width), or to a square; photographs keep their aspect and are cropped.
        mode: "RGB" or "L" for image folders (their own by default).
        seed: of splits and of what `limit` keeps.
        skip_broken: leave broken files and rows out (they are listed in `notes`) instead of refusing.
        classes: names of your own data's classes in the order of the network's outputs; there may be more than occur.
        outputs: the network's own classes, each under all its names: class folders of such names are those classes.
        shares: of the training and the validation part, where your data come in one piece (a table keeps 0.7 and 0.1).
        split: "test" makes data that come in one piece the test part, all of them; where there are training and
            validation parts alone, the whole validation part.
        stream: leave samples in their files and read them when they are needed (True), or hold all of them in memory
            (False); None streams what is over 512 MiB. The numbers that come of it are the same.
        aside: columns of a table that no network gets; see `load_csv`.
        task: how your own files are read, one of `WORDS` ("regression", "segmentation", ...); told from the files when
            None, where one class a sample is the usual reading.
        text: the column that the network reads, where a .csv, a .parquet or a folder of Hugging Face's `datasets` holds
            texts; "text" of a .tsv or .jsonl by default.
        series: how the rows of a .csv are series.
        resizing: what is done to pictures of class folders in place of `size`; others are stretched to its size.

    Raises:
        InputError: an unknown name, a missing root, broken files, options that the data don't look at.
    """
    if not isinstance(source, str | Path):
        hint = "audit batches from Python: deepwright.audit(model, batches)"
        raise InputError("data", given=type(source).__name__, expected="the name of a data set, or a path", hint=hint)
    sides = size if isinstance(size, tuple) else (size,)
    for name, value in (("limit", limit), ("train_limit", train_limit), *(("size", side) for side in sides)):
        if value is not None:
            require_whole(1, **{name: value})
    require_split(split)
    if resizing is not None and size is not None:
        raise InputError("resizing", given=f"beside size {size}", expected="one of them")
    if task is not None and task not in WORDS:
        raise unknown_name("task", str(task), WORDS)
    classes = None if classes is None else require_names(classes, "classes")
    folder = root_of(root)
    entry = next((e for e in ENTRIES if e.name == str(source)), None)
    if entry is not None:
        if entry.needs_root and folder is None:
            raise InputError(
                f"data set {entry.name!r} is not bundled",
                hint="pass --data-root DIR, or set DEEPWRIGHT_DATA, to the folder that holds it",
            )
        if folder is not None and not folder.is_dir():
            raise InputError("data root", given=f"{folder} is no folder", hint="--data-root DIR")
        if resizing is not None:
            raise InputError("resizing", given=f"beside {entry.name}", expected="none: it is for files")
        _refuse_size(None if entry.decoded else size, mode, entry.name)
        if target is not None:
            raise InputError("target", given=f"{target!r} for {entry.name}, which is no .csv", expected="none")
        if text is not None:
            raise InputError("text", given=f"{text!r} for {entry.name}, which is no file", expected="none")
        if series is not None:
            raise InputError("entity", given=f"{series.entity!r} for {entry.name}, which is no .csv", expected="none")
        if classes is not None:
            raise InputError("classes", given=f"beside {entry.name}, which has its own", expected="none")
        if aside:
            raise InputError("aside", given=f"{list(aside)} for {entry.name}", expected="none: it is for files")
        _require_reading(task, "segmentation" if entry.kind == "segmentation" else "classification", entry.name)
        with_parts(split, entry.name)
        data = _named(entry.name, folder, limit, train_limit, size, seed, skip_broken, stream)
        return data.limited(limit, train_limit, seed)
    path = Path(source)
    if aside and path.suffix not in (".csv", ".parquet"):
        raise InputError("aside", given=f"{list(aside)} for {path.name}, which is no table", expected="none")
    if not str(source) or "\0" in str(source):
        raise InputError(
            "data", given=repr(str(source)), expected="a file, a folder or a name of `deepwright list data`"
        )
    if not path.exists():
        if path.suffix or "/" in str(source):
            raise InputError(
                "data", given=f"{path} does not exist", expected="a file, a folder or a name of `deepwright list data`"
            )
        raise unknown_name("data set", str(source), [e.name for e in ENTRIES])
    path = path.parent if path.name == YAML and path.is_file() else path  # a YOLO data set is named by its file, too
    if series is not None:
        if path.suffix != ".csv" or text is not None or target is None:
            given = f"{path.name}, target {target!r}, text {text!r}"
            raise InputError(
                "entity", given=given, expected="a .csv with a target column and without a column of texts"
            )
        _require_in_memory(path, "series", stream, aside)
        _refuse_size(size, mode, path.name)
        _require_reading(task, "classification" if series.horizon is None else "a forecast", path.name)
        found = load_series(path, _one_target(target), series, classes=classes, shares=shares, split=split, seed=seed)
        return found.limited(limit, train_limit, seed)
    text = _one_text(text)
    arrow = is_arrow_folder(path)
    boxes = not arrow and holds_boxes(path)  # lists of pictures are long: once
    text_folder = holds_texts(path) and not boxes  # YOLO's boxes stand in .txt files, too
    by_column = path.suffix in (".csv", ".parquet") or arrow
    if path.suffix in (".tsv", ".jsonl") or (by_column and text is not None) or text_folder:
        _require_in_memory(path, "texts", stream, aside)
        _refuse_size(size, mode, path.name)
        if task in ("segmentation", "detection"):
            raise InputError("task", given=f"{task} for {path.name}", expected=", ".join(_OF_TABLES))
        return load_texts(
            path,
            text=text or "text",
            target=target or "label",
            task=task,
            classes=classes,
            outputs=outputs,
            shares=shares,
            split=split,
            limit=limit,
            train_limit=train_limit,
            seed=seed,
            skip_broken=skip_broken,
        )
    if text is not None:
        raise InputError("text", given=f"{text!r} for {path.name}, which holds no texts", expected="none")
    tables: dict[str, Callable[..., Data]] = {".csv": load_csv, ".parquet": load_parquet}
    if path.suffix in (*tables, ".npz") or holds_arrays(path):
        _refuse_size(size, mode, path.name)
    if path.suffix in tables:
        if target is None or not target:
            raise InputError(f"{path.name} needs a target column", hint="--target NAME")
        said: dict[str, Any] = {"split": split, "skip_broken": skip_broken, "seed": seed, "stream": stream}
        table = _table(path, tables[path.suffix], target, task, classes, aside=tuple(aside), **said)
        return table.limited(limit, train_limit, seed)
    if target is not None and not arrow:
        raise InputError("target", given=f"{target!r} for {path.name}, which is no .csv", expected="none")
    limits: dict[str, Any] = {"limit": limit, "train_limit": train_limit, "seed": seed, "stream": stream}
    if path.suffix == ".npz" or holds_arrays(path):
        _require_reading(task, "classification", path.name)
        return load_npz(path, classes=classes, shares=shares, split=split, **limits)
    square = (size, size) if isinstance(size, int) else size
    stretched = square if resizing is None else resizing.size
    told = "classification" if arrow else "detection" if boxes else "segmentation" if holds_masks(path) else ""
    seen = task or told
    if seen in ("detection", "segmentation") and not arrow:
        if stream:
            raise InputError("stream", given=f"True for {seen} data", expected="None: they are held in memory")
        del limits["stream"]
        reader = load_boxes if seen == "detection" else load_masks
        return reader(path, classes=classes, size=stretched, mode=mode or "keep", shares=shares, split=split, **limits)
    _require_reading(task, "classification", path.name)
    short = round(min(square) / 0.875) if square and min(square) >= 160 else None
    how = Decoding(square, mode or "keep", short, skip_broken, resizing)
    if arrow:
        one = None if target is None else _one_target(target)
        cut = Cut(shares, split, **limits)
        return load_arrow_folder(path, how, cut, target=one, classes=classes, outputs=outputs)
    return load_folder(path, how, classes=classes, outputs=outputs, shares=shares, split=split, **limits)


def _require_in_memory(path: Path, what: str, stream: bool | None, aside: Sequence[str]) -> None:
    if stream:
        raise InputError("stream", given=f"True for {what}", expected="None: they are held in memory")
    if aside:
        raise InputError(
            "aside", given=f"{list(aside)} for the {what} of {path.name}", expected="none: it is of tables"
        )


def _one_text(text: str | Sequence[str] | None) -> str | None:
    """The column of texts; of pairs the network would have to be told which text is which."""
    if text is None or isinstance(text, str):
        return text
    if len(text) != 1:
        raise InputError(
            "text",
            given=f"{len(text)} columns ({', '.join(map(str, text))}), as of pairs of texts" if text else "none",
            expected="one column",
            hint="pairs are measured as token ids, from Python: batches of input_ids, attention_mask, token_type_ids "
            "and labels",
        )
    return str(text[0])


def _one_target(target: str | Sequence[str]) -> str:
    if isinstance(target, str):
        return target
    if len(target) != 1:
        raise InputError("target", given=f"{len(target)} columns", expected="one")
    return target[0]


def _table(
    path: Path,
    read: Callable[..., Data],
    target: str | Sequence[str],
    task: str | None,
    classes: Sequence[str] | None,
    **options: Any,
) -> Data:
    """A table by its task: several targets are labels where all are 0 or 1, else numbers; one is a class."""
    targets = (target,) if isinstance(target, str) else tuple(target)
    if task is None:
        several = len(targets) > 1
        labels = several and holds_labels(path, targets)
        task = "multilabel" if labels else "regression" if several else "classification"
    if task in ("regression", "multilabel"):
        if classes is not None:
            hint = "the labels are the target columns" if task == "multilabel" else "numbers have no classes"
            raise InputError("classes", given=f"beside --task {task}", expected="none", hint=hint)
        return load_targets(path, targets, labels=task == "multilabel", **options)
    if task in ("segmentation", "detection"):
        raise InputError("task", given=f"{task} for {path.name}", expected=", ".join(_OF_TABLES))
    if len(targets) > 1:
        hint = "--task multilabel for columns of 0 and 1, --task regression for numbers"
        raise InputError("target", given=f"{len(targets)} columns for {task}", expected="one", hint=hint)
    return read(path, targets[0], classes=classes, **options)


def _require_reading(task: str | None, has: str, name: str) -> None:
    """Refuse a task whose targets these data can't have: classes may be of two, and so binary."""
    fits = {has, "binary"} if has == "classification" else {has}
    if task is not None and task not in fits:
        hint = "numbers and labels come from a .csv, or from loaders in Python" if has == "classification" else None
        raise InputError("task", given=f"{task} for {name}, whose targets are those of {has}", expected=has, hint=hint)


def _refuse_size(size: object, mode: object, name: str) -> None:
    """Pictures that aren't decoded keep what they have: nothing may be given and then not be looked at."""
    for what, value in (("size", size), ("mode", mode)):
        if value is not None:
            raise InputError(what, given=f"{value!r} for {name}, whose samples keep their own", expected="none")


def classes_of(name: str) -> tuple[Named, ...]:
    """The classes of a data set of the catalogue, each under all its names; none where they are nobody else's.

    Args:
        name: of the catalogue.
    """
    known: dict[str, Callable[[], tuple[Named, ...]]] = {
        "mnist": lambda: tuple((digit,) for digit in DIGITS),
        "digits": lambda: tuple((digit,) for digit in DIGITS),
        "cifar10": lambda: tuple((kind,) for kind in CIFAR10),
        "imagenet-sample": imagenet_classes,
    }
    return known[name]() if name in known else ()


def _named(
    name: str,
    root: Path | None,
    limit: int | None,
    train_limit: int | None,
    size: int | tuple[int, int] | None,
    seed: int,
    skip: bool,
    stream: bool | None,
) -> Data:
    here = root if root is not None else Path()
    side = size if isinstance(size, int) else 224
    loaders: dict[str, Callable[[], Data]] = {
        "mnist": lambda: load_mnist(root),
        "digits": load_digits,
        "cifar10": lambda: load_cifar10(here, limit=limit, train_limit=train_limit, seed=seed),
        "imagenet-sample": lambda: load_imagenet_sample(here, limit=limit, size=side, skip_broken=skip, stream=stream),
        "camvid": lambda: load_camvid(here, limit=limit, train_limit=train_limit, size=size),
        "heart-failure": lambda: load_heart_failure(here),
        "breast-cancer": load_breast_cancer,
        "sentences": lambda: load_sentences(seed=seed),
        "confident-error": lambda: load_confident_error(seed),
        "texture-waves": lambda: load_texture_waves(seed),
        "nested-anatomy": lambda: load_nested_anatomy(seed),
        "gaussian-spurious": lambda: gaussian_spurious(seed).data,
        "mnist-dominoes": lambda: mnist_dominoes(seed),
    }
    return loaders[name]()
