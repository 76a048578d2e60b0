from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distillery import datasets
from distillery.data.worlds import otb100 as world
from distillery.errors import UserError
from distillery.tracking.benchmarks import otb100
from distillery.tracking.benchmarks.otb100_table import ATTRIBUTES, SEQUENCES
from distillery.tracking.naming import plain


def official(root: Path, folder: str, images: range, rows: int, file: str = "groundtruth_rect.txt") -> None:
    """An official folder with empty images: loading does not decode."""
    (root / folder / "img").mkdir(parents=True, exist_ok=True)
    for number in images:
        (root / folder / "img" / f"{number:04d}.jpg").touch()
    (root / folder / file).write_text("".join(f"{row},2,3,4\n" for row in range(1, rows + 1)))


def only(root: Path) -> otb100.Sequence:
    (sequence,) = otb100.load(root, allow_partial=True)
    return sequence


def test_the_table_is_the_official_hundred(real_data: Path) -> None:
    annotations = json.loads((real_data / "anno" / "OTB2015.json").read_text())
    assert len(SEQUENCES) == 100
    assert sum(entry.rows for entry in SEQUENCES.values()) == 59035
    names = {plain(entry.name): entry for entry in SEQUENCES.values()}
    assert set(names) == {plain(name) for name in annotations}
    for name, annotation in annotations.items():
        entry = names[plain(name)]
        numbers = [int(Path(image).stem) for image in annotation["image_files"]]
        assert numbers == list(range(entry.first, entry.last + 1)), name


def test_attributes_of_the_table() -> None:
    counts = Counter(attribute for entry in SEQUENCES.values() for attribute in entry.attributes)
    assert set(counts) == set(ATTRIBUTES)
    # Sizes of the out-of-view, deformation, occlusion and illumination subsets in published OTB-100 plots.
    assert (counts["OV"], counts["DEF"], counts["OCC"], counts["IV"]) == (14, 44, 49, 38)
    assert SEQUENCES["Jogging-1"].attributes == SEQUENCES["Jogging-2"].attributes == {"OCC", "DEF", "OPR"}


def test_the_embedded_set_writes_its_flags_in_the_toolkits_order() -> None:
    assert tuple(world.ATTRIBUTES) == tuple(ATTRIBUTES)


def test_real_annotations_in_the_official_layout(real_otb: Path) -> None:
    sequences = otb100.load(real_otb, need_frames=False)
    assert [sequence.name for sequence in sequences] == list(SEQUENCES)
    assert sum(map(len, sequences)) == 59035
    tiger = next(sequence for sequence in sequences if sequence.name == "Tiger1")
    assert tiger.truth[0].tolist() == [282, 104, 67, 84]


def test_real_frames(real_data: Path) -> None:
    sequences = otb100.load(real_data / "OTB", allow_partial=True)
    assert [(s.name, len(s.frames)) for s in sequences] == [("Crossing", 120), ("Jogging-1", 307), ("Jogging-2", 307)]
    assert sequences[1].frames == sequences[2].frames
    assert not np.array_equal(sequences[1].truth, sequences[2].truth)


def test_real_check_names_the_missing_and_decodes_the_rest(real_data: Path) -> None:
    report = datasets.check("otb100", real_data / "OTB")
    assert report.counts == {"expected": 100, "sequences": 3, "frames": 734, "missing": 97}
    assert len(report.faults) == 97


@pytest.mark.parametrize(
    ("folder", "images", "first", "last"),
    [
        ("David", range(1, 771), 300, 770),
        ("Football1", range(1, 82), 1, 74),
        ("Freeman3", range(1, 475), 1, 460),
        ("Freeman4", range(1, 298), 1, 283),
        ("Diving", range(1, 232), 1, 215),
        ("BlurCar1", range(247, 989), 247, 988),
        ("BlurCar3", range(3, 360), 3, 359),
        ("BlurCar4", range(18, 398), 18, 397),
    ],
)
def test_start_and_stop_frames(tmp_path: Path, folder: str, images: range, first: int, last: int) -> None:
    official(tmp_path, folder, images, last - first + 1)
    sequence = only(tmp_path)
    assert (sequence.frames[0].stem, sequence.frames[-1].stem) == (f"{first:04d}", f"{last:04d}")
    assert len(sequence.frames) == len(sequence)


