from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillery.errors import UserError
from distillery.tracking.benchmarks import archives
from distillery.tracking.benchmarks.archives import text_members


def write(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_members_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {"sub/b.txt": "2", "a.txt": "1", "a.jpg": "", ".hidden.txt": "", "sub/": ""})
    assert text_members(path) == {"a": b"1", "b": b"2"}


def test_nothing_is_written_outside_or_inside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {"../../outside.txt": "1", "/etc/passwd.txt": "2"})
    assert text_members(path) == {"outside": b"1", "passwd": b"2"}
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


def test_two_members_of_a_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lists 'a' twice"):
        text_members(write(tmp_path / "a.zip", {"a.txt": "1", "sub/a.txt": "1"}))


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.zip", {"a.txt": "1" * 2000})
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(UserError, match="unpacks to more than 1 GB"):
        text_members(path)
    # A directory that lies about the size gets no more than it says.
    data = path.read_bytes()
    lying = data.replace(struct.pack("<L", 2000), struct.pack("<L", 10))
    path.write_bytes(lying)
    with pytest.raises(UserError, match="is not a whole zip archive"):
        text_members(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"hello"])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.zip: is not a whole zip archive"):
        text_members(tmp_path / "a.zip")
    with pytest.raises(UserError, match="does not exist"):
        text_members(tmp_path / "b.zip")
    with pytest.raises(UserError, match=r"holds no \.txt file"):
        text_members(write(tmp_path / "c.zip", {"a.jpg": ""}))


_whole = io.BytesIO()
with zipfile.ZipFile(_whole, "w", zipfile.ZIP_DEFLATED) as _archive:
    _archive.writestr("a.txt", "1,2,3,4\n" * 20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, len(_whole.getvalue()) - 1), value=st.integers(0, 255))
def test_a_damaged_archive_gives_the_text_or_a_user_error(tmp_path: Path, position: int, value: int) -> None:
    data = bytearray(_whole.getvalue())
    data[position] = value
    (tmp_path / "a.zip").write_bytes(data)
    try:
        found = text_members(tmp_path / "a.zip")
    except UserError:
        return
    assert list(found.values()) == [b"1,2,3,4\n" * 20]
