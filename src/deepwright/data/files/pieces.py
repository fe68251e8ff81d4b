"""Data that come in one piece, or with a part missing: what is cut from what, and the note that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.data.dataset import stratified_order

FOR_TRAINING = (0.7, 0.1)  # of training and validation where a network is trained on them
FOR_MEASURING = (0.2, 0.1)  # where one is only measured: most of the samples are for that
SPLITS = ("test",)
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
_CALIBRATE = 0.2  # of a validation part that is measured


@dataclass(frozen=True)
class Cut:
    """How data are divided, limited and held.

    Attributes:
        shares: of the training and the validation part, where the samples come in one piece.
        split: "test" makes such samples the test part, all of them.
        limit: at most so many test and validation samples each.
        train_limit: at most so many training samples.
        seed: of splits and limits.
        stream: leave the samples in their files and read them when they are needed; None decides by their size.
    """

    shares: tuple[float, float] = FOR_TRAINING
    split: str | None = None
    limit: int | None = None
    train_limit: int | None = None
    seed: int = 0
    stream: bool | None = None


def require_split(split: str | None) -> None:
    """Refuse words that aren't the name of a way to split.

    Args:
        split: "test", or None.

    Raises:
        InputError: another word.
    """
    if split is not None and split not in SPLITS:
        raise unknown_name("split", str(split), SPLITS)


def one_piece(y: Any, shares: tuple[float, float], split: str | None, seed: int) -> tuple[dict[str, Tensor], str]:
    """The rows of each part of data that came without parts, and what to tell about them.

    Args:
        y: (N,) labels, or targets of another task.
        shares: of the training and the validation part.
        split: "test" gives all of them to the test part.
        seed: of the draw, which is stratified.
    """
    require_split(split)
    n = len(y)
    first, second = (0, 0) if split == "test" else (round(shares[0] * n), round(sum(shares) * n))
    order = stratified_order(y, seed)
    if split == "test":
        order = order.sort().values
    parts = {"train": order[:first], "validation": order[first:second], "test": order[second:]}
    return parts, piece_note(n, first, second - first)


def piece_note(n: int, train: int, validation: int) -> str:
    """What to tell about data that came in one piece.

    Args:
        n: samples in all.
        train: of them, that fit what needs fitting.
        validation: of them, that temperatures and choices look at.
    """
    if not train and not validation:
        return f"all {n} samples are measured: nothing is left to fit detectors, baselines and temperatures"
    return (
        f"the data came in one piece: of {n} samples {n - train - validation} are measured, {train} fit detectors and "
        f"baselines (or the network that is trained here), {validation} temperatures; --split test measures all"
    )


def with_parts(split: str | None, name: str) -> None:
    """Refuse `split` where data have a test part of their own.

    Args:
        split: as it was given.
        name: of the data.

    Raises:
        InputError: one was given.
    """
    require_split(split)
    if split is not None:
        raise InputError("split", given=f"{split!r} for {name}, which has parts of its own", expected="none")


def missing_part(
    targets: Mapping[str, Any], what: str, split: str | None, seed: int
) -> tuple[dict[str, tuple[str, Tensor]], list[str]]:
    """The rows of the part that data don't have, and those that remain of the part that it is cut from.

    Where there is no test part, the validation part is what is measured, and a share of it calibrates: training samples
    are never measured.

    Args:
        targets: of the samples of each part that is there, two or all.
        what: of which data, as "images of cats.zip"; for messages.
        split: "test" measures the whole validation part where there is no test part.
        seed: of the draw, which is stratified.

    Returns:
        part -> the part that its rows come from, and which; and what to tell. Parts that stay as they are aren't named.

    Raises:
        InputError: too few samples for two parts; `split` with a test part.
    """
    if "test" in targets or "validation" not in targets:
        with_parts(split, what)
    require_split(split)
    missing = next((part for part in SHARES if part not in targets), None)
    if missing is None:
        return {}, []
    source = "validation" if missing == "test" else "train" if "train" in targets else "test"
    n = len(targets[source])
    share = _CALIBRATE if missing == "test" else SHARES[missing] / (SHARES[missing] + SHARES[source])
    count = 0 if missing == "test" and split == "test" else max(1, round(n * share))
    if count >= n:
        raise InputError(f"{source} {what}", given=n, expected=f"enough for a {missing} part too")
    order = stratified_order(targets[source], seed)
    few, others = order[:count], order[count:]
    if missing != "test":
        return {missing: (source, few), source: (source, others)}, [cut_note(missing, source, count)]
    calibrate = f"{count} of its {n} samples calibrate, {n - count} are measured; --split test measures all"
    told = f"no test part: the validation part was measured ({calibrate if count else f'all {n} samples of it'})"
    return {"validation": (source, few.sort().values), "test": (source, others.sort().values)}, [told]


def seen_validation(there: Iterable[str]) -> bool:
    """Whether a validation part is cut from training samples, which a network from elsewhere may have learned.

    Args:
        there: the parts that data come with.
    """
    return set(there) == {"train", "test"}


def cut_note(missing: str, source: str, n: int) -> str:
    """What to tell about a part that was cut from another one.

    Args:
        missing: the part that wasn't there.
        source: the part that it was cut from.
        n: samples of it.
    """
    told = f"no {missing} part: {n} samples were taken out of the {source} part for it"
    return f"{told}, which the network may have been trained on" if source == "train" else told