@pytest.mark.parametrize("rows", [349, 354])
def test_tiger1_is_frames_6_to_354(tmp_path: Path, rows: int) -> None:
    official(tmp_path, "Tiger1", range(1, 355), rows)
    tiger = only(tmp_path)
    assert (tiger.frames[0].stem, tiger.frames[-1].stem, len(tiger)) == ("0006", "0354", 349)
    assert tiger.truth[0, 0] == 1 + rows - 349
    assert tiger.omitted == 5


@pytest.mark.parametrize(
    ("folder", "file", "images"),
    [
        ("Jogging", "groundtruth_rect.2.txt", "Jogging"),
        ("Jogging-2", "groundtruth_rect.2.txt", "Jogging-2"),
        ("Jogging-2", "groundtruth_rect.txt", "Jogging-2"),
        ("Jogging.2", "groundtruth_rect.txt", "Jogging"),
        ("Jogging_2", "groundtruth_rect.txt", "Jogging"),
    ],
)
def test_two_targets_in_one_video(tmp_path: Path, folder: str, file: str, images: str) -> None:
    official(tmp_path, folder, range(1, 308), 307, file)
    if images != folder:
        shutil.move(tmp_path / folder / "img", tmp_path / images / "img")
    sequence = only(tmp_path)
    assert sequence.name == "Jogging-2"
    assert sequence.frames[0] == tmp_path / images / "img" / "0001.jpg"


def test_human4_is_the_second_target(tmp_path: Path) -> None:
    official(tmp_path, "Human4", range(1, 668), 667, "groundtruth_rect.2.txt")
    (tmp_path / "Human4" / "groundtruth_rect1.txt").touch()  # the official archive holds this empty file
    assert only(tmp_path).name == "Human4-2"
    (tmp_path / "Human4" / "groundtruth_rect.2.txt").rename(tmp_path / "Human4" / "groundtruth_rect.txt")
    assert only(tmp_path).name == "Human4-2"  # copies that were renamed to one file a folder


def test_missing_sequences_are_listed(tmp_path: Path) -> None:
    official(tmp_path, "Basketball", range(1, 726), 725)
    with pytest.raises(UserError, match=r"Biker, Bird1, Bird2 and 96 more \(99\) of OTB-100's 100 .*--allow-partial"):
        otb100.load(tmp_path)


def test_a_root_without_any_sequence_is_an_error_even_when_partial(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="100 sequences are not there"):
        otb100.load(tmp_path, allow_partial=True)
    with pytest.raises(UserError, match="does not exist"):
        otb100.load(tmp_path / "nowhere")


def test_wrong_length_names_both(tmp_path: Path) -> None:
    official(tmp_path, "Crossing", range(1, 121), 119)
    with pytest.raises(UserError, match=r"groundtruth_rect.txt: has 119 rows, the sequence Crossing has 120 frames"):
        otb100.load(tmp_path, allow_partial=True)
    official(tmp_path, "Crossing", range(1, 121), 120)
    (tmp_path / "Crossing" / "img" / "0050.jpg").unlink()
    named = r"img: has 119 images, .*groundtruth_rect.txt has 120 rows: 0050\.jpg is missing"
    with pytest.raises(UserError, match=named):
        otb100.load(tmp_path, allow_partial=True)
    assert len(otb100.load(tmp_path, allow_partial=True, need_frames=False)) == 1


def test_a_gap_and_one_image_too_many_do_not_shift_the_frames(tmp_path: Path) -> None:
    official(tmp_path, "Crossing", range(1, 122), 120)
    assert [frame.stem for frame in only(tmp_path).frames] == [f"{number:04d}" for number in range(1, 121)]
    (tmp_path / "Crossing" / "img" / "0050.jpg").unlink()
    with pytest.raises(UserError, match=r"0050\.jpg is missing; restore"):
        otb100.load(tmp_path, allow_partial=True)
    assert any("0050.jpg is missing" in fault for fault in datasets.check("otb100", tmp_path).faults)
    for number in range(60, 70):
        (tmp_path / "Crossing" / "img" / f"{number:04d}.jpg").unlink()
    with pytest.raises(UserError, match=r"0050\.jpg, 0060\.jpg, 0061\.jpg and 8 more \(11\) are missing"):
        otb100.load(tmp_path, allow_partial=True)


