"""Which images a check decodes, and what it says of them: sampling, processes, hostile files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from decoders import crash
from distillery.data import check_images
from distillery.data.check_images import decode_all, look_at_images, sampled
from distillery.data.checking import CheckReport, ImageGroup
from distillery.data.decoding import Decoded, decode

SIZE = (64, 48)


def write(path: Path, size: tuple[int, int] = SIZE, mode: str = "RGB", **save: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **save)
    return path


def group(folder: Path, count: int, **more: object) -> ImageGroup:
    files = tuple(f"{number:04d}.jpg" for number in range(1, count + 1))
    return ImageGroup(name=folder.name, folder=folder, files=files, **more)


def seen(*groups: ImageGroup, root: Path = Path("/nowhere"), **how: object) -> CheckReport:
    report = CheckReport("otb100", root)
    report.images += groups
    look_at_images(report, **how)
    return report


@given(st.integers(0, 5000), st.text(max_size=8))
def test_a_sample_has_the_first_the_last_and_some_between(count: int, name: str) -> None:
    found = sampled(name, count, "sample")
    assert found == sorted(set(found)) and found == sampled(name, count, "sample")
    assert set(found) <= set(range(count))
    assert len(found) == min(count, max(8, int(count**0.5)) + 2)
    assert not count or {0, count - 1} <= set(found)
    assert sampled(name, count, "full") == list(range(count))
    assert sampled(name, count, "none") == []


def test_the_sample_is_the_same_on_every_machine() -> None:
    assert sampled("Jogging-1", 40, "sample") == [0, 14, 15, 16, 19, 21, 23, 31, 33, 39]


def test_stills_of_one_folder_are_sampled_together(tmp_path: Path) -> None:
    for number in range(1, 101):
        write(tmp_path / f"{number:04d}.jpg", (16, 16))
    stills = [ImageGroup(f"still {number}", tmp_path, (f"{number:04d}.jpg",), video=False) for number in range(1, 101)]
    report = seen(*stills, policy="sample")
    assert (report.decoded, report.listed, report.faults) == (12, 100, [])


def _note(calls: list[tuple[int, int]], done: int, total: int) -> None:
    calls.append((done, total))


def test_every_policy_lists_all_and_decodes_its_own(tmp_path: Path) -> None:
    for number in range(1, 41):
        write(tmp_path / "img" / f"{number:04d}.jpg")
    for policy, decoded in (("full", 40), ("sample", 10), ("none", 0)):
        calls: list[tuple[int, int]] = []
        report = seen(
            group(tmp_path / "img", 40), group(tmp_path / "img", 40), policy=policy, progress=partial(_note, calls)
        )
        assert (report.decoded, report.listed, report.faults) == (decoded, 40, [])
        assert not decoded or calls[-1] == (decoded, decoded)


def test_images_that_are_not_decoded_must_be_readable_files(tmp_path: Path) -> None:
    folder = tmp_path / "img"
    for number in (1, 40):
        write(folder / f"{number:04d}.jpg")
    chosen = set(sampled("img", 40, "sample"))
    left = [number for number in range(1, 41) if number - 1 not in chosen]
    for number in range(2, 40):
        if number - 1 in chosen:
            write(folder / f"{number:04d}.jpg")
    (folder / f"{left[0]:04d}.jpg").touch()
    (folder / f"{left[1]:04d}.jpg").mkdir()
    os.mkfifo(folder / f"{left[2]:04d}.jpg")
    report = seen(group(folder, 40), policy="sample")
    said = "\n".join(report.faults)
    assert f"{left[0]:04d}.jpg: is empty." in said
    assert f"{left[1]:04d}.jpg: is no regular file." in said and f"{left[2]:04d}.jpg: is no regular file." in said
    assert f"{len(left) - 3} images are not there" in said
    assert len(report.faults) == 4 and len(report.absent) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a JPEG or PNG image"),
        (b"<html>404</html>", "is not a JPEG or PNG image"),
        (b"\xff\xd8\xff", "is not a JPEG or PNG image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "image"),
    ],
)
def test_hostile_content_is_one_fault(tmp_path: Path, content: bytes, words: str) -> None:
    write(tmp_path / "img/0001.jpg")
    (tmp_path / "img/0002.jpg").write_bytes(content)
    report = seen(group(tmp_path / "img", 2))
    assert len(report.faults) == 1 and words in report.faults[0] and "0002.jpg: " in report.faults[0]
    assert report.decoded == 1


def test_files_of_another_kind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert decode(tmp_path / "pipe.jpg") == Decoded(None, "is no regular file")  # and does not wait for a writer
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert "Too many levels of symbolic links" in str(decode(tmp_path / "loop.jpg").fault)
    with (tmp_path / "long.jpg").open("wb") as stream:
        stream.truncate(300 << 20)
    assert decode(tmp_path / "long.jpg").fault == "is larger than 256 MB"
    assert "\n" not in str(decode(tmp_path / "a\nb.jpg").fault)


def test_traits_of_images(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "0001.jpg", mode="L")
    write(tmp_path / "0002.jpg", mode="CMYK")
    write(tmp_path / "0003.jpg", exif=exif)
    write(tmp_path / "0004.png").rename(tmp_path / "0004.jpg")
    write(tmp_path / "0005.jpg", size=(48, 64))
    write(tmp_path / "0006.jpg", progressive=True)
    report = seen(group(tmp_path, 6))
    assert report.ok and report.decoded == 6
    assert {name: oddity.seen for name, oddity in report.oddities.items()} == {
        "grey_image": 1,
        "cmyk_image": 1,
        "orientation_tag": 1,
        "misnamed_image": 1,
        "size_changes": 1,
    }
    assert report.oddities["grey_image"].where == [f"{tmp_path.name}, 0001.jpg"]


@pytest.mark.parametrize("progressive", [False, True])
def test_truncation_is_found_in_every_kind_of_jpeg(tmp_path: Path, progressive: bool) -> None:
    """At an eighth of the size, too, the decoder reads the file to its end."""
    whole = write(tmp_path / "a.jpg", (160, 120), progressive=progressive, quality=90).read_bytes()
    for length in range(700, len(whole) - 2, 397):
        (tmp_path / "b.jpg").write_bytes(whole[:length])
        assert decode(tmp_path / "b.jpg").fault, length


def test_an_image_that_kills_the_decoder_is_one_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_images, "_WORTH_A_POOL", 100)
    for number in range(1, 401):
        (tmp_path / f"{number:04d}.jpg").touch()
    report = seen(group(tmp_path, 400), workers=2, work=crash)
    assert report.decoded == 399
    assert report.faults == [f"{tmp_path}/0300.jpg: makes the decoder crash, or needs more memory than there is."]


def test_the_number_of_processes_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_images, "_WORTH_A_POOL", 10)
    for number in range(1, 91):
        write(tmp_path / f"{number:04d}.jpg", mode="L" if number % 7 == 0 else "RGB")
    (tmp_path / "0070.jpg").write_bytes(b"")
    reports = [seen(group(tmp_path, 91), workers=workers) for workers in (1, 2)]
    assert reports[0].faults == reports[1].faults and len(reports[0].faults) == 2
    assert reports[0].oddities == reports[1].oddities and reports[0].decoded == reports[1].decoded == 89


def test_nothing_to_decode() -> None:
    assert list(decode_all(iter(()), workers=2)) == []
