"""Folders of `save_pretrained`: read without a network, without a pickle and without code of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.core.errors import InputError, MissingExtraError, first_line
from deepwright.core.resizing import Resizing
from deepwright.nets.doors.hugging_face import HuggingFace
from deepwright.nets.doors.pixel_preprocessing import preprocessor_of, read_pixels
from deepwright.nets.preprocessing import Normalised
from deepwright.nets.sharded_weights import read_json, weights_in
from deepwright.nets.weights_files import read_weights

# What makes transformers fetch, import or convert something else than the weights that are in the folder.
_REFUSED = {
    "quantization_config": "quantised weights, which need a package of their own",
    "compression_config": "compressed weights, which need a package of their own",
    "fusion_config": "patches of the model's code",
    "kernel_config": "kernels from elsewhere",
    "distributed_config": "a plan for several machines",
    "use_pretrained_backbone": "weights from elsewhere",
    "transformers_weights": "weights of another name",
}
_CHOSEN_HERE = ("auto_map", "name_or_path", "attn_implementation", "experts_implementation", "custom_pipelines")
_LEAST_DEPTH = 200  # layers that any configuration may name: they are built before weights are looked at
_UNNAMED = re.compile(r"LABEL_\d+", re.ASCII)


@dataclass(frozen=True)
class FolderCard:
    """What a folder says about its model's inputs and outputs.

    Attributes:
        kind: the class of the model in transformers.
        size: of square pictures; None where it isn't said, or where inputs are no pictures.
        channels: of pictures.
        labels: the classes in the order of the outputs, each under all its names; none where they only have numbers.
        mean: of normalised pixels, on pixels in [0, 1]; none where the model takes these as they are.
        std: as `mean`.
        preprocessed: whether the folder says how pixels are prepared.
        unfollowed: what it says about that and this house does otherwise, in words.
        resizing: how it brings pictures to their size; None where it doesn't say it.
    """

    kind: str
    size: int | None
    channels: int | None
    labels: tuple[tuple[str, ...], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    preprocessed: bool
    unfollowed: tuple[str, ...] = ()
    resizing: Resizing | None = None


def is_folder(source: Path | str) -> bool:
    """Whether something is a folder with a `config.json`.

    Args:
        source: a path, or another word.
    """
    return (Path(source) / "config.json").is_file()


def read_card(folder: Path | str) -> FolderCard:
    """What a folder says about its model; weights aren't read.

    Args:
        folder: of `save_pretrained`.

    Raises:
        InputError: no such folder, a configuration that names no model.
    """
    folder = Path(folder)
    config, pixels = _config(folder), preprocessor_of(folder)
    prepared = read_pixels(pixels, folder)
    return FolderCard(
        _architecture(config, folder),
        _size(config, pixels, prepared.resizing),
        _channels(config, folder) if pixels or "image_size" in config or "num_channels" in config else None,
        _labels(config),
        prepared.mean,
        prepared.std,
        bool(pixels),
        prepared.unfollowed,
        prepared.resizing,
    )


def load_hugging_face(folder: Path | str) -> nn.Module:
    """The model of a folder, in eval mode and the dtype of its weights, on pixels in [0, 1] or token ids.

    Weights come from safetensors, by the house's own reader; the class is one of transformers' own; nothing is
    fetched. The normalisation that `preprocessor_config.json` asks for is put into the network.

    Args:
        folder: of `save_pretrained`.

    Raises:
        InputError: pickled weights, code of the folder's own, weights that don't match.
        MissingExtraError: without the package transformers.
    """
    folder = Path(folder)
    card, config = read_card(folder), _config(folder)
    weights = weights_in(folder)
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "huggingface", f"the model in {folder}") from error
    kind: Any = getattr(transformers, card.kind, None)
    base = transformers.PreTrainedModel
    if not isinstance(kind, type) or not issubclass(kind, base) or not kind.__module__.startswith("transformers."):
        given = f"{card.kind}, which is no model of transformers {transformers.__version__}"
        hint = "build it in Python, package.module:factory with --weights: code in a folder is never run"
        raise InputError(f"the model in {folder}", given=given, expected="one of its own", hint=hint)
    state = read_weights(weights)
    _require_depth(config, max(len(state), _LEAST_DEPTH), folder)
    with _told(folder):
        described: Any = kind.config_class
        settings = described.from_dict(config)
    network: nn.Module = HuggingFace(_made(kind, settings, state, weights).eval(), folder=str(folder))
    return Normalised(network, list(card.mean), list(card.std)).eval() if card.mean else network


def fill(model: nn.Module, weights: Path | str) -> None:
    """Weights into a model of transformers, whose names on the disk are often others than those in memory.

    Args:
        model: takes them, where it lives and in its dtype.
        weights: see `read_weights`.

    Raises:
        InputError: weights that don't match.
    """
    state = read_weights(weights)
    model.load_state_dict(_made(type(model), model.config, state, Path(weights)).state_dict())


def _made(kind: Any, config: Any, state: dict[str, Tensor], weights: Path) -> nn.Module:
    with _offline(), _told(weights):
        found, info = kind.from_pretrained(
            None,
            config=config,
            state_dict=state,
            output_loading_info=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    _require_all(info, weights)
    return found


@contextmanager
def _offline() -> Iterator[None]:
    """Nothing is fetched inside the block, whatever the environment says; nothing is drawn on the terminal."""
    from huggingface_hub import constants
    from transformers.utils import logging

    before, drawn = constants.HF_HUB_OFFLINE, logging.is_progress_bar_enabled()
    constants.HF_HUB_OFFLINE = True
    logging.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        if drawn:
            logging.enable_progress_bar()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What transformers says about a folder that it can't take, in one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of any of its hundred model classes
        raise InputError(
            f"the model in {folder}", given=first_line(error), expected="a folder of save_pretrained"
        ) from error


def _require_all(info: dict[str, Any], weights: Path) -> None:
    """Refuse weights that are missing (they would be random), too many, or of another shape."""
    shapes = [f"{key} of shape {tuple(had)} for {tuple(own)}" for key, had, own in info.get("mismatched_keys") or ()]
    info = info | {"weights_of_another_shape": shapes}
    for kind in ("weights_of_another_shape", "missing_keys", "unexpected_keys", "error_msgs"):
        found = sorted(map(str, info.get(kind) or ()))
        if found:
            what = kind.replace("_", " ")
            raise InputError(
                f"the weights in {weights}", given=f"{what}: {', '.join(found[:3])}", expected="those of the model"
            )


def _config(folder: Path) -> dict[str, Any]:
    return _checked(read_json(folder / "config.json"), folder)


def _checked(config: Any, folder: Path) -> Any:
    """A configuration without what this house chooses itself; what needs code or files from elsewhere is refused."""
    if isinstance(config, list):
        return [_checked(each, folder) for each in config]
    if not isinstance(config, dict):
        return config
    for key, why in _REFUSED.items():
        if config.get(key):
            hint = "build it in Python: package.module:factory"
            raise InputError(f"{folder}/config.json", given=f"{key}: {why}", expected="plain weights", hint=hint)
    kept = {key: value for key, value in config.items() if key not in _CHOSEN_HERE and not key.startswith("_")}
    return {key: _checked(value, folder) for key, value in kept.items()}


def _architecture(config: dict[str, Any], folder: Path) -> str:
    named = config.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or not str(named[0]).isidentifier():
        raise InputError(f"{folder}/config.json", given=f"architectures: {named}", expected="the class of the model")
    return str(named[0])


def _channels(config: dict[str, Any], folder: Path) -> int:
    channels = config.get("num_channels", 3)
    if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
        raise InputError(f"{folder}/config.json", given=f"num_channels: {channels!r}", expected="a number of channels")
    return channels


def _require_depth(config: Any, most: int, folder: Path) -> None:
    """Refuse more layers than there are tensors in the weights: building them could take hours."""
    for key, value in config.items() if isinstance(config, dict) else ():
        counts = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
        if re.search(r"layers?$|layers_|depths$|(?<!max_)depth$|blocks$", key) and max(counts, default=0) > most:
            given, expected = f"{key}: {value!r:.60}", "as many layers as the weights have"
            raise InputError(f"{folder}/config.json", given=given, expected=expected)
        _require_depth(value, most, folder)


def _labels(config: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    found = config.get("id2label")
    if not isinstance(found, dict) or set(found) != set(map(str, range(len(found)))):
        return ()
    names = [str(found[str(i)]) for i in range(len(found))]
    if all(_UNNAMED.fullmatch(name) for name in names):
        return ()
    return tuple(tuple(dict.fromkeys([name, *(part.strip() for part in name.split(","))])) for name in names)


def _size(config: dict[str, Any], pixels: dict[str, Any], resizing: Resizing | None) -> int | None:
    """The side of square pictures: what comes out of their preparation, else what the model was built for."""
    made = None if resizing is None else resizing.size
    for size in (made, pixels.get("size"), config.get("image_size")):
        sides = (
            set(size.values()) if isinstance(size, dict) else set(size) if isinstance(size, list | tuple) else {size}
        )
        side = sides.pop() if len(sides) == 1 else None
        if isinstance(side, int) and side > 0:
            return side
    return None
