"""Many pictures drawn at once: anti-aliased shapes from their distance fields, only in the tiles that they touch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

TILE = 16
_REACH = TILE / math.sqrt(2) + 1.0  # from a tile's middle to what still colours one of its pixels
_BLUR = 0.00334  # deviation of the published stimuli's blur, in canvas sides

Coverage = Callable[[Tensor, Tensor, Tensor], Tensor]


class Canvas:
    """n pictures of size x size, x to the right and y down in pixels; pixel (i, j) covers [j, j + 1) x [i, i + 1).

    Geometry may come in float64; pixels are worked out in float32, by operations that round alike wherever a picture
    stands in its batch (no `hypot`, no `lerp`).

    A shape is painted over what is there by the share of each pixel that it covers. Each call paints one shape a
    picture; shapes without length or radius paint nothing.

    Args:
        n: number of pictures.
        size: side in pixels.
        background: (3,) or (n, 3), 0 to 255.
        antialiasing: True for coverage, False for hard edges, "blur" for hard edges that are blurred at the end.
        device: where to draw.

    Raises:
        InputError: a size that isn't whole and positive, another word for the edges.
    """

    def __init__(
        self,
        n: int,
        size: int,
        background: Tensor | tuple[float, ...] = (0, 0, 0),
        antialiasing: bool | str = True,
        device: torch.device | str = "cpu",
    ) -> None:
        require_whole(1, size=size)
        if antialiasing not in (True, False, "blur"):
            raise InputError("antialiasing", given=repr(antialiasing), expected="True, False or 'blur'")
        self.n, self.size, self.antialiasing, self.device = n, size, antialiasing, torch.device(device)
        self._side = -(-size // TILE)
        ground = self.colour(background).round().to(torch.uint8)
        tiles = ground[:, None, :, None].expand(n, self._side**2, 3, TILE * TILE)
        self._pixels = tiles.reshape(n * self._side**2, 3, TILE * TILE).contiguous()
        corner = torch.arange(self._side, device=self.device) * float(TILE)
        self._y0, self._x0 = (t.flatten() for t in torch.meshgrid(corner, corner, indexing="ij"))
        inside = torch.arange(TILE, device=self.device) + 0.5
        self._dy, self._dx = (t.flatten() for t in torch.meshgrid(inside, inside, indexing="ij"))

    def colour(self, given: Tensor | tuple[float, ...] | float) -> Float[Tensor, "n 3"]:
        """One colour a picture.

        Args:
            given: a grey level, (3,), (n, 3), or (n, 1) for a grey level each.

        Raises:
            InputError: another shape; (n,) could be either.
        """
        value = torch.as_tensor(given, dtype=torch.float32, device=self.device)
        if value.ndim and (value.ndim > 2 or value.shape[-1] not in ((3,) if value.ndim == 1 else (1, 3))):
            raise InputError(
                "colour", given=f"shape {tuple(value.shape)}", expected="one number, (3,), (n, 3) or (n, 1)"
            )
        return value.expand(self.n, 3) if value.ndim < 2 else value.expand(-1, 3)

    def segment(self, a: Tensor, b: Tensor, width: Tensor | float, colour: Tensor | tuple[float, ...] | float) -> None:
        """A straight stroke with butt ends.

        Args:
            a: (n, 2) one end, x and y.
            b: (n, 2) the other.
            width: in pixels, one or (n,).
            colour: see `colour`.
        """
        half, a, b = self._each(width)[:, None] / 2, a.float(), b.float()
        along = b - a
        length = along.square().sum(1, keepdim=True).sqrt()
        unit, middle, reach = along / length.clamp_min(1e-9), (a + b) / 2, length / 2

        def local(i: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            px, py, ux, uy = x - middle[i, :1], y - middle[i, 1:], unit[i, :1], unit[i, 1:]
            return (px * ux + py * uy).abs(), (py * ux - px * uy).abs()

        def coverage(i: Tensor, x: Tensor, y: Tensor) -> Tensor:
            u, v = local(i, x, y)
            return _overlap(u, reach[i]) * _overlap(v, half[i])

        u, v = local(*self._centres())
        near = ((u - reach).clamp_min(0).square() + (v - half).clamp_min(0).square()).sqrt() < _REACH
        self._paint(near & (length > 0) & (half > 0), coverage, colour)

    def disc(
        self,
        centre: Tensor,
        radius: Tensor | float,
        colour: Tensor | tuple[float, ...] | float,
        width: Tensor | float | None = None,
    ) -> None:
        """A filled disc, or the circle around it.

        Args:
            centre: (n, 2).
            radius: in pixels, one or (n,).
            colour: see `colour`.
            width: of the stroke, which lies half inside; None fills.
        """
        r, centre = self._each(radius)[:, None], centre.float()
        half = None if width is None else self._each(width)[:, None] / 2

        def distance(i: Tensor, x: Tensor, y: Tensor) -> Tensor:
            return ((x - centre[i, :1]).square() + (y - centre[i, 1:]).square()).sqrt() - r[i]

        def coverage(i: Tensor, x: Tensor, y: Tensor) -> Tensor:
            d = distance(i, x, y)
            return (0.5 - d).clamp(0, 1) if half is None else _overlap(d.abs(), half[i])

        d = distance(*self._centres())
        if half is None:
            self._fill((d <= -_REACH) & (r > 0), colour)
        near = d.abs() < _REACH if half is None else d.abs() - half < _REACH
        self._paint(near & (r > 0), coverage, colour)

    def polygon(
        self,
        corners: Tensor,
        colour: Tensor | tuple[float, ...] | float,
        behind: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """A filled polygon; where it crosses itself, what is enclosed twice is outside.

        Args:
            corners: (n, v, 2), of which neighbours may coincide; a polygon without extent paints nothing.
            colour: see `colour`.
            behind: (n, 2) points and (n, 2) unit normals of straight cuts: only what lies behind them is painted.
        """
        corners = corners.float()
        cut = None if behind is None else (behind[0].float(), behind[1].float())
        extent = (corners.amax(1) - corners.amin(1)).amax(1, keepdim=True)

        def distance(i: Tensor, x: Tensor, y: Tensor) -> Tensor:
            d = polygon_distance(corners[i], x, y)
            if cut is None:
                return d
            point, normal = cut[0][i], cut[1][i]
            return d.maximum((x - point[:, :1]) * normal[:, :1] + (y - point[:, 1:]) * normal[:, 1:])

        def coverage(i: Tensor, x: Tensor, y: Tensor) -> Tensor:
            return (0.5 - distance(i, x, y)).clamp(0, 1)

        d = distance(*self._centres())
        self._fill((d <= -_REACH) & (extent > 0), colour)
        self._paint((d.abs() < _REACH) & (extent > 0), coverage, colour)

    def outline(self, corners: Tensor, width: Tensor | float, colour: Tensor | tuple[float, ...] | float) -> None:
        """A closed stroke through corners, one side after the other.

        Args:
            corners: (n, v, 2).
            width: of the stroke.
            colour: see `colour`.
        """
        self.path(torch.cat([corners, corners[:, :1]], 1), width, colour)

    def path(self, points: Tensor, width: Tensor | float, colour: Tensor | tuple[float, ...] | float) -> None:
        """A stroke through points, with round joints and ends where it is wider than a pixel.

        Args:
            points: (n, v, 2).
            width: of the stroke.
            colour: see `colour`.
        """
        half, points = self._each(width)[:, None] / 2, points.float()

        def coverage(i: Tensor, x: Tensor, y: Tensor) -> Tensor:
            return _overlap(path_distance(points[i], x, y), half[i])

        i, x, y = self._centres()
        self._paint((path_distance(points[i], x, y) - half < _REACH) & (half > 0), coverage, colour)

    def field(self, values: Float[Tensor, "n channels h w"], alpha: Float[Tensor, "n 1 h w"] | None = None) -> None:
        """Whole pictures, 0 to 255, painted over.

        Args:
            values: of one channel or three.
            alpha: share of each pixel that is painted; None for all.
        """
        before = self._whole().float()
        after = values if alpha is None else before + alpha * (values - before)
        self._pixels = self._tiled(after.expand_as(before).round().clamp(0, 255).to(torch.uint8))

    def grid(self) -> tuple[Float[Tensor, " size"], Float[Tensor, " size"]]:
        """The x and y of the pixels' middles."""
        middle = torch.arange(self.size, device=self.device) + 0.5
        return middle, middle

    def images(self) -> UInt8[Tensor, "n 3 size size"]:
        """The pictures."""
        whole = self._whole()
        return _blurred(whole, _BLUR * self.size) if self.antialiasing == "blur" else whole

    def _each(self, value: Tensor | float) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float32, device=self.device).expand(self.n)

    def _centres(self) -> tuple[Tensor, Tensor, Tensor]:
        """Every picture, and the middles of all its tiles."""
        every = torch.arange(self.n, device=self.device)
        x, y = (corner + TILE / 2 for corner in (self._x0, self._y0))
        return every, x[None].expand(self.n, -1), y[None].expand(self.n, -1)

    def _paint(
        self, near: Bool[Tensor, "n tiles"], coverage: Coverage, colour: Tensor | tuple[float, ...] | float
    ) -> None:
        image, tile = near.nonzero(as_tuple=True)
        if len(image) == 0:
            return
        alpha = coverage(image, self._x0[tile, None] + self._dx, self._y0[tile, None] + self._dy)
        if self.antialiasing is not True:
            alpha = (alpha >= 0.5).float()
        rows = image * self._side**2 + tile
        before = self._pixels[rows].float()
        after = before + alpha[:, None] * (self.colour(colour)[image][:, :, None] - before)
        self._pixels.index_copy_(0, rows, after.round_().to(torch.uint8))

    def _fill(self, inside: Bool[Tensor, "n tiles"], colour: Tensor | tuple[float, ...] | float) -> None:
        """Tiles that lie wholly inside a shape."""
        image, tile = inside.nonzero(as_tuple=True)
        if len(image):
            whole = self.colour(colour)[image].round().to(torch.uint8)[:, :, None].expand(-1, -1, TILE * TILE)
            self._pixels.index_copy_(0, image * self._side**2 + tile, whole)

    def _whole(self) -> Tensor:
        s = self._side
        tiles = self._pixels.view(self.n, s, s, 3, TILE, TILE).permute(0, 3, 1, 4, 2, 5)
        return tiles.reshape(self.n, 3, s * TILE, s * TILE)[:, :, : self.size, : self.size].contiguous()

    def _tiled(self, whole: Tensor) -> Tensor:
        s, missing = self._side, self._side * TILE - self.size
        padded = F.pad(whole, (0, missing, 0, missing))
        tiles = padded.view(self.n, 3, s, TILE, s, TILE).permute(0, 2, 4, 1, 3, 5)
        return tiles.reshape(self.n * s * s, 3, TILE * TILE).contiguous()


