"""A check from beginning to end with a small reader of its own: report, cache, official counts, absence."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distillery.data import check_run
from distillery.data.check_counts import OFFICIAL
from distillery.data.check_report import CheckOptions, as_json, from_json, lines, markdown, verdict
from distillery.data.check_run import Outcome
from distillery.data.checking import CheckReport, ImageGroup
from distillery.errors import UserError

FULL = CheckOptions()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    (root / "img").mkdir(parents=True)
    for number in (1, 2, 3):
        Image.fromarray(np.full((20, 30, 3), number, np.uint8)).save(root / "img" / f"{number}.png")
    (root / "list.txt").write_text("1\n2\n3\n")
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILLERY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Reader:
    """Reads the list; counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, root: Path) -> CheckReport:
        self.calls += 1
        report = CheckReport("small", root, known={"short": "lists of fewer than four", "long": "never seen"})
        listed = report.attempt(lambda: (root / "list.txt").read_text().split(), needs=root / "list.txt")
        report.counts["sequences"] = len(listed or ())
        report.odd("short", "list.txt", int(len(listed or ()) < 4))
        report.images.append(ImageGroup("img", root / "img", tuple(f"{name}.png" for name in listed or ())))
        return report


def check(root: Path, reader: Callable[[Path], CheckReport], options: CheckOptions = FULL, **more: Any) -> Outcome:
    return check_run.run("small", root, reader, options, modules=("distillery.data.check_run",), **more)


class TestReport:
    def test_the_document(self, root: Path) -> None:
        assert as_json(check(root, Reader()).report, FULL) == {
            "schema": 1,
            "benchmark": "small",
            "ok": True,
            "options": {"images": "full", "counts": "any", "allow_partial": False},
            "counts": {"sequences": 3},
            "expected": {},
            "images": {"listed": 3, "decoded": 3},
            "faults": [],
            "absent": [],
            "notes": [],
            "oddities": {
                "short": {"what": "lists of fewer than four", "seen": 1, "where": ["list.txt"]},
                "long": {"what": "never seen", "seen": 0, "where": []},
            },
        }

    def test_it_is_the_same_wherever_the_data_lie(self, root: Path, tmp_path: Path) -> None:
        (root / "img/2.png").write_bytes(b"")
        (root / "img/3.png").unlink()
        shutil.copytree(root, tmp_path / "elsewhere/copy")
        texts = []
        for place in (root, tmp_path / "elsewhere/copy"):
            report = check(place, Reader()).report
            texts.append(json.dumps(as_json(report, FULL), sort_keys=True))
            assert report.faults == ["img/2.png: is not a JPEG or PNG image.", "img/3.png: does not exist."]
        assert texts[0] == texts[1] and str(tmp_path) not in texts[0]

    def test_there_and_back(self, root: Path) -> None:
        (root / "img/2.png").unlink()
        report = check(root, Reader(), CheckOptions(allow_partial=True)).report
        document = json.loads(json.dumps(as_json(report, FULL)))
        assert as_json(from_json(document, root), FULL) == as_json(report, FULL)

    def test_for_people(self, root: Path) -> None:
        (root / "img/2.png").unlink()
        report = check(root, Reader()).report
        text = list(lines(report, FULL))
        assert "sequences: 3" in text and "images: 2 of 3 decoded (full)" in text
        assert "oddity: short (1): lists of fewer than four [list.txt]" in text
        assert "fault: img/2.png: does not exist." in text
        assert not any("never seen" in line for line in text)
        assert verdict(report) == f"{root}: 1 fault"
        page = markdown(report, FULL)
        assert page.startswith("# Check of small\n") and "- img/2.png: does not exist." in page
        assert "| short | 1 | lists of fewer than four | list.txt |" in page

    def test_of_many_faults_the_first_are_shown(self, root: Path) -> None:
        report = CheckReport("small", root, faults=[f"fault {i}" for i in range(50)])
        assert sum(line.startswith("fault: fault") for line in lines(report, FULL)) == 20
        assert list(lines(report, FULL))[-1] == "fault: 30 more"
        assert sum(line.startswith("fault: ") for line in lines(report, FULL, whole=True)) == 50

    def test_hostile_names_stay_on_one_printable_line(self, root: Path) -> None:
        name = b"img/a\nb\x1b[2J\xff.png"
        (Path(os.fsdecode(bytes(root) + b"/" + name))).write_bytes(b"")
        os.symlink("nowhere", os.fsdecode(bytes(root) + b"/gone\nlink"))
        report = check(root, Reader()).report
        assert report.faults == ["gone\\nlink: is a link to a file that does not exist."]
        json.dumps(as_json(report, FULL)).encode()


