"""The .mat reader against SciPy's, and against broken files."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distillery.errors import UserError
from distillery.person_search.benchmarks.matlab import MatStruct, read_mat


def same(ours, scipys):
    """Whether our value is what scipy.io.loadmat returned."""
    if isinstance(ours, MatStruct):
        flat = scipys.ravel(order="F")
        assert list(ours.fields) == list(scipys.dtype.names) and ours.length == flat.size
        for name, column in ours.fields.items():
            for a, b in zip(column, flat[name], strict=True):
                same(a, b)
    elif isinstance(ours, list) and scipys.dtype == object:
        for a, b in zip(ours, scipys.ravel(order="F"), strict=True):
            same(a, b)
    elif isinstance(ours, str):
        assert ours == (str(scipys[0]) if scipys.size else "")
    else:
        np.testing.assert_array_equal(ours, scipys)
        assert ours.shape == scipys.shape


def test_reads_the_real_protocol_as_scipy_does(real_data):
    file = real_data / "cuhk_sysu/TestG100.mat"
    ours, scipys = read_mat(file, "TestG100"), scipy.io.loadmat(file)["TestG100"]
    assert ours.length == scipys.size == 2900 and list(ours.fields) == list(scipys.dtype.names)
    for q in range(0, 2900, 25):
        for name in ours.fields:
            same(ours.fields[name][q], scipys[0, q][name])


numbers = hnp.arrays(
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4),
    elements={"allow_nan": False},
)
strings = (
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=12).map(str.rstrip).filter(bool)
)
values = st.recursive(
    numbers | strings,
    lambda inner: st.dictionaries(st.sampled_from(["imname", "idlocate", "box"]), inner, min_size=1, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(value=values, compressed=st.booleans())
def test_reads_what_scipy_writes(tmp_path_factory, value, compressed):
    file = tmp_path_factory.getbasetemp() / "value.mat"
    cells = np.empty((2, 1), object)
    cells[0, 0], cells[1, 0] = value, value
    scipy.io.savemat(file, {"other": 1, "V": cells}, do_compression=compressed)
    same(read_mat(file, "V"), scipy.io.loadmat(file)["V"])


def test_reads_big_endian_files(tmp_path):
    def element(kind, payload):
        return struct.pack(">II", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)

    head = element(6, struct.pack(">II", 11, 0)) + element(5, struct.pack(">ii", 1, 4)) + element(1, b"V")
    matrix = element(14, head + element(4, struct.pack(">4H", 1, 2, 700, 800)))
    file = tmp_path / "big.mat"
    file.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI" + matrix)
    np.testing.assert_array_equal(read_mat(file, "V"), [[1, 2, 700, 800]])
    np.testing.assert_array_equal(scipy.io.loadmat(file)["V"], [[1, 2, 700, 800]])


def protocol(tmp_path):
    file = tmp_path / "T.mat"
    inner = np.array([(np.array([[1, 2, 3, 4]], np.uint8), "s1.jpg")], [("idlocate", "O"), ("imname", "O")])
    scipy.io.savemat(file, {"T": inner})
    return file


def refused(file, *words, variable="T"):
    with pytest.raises(UserError) as caught:
        read_mat(file, variable)
    message = str(caught.value)
    assert str(file) in message and all(word in message for word in words), message
    assert "\n" not in message and message.endswith(".")


def test_refuses_what_is_no_mat_file(tmp_path):
    refused(tmp_path / "absent.mat", "does not exist")
    refused(tmp_path, "does not exist")
    file = tmp_path / "T.mat"
    for content in (b"", b"hello", b"\x89HDF" * 100, b"\0" * 200):
        file.write_bytes(content)
        refused(file, "is not a MATLAB v5")
    file.write_bytes(b"MATLAB 7.3 MAT-file".ljust(500))
    refused(file, "v7.3")


def test_refuses_the_wrong_variable(tmp_path):
    refused(protocol(tmp_path), "no variable 'TestG100'", "'T'", variable="TestG100")


def test_refuses_truncated_files_wherever_they_end(tmp_path):
    file = protocol(tmp_path)
    whole = file.read_bytes()
    for length in range(129, len(whole)):
        file.write_bytes(whole[:length])
        refused(file)


def test_refuses_truncated_compressed_files(tmp_path):
    file = tmp_path / "T.mat"
    scipy.io.savemat(file, {"T": np.arange(1000.0)}, do_compression=True)
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    refused(file, "truncated")
    file.write_bytes(whole[:140] + b"\xff" * (len(whole) - 140))
    refused(file, "damaged")


@pytest.mark.parametrize("word", [b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\1\0\0\0", b"\x0e\0\0\0"])
def test_a_changed_word_is_read_or_refused_but_never_crashes(tmp_path, word):
    file = protocol(tmp_path)
    whole = file.read_bytes()
    tracemalloc.start()
    for place in range(128, len(whole), 4):
        file.write_bytes(whole[:place] + word + whole[place + 4 :])
        try:
            read_mat(file, "T")
        except UserError:
            continue
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20  # no claimed size was believed


def test_refuses_a_decompression_bomb(tmp_path):
    machine = zlib.compressobj(9)
    block = b"\0" * (1 << 20)
    packed = machine.compress(struct.pack("<II", 14, 1 << 30)) + b"".join(machine.compress(block) for _ in range(200))
    packed += machine.flush()
    file = tmp_path / "T.mat"
    file.write_bytes(
        b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + struct.pack("<II", 15, len(packed)) + packed
    )
    refused(file, "implausible size")


def test_refuses_deep_nesting_and_objects(tmp_path):
    value = np.zeros(1)
    for _ in range(40):
        outer = np.empty((1, 1), object)
        outer[0, 0] = value
        value = outer
    file = tmp_path / "T.mat"
    scipy.io.savemat(file, {"T": value})
    refused(file, "nested too deeply")
    scipy.io.savemat(file, {"T": np.array([[1 + 2j]])})
    refused(file, "class 6")