def test_a_sequence_that_starts_later_is_counted_from_there(tmp_path: Path) -> None:
    official(tmp_path, "David", range(1, 472), 471)  # as many images as rows, but those from 300 on are scored
    with pytest.raises(UserError, match=r"0472\.jpg, 0473\.jpg, 0474\.jpg and 296 more \(299\) are missing"):
        otb100.load(tmp_path, allow_partial=True)


@pytest.mark.parametrize(
    ("folders", "name"),
    [
        (("Jogging1",), "Jogging-1"),
        (("jogging-1",), "Jogging-1"),
        (("Skating22",), "Skating2-2"),
        (("Human42",), "Human4-2"),
        (("human4",), "Human4-2"),
        (("carDark",), "CarDark"),
        (("car-dark", "CarDark"), "CarDark"),
    ],
)
def test_folders_are_found_in_the_spellings_of_result_files(
    tmp_path: Path, folders: tuple[str, ...], name: str
) -> None:
    rows = SEQUENCES[name].rows
    for folder in folders:
        official(tmp_path, folder, range(1, rows + 1), rows)
    sequence = only(tmp_path)
    assert (sequence.name, sequence.frames[0]) == (name, tmp_path / folders[-1] / "img" / "0001.jpg")


def test_two_targets_in_a_folder_of_lower_case(tmp_path: Path) -> None:
    for target in (1, 2):
        official(tmp_path, "jogging", range(1, 308), 307, f"groundtruth_rect.{target}.txt")
    sequences = otb100.load(tmp_path, allow_partial=True)
    assert [sequence.name for sequence in sequences] == ["Jogging-1", "Jogging-2"]
    assert sequences[0].frames == sequences[1].frames


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ("5000,4000,30,20", "the first box lies outside the image of 128 x 96 pixels, no tracker can start from it"),
        ("-30,5,30,20", "the first box lies outside"),
        ("129,5,30,20", "the first box lies outside"),
        ("5,5,0,20", "the first box is empty, no tracker can start from it"),
    ],
)
def test_check_faults_a_first_box_that_no_tracker_can_start_from(
    tmp_path: Path, write_otb: Callable[..., Path], box: str, fault: str
) -> None:
    root = write_otb(tmp_path)
    file = root / "First001" / "groundtruth_rect.txt"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([box, *rows[1:]]))
    (found,) = datasets.check("otb100", root).faults
    assert re.search(r"groundtruth_rect\.txt, frame 1 of First001: " + fault, found)
    file.write_text("\n".join([rows[0], box, *rows[2:]]))  # later ones may be there: targets leave the image
    assert datasets.check("otb100", root).ok
    file.write_text("\n".join(["128,96,30,20", *rows[1:]]))  # the last pixel is covered
    assert datasets.check("otb100", root).ok


def test_a_number_of_thousands_of_digits_is_no_traceback(tmp_path: Path) -> None:
    official(tmp_path, "Crossing", range(1, 121), 120)
    (tmp_path / "OTB2015.json").write_text('{"crossing": {"gt_rect": [[' + "9" * 5000 + ", 2, 3, 4]]}}")
    with pytest.raises(UserError, match=r"OTB2015\.json: is not valid JSON"):
        otb100.load(tmp_path, allow_partial=True)
    (tmp_path / "OTB2015.json").unlink()
    (tmp_path / "Crossing" / "img" / f"{'9' * 200}.jpg").touch()
    assert len(only(tmp_path).frames) == 120


def test_flags_beside_the_copy_replace_the_table(tmp_path: Path) -> None:
    official(tmp_path, "Crossing", range(1, 121), 120)
    assert only(tmp_path).attributes == SEQUENCES["Crossing"].attributes
    (tmp_path / "anno" / "att").mkdir(parents=True)
    flags = tmp_path / "anno" / "att" / "crossing.txt"
    flags.write_text("1,0,1,0,0,0,0,0,0,0,1\n")
    assert only(tmp_path).attributes == {"IV", "SV", "LR"}
    flags.write_text("1,0,1,0,0,0,0,0,0,0,2\n")
    with pytest.raises(UserError, match="one row of 11 flags"):
        otb100.load(tmp_path, allow_partial=True)


