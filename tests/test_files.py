from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery import files
from distillery.errors import UserError
from distillery.files import atomic_file, atomic_folder, read_json, sha256_of, sha256_of_file, write_json, write_text

FAULTS = [
    (errno.ENOSPC, "no space left on the disk, nothing was written; free some space"),
    (errno.EDQUOT, "no space left on the disk"),
    (errno.EACCES, "cannot be written, permission denied"),
    (errno.EROFS, "cannot be written, permission denied"),
]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestAtomicFile:
    def test_writes_and_makes_folders(self, tmp_path: Path) -> None:
        target = tmp_path / "a" / "b" / "c.txt"
        with atomic_file(target) as temporary:
            assert temporary.parent == target.parent
            assert temporary.suffix == ".txt"
            temporary.write_text("whole")
            assert not target.exists()
        assert target.read_text() == "whole"
        assert names(target.parent) == ["c.txt"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
    def test_a_failure_keeps_the_old_content_and_leaves_nothing(
        self, tmp_path: Path, error: type[BaseException]
    ) -> None:
        target = tmp_path / "c.txt"
        target.write_text("old")
        with pytest.raises(error), atomic_file(target) as temporary:
            temporary.write_text("half")
            raise error
        assert target.read_text() == "old"
        assert names(tmp_path) == ["c.txt"]

    @pytest.mark.parametrize(("number", "sentence"), FAULTS)
    def test_disk_errors_become_sentences(self, tmp_path: Path, number: int, sentence: str) -> None:
        with pytest.raises(UserError, match=rf"c\.txt: {sentence}"), atomic_file(tmp_path / "c.txt") as temporary:
            temporary.write_text("half")
            raise OSError(number, os.strerror(number))
        assert names(tmp_path) == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
    def test_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        (tmp_path / "c.txt").write_text("old")
        with pytest.raises(UserError, match="no space left"), atomic_file(tmp_path / "c.txt") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("new")
        assert (tmp_path / "c.txt").read_text() == "old"
        assert names(tmp_path) == ["c.txt"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_forbidden_folder(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(UserError, match="permission denied"):
            write_text(tmp_path / "c.txt", "x")

    def test_a_rename_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files.os, "replace", fail)
        with pytest.raises(UserError, match="no space left"):
            write_text(tmp_path / "c.txt", "x")
        assert names(tmp_path) == []

    def test_other_errors_of_the_body_are_not_disguised(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "c.txt"):
            (tmp_path / "input").read_text()

    def test_something_is_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(UserError, match="lies below a file, not a folder"):
            write_text(tmp_path / "file" / "c.txt", "x")
        with pytest.raises(UserError, match="lies below a file, not a folder"):
            write_text(tmp_path / "file" / "deeper" / "c.txt", "x")
        with pytest.raises(UserError, match="is a folder, a file is to be written there"):
            write_text(tmp_path, "x")
        assert (tmp_path / "file").read_text() == "x"


class TestAtomicFolder:
    def test_takes_the_place_of_the_old_one(self, tmp_path: Path) -> None:
        target = tmp_path / "deep" / "set"
        for content in ("first", "second"):
            with atomic_folder(target) as temporary:
                assert names(temporary) == []
                (temporary / f"{content}.txt").write_text(content)
            assert names(target) == [f"{content}.txt"]
            assert names(target.parent) == ["set"]
        assert stat.S_IMODE(target.stat().st_mode) == 0o755

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_a_failure_keeps_the_old_content_and_leaves_nothing(
        self, tmp_path: Path, error: type[BaseException]
    ) -> None:
        target = tmp_path / "set"
        target.mkdir()
        (target / "old.txt").write_text("old")
        with pytest.raises(error), atomic_folder(target) as temporary:
            (temporary / "new.txt").write_text("half")
            raise error
        assert names(target) == ["old.txt"]
        assert names(tmp_path) == ["set"]

    def test_a_failed_rename_puts_the_old_content_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target = tmp_path / "set"
        target.mkdir()
        (target / "old.txt").write_text("old")
        rename = os.rename

        def fail_for_new(source: Path, destination: Path) -> None:
            if Path(source).suffix == ".tmp":
                raise OSError(errno.ENOSPC, "No space left on device")
            rename(source, destination)

        monkeypatch.setattr(files.os, "rename", fail_for_new)
        with pytest.raises(UserError, match="set: no space left"), atomic_folder(target) as temporary:
            (temporary / "new.txt").write_text("new")
        assert names(target) == ["old.txt"]
        assert names(tmp_path) == ["set"]

    def test_replaces_a_link_and_not_what_it_points_to(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious.txt").write_text("x")
        (tmp_path / "set").symlink_to(elsewhere)
        with atomic_folder(tmp_path / "set") as temporary:
            (temporary / "new.txt").write_text("new")
        assert names(tmp_path / "set") == ["new.txt"]
        assert names(elsewhere) == ["precious.txt"]
        assert names(tmp_path) == ["elsewhere", "set"]

    def test_never_replaces_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "set").write_text("precious")
        with (
            pytest.raises(UserError, match="is a file, a folder is to be written there"),
            atomic_folder(tmp_path / "set"),
        ):
            pass
        assert (tmp_path / "set").read_text() == "precious"
        assert names(tmp_path) == ["set"]

    @pytest.mark.parametrize(("number", "sentence"), FAULTS)
    def test_disk_errors_become_sentences(self, tmp_path: Path, number: int, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence), atomic_folder(tmp_path / "set"):
            raise OSError(number, os.strerror(number))
        assert names(tmp_path) == []


class TestJSON:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        )
    )
    def test_round_trip(self, tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
        path = tmp_path_factory.getbasetemp() / "value.json"
        write_json(path, value)
        assert read_json(path) == value

    def test_bytes_do_not_depend_on_the_order_of_keys(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a", {"x": 1, "a": {"q": 1, "b": 2}})
        write_json(tmp_path / "b", {"a": {"b": 2, "q": 1}, "x": 1})
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert (tmp_path / "a").read_bytes().endswith(b"}\n")

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_not_json_is_refused(self, tmp_path: Path, value: float) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"auc": value})
        with pytest.raises(ValueError, match="not JSON compliant"):
            sha256_of({"auc": value})
        assert names(tmp_path) == []

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"none\.json: does not exist; run the rule that writes it\."):
            read_json(tmp_path / "none.json")

    @pytest.mark.parametrize(
        ("content", "place"),
        [
            (b'{"a": 1,\n oops}', ", line 2"),
            (b"", ", line 1"),
            (b'{"a": "\xff\xfe"}', ""),
            (b"9" * 5000, ""),
            (b"[" * 10**5, ""),
        ],
    )
    def test_broken(self, tmp_path: Path, content: bytes, place: str) -> None:
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(UserError, match=rf"x\.json{place}: is not valid JSON; delete it and rerun"):
            read_json(tmp_path / "x.json")


def test_text_is_utf8_with_unix_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "é\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\n"


def test_hashes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    # The published digest of "abc" (FIPS 180-2).
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert sha256_of({"b": [1, 2], "a": None}) == hashlib.sha256(b'{"a":null,"b":[1,2]}').hexdigest()
    assert sha256_of(json.loads('{"a": 1, "b": 2}')) == sha256_of({"b": 2, "a": 1})
    assert sha256_of(1) != sha256_of(1.0)
