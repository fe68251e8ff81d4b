"""Fields as pictures: values over a plane, with a colour bar, for reports and studies; films of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic


def field_image(
    values: np.ndarray,
    caption: str,
    *,
    extent: tuple[float, float, float, float] = (0, 1, 0, 1),
    axes: tuple[str, str] = ("x", "y"),
    signed: bool | None = None,
    limit: float | None = None,
    overlay: Sequence[np.ndarray] = (),
) -> dict[str, Any]:
    """One picture for a `Figure` of kind "images".

    Args:
        values: (nx, ny), x along the first axis.
        caption: under it.
        extent: (x low, x high, y low, y high).
        axes: their names.
        signed: blue to red around 0 (by the values' signs where not given), else dark to light.
        limit: largest value shown.
        overlay: closed curves (K, 2) drawn on top.
    """
    plt, figure, ax = _figure()
    _draw(figure, ax, values, extent, axes, signed, limit, overlay)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    plt.close(figure)
    return {"png": base64.b64encode(stream.getvalue()).decode(), "caption": caption}


def field_images(fields: Mapping[str, np.ndarray], **options: Any) -> list[dict[str, Any]]:
    """Pictures of fields that are compared, on one colour scale.

    Args:
        fields: (nx, ny) each, by caption, x along the first axis.
        options: of `field_image` but for `signed` and `limit`, which all share.

    Raises:
        InputError: no fields.
    """
    if not fields:
        raise InputError("pictures", given="no fields", expected="at least one")
    limit = float(max(np.nanmax(np.abs(values)) for values in fields.values()))
    signed = any(bool((values < 0).any()) for values in fields.values())
    return [field_image(v, caption, signed=signed, limit=limit, **options) for caption, v in fields.items()]


def film(
    frames: Sequence[np.ndarray],
    path: Path | str,
    *,
    titles: Sequence[str] = (),
    extent: tuple[float, float, float, float] = (0, 1, 0, 1),
    axes: tuple[str, str] = ("x", "y"),
    overlays: Sequence[Sequence[np.ndarray]] = (),
    milliseconds: int = 80,
) -> Path:
    """An animated GIF of fields on one colour scale.

    Args:
        frames: (nx, ny) each, x along the first axis.
        path: of the file.
        titles: one a frame.
        extent: (x low, x high, y low, y high).
        axes: their names.
        overlays: closed curves (K, 2) of each frame.
        milliseconds: that a frame stays.

    Raises:
        InputError: no frames.
    """
    from PIL import Image

    if not len(frames):
        raise InputError("film", given="no frames", expected="at least one")
    limit = float(max(np.nanmax(np.abs(f)) for f in frames))
    signed = any(bool((f < 0).any()) for f in frames)
    pictures = []
    for i, values in enumerate(frames):
        plt, figure, ax = _figure()
        _draw(figure, ax, values, extent, axes, signed, limit, overlays[i] if len(overlays) else ())
        if len(titles):
            ax.set_title(titles[i], fontsize=9)
        figure.canvas.draw()
        pictures.append(
            Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("P", palette=Image.Palette.ADAPTIVE)
        )
        plt.close(figure)

    def save(stream: Any) -> None:
        pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)

    return write_atomic(path, save)


def _figure() -> tuple[Any, Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(3.4, 2.8), layout="constrained")
    return plt, figure, ax


def _draw(
    figure: Any,
    ax: Any,
    values: np.ndarray,
    extent: Any,
    axes: tuple[str, str],
    signed: bool | None,
    limit: float | None,
    overlay: Sequence[np.ndarray],
) -> None:
    if values.ndim != 2:
        raise InputError("field", given=f"shape {values.shape}", expected="(nx, ny)")
    both = bool((values < 0).any()) if signed is None else signed
    top = float(np.nanmax(np.abs(values))) if limit is None else limit
    top = top if top > 0 else 1.0
    image = ax.imshow(
        values.T,
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap="RdBu_r" if both else "viridis",
        vmin=-top if both else min(0.0, float(np.nanmin(values))),
        vmax=top,
        interpolation="bilinear",
    )
    for curve in overlay:
        closed = np.concatenate([curve, curve[:1]])
        ax.plot(closed[:, 0], closed[:, 1], color="black", linewidth=1)
    bar = figure.colorbar(image, ax=ax)
    bar.ax.tick_params(labelsize=7)
    bar.formatter.set_powerlimits((-2, 3))
    ax.tick_params(labelsize=7)
    ax.set_xlabel(axes[0], fontsize=8)
    ax.set_ylabel(axes[1], fontsize=8)
