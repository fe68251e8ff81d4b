"""A folder of pictures and its published twin: the target in the files themselves, and nothing lost beside it."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from deepwright import InputError
from deepwright.workflows import PublishOptions, publish
from deepwright.workflows.picture_files import encoded_picture, read_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(channels=3, seed=0, size=24):
    """Smooth noise away from the ends of the range."""
    rng = torch.Generator().manual_seed(seed)
    rough = torch.rand(1, channels, size // 4, size // 4, generator=rng)
    return torch.nn.functional.interpolate(rough, size=size, mode="bicubic")[0].clamp(0, 1) * 0.6 + 0.2


def image(channels=3, seed=0):
    values = (pixels(channels, seed) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(values[:, :, 0] if channels == 1 else values)


def exif():
    tags = Image.Exif()
    tags[0x0112] = 6  # turned by a quarter
    tags[0x010F] = "a camera"
    return tags


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "in"
    (source / "deep er").mkdir(parents=True)
    image().save(source / "colour.png", icc_profile=PROFILE, exif=exif(), dpi=(300, 300))
    image(1, 1).save(source / "deep er" / "grey.png")
    image(3, 2).save(source / "photo.jpg", quality=98, icc_profile=PROFILE, exif=exif())
    Image.fromarray((pixels(1, 3)[0].double() * 65535).round().numpy().astype(np.uint16)).save(source / "deep.tif")
    image(4, 4).save(source / "glass.png")
    image(3, 10).save(source / "scan.tiff", exif=exif(), dpi=(300, 300), icc_profile=PROFILE)
    (source / "notes.txt").write_text("no picture")
    return source


def test_each_keeps_its_target_depth_and_what_stands_beside_it(folder, tmp_path):
    out = tmp_path / "out"
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    found = publish(PublishOptions(folder, out=out, psnr=32))
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before
    assert sorted(r["file"] for r in found.rows) == [
        "colour.png",
        "deep er/grey.png",
        "deep.tif",
        "glass.png",
        "photo.jpg",
        "scan.tiff",
    ]
    for row in found.rows:
        assert abs(row["psnr"] - 32) < (0.5 if row["file"] == "photo.jpg" else 0.06)
    for name in ("colour.png", "photo.jpg"):
        published = Image.open(out / name)
        assert published.info["icc_profile"] == PROFILE
        assert dict(published.getexif()) == dict(exif())
        assert published.size == (24, 24)
    scan = Image.open(out / "scan.tiff")
    assert (scan.getexif().get(0x0112, 1), scan.getexif()[0x010F]) == (1, "a camera")  # PIL turns a TIFF as it reads
    assert scan.info["icc_profile"] == PROFILE
    assert scan.info["dpi"] == (300, 300)
    assert read_picture(out / "deep.tif").levels == 65535
    values = np.asarray(Image.open(out / "deep.tif")).astype(int)
    assert (values % 257 != 0).any()  # more than 8 bits
    a, b = (np.asarray(Image.open(p / "glass.png")) for p in (folder, out))
    assert (a[:, :, 3] == b[:, :, 3]).all()
    assert (a[:, :, :3] != b[:, :, :3]).any()
    assert len(json.loads((out / "published.json").read_text())["published"]) == 6
    assert not (out / ".unfinished").exists()


def test_sixteen_bit_colours_stay(tmp_path):
    pytest.importorskip("cv2")
    import cv2

    source = tmp_path / "in"
    source.mkdir()
    values = (pixels(3, 5).double() * 65535).round().numpy().astype(np.uint16).transpose(1, 2, 0)
    cv2.imwrite(str(source / "deep.png"), values[:, :, ::-1])
    picture = read_picture(source / "deep.png")
    assert torch.allclose(picture.pixels, torch.from_numpy(values.transpose(2, 0, 1).astype(np.float32) / 65535))
    picture.kept = {"icc_profile": PROFILE, "exif": exif().tobytes()}
    (source / "deep.png").write_bytes(encoded_picture(picture, picture.pixels))
    found = publish(PublishOptions(source, out=tmp_path / "out", psnr=40))
    again = read_picture(tmp_path / "out" / "deep.png")
    assert again.levels == 65535
    assert abs(found.rows[0]["psnr"] - 40) < 0.06
    assert again.kept["icc_profile"] == PROFILE
    assert Image.open(tmp_path / "out" / "deep.png").getexif()[0x0112] == 6


def test_nothing_is_overwritten_and_nothing_half_written(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "glass.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"glass\.png"):
        publish(PublishOptions(folder, out=out))
    assert sorted(p.name for p in out.iterdir()) == ["glass.png"]
    for bad in (folder, folder / "deep er", folder.parent):
        with pytest.raises(InputError, match="another folder"):
            PublishOptions(folder, out=bad)


def test_what_can_t_be_published_is_named(folder, tmp_path):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    frames = [image(3, 6), image(3, 7)]
    frames[0].save(folder / "film.webp", save_all=True, append_images=frames[1:])
    labels = Image.fromarray(np.zeros((8, 8), np.uint8), "P")
    labels.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    labels.save(folder / "mask.png")
    Image.new("L", (8, 8), 90).save(folder / "flat.png")
    image().convert("CMYK").save(folder / "print.jpg")
    found = publish(PublishOptions(folder, out=tmp_path / "out"))
    assert set(found.left_out) == {"broken.png", "film.webp", "mask.png"}
    assert "2 frames" in found.left_out["film.webp"]
    assert "labels" in found.left_out["mask.png"]
    notes = {r["file"]: " ".join(r["notes"]) for r in found.rows}
    assert "can't be reached" in notes["flat.png"]
    assert "CMYK became RGB" in notes["print.jpg"]
    assert (np.asarray(Image.open(tmp_path / "out" / "flat.png")) == 90).all()


def interrupted(source, out, monkeypatch, files=2, **options):
    """A run that is stopped before it writes one more file."""
    from deepwright.workflows import publishing

    real, written = publishing.write_bytes, []

    def stopping(path, data):
        if len(written) == files:
            raise KeyboardInterrupt
        written.append(path)
        return real(path, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(publishing, "write_bytes", stopping)
        publish(PublishOptions(source, out=out, **options))


def test_an_interrupted_run_goes_on(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    interrupted(folder, out, monkeypatch)
    (out / "colour.png").unlink()
    found = publish(PublishOptions(folder, out=out))
    assert len(found.rows) == 6
    assert all((out / r["file"]).exists() for r in found.rows)


def test_an_interrupted_run_gives_no_leave_to_overwrite_other_files(folder, tmp_path, monkeypatch):
    out, other = tmp_path / "out", tmp_path / "other"
    interrupted(folder, out, monkeypatch)
    (out / "mine.png").write_bytes(b"mine")
    other.mkdir()
    image().save(other / "mine.png")
    with pytest.raises(InputError, match=r"there already, as mine\.png"):
        publish(PublishOptions(other, out=out))
    assert (out / "mine.png").read_bytes() == b"mine"
    assert len(publish(PublishOptions(folder, out=out)).rows) == 6


def test_what_is_told_is_of_the_files_that_are_there(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    interrupted(folder, out, monkeypatch)
    interrupted(folder, out, monkeypatch, psnr=24)  # over the same files
    publish(PublishOptions(folder, out=out))
    publish(PublishOptions(folder, out=tmp_path / "at once"))
    for name in ("colour.png", "deep er/grey.png"):
        assert (out / name).read_bytes() == (tmp_path / "at once" / name).read_bytes()


@pytest.mark.slow
def test_linear_light_and_ssim(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(pixels(1, 8)[0].numpy()).save(source / "light.tif")
    found = publish(PublishOptions(source, out=tmp_path / "out", strength=0.2, linear=True))
    assert found.rows[0]["strength"] == pytest.approx(0.2)
    assert read_picture(tmp_path / "out" / "light.tif").levels is None
    image(1, 9).save(source / "one.png")
    found = publish(PublishOptions(source, out=tmp_path / "second", ssim=0.9))
    assert {round(r["ssim"], 2) for r in found.rows} == {0.9}


def test_the_command(folder, tmp_path):
    from click.testing import CliRunner

    from deepwright.cli import main

    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["harden", "--images", str(folder), "--out", str(out), "--psnr", "30"])
    assert result.exit_code == 0, result.output
    assert (out / "photo.jpg").exists()
    refused = CliRunner().invoke(main, ["harden", "resnet8-mnist", "--psnr", "30"])
    assert refused.exit_code == 2
    assert "--images" in refused.output
    with_model = CliRunner().invoke(main, ["harden", "resnet8-mnist", "--images", str(folder)])
    assert with_model.exit_code == 2
    for word in ("psnr", "jobs", "max-change", "epochs"):  # a 0 was said too
        zero = CliRunner().invoke(main, ["harden", "--images", str(folder), "--out", f"{out}-0", f"--{word}", "0"])
        assert zero.exit_code == 2, word
        assert not (tmp_path / "out-0").exists()
    plain = CliRunner().invoke(main, ["harden", "--images", str(folder), "--out", f"{out}-0", "--strength", "0"])
    assert plain.exit_code == 0, plain.output
    done = json.loads((tmp_path / "out-0" / "published.json").read_text())
    assert {r["strength"] for r in done["published"]} == {0.0}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_stays_transparent(tmp_path, channels):
    one = image(channels)
    one.save(tmp_path / "key.png", transparency=one.getpixel((2, 3)))
    picture = read_picture(tmp_path / "key.png")
    again = Image.open(io.BytesIO(encoded_picture(picture, picture.pixels)))
    assert again.mode == ("LA" if channels == 1 else "RGBA")
    assert again.getpixel((2, 3))[-1] == 0
    assert again.getextrema()[-1] == (0, 255)
    assert "transparency" in picture.notes[0]


def test_a_picture_read_and_written_is_itself(folder):
    for name in ("colour.png", "deep.tif", "glass.png"):
        picture = read_picture(folder / name)
        again = Image.open(io.BytesIO(encoded_picture(picture, picture.pixels)))
        assert (np.asarray(again) == np.asarray(Image.open(folder / name))).all()
