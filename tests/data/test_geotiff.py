"""GeoTIFF scenes: their amplitudes, what isn't known, where they lie, and files that are none."""

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.data import read_geotiff, to_amplitude

tifffile = pytest.importorskip("tifffile")

SCALE, TIES, NO_DATA = 33550, 33922, 42113


def written(path, array, *, no_data=None, placed=False, **options):
    tags = []
    if placed:
        tags += [(SCALE, "d", 3, (10.0, 20.0, 0.0), True), (TIES, "d", 6, (1.0, 2.0, 0.0, 500.0, 900.0, 0.0), True)]
    if no_data is not None:
        tags.append((NO_DATA, "s", 0, str(no_data), True))
    tifffile.imwrite(path, array, extratags=tags, metadata=None, **options)
    return path


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).gamma(4, 0.25, shape)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int16"])
def test_amplitudes_of_numbers_of_any_kind(tmp_path, dtype):
    array = (100 * drawn(12, 17)).clip(0, 255).astype(dtype)
    scene = read_geotiff(written(tmp_path / "a.tif", array))
    assert scene.amplitude.shape == (1, 12, 17)
    assert torch.allclose(scene.amplitude[0], to_amplitude(torch.from_numpy(array.astype("float32")), "amplitude"))
    assert bool(scene.valid.all())
    assert (scene.pixel_size, scene.origin) == (None, None)


@pytest.mark.parametrize("unit", ["intensity", "decibels"])
def test_units(tmp_path, unit):
    power = drawn(8, 9).astype("float32")
    given = power if unit == "intensity" else 10 * np.log10(power)
    scene = read_geotiff(written(tmp_path / "a.tif", given), unit=unit, percentile=100)
    assert torch.allclose(scene.amplitude[0], torch.from_numpy(np.sqrt(power / power.max())), atol=1e-5)


def test_of_complex_numbers_the_modulus_is_taken(tmp_path):
    field = (drawn(8, 9) + 1j * drawn(8, 9, seed=1)).astype("complex64")
    scene = read_geotiff(written(tmp_path / "a.tif", field), unit="intensity", percentile=100)
    assert torch.allclose(scene.amplitude[0], torch.from_numpy(np.abs(field) / np.abs(field).max()), atol=1e-6)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_bands_come_first_whatever_the_layout(tmp_path, planes):
    bands = drawn(2, 10, 11).astype("float32")
    array = bands if planes == "separate" else np.moveaxis(bands, 0, -1)
    path = written(tmp_path / "a.tif", np.ascontiguousarray(array), planarconfig=planes, photometric="minisblack")
    scene = read_geotiff(path, percentile=100)
    assert torch.allclose(scene.amplitude, torch.from_numpy(bands / bands.max()), atol=1e-6)


def test_what_is_not_known_is_dark_and_counts_for_nothing(tmp_path):
    array = drawn(8, 9).astype("float32")
    array[0, :3], array[1, 0] = -9999, np.nan
    path = written(tmp_path / "a.tif", array, no_data="-9999")
    scene = read_geotiff(path)
    assert int((~scene.valid).sum()) == 4
    assert bool((scene.amplitude[0][~scene.valid] == 0).all())
    known = torch.from_numpy(array)[scene.valid]
    assert torch.equal(scene.amplitude[0][scene.valid], to_amplitude(known, "amplitude"))
    assert int((~read_geotiff(path, unit="decibels", no_data=-1.0).valid).sum()) == 1


def test_where_it_lies(tmp_path):
    scene = read_geotiff(written(tmp_path / "a.tif", drawn(8, 9).astype("float32"), placed=True))
    assert scene.pixel_size == (10.0, 20.0)
    assert scene.origin == (500.0 - 1 * 10.0, 900.0 + 2 * 20.0)


def test_packed_files_and_pages(tmp_path):
    first, second = (drawn(40, 40, seed=seed).astype("float32") for seed in (0, 1))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for array in (first, second):
            file.write(array, compression="zlib", tile=(16, 16), metadata=None)
    found = read_geotiff(tmp_path / "a.tif", page=1, percentile=100)
    assert torch.allclose(found.amplitude[0], torch.from_numpy(second / second.max()), atol=1e-6)
    with pytest.raises(InputError, match=r"page.*0\.\.1"):
        read_geotiff(tmp_path / "a.tif", page=2)


def test_what_is_no_scene(tmp_path):
    with pytest.raises(InputError, match="expected: a GeoTIFF file"):
        read_geotiff(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("no picture")
    with pytest.raises(InputError, match="TiffFileError"):
        read_geotiff(tmp_path / "text.tif")
    whole = written(tmp_path / "whole.tif", drawn(64, 64).astype("float32")).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.tif"):
        read_geotiff(tmp_path / "cut.tif")
    path = written(tmp_path / "a.tif", -10 - drawn(8, 9).astype("float32"))
    with pytest.raises(InputError, match="negative values are decibels"):
        read_geotiff(path)
    with pytest.raises(InputError, match="no pixel that is known"):
        read_geotiff(written(tmp_path / "b.tif", np.full((8, 9), np.nan, "float32")))
    with pytest.raises(InputError, match="unit"):
        read_geotiff(path, unit="dB")
