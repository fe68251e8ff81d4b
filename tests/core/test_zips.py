"""Zip files of strangers: bombs are refused before they are unpacked, damage is named."""

import io
import zipfile

import pytest

from deepwright.core.errors import InputError
from deepwright.core.zips import open_zip, read_member

ZEROS = bytes(2**20)


def bomb(path, members=80, megabytes=100):
    """Members of zeros that say what they unpack to, as far as the directory goes; one is whole."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(members):
            with file.open(f"a/{i}.png", "w", force_zip64=True) as member:
                for _ in range(megabytes if i == 0 else 1):
                    member.write(ZEROS)
        for info in file.filelist[1:]:
            info.file_size = megabytes * 2**20
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with pytest.raises(InputError, match="would unpack to 8,388,608,000"):
        open_zip(bomb(tmp_path / "bomb.zip"))


def test_a_small_file_may_shrink_as_it_likes(tmp_path):
    with open_zip(bomb(tmp_path / "small.zip", members=2, megabytes=1)) as opened:
        assert read_member(opened, "a/0.png") == ZEROS


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("deepwright.core.zips.MOST_MEMBERS", 3)
    with pytest.raises(InputError, match="4 members"):
        open_zip(bomb(tmp_path / "many.zip", members=4, megabytes=1))


def stored(path, content=b"hello"):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", content)
    return path


def test_a_wrong_checksum_is_named(tmp_path):
    raw = stored(tmp_path / "a.zip").read_bytes().replace(b"hello", b"hellp")
    (tmp_path / "a.zip").write_bytes(raw)
    with open_zip(tmp_path / "a.zip") as opened, pytest.raises(InputError, match=r"a\.txt .*Bad CRC-32"):
        read_member(opened, "a.txt")


def test_a_password_is_named(tmp_path):
    raw = bytearray(stored(tmp_path / "a.zip").read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with open_zip(tmp_path / "a.zip") as opened, pytest.raises(InputError, match="a password"):
        read_member(opened, "a.txt")


def test_a_larger_member_than_allowed_is_refused(tmp_path):
    with open_zip(stored(tmp_path / "a.zip")) as opened, pytest.raises(InputError, match="5 bytes; expected: to 4"):
        read_member(opened, "a.txt", largest=4)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(30)])
def test_what_is_no_zip_file_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot read"):
        open_zip(tmp_path / "a.zip")


def test_a_directory_that_is_cut_is_refused(tmp_path):
    raw = stored(tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(io.BytesIO(raw[:-10]).getvalue())
    with pytest.raises(InputError, match="cannot read"):
        open_zip(tmp_path / "a.zip")
