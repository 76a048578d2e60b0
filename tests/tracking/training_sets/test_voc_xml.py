"""Annotation files of VID and DET, official, odd and hostile."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from distillery.errors import UserError
from distillery.tracking.training_sets import voc_xml
from distillery.tracking.training_sets.voc_xml import Object, read_objects
from training_layouts import annotation, vid_object

LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE annotation [
 <!ENTITY a "ha ha ha ha ha ha ha ha ha ha">
 <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
 <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
]>
<annotation><object><name>&c;</name></object></annotation>
"""


def read(folder: Path, text: str | bytes) -> list[Object]:
    file = folder / "000000.xml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_objects(file)


def test_an_official_file(tmp_path: Path) -> None:
    """As the development kit's own example: xmax first; a box from column 36 to column 453 is 418 pixels wide."""
    text = annotation(vid_object(1, (36, 34, 453, 557)) + vid_object(3, (0, 81, 9, 719), occluded=1, generated=1))
    assert read(tmp_path, text) == [
        Object((36.0, 34.0, 418.0, 524.0), 1, False, False),
        Object((0.0, 81.0, 10.0, 639.0), 3, True, True),
    ]


def test_a_still_picture_counts_its_objects_and_may_have_none(tmp_path: Path) -> None:
    box = "<bndbox><xmin>4</xmin><xmax>9</xmax><ymin>5</ymin><ymax>6</ymax></bndbox>"
    text = f"<object><name>n01443537</name>{box}</object>"
    assert [one.track for one in read(tmp_path, annotation(text * 2))] == [0, 1]
    assert read(tmp_path, annotation("")) == []


def test_a_box_without_extent_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, annotation(vid_object(0, (5, 5, 5, 9))))[0].box == (5.0, 5.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        LAUGHS.encode("utf-16"),
        codecs.BOM_UTF8 + LAUGHS.encode(),
        b'<?xml version="1.0" encoding="cp037"?>' + LAUGHS.split("?>")[1].encode("cp037"),
        '<!DOCTYPE annotation SYSTEM "file:///etc/passwd"><annotation/>',
        '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object>&x;</object></annotation>',
    ],
)
def test_document_types_are_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UserError, match=r"000000\.xml.*(document type|not valid XML)"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid XML"),
        (annotation(vid_object(0, (1, 2, 3, 4)))[:-30], "not valid XML"),
        ("<html/>", "begins with <html>"),
        ("<annotation>" + "<a>" * 9, "nested deeper"),
        ("<annotation>" + "<object/>" * 10_001 + "</annotation>", "more than 10000 objects"),
        (annotation("<object><bndbox><xmin>1</xmin></bndbox></object>"), "without bndbox/ymin"),
        (annotation(vid_object(0, (1, 2, 3, 4)).replace(">3<", ">nan<")), "bndbox/xmax 'nan'"),
        (annotation(vid_object(0, (1, 2, 3, 4)).replace(">3<", ">1e9<")), "bndbox/xmax '1e9'"),
        (annotation(vid_object(0, (1, 2, 3, 4)).replace(">3<", "><")), "bndbox/xmax ''"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UserError, match=rf"000000\.xml.*{problem}"):
        read(tmp_path, text)


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voc_xml, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="larger than"):
        read(tmp_path, annotation(vid_object(0, (1, 2, 3, 4))))
    with pytest.raises(UserError, match="cannot be read"):
        read_objects(tmp_path / "none.xml")
