from __future__ import annotations

import gzip
import io
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.data.archives import LEFTOVER, Limits, Unpacked, unpack
from distillery.errors import UserError

NOISE = random.Random(3).randbytes(200_000)
PLAIN = {"Basketball/img/0001.jpg": NOISE, "Basketball/groundtruth_rect.txt": b"1,2,3,4\n" * 50, "list.txt": b""}
PACKERS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """A zip or tar archive by the suffix of its name, as the usual tools make it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{path.suffix[1:] if path.suffix != '.tar' else ''}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def zip_of(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """A zip of (name, content, mode), names as they are, twice too."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a name that is there already
        for name, content, mode in members:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestSound:
    @pytest.mark.parametrize("kind", PACKERS)
    def test_comes_out_as_it_went_in(self, tmp_path: Path, kind: str) -> None:
        archive = pack(tmp_path / f"a.{kind}", PLAIN)
        seen: list[tuple[int, int]] = []
        found = unpack(archive, tmp_path / "out", progress=lambda *counts: seen.append(counts))
        assert tree(tmp_path / "out") == PLAIN
        assert found == Unpacked(3, sum(map(len, PLAIN.values())))
        assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "out"]
        assert seen == sorted(seen)
        assert seen[-1][0] <= seen[-1][1] == archive.stat().st_size

    def test_as_the_tools_of_the_system_see_it(self, tmp_path: Path) -> None:
        """Against `tar`, with folders, long names and modes."""
        source = tmp_path / "source"
        long = "/".join(["folder" * 10] * 4)
        for name, content in (PLAIN | {f"{long}/x": b"deep", "empty/": b""}).items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).mkdir() if name.endswith("/") else (source / name).write_bytes(content)
        subprocess.run(["tar", "-czf", tmp_path / "a.tar.gz", "-C", source, "."], check=True)
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")
        assert tree(tmp_path / "out") == tree(source)
        assert (tmp_path / "out" / "empty").is_dir()

    def test_modes_are_plain(self, tmp_path: Path) -> None:
        archive = tar_of(tmp_path / "a.tar", (member("tool", mode=0o6777), b"x"), (member("shut", mode=0), b"y"))
        old = os.umask(0o022)
        try:
            unpack(archive, tmp_path / "out")
        finally:
            os.umask(old)
        for name in ("tool", "shut"):
            assert stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) == 0o644
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755

    def test_what_macos_adds_is_left_out(self, tmp_path: Path) -> None:
        litter = {"__MACOSX/Dog/._a": b"x", "Dog/.DS_Store": b"x", "Dog/img/._0001.jpg": b"x", "Dog/img/0001.jpg": b"y"}
        unpack(pack(tmp_path / "a.zip", litter), tmp_path / "out")
        assert tree(tmp_path / "out") == {"Dog/img/0001.jpg": b"y"}

    def test_backslashes_of_windows_part_folders(self, tmp_path: Path) -> None:
        unpack(zip_of(tmp_path / "a.zip", ("Dog\\img\\0001.jpg", b"x", 0)), tmp_path / "out")
        assert tree(tmp_path / "out") == {"Dog/img/0001.jpg": b"x"}

    @given(
        st.dictionaries(
            st.lists(st.text("abAB.é", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join),
            st.binary(max_size=9),
        )
    )
    @settings(max_examples=60)
    def test_any_names_come_out_whole_or_not_at_all(
        self, tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        archive = zip_of(folder / "a.zip", *((name, content, 0) for name, content in files.items()))
        try:
            unpack(archive, folder / "out")
        except UserError:
            assert not (folder / "out").exists()
        else:
            kept = {name: content for name, content in files.items() if not name.rpartition("/")[2].startswith("._")}
            plain = {"/".join(part for part in name.split("/") if part != "."): kept[name] for name in kept}
            assert tree(folder / "out") == {name: content for name, content in plain.items() if name}
        assert not list(folder.glob(f"{LEFTOVER}*"))


LINK, REGULAR = stat.S_IFLNK | 0o777, stat.S_IFREG | 0o644
HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "climbs": (lambda p: zip_of(p / "a.zip", ("../evil", b"x", 0)), r"'\.\./evil', which leads out"),
    "climbs later": (lambda p: zip_of(p / "a.zip", ("a/../../evil", b"x", 0)), "leads out of the folder"),
    "climbs by backslash": (lambda p: zip_of(p / "a.zip", ("a\\..\\..\\evil", b"x", 0)), "leads out of the folder"),
    "absolute": (lambda p: zip_of(p / "a.zip", ("/etc/evil", b"x", 0)), "leads out of the folder"),
    "drive": (lambda p: zip_of(p / "a.zip", ("C:/evil", b"x", 0)), "leads out of the folder"),
    "control characters": (lambda p: zip_of(p / "a.zip", ("a\nb", b"x", 0)), "leads out of the folder or is none"),
    "long": (lambda p: zip_of(p / "a.zip", ("a" * 300, b"x", 0)), "too long or too deep"),
    "deep": (lambda p: zip_of(p / "a.zip", ("/".join("a" * 40), b"x", 0)), "too long or too deep"),
    "zip link": (lambda p: zip_of(p / "a.zip", ("l", b"/etc", LINK), ("l/evil", b"x", 0)), "holds the link 'l'"),
    "zip device": (lambda p: zip_of(p / "a.zip", ("d", b"", stat.S_IFCHR)), "holds the device or pipe 'd'"),
    "twice": (lambda p: zip_of(p / "a.zip", ("a", b"1", 0), ("a", b"2", 0)), "holds 'a' twice"),
    "twice but for case": (
        lambda p: zip_of(p / "a.zip", ("a", b"1", 0), ("A", b"2", 0)),
        "twice but for upper and lower",
    ),
    "accent two ways": (
        lambda p: zip_of(p / "a.zip", ("\u00e9", b"1", 0), ("e\u0301", b"2", 0)),
        "twice but for upper and lower case",
    ),
    "folders but for case": (lambda p: zip_of(p / "a.zip", ("a/x", b"1", 0), ("A/y", b"2", 0)), "'a' and 'A'"),
    "file then folder": (lambda p: zip_of(p / "a.zip", ("a", b"1", 0), ("a/x", b"2", 0)), "as a file and a folder"),
    "folder then file": (lambda p: zip_of(p / "a.zip", ("a/x", b"1", 0), ("A", b"2", 0)), "as a file and a folder"),
    "tar climbs": (lambda p: tar_of(p / "a.tar", (member("../evil"), b"x")), "leads out of the folder"),
    "tar absolute": (lambda p: tar_of(p / "a.tar", (member("/tmp/evil"), b"x")), "leads out of the folder"),
    "tar link out": (lambda p: tar_of(p / "a.tar", (member("l", tarfile.SYMTYPE, "/etc"), b"")), "holds the link 'l'"),
    "tar link in": (lambda p: tar_of(p / "a.tar", (member("l", tarfile.SYMTYPE, "x"), b"")), "holds the link 'l'"),
    "tar hard link": (
        lambda p: tar_of(p / "a.tar", (member("l", tarfile.LNKTYPE, "/etc/passwd"), b"")),
        "holds the link 'l'",
    ),
    "tar device": (lambda p: tar_of(p / "a.tar", (member("d", tarfile.CHRTYPE), b"")), "holds the device or pipe 'd'"),
    "tar pipe": (lambda p: tar_of(p / "a.tar", (member("d", tarfile.FIFOTYPE), b"")), "holds the device or pipe 'd'"),
    "tar twice": (lambda p: tar_of(p / "a.tar", (member("a"), b"1"), (member("./a"), b"2")), "holds 'a' twice"),
}


class TestHostile:
    @pytest.mark.parametrize("case", HOSTILE)
    def test_is_refused_whole(self, tmp_path: Path, case: str) -> None:
        make, words = HOSTILE[case]
        box = tmp_path / "box"
        box.mkdir()
        archive = make(box)
        before = archive.read_bytes()
        with pytest.raises(UserError, match=f"{words}.*is not unpacked; get it from the official page"):
            unpack(archive, box / "out")
        assert [path.name for path in box.iterdir()] == [archive.name]
        assert archive.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["box"]
        assert not Path("/tmp/evil").exists()

    def test_a_bomb_is_refused_by_what_it_says(self, tmp_path: Path) -> None:
        limits = Limits(ratio=20, spared=100_000)
        for archive in (
            pack(tmp_path / "a.zip", {"a": bytes(10**7)}),
            pack(tmp_path / "a.tar.gz", {"a": bytes(10**7)}),
        ):
            with pytest.raises(UserError, match="unpacks to more than 20 times its own size"):
                unpack(archive, tmp_path / "out", limits=limits)
        with pytest.raises(UserError, match=r"unpacks to more than 1\.0 MB"):
            unpack(pack(tmp_path / "b.zip", {"a": bytes(10**7)}), tmp_path / "out", limits=Limits(bytes=10**6))

    def test_usual_limits_stop_a_bomb_of_zeros(self, tmp_path: Path) -> None:
        archive = tmp_path / "a.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for number in range(4):
                out.writestr(f"{number}", bytes(30_000_000))
        assert archive.stat().st_size < 150_000
        with pytest.raises(UserError, match="unpacks to more than 200 times its own size"):
            unpack(archive, tmp_path / "out")

    def test_members_are_counted(self, tmp_path: Path) -> None:
        archive = pack(tmp_path / "a.zip", {str(number): b"" for number in range(11)})
        with pytest.raises(UserError, match="holds more than 10 members"):
            unpack(archive, tmp_path / "out", limits=Limits(files=10))

    def test_a_zip_that_lies_about_its_sizes(self, tmp_path: Path) -> None:
        archive = pack(tmp_path / "a.zip", {"a": bytes(10_000)})
        data = bytearray(archive.read_bytes())
        central = data.rindex(b"PK\x01\x02")
        data[central + 24 : central + 28] = (5000).to_bytes(4, "little")
        archive.write_bytes(data)
        with pytest.raises(UserError, match=r"not a whole zip or tar archive|more of 'a' than it says"):
            unpack(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestDamaged:
    @pytest.mark.parametrize("kind", PACKERS)
    @pytest.mark.parametrize("share", [0.3, 0.9])
    def test_a_truncated_archive(self, tmp_path: Path, kind: str, share: float) -> None:
        archive = pack(tmp_path / f"a.{kind}", PLAIN | {"z": NOISE})
        archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
        with pytest.raises(UserError, match=r"is not a whole zip or tar archive .*get the archive again"):
            unpack(archive, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [archive.name]

    def test_a_tar_that_was_cut_between_two_members(self, tmp_path: Path) -> None:
        archive = pack(tmp_path / "a.tar", {"a": bytes(512), "b": bytes(512)})
        archive.write_bytes(archive.read_bytes()[:1024])
        with pytest.raises(UserError, match="its end is missing"):
            unpack(archive, tmp_path / "out")

    @pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
    def test_a_flipped_bit(self, tmp_path: Path, kind: str) -> None:
        archive = pack(tmp_path / f"a.{kind}", PLAIN)
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
        with pytest.raises(UserError, match="is not a whole zip or tar archive"):
            unpack(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("head", "words"),
        [
            (b"7z\xbc\xaf\x27\x1c\x00\x04", r"is a 7z archive, which is not unpacked here; unpack it yourself \(`7z x"),
            (b"Rar!\x1a\x07\x01\x00", "is a rar archive"),
            (b"\x28\xb5\x2f\xfd\x00", "is a zstd archive"),
            (b"<!DOCTYPE html><html>", "is a web page, not an archive"),
            (b"\n<html>", "is a web page, not an archive"),
            (b"", "is not a whole zip or tar archive"),
            (b"\x00" * 2000, "holds no file"),
            (NOISE[:3000], "is not a whole zip or tar archive"),
            (gzip.compress(b"no tar", mtime=0), "is not a whole zip or tar archive"),
        ],
    )
    def test_something_else(self, tmp_path: Path, head: bytes, words: str) -> None:
        (tmp_path / "a.zip").write_bytes(head)
        with pytest.raises(UserError, match=words):
            unpack(tmp_path / "a.zip", tmp_path / "out")

    def test_an_encrypted_zip(self, tmp_path: Path) -> None:
        archive = pack(tmp_path / "a.zip", {"a": b"x"})
        data = bytearray(archive.read_bytes())
        data[6] |= 1
        data[data.rindex(b"PK\x01\x02") + 8] |= 1
        archive.write_bytes(data)
        with pytest.raises(UserError, match="is encrypted; unpack it yourself with its password"):
            unpack(archive, tmp_path / "out")


SCRIPT = """
import sys
from pathlib import Path
from distillery.data.archives import unpack
from distillery.errors import UserError
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except UserError as error:
    sys.exit(str(error))
"""


class TestEndings:
    def test_a_killed_unpacking_leaves_what_the_next_run_clears(self, tmp_path: Path) -> None:
        archive = pack(tmp_path / "a.zip", {f"folder/{number}": NOISE[:2000] for number in range(5_000)})
        child = subprocess.Popen([sys.executable, "-c", SCRIPT, str(archive), str(tmp_path / "out")])
        while len(list(tmp_path.glob(f"{LEFTOVER}*/tree/folder/*"))) < 50:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not (tmp_path / "out").exists()
        (leftover,) = tmp_path.glob(f"{LEFTOVER}*")
        small = pack(tmp_path / "b.zip", PLAIN)
        unpack(small, tmp_path / "out")
        assert not leftover.exists()
        assert tree(tmp_path / "out") == PLAIN

    def test_a_full_disk(self, tmp_path: Path) -> None:
        def narrow() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        archive = pack(tmp_path / "a.tar.gz", PLAIN)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(archive), str(tmp_path / "out")],
            preexec_fn=narrow,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "out: no space left on the disk" in done.stderr
        assert "a.tar.gz is kept, nothing of it was unpacked; free some space" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]

    def test_room_is_asked_for_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        archive = pack(tmp_path / "a.zip", PLAIN)
        usage = type("Usage", (), {"free": 1000})
        monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
        with pytest.raises(UserError, match=r"needs 200\.4 kB, and 1\.0 kB are free"):
            unpack(archive, tmp_path / "out")
