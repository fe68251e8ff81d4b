"""What a folder of Hugging Face says about its pictures: how they are resized, cropped and normalised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.resizing import BICUBIC, Resizing
from deepwright.nets.sharded_weights import read_json

_BILINEAR = 2
_WARPED = 384  # from this side on a ConvNext sees whole pictures


@dataclass(frozen=True)
class _Usual:
    """What an image processor does where its file doesn't say it.

    Attributes:
        resample: Pillow's filter.
        short: whether one number as a size is that of the short side; else it is that of a square.
        crop: whether the middle is cut out.
        cuts: whether it can be, whatever the file says.
        crop_pct: share of the resized picture that is cut out.
    """

    resample: int = BICUBIC
    short: bool = False
    crop: bool = False
    cuts: bool = True
    crop_pct: float | None = None


_USUAL = {
    "Beit": _Usual(),
    "Bit": _Usual(short=True, crop=True),
    "CLIP": _Usual(short=True, crop=True),
    "ConvNext": _Usual(short=True, crop_pct=224 / 256),
    "DeiT": _Usual(crop=True),
    "EfficientNet": _Usual(),
    "Levit": _Usual(short=True, crop=True),
    "MobileNetV1": _Usual(_BILINEAR, short=True, crop=True),
    "MobileNetV2": _Usual(_BILINEAR, short=True, crop=True),
    "MobileViT": _Usual(short=True, crop=True),
    "PoolFormer": _Usual(short=True, crop=True, crop_pct=0.9),
    "Pvt": _Usual(),
    "Segformer": _Usual(_BILINEAR, cuts=False),
    "Siglip": _Usual(),
    "ViT": _Usual(_BILINEAR),
}
"""Image processors whose steps are known, by the beginning of their names."""

_OF_PICTURES = {"image_mean", "image_processor_type", "do_resize", "do_center_crop", "do_rescale"}
_OF_PICTURES |= {"do_flip_channel_order", "rescale_factor"}
"""Words of which one stands in each file about pictures, and none in those about sounds and texts."""


@dataclass(frozen=True)
class PixelCard:
    """How the pictures of a network are prepared.

    Attributes:
        resizing: from a picture to the pixels that the network gets; None where nothing is said.
        mean: of normalised pixels, on pixels in [0, 1]; none where the network takes these as they are.
        std: as `mean`.
        unfollowed: what is said and this house does otherwise, in words.
    """

    resizing: Resizing | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    unfollowed: tuple[str, ...] = ()


def preprocessor_of(folder: Path) -> dict[str, Any]:
    """How pictures are prepared, as it stands in the folder; nothing where it doesn't say it.

    Args:
        folder: of `save_pretrained`.
    """
    for name, key in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        if (folder / name).is_file():
            found = read_json(folder / name)
            found = found if key is None else found.get(key) or {}
            if isinstance(found, dict) and _OF_PICTURES & set(found):
                return found
    return {}


def read_pixels(pixels: dict[str, Any], folder: Path) -> PixelCard:
    """What is done to pictures, out of what a folder says.

    Args:
        pixels: see `preprocessor_of`.
        folder: for messages.

    Raises:
        InputError: steps that can't be followed before or inside the network, numbers that are none.
    """
    if not pixels:
        return PixelCard()
    kind = _kind(pixels)
    mean, std = _normalisation(pixels, kind, folder)
    said = _processor(pixels)
    unfollowed = [] if kind or not said else [f"{said} isn't known here; its steps are followed as most others do them"]
    resizing, more = _resizing(pixels, kind, folder)
    return PixelCard(resizing, mean, std, (*unfollowed, *more))


def _processor(pixels: dict[str, Any]) -> str:
    return str(pixels.get("image_processor_type") or pixels.get("feature_extractor_type") or "")


def _kind(pixels: dict[str, Any]) -> str:
    """The image processor among those that are known; "" for others."""
    said = _processor(pixels)
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        said = said.removesuffix(ending)
    return said if said in _USUAL else ""


def _resizing(pixels: dict[str, Any], kind: str, folder: Path) -> tuple[Resizing, list[str]]:
    usual = _USUAL.get(kind, _Usual(_BILINEAR))
    unfollowed = ["do_pad (nothing is padded)"] if pixels.get("do_pad") else []
    crop: tuple[int, int] | None = None
    if usual.cuts and _flag(pixels, "do_center_crop", usual.crop) and pixels.get("crop_size") is not None:
        cut = _sides(pixels["crop_size"], False, f"crop_size of {folder}")
        crop = cut if isinstance(cut, tuple) else (cut, cut)
    resample = pixels.get("resample")
    resample = usual.resample if resample is None else resample
    to: tuple[int, int] | int | None = None
    if _flag(pixels, "do_resize", True) and pixels.get("size") is not None:
        size = pixels["size"]
        if isinstance(size, dict) and not ({"height", "width"} <= set(size) or set(size) == {"shortest_edge"}):
            unfollowed.append(f"size {size} (only the height and the width, or the shortest edge, are followed)")
        else:
            to = _sides(size, usual.short, f"size of {folder}")
            if kind == "ConvNext" and crop is not None:
                unfollowed.append("do_center_crop (its own crop comes in its place)")
                crop = None
            to, crop = _of_a_kind(kind, to, crop, pixels.get("crop_pct", usual.crop_pct), folder)
    for name in ("keep_aspect_ratio", "size_divisor"):
        if pixels.get(name):
            unfollowed.append(f"{name} {pixels[name]}")
    return Resizing(to, crop, resample), unfollowed


def _of_a_kind(
    kind: str, to: tuple[int, int] | int, crop: tuple[int, int] | None, share: Any, folder: Path
) -> tuple[tuple[int, int] | int, tuple[int, int] | None]:
    """Sizes as three processors understand them, which resize to more than they are told."""
    plain = share is None or (isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1)
    if kind in ("ConvNext", "PoolFormer") and not plain:
        raise InputError(f"crop_pct of {folder}", given=repr(share)[:60], expected="a number above 0, at most 1")
    if kind == "Levit" and isinstance(to, int):
        return int((256 / 224) * to), crop
    if kind == "ConvNext":
        side = to if isinstance(to, int) else to[0]
        if side >= _WARPED:
            return (side, side), crop
        return int(side / (224 / 256 if share is None else share)), (side, side)
    if kind == "PoolFormer" and share is not None:
        if isinstance(to, tuple) and to[0] != to[1]:
            return (int(to[0] / share), int(to[1] / share)), crop
        return int((to if isinstance(to, int) else to[0]) / share), crop
    return to, crop


def _flag(pixels: dict[str, Any], name: str, usual: bool) -> bool:
    value = pixels.get(name)
    return usual if value is None else bool(value)


def _sides(size: Any, short: bool, what: str) -> tuple[int, int] | int:
    """(height, width), or the short side: of {"height", "width"}, {"shortest_edge"}, two numbers or one."""
    if isinstance(size, dict):
        sides: list[Any] = (
            [size["shortest_edge"]] if "shortest_edge" in size else [size.get("height"), size.get("width")]
        )
        short = "shortest_edge" in size
    else:
        sides = list(size) if isinstance(size, list | tuple) else [size]
    whole = all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides)
    if not whole or len(sides) not in (1, 2):
        raise InputError(what, given=repr(size)[:60], expected="sides in pixels")
    if len(sides) == 1:
        return sides[0] if short else (sides[0], sides[0])
    return sides[0], sides[1]


def _normalisation(pixels: dict[str, Any], kind: str, folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation on pixels in [0, 1], from (255 x factor - mean) / std; none where pixels stay as they are."""
    flipped = _flag(pixels, "do_flip_channel_order", kind == "MobileViT")
    if flipped or pixels.get("rescale_offset"):
        given = "channels in another order" if flipped else "pixels with an offset"
        hint = "build it in Python, package.module:factory, with that inside"
        raise InputError(f"the preprocessing of {folder}", given=given, expected="a mean and a deviation", hint=hint)
    factor = _row(pixels, "rescale_factor", folder) if "rescale_factor" in pixels else (1 / 255,)
    scale = 255 * factor[0] if pixels.get("do_rescale", True) else 255.0
    normal = pixels.get("do_normalize", kind != "MobileViT")
    mean = _row(pixels, "image_mean", folder) if normal else (0.0,)
    std = _row(pixels, "image_std", folder) if normal else (1.0,)
    if kind == "EfficientNet" and pixels.get("include_top", True):  # its processor divides once more, in any case
        again = _row(pixels, "image_std", folder)
        std = tuple(s * again[i % len(again)] for i, s in enumerate(std * (len(again) // len(std))))
    mean, std = tuple(m / scale for m in mean), tuple(s / scale for s in std)
    plain = all(abs(m) < 1e-9 for m in mean) and all(abs(s - 1) < 1e-9 for s in std)
    return ((), ()) if plain else (mean, std)


def _row(pixels: dict[str, Any], name: str, folder: Path) -> tuple[float, ...]:
    """One number or several: finite, and above 0 unless they are a mean."""
    value: Any = pixels.get(name)
    numbers: list[Any] = value if isinstance(value, list) else [value]
    plain = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
    if name not in pixels:  # its processor has numbers of its own, which change between versions
        hint = f"write {name} into the preprocessor_config.json, as its processor has it"
        raise InputError(f"the preprocessing of {folder}", given=f"no {name}", expected="finite numbers", hint=hint)
    if not numbers or not plain or (name != "image_mean" and not all(n > 0 for n in numbers)):
        expected = "finite numbers" if name == "image_mean" else "finite numbers above 0"
        raise InputError(f"the preprocessing of {folder}", given=f"{name}: {value!r:.60}", expected=expected)
    return tuple(map(float, numbers))
