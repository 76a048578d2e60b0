from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from distillery.data.images import image_size, read_image
from distillery.errors import UserError


@pytest.fixture
def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 48, dtype=np.uint8)
    return np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[::-1], (32, 1)), np.full((32, 48), 40, np.uint8)], axis=2)


def save(path: Path, picture: np.ndarray, **options: object) -> Path:
    Image.fromarray(picture).save(path, **options)
    return path


def test_png_is_exact_rgb(tmp_path: Path, picture: np.ndarray) -> None:
    read = read_image(save(tmp_path / "a.png", picture))
    assert read.dtype == np.uint8
    assert np.array_equal(read, picture)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_agrees_with_pillow(tmp_path: Path, picture: np.ndarray, progressive: bool) -> None:
    path = save(tmp_path / "a.jpg", picture, quality=90, progressive=progressive)
    peer = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(read_image(path) - peer).max() <= 3  # the decoders' inverse transforms may round apart


def test_real_frames_agree_with_pillow(real_data: Path) -> None:
    for path in sorted((real_data / "OTB").glob("*/img/*.jpg"))[::100]:
        peer = np.asarray(Image.open(path).convert("RGB")).astype(int)
        assert np.abs(read_image(path) - peer).mean() < 1


def test_grey_has_three_channels_and_orientation_is_ignored(tmp_path: Path, picture: np.ndarray) -> None:
    grey = read_image(save(tmp_path / "grey.jpg", picture[..., 0]))
    assert grey.shape == (32, 48, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees to show"
    assert read_image(save(tmp_path / "turned.jpg", picture, exif=exif)).shape == (32, 48, 3)


def test_bytes_after_the_end_marker_are_no_fault(tmp_path: Path, picture: np.ndarray) -> None:
    path = save(tmp_path / "a.jpg", picture)
    path.write_bytes(path.read_bytes() + b"\0\0padding")
    assert read_image(path).shape == (32, 48, 3)


@pytest.mark.parametrize("name", ["a.jpg", "p.jpg", "a.png"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_never_half_an_image(tmp_path: Path, picture: np.ndarray, name: str, share: float) -> None:
    rough = np.random.default_rng(1).integers(0, 255, picture.shape, dtype=np.uint8)
    path = save(tmp_path / name, rough, **({"progressive": True} if name == "p.jpg" else {}))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_a_thumbnails_end_marker_does_not_hide_truncation(tmp_path: Path, picture: np.ndarray) -> None:
    """The thumbnail in an EXIF block is a JPEG of its own, with its own end marker before the picture's scan."""
    thumbnail = cv2.imencode(".jpg", picture[:8, :8])[1].tobytes()
    block = b"Exif\0\0" + thumbnail
    whole = save(tmp_path / "a.jpg", picture).read_bytes()
    marked = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + whole[2:]
    (tmp_path / "a.jpg").write_bytes(marked)
    assert read_image(tmp_path / "a.jpg").shape == (32, 48, 3)
    (tmp_path / "a.jpg").write_bytes(marked[:-40])
    with pytest.raises(UserError, match="is truncated"):
        read_image(tmp_path / "a.jpg")


def test_faults_are_named(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"none\.jpg: does not exist; restore"):
        read_image(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("<html>404</html>")
    with pytest.raises(UserError, match="is not a JPEG or PNG image"):
        read_image(tmp_path / "text.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UserError, match="is not a JPEG or PNG image"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path)


def test_a_file_that_claims_a_huge_picture_is_refused_before_decoding(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(UserError, match="50000 x 50000 pixels"):
        read_image(path)
    jpeg = bytearray(save(tmp_path / "bomb.jpg", np.zeros((8, 8, 3), np.uint8)).read_bytes())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    (tmp_path / "bomb.jpg").write_bytes(jpeg)
    with pytest.raises(UserError, match="60000 x 60000 pixels"):
        read_image(tmp_path / "bomb.jpg")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(head=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]), body=st.binary(max_size=60))
def test_any_bytes_give_an_image_or_a_user_error(tmp_path: Path, head: bytes, body: bytes) -> None:
    path = tmp_path / "any.jpg"
    path.write_bytes(head + body + b"\xff\xda\xff\xd9IEND\xaeB`\x82")
    with contextlib.suppress(UserError):
        assert read_image(path).dtype == np.uint8


class TestSize:
    @pytest.mark.parametrize("options", [{"progressive": True}, {"exif": b"Exif\0\0" + b"x" * 60_000}])
    def test_from_a_jpeg_header(self, tmp_path: Path, picture: np.ndarray, options: dict[str, object]) -> None:
        assert image_size(save(tmp_path / "a.jpg", picture, **options)) == (48, 32)

    def test_from_a_png_header(self, tmp_path: Path, picture: np.ndarray) -> None:
        assert image_size(save(tmp_path / "a.png", picture)) == (48, 32)

    @pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 16])
    def test_no_header(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.jpg").write_bytes(data)
        with pytest.raises(UserError, match="has no valid image header"):
            image_size(tmp_path / "a.jpg")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="does not exist"):
            image_size(tmp_path / "a.jpg")
