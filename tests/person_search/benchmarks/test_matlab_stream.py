"""Reading a struct array element by element against reading it whole, and against broken files."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io

from distillery.errors import UserError
from distillery.person_search.benchmarks.matlab import MatStruct, read_mat
from distillery.person_search.benchmarks.matlab_stream import iterate_struct
from person_search import builders


@pytest.fixture(params=[True, False], ids=["compressed", "plain"])
def file(request, tmp_path):
    rows = [(f"s{i}.jpg", builders.stored((i, 2, 3, 300)), np.empty((1, 0))) for i in range(50)]
    path = tmp_path / "T.mat"
    content = {"other": np.eye(3), "T": builders.struct(builders.GALLERY_FIELDS, rows)}
    scipy.io.savemat(path, content, do_compression=request.param)
    return path


def same(a, b):
    if isinstance(a, MatStruct):
        assert a.length == b.length and list(a.fields) == list(b.fields)
        for name in a.fields:
            for one, other in zip(a.fields[name], b.fields[name], strict=True):
                same(one, other)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype and a.shape == b.shape
    else:
        assert a == b


def test_elements_are_those_of_the_whole(file):
    whole = read_mat(file, "T")
    read = list(iterate_struct(file, "T", ("idlocate", "imname")))
    assert len(read) == whole.length == 50
    for i, (box, name) in enumerate(read):
        same(box, whole.fields["idlocate"][i])
        assert name == whole.fields["imname"][i]


def test_the_real_protocol(real_data):
    path = real_data / "cuhk_sysu/TestG100.mat"
    whole = read_mat(path, "TestG100")
    count = 0
    for i, (query, gallery) in enumerate(iterate_struct(path, "TestG100", ("Query", "Gallery"))):
        count += 1
        if i % 100 == 0:
            same(query, whole.fields["Query"][i])
            same(gallery, whole.fields["Gallery"][i])
    assert count == 2900


def refused(path, *words, variable="T", fields=("imname",)):
    with pytest.raises(UserError) as caught:
        list(iterate_struct(path, variable, fields))
    message = str(caught.value)
    assert str(path) in message and all(word in message for word in words), message
    assert "\n" not in message


def test_what_is_not_there(file, tmp_path):
    refused(tmp_path / "absent.mat", "does not exist")
    refused(tmp_path, "does not exist")
    refused(file, "no variable 'TestG1'", "'other', 'T'", variable="TestG1")
    refused(file, "field 'Gallery'", fields=("imname", "Gallery"))
    refused(file, "'other' that is not a struct", variable="other")
    for content in (b"", b"hello", b"\0" * 200, b"MATLAB 7.3 MAT-file".ljust(500)):
        file.write_bytes(content)
        refused(file, "is ")


def test_truncated_wherever_it_ends(file):
    whole = file.read_bytes()
    for length in [*range(0, 400, 3), *range(400, len(whole), 61)]:
        file.write_bytes(whole[:length])
        refused(file)


@pytest.mark.parametrize("word", [b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x0e\0\0\0"])
def test_a_changed_word_is_read_or_refused_but_never_crashes(file, word):
    whole = file.read_bytes()
    tracemalloc.start()
    for place in range(128, min(len(whole), 1400), 4):
        file.write_bytes(whole[:place] + word + whole[place + 4 :])
        try:
            list(iterate_struct(file, "T", ("imname",)))
        except UserError:
            continue
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20  # no claimed size was believed


def test_sizes_that_cannot_be(tmp_path):
    path = tmp_path / "T.mat"
    for claimed in (1 << 31, 1 << 20):
        packed = zlib.compress(struct.pack("<II", 14, claimed) + b"\0" * 5000, 9)
        head = b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
        path.write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
        refused(path)
