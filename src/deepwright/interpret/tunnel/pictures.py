"""Pictures: level sets with critical points and tunnels, and what each block's branches weigh."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from deepwright.core.results import Figure
from deepwright.interpret.tunnel.critical import CriticalPoint
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.layers import Chain, Residual
from deepwright.interpret.tunnel.maps import ScalarMap
from deepwright.interpret.tunnel.norms import chain_upper, skip_smallest
from deepwright.interpret.tunnel.witnesses import TunnelPath


@runtime_checkable
class Shown(Protocol):
    """What a picture shows of a report."""

    @property
    def verdict(self) -> str:
        """In its caption."""

    @property
    def points(self) -> tuple[CriticalPoint, ...]:
        """Of which the verified ones are drawn."""

    @property
    def witnesses(self) -> tuple[TunnelPath, ...]:
        """The ways."""


_SIDE = 240
_LOW, _HIGH = np.array([58, 110, 180]), np.array([222, 110, 52])


def level_sets(title: str, shown: Sequence[tuple[str, ScalarMap, Shown]], domain: Domain, note: str = "") -> Figure:
    """Maps of the plane: colour is the value's side of 0, bands are its levels, black lines tunnels, crosses points.

    Args:
        title: of the figure.
        shown: caption, map and report of each picture.
        domain: of all.
        note: one line under the figure.
    """
    series = [
        {"png": picture(fn, report, domain), "caption": f"{name} {report.verdict}".strip()}
        for name, fn, report in shown
    ]
    words = "Orange above 0, blue below; black: tunnels; white squares: verified critical points."
    return Figure("images", title, series, note=f"{words} {note}".strip())


def picture(fn: ScalarMap, report: Shown, domain: Domain) -> str:
    """One map as base64 of a PNG.

    Args:
        fn: in the plane.
        report: whose points and tunnels are drawn.
        domain: what is shown.
    """
    ticks = torch.linspace(0, 1, _SIDE, dtype=torch.float64, device=fn.device)
    unit = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)
    low, high = (end.to(unit) for end in domain.box().ends)
    with torch.no_grad():
        values = torch.cat([fn(part) for part in (low + unit * (high - low)).split(2**14)])
    return drawn(
        values.view(_SIDE, _SIDE).cpu(),
        [_pixels(way.points, domain) for way in report.witnesses],
        [_pixels(p.x[None], domain) for p in report.points if p.verified],
    )


def drawn(values: Tensor, ways: Sequence[np.ndarray], points: Sequence[np.ndarray]) -> str:
    """A map of values with ways and points, as base64 of a PNG of few colours.

    Args:
        values: (side, side), the upper row first.
        ways: pixels (T, 2) of rows and columns.
        points: pixels (1, 2).
    """
    from PIL import Image

    array = values.numpy()
    scale = float(np.quantile(np.abs(array), 0.9)) or 1.0
    share = np.clip(np.abs(array) / scale, 0, 1)
    bands = np.round(np.sqrt(share) * 6) / 6
    white = np.array([255.0, 255.0, 255.0])
    end = np.where((array >= 0)[..., None], _HIGH, _LOW)
    rgb = white + (end - white) * (0.25 + 0.75 * bands)[..., None]
    for way in ways:
        for dr in (0, 1):
            _dots(rgb, way + np.array([dr, 0]), np.array([20, 20, 20]))
    for at in points:
        square = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), indexing="ij"), -1).reshape(-1, 2)
        _dots(rgb, at + square, np.array([20, 20, 20]))
        _dots(rgb, at + square[np.abs(square).max(1) < 3], white)
    stream = io.BytesIO()
    image = Image.fromarray(rgb.astype(np.uint8)).quantize(32, dither=Image.Dither.NONE)
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _dots(rgb: np.ndarray, at: np.ndarray, colour: np.ndarray) -> None:
    at = np.clip(at, 0, len(rgb) - 1)
    rgb[at[:, 0], at[:, 1]] = colour


def _pixels(points: Tensor, domain: Domain) -> np.ndarray:
    low, high = domain.box().ends
    share = ((points.cpu().double() - low) / (high - low)).numpy()
    found: np.ndarray = np.round(np.stack((1 - share[:, 1], share[:, 0]), 1) * (_SIDE - 1)).astype(int)
    return found


def ratio_bars(chain: Chain) -> Figure | None:
    """By block, the bound of the residual over the skip's: below 1 a block can't fold.

    Args:
        chain: of a network.
    """
    blocks = [e for e in chain if isinstance(e, Residual) and skip_smallest(e) > 0]
    if not blocks:
        return None
    heights: list[Any] = [chain_upper(b.branch) / skip_smallest(b) for b in blocks]
    series = [{"name": "bound of the residual / skip", "x": [b.name for b in blocks], "y": heights}]
    note = "Below 1 a block's Jacobian can't be singular."
    return Figure("bar", "Residual against skip, block by block", series, "block", "delta Lip(f) / epsilon", note=note)