class TestFaults:
    def test_a_reader_that_gives_up_is_a_fault(self, root: Path) -> None:
        def reader(root: Path) -> CheckReport:
            raise UserError("is odd", file=root / "list.txt", remedy="mend it")

        report = check(root, reader).report
        assert report.faults == ["list.txt: is odd; mend it."] and report.counts == {}

    def test_a_forbidden_file_is_a_fault(self, root: Path) -> None:
        def reader(root: Path) -> CheckReport:
            raise PermissionError(13, "Permission denied", str(root / "list.txt"))

        assert check(root, reader).report.faults == ["list.txt: cannot be read (Permission denied)."]

    def test_a_fault_of_ours_is_not_hidden(self, root: Path) -> None:
        def reader(root: Path) -> CheckReport:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            check(root, reader)

    @pytest.mark.parametrize("kind", ["absent", "file"])
    def test_a_root_must_be_a_folder(self, tmp_path: Path, kind: str) -> None:
        if kind == "file":
            (tmp_path / "set").touch()
        words = "is not a folder" if kind == "file" else "does not exist"
        with pytest.raises(UserError, match=f"{words}; pass the folder that holds small"):
            check(tmp_path / "set", Reader())

    def test_links_without_end(self, root: Path) -> None:
        (root / "img" / "around").symlink_to(root)
        assert check(root, Reader()).report.faults == ["img/around: is a link to a folder around it, which has no end."]

    def test_what_an_unknown_oddity_needs(self, root: Path) -> None:
        report = CheckReport("small", root)
        with pytest.raises(KeyError, match="'strange' is no known oddity of small"):
            report.odd("strange")
        for _ in range(5):
            report.odd("strange", f"place {_}", 2, what="a sentence")
        assert (report.oddities["strange"].seen, len(report.oddities["strange"].where)) == (10, 3)


class TestAbsence:
    def test_it_is_a_fault_unless_allowed(self, root: Path) -> None:
        (root / "img/2.png").unlink()
        (root / "img/3.png").write_bytes(b"")
        assert len(check(root, Reader()).report.faults) == 2
        report = check(root, Reader(), CheckOptions(allow_partial=True)).report
        assert report.faults == ["img/3.png: is not a JPEG or PNG image."]
        assert report.absent == ["img/2.png: does not exist."]
        assert "absent: img/2.png: does not exist." in list(lines(report, FULL))
        assert verdict(report) == f"{root}: 1 fault, 1 absence allowed"

    def test_where_nothing_is_there_it_stays_a_fault(self, tmp_path: Path) -> None:
        def reader(root: Path) -> CheckReport:
            report = CheckReport("small", root, {"expected": 3, "missing": 3, "sequences": 0})
            report.missing(f"{root}: holds nothing.")
            return report

        assert not check(tmp_path, reader, CheckOptions(allow_partial=True)).report.ok

    def test_many_are_one_sentence(self, root: Path) -> None:
        (root / "list.txt").write_text("\n".join(str(number) for number in range(1, 101)))
        (fault,) = check(root, Reader()).report.faults
        assert fault == "img: 97 images are not there: 10.png, 100.png, 11.png and 94 more."