def _overlap(distance: Tensor, half: Tensor) -> Tensor:
    """What a pixel of side 1 shares with [-half, half] at this distance from the middle."""
    return (half + 0.5 - distance).clamp(min=0).minimum((2 * half).clamp(max=1))


def path_distance(points: Float[Tensor, "k v 2"], x: Tensor, y: Tensor) -> Tensor:
    """Distance from (x, y), each (k, p), to the open path through points.

    Args:
        points: v of them a path.
        x: to the right.
        y: down.
    """
    best = torch.full_like(x, torch.inf)
    for a, b in zip(points.unbind(1), points[:, 1:].unbind(1)):
        best = torch.minimum(best, _squared(a, b, x, y))
    return best.sqrt_()


def polygon_distance(corners: Float[Tensor, "k v 2"], x: Tensor, y: Tensor) -> Tensor:
    """Signed distance from (x, y), each (k, p), to a polygon: below 0 inside.

    Args:
        corners: v of them a polygon.
        x: to the right.
        y: down.
    """
    best, inside = torch.full_like(x, torch.inf), torch.zeros_like(x, dtype=torch.bool)
    for a, b in zip(corners.unbind(1), corners.roll(-1, 1).unbind(1)):
        best = torch.minimum(best, _squared(a, b, x, y))
        ax, ay, bx, by = a[:, :1], a[:, 1:], b[:, :1], b[:, 1:]
        slope = (bx - ax) / (by - ay).where(by != ay, torch.ones_like(ay))
        inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * slope)
    return best.sqrt_().where(~inside, -best)


def _squared(a: Tensor, b: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Squared distance to the segment from a to b."""
    e = b - a
    px, py, ex, ey = x - a[:, :1], y - a[:, 1:], e[:, :1], e[:, 1:]
    t = ((px * ex + py * ey) / (ex * ex + ey * ey).clamp_min(1e-12)).clamp_(0, 1)
    return (px - t * ex).square() + (py - t * ey).square()


def _blurred(images: Tensor, deviation: float) -> Tensor:
    radius = max(1, math.ceil(3 * deviation))
    at = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    kernel = torch.exp(-at.square() / (2 * deviation**2))
    kernel = kernel / kernel.sum()
    flat = F.pad(images.float().flatten(0, 1)[:, None], [radius] * 4, mode="replicate")
    flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return flat.view_as(images).round_().clamp_(0, 255).to(torch.uint8)
