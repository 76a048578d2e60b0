"""Whether an image decodes, for good and hostile files."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from distillery.data import checking
from distillery.data.checking import CheckReport, decode_fault, decoded_size


@pytest.fixture(params=["jpg", "png"])
def image(tmp_path, request):
    file = tmp_path / f"image.{request.param}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(file)
    return file


def test_a_whole_image_decodes(image):
    assert decode_fault(image) is None
    assert decoded_size(image) == ((60, 40), None)


def test_every_truncation_is_found(image):
    whole = image.read_bytes()
    for length in range(0, len(whole) - 40, 97):
        image.write_bytes(whole[:length])
        fault = decode_fault(image)
        assert fault and str(image) in fault and "\n" not in fault


def test_missing_and_other_files(tmp_path):
    assert "does not exist" in str(decode_fault(tmp_path / "absent.jpg"))
    assert "is a folder, not an image" in str(decode_fault(tmp_path))
    file = tmp_path / "page.jpg"
    for content in (b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a" + b"\0" * 50):
        file.write_bytes(content)
        assert "not a JPEG or PNG" in str(decode_fault(file))


@pytest.mark.parametrize("side", [9_000, 30_000])
def test_images_of_hostile_size_are_refused_before_decoding(tmp_path, side):
    def chunk(kind, payload):
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    file = tmp_path / "bomb.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))
    assert "too large" in str(decode_fault(file))
    assert side * side > checking.MAX_PIXELS


def test_a_report_is_ok_without_faults(tmp_path):
    report = CheckReport("otb100", tmp_path)
    assert report.ok
    report.notes.append("a note")
    assert report.ok
    report.faults.append("a fault")
    assert not report.ok