class TestCounts:
    @pytest.fixture(autouse=True)
    def official(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(OFFICIAL, "small", {"sequences": ((3, 4), "its authors")})

    @pytest.mark.parametrize(("found", "faults", "absent"), [(2, 1, 1), (3, 0, 0), (4, 0, 0), (5, 1, 0)])
    def test_fewer_is_absence_and_more_a_fault(self, root: Path, found: int, faults: int, absent: int) -> None:
        def reader(root: Path) -> CheckReport:
            return CheckReport("small", root, {"sequences": found})

        report = check(root, reader, CheckOptions(counts="official")).report
        assert (len(report.faults), len(report.absent)) == (faults, absent)
        assert report.expected == {"sequences": (3, 4)}
        assert f"sequences: {found} (official: 3 or 4)" in list(lines(report, FULL))
        if faults:
            assert report.faults[0] == f"the root: holds {found} sequences, the official set 3 or 4 (its authors)."
        assert check(root, reader).report.ok

    def test_a_set_without_official_counts(self, root: Path) -> None:
        report = check_run.run("other", root, lambda root: CheckReport("other", root), CheckOptions(counts="official"))
        assert report.report.notes == ["no official counts of other are known"]


class TestCache:
    def test_the_second_check_of_an_unchanged_root_reads_nothing(self, root: Path, cache: Path) -> None:
        reader = Reader()
        (root / "img/2.png").unlink()
        first, second = check(root, reader), check(root, reader)
        assert (reader.calls, first.cached, second.cached) == (1, False, True)
        assert as_json(first.report, FULL) == as_json(second.report, FULL)
        assert list(lines(first.report, FULL)) == list(lines(second.report, FULL))
        assert second.entry is not None and second.entry.is_relative_to(cache)

    @pytest.mark.parametrize("change", ["bytes", "added", "removed", "touched"])
    def test_any_change_is_checked(self, root: Path, cache: Path, change: str) -> None:
        reader = Reader()
        check(root, reader)
        file = root / "img/2.png"
        if change == "bytes":
            state = file.stat()
            file.write_bytes(bytes(reversed(file.read_bytes())))
            os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
        elif change == "added":
            (root / "img/4.png").touch()
        elif change == "removed":
            file.unlink()
        else:
            file.touch()
        outcome = check(root, reader)
        assert not outcome.cached and reader.calls == 2
        assert outcome.report.ok == (change in ("added", "touched"))
        assert check(root, reader).cached and len(list(cache.rglob("*.json"))) == 1

    def test_other_options_are_other_checks(self, root: Path, cache: Path) -> None:
        reader = Reader()
        for options in (FULL, CheckOptions(images="none"), CheckOptions(allow_partial=True)):
            assert not check(root, reader, options).cached
            assert check(root, reader, options).cached
        assert reader.calls == 3

    def test_other_code_is_another_check(self, root: Path, cache: Path) -> None:
        reader = Reader()
        check(root, reader)
        other = ("distillery.data.check_run", "distillery.data.manifest")
        assert not check_run.run("small", root, reader, FULL, modules=other).cached

    def test_on_request_it_is_not_asked(self, root: Path, cache: Path) -> None:
        reader = Reader()
        assert not check(root, reader).cached and not check(root, reader, fresh=True).cached
        assert check(root, reader).cached and reader.calls == 2

    @pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"key": 1, "report": 2}', "cut", "other"])
    def test_a_damaged_entry_is_none(self, root: Path, cache: Path, damage: str) -> None:
        reader = Reader()
        entry = check(root, reader).entry
        assert entry is not None
        whole = json.loads(entry.read_text())
        if damage == "cut":
            del whole["report"]["oddities"]
            damage = json.dumps(whole)
        elif damage == "other":
            whole["report"]["schema"] = 0
            damage = json.dumps(whole)
        entry.write_text(damage)
        assert not check(root, reader).cached and reader.calls == 2
        assert check(root, reader).cached

    def test_without_a_cache_all_goes_on(self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = Reader()
        (tmp_path / "file").touch()
        for place in ("", str(tmp_path / "file" / "below")):
            monkeypatch.setenv("DISTILLERY_CACHE", place)
            for _ in range(2):
                outcome = check(root, reader)
                assert outcome.report.ok and not outcome.cached and outcome.entry is None
        assert reader.calls == 4

    def test_nothing_is_written_into_the_dataset(self, root: Path, cache: Path) -> None:
        before = sorted(root.rglob("*"))
        check(root, Reader())
        assert sorted(root.rglob("*")) == before

    def test_a_set_that_changes_while_it_is_checked(self, root: Path, cache: Path) -> None:
        def reader(root: Path) -> CheckReport:
            (root / "late.txt").touch()
            return Reader()(root)

        outcome = check(root, reader)
        assert outcome.entry is None and not list(cache.rglob("*.json"))
        assert outcome.report.faults == [
            "the root: changed while it was being checked; check it again when it is complete."
        ]
