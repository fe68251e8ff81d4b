"""Pictures out of zip files: what is damaged, locked or dangerous is named, whichever way it is read."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load


def picture(level):
    content = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def zipped(tmp_path):
    """A zip of two classes, stored, so that a byte in it can be changed."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for i in range(20):
            file.writestr(f"{'ab'[i % 2]}/{i:02}.png", picture(10 * i))
    return tmp_path / "a.zip"


def damage(path, name="a/02.png"):
    raw = bytearray(path.read_bytes())
    raw[raw.index(name.encode()) + len(name) + 50] ^= 1
    path.write_bytes(raw)
    return path


def lock(path, name="a/02.png"):
    raw = bytearray(path.read_bytes())
    raw[raw.index(name.encode()) - 30 + 6] |= 1
    raw[raw.rindex(name.encode()) - 46 + 8] |= 1
    path.write_bytes(raw)
    return path


def test_a_whole_zip_is_read(zipped):
    assert len(load(zipped).train) == 14


@pytest.mark.parametrize(("harm", "told"), [(damage, "Bad CRC-32"), (lock, "a password")])
def test_a_harmed_picture_is_named(zipped, harm, told):
    with pytest.raises(InputError, match=f"a/02.png.*{told}"):
        load(harm(zipped))


@pytest.mark.parametrize("harm", [damage, lock])
def test_a_harmed_picture_can_be_left_out(zipped, harm):
    data = load(harm(zipped), skip_broken=True)
    assert len(data.train) + len(data.validation) + len(data.test) == 19
    assert "a/02.png" in " ".join(data.notes)


def test_a_picture_that_would_fill_the_memory_is_refused(zipped, monkeypatch):
    monkeypatch.setattr("deepwright.data.files.archives._LARGEST_FILE", 50)
    with pytest.raises(InputError, match="expected: to 50"):
        load(zipped)


def test_few_files_are_held_at_a_time(zipped, monkeypatch):
    """Whatever is read at a time, the pictures are the same and in the same order."""
    whole = load(zipped).train.x
    monkeypatch.setattr("deepwright.data.files.archives._HELD", 1)
    assert (load(zipped).train.x == whole).all()


def test_a_link_to_a_folder_is_no_picture(image_folder):
    (image_folder / "dark" / "3.png").unlink()
    (image_folder / "dark" / "3.png").symlink_to(image_folder / "dark")
    data = load(image_folder, size=12)
    assert sum(map(len, (data.train, data.validation, data.test))) == 39