def test_an_embedded_set_is_what_its_list_says(tmp_path: Path, write_otb: Callable[..., Path]) -> None:
    root = write_otb(tmp_path, names=("Tiger1", "Second002"))  # an official name has no special meaning here
    sequences = otb100.load(root)
    assert [(s.name, len(s.frames), s.attributes) for s in sequences] == [
        ("Tiger1", 8, frozenset()),
        ("Second002", 8, frozenset()),
    ]
    assert datasets.check("otb100", root).ok
    shutil.rmtree(root / "Second002")
    with pytest.raises(UserError, match="Second002 of OTB-100's 2 sequences"):
        otb100.load(root)


def test_check_names_every_fault(tmp_path: Path, write_otb: Callable[..., Path]) -> None:
    root = write_otb(tmp_path, names=("A1", "B2", "C3", "D4"))
    image = root / "A1" / "img" / "0003.jpg"
    image.write_bytes(image.read_bytes()[:200])
    (root / "A1" / "img" / "0004.jpg").write_text("not an image")
    (root / "B2" / "groundtruth_rect.txt").write_text("1,2,3\n")
    shutil.rmtree(root / "C3")
    report = datasets.check("otb100", root)
    assert report.counts == {"expected": 4, "sequences": 2, "frames": 16, "missing": 1}
    assert len(report.faults) == 4
    for words in ("0003.jpg", "0004.jpg", "B2", "C3"):
        assert any(words in fault for fault in report.faults)


def test_a_collection_of_annotations_is_enough_for_scoring(real_data: Path) -> None:
    sequences = otb100.load(real_data / "anno", need_frames=False)
    assert [sequence.name for sequence in sequences] == list(SEQUENCES)
    assert sum(map(len, sequences)) == 59035
    assert {sequence.truth_file.name for sequence in sequences} == {"OTB2015.json"}
    by_name = {sequence.name: sequence for sequence in sequences}
    assert by_name["Human4-2"].aliases == ("Human4",)
    assert (len(by_name["Tiger1"]), by_name["Tiger1"].omitted) == (349, 5)
    with pytest.raises(UserError, match="of OTB-100's 100 sequences are not there"):
        otb100.load(real_data / "anno")


def test_a_collection_and_its_folders_are_one_set(real_otb: Path, real_data: Path) -> None:
    from_folders = otb100.load(real_otb, need_frames=False)
    from_collection = otb100.load(real_data / "anno", need_frames=False)
    for one, other in zip(from_folders, from_collection, strict=True):
        assert np.array_equal(one.truth, other.truth)


def test_the_collection_fills_in_for_absent_files(tmp_path: Path) -> None:
    official(tmp_path, "Crossing", range(1, 121), 120)
    rows = [[row, 2, 3, 4] for row in range(1, 121)]
    (tmp_path / "OTB100.json").write_text(json.dumps({"crossing": {"gt_rect": rows}, "carDark": {"gt_rect": []}}))
    (tmp_path / "Crossing" / "groundtruth_rect.txt").unlink()
    (tmp_path / "sequences.txt").write_text("Crossing\n")
    with pytest.raises(UserError, match="Crossing of OTB-100's 1 sequences"):  # a set of one's own has its own files
        otb100.load(tmp_path)
    (tmp_path / "sequences.txt").unlink()
    with pytest.raises(UserError, match=r"OTB100\.json, CarDark\.gt_rect: must hold rows of 4 finite numbers"):
        otb100.load(tmp_path, need_frames=False, allow_partial=True)
    (tmp_path / "OTB100.json").write_text(json.dumps({"crossing": {"gt_rect": rows}, "Crossing": {"gt_rect": rows}}))
    with pytest.raises(UserError, match="holds two sequences of one name"):
        otb100.load(tmp_path, need_frames=False, allow_partial=True)
    (tmp_path / "OTB100.json").write_text(json.dumps({"crossing": {"gt_rect": rows}}))
    crossing = only(tmp_path)
    assert (len(crossing.frames), crossing.truth[-1].tolist()) == (120, [120, 2, 3, 4])


def test_frames_of_two_targets_are_decoded_once(tmp_path: Path) -> None:
    official(tmp_path, "Jogging", range(1, 308), 307, "groundtruth_rect.1.txt")
    official(tmp_path, "Jogging", range(1, 308), 307, "groundtruth_rect.2.txt")
    report = datasets.check("otb100", tmp_path)
    assert report.counts["frames"] == 614
    assert report.listed == 307
    assert sum(".jpg: " in fault for fault in report.faults) == 307  # the images are empty files
