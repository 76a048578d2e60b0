from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from distillery.data.download import Patience, download
from distillery.data.partial import Part
from distillery.errors import UserError
from web_server import Fault, Site

BODY = random.Random(1).randbytes(1_000_000)
OTHER = random.Random(2).randbytes(1_000_000)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        running.content["/a.zip"] = BODY
        yield running


class Waits:
    """Patience that waits for nothing and remembers how long it should have."""

    def __init__(self, **more: Any) -> None:
        self.seconds: list[float] = []
        told: dict[str, Any] = {"attempts": 3, "wait": 1.0, "stall": 0.4, "connect": 5.0, "sleep": self.seconds.append}
        self.patience = Patience(**(told | more))


def get(site: Site, target: Path, *paths: str, **more: Any) -> str:
    waits = more.pop("waits", None) or Waits()
    return download([site.url + path for path in paths or ("/a.zip",)], target, patience=waits.patience, **more)


def spans(site: Site) -> list[str | None]:
    return [span for _, span, _ in site.asked]


class TestOneFile:
    def test_is_whole_and_alone(self, site: Site, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        url = get(site, tmp_path / "new" / "a.zip", progress=lambda *counts: seen.append(counts))
        assert url == site.url + "/a.zip"
        assert (tmp_path / "new" / "a.zip").read_bytes() == BODY
        assert seen[-1] == (len(BODY), len(BODY))
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.zip", "a.zip.part.json"]
        assert Part(tmp_path / "new" / "a.zip").url == url

    def test_a_file_that_is_there_is_not_asked_for(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(b"mine")
        assert get(site, tmp_path / "a.zip") == ""
        assert site.asked == []
        assert (tmp_path / "a.zip").read_bytes() == b"mine"

    def test_without_a_length(self, site: Site, tmp_path: Path) -> None:
        site.chunked = True
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == BODY

    def test_an_empty_file(self, site: Site, tmp_path: Path) -> None:
        site.content["/a.zip"] = b""
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == b""

    def test_redirects_are_followed_to_their_end(self, site: Site, tmp_path: Path) -> None:
        site.faults["/moved"] = [Fault(302, {"Location": "/a.zip"})]
        get(site, tmp_path / "a.zip", "/moved")
        assert (tmp_path / "a.zip").read_bytes() == BODY
        site.faults["/circle"] = [Fault(302, {"Location": "/circle"})] * 40
        with pytest.raises(UserError, match=r"circle leads nowhere safe \(Exceeded 30 redirects"):
            get(site, tmp_path / "b.zip", "/circle")


class TestBrokenConnections:
    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_truncated_answer_is_gone_on_with(self, site: Site, tmp_path: Path, chunked: bool) -> None:
        site.chunked = chunked
        site.faults["/a.zip"] = [Fault(cut=300_000), Fault(cut=200_000), Fault(cut=1)]
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == BODY
        if not chunked:
            assert spans(site) == [None, "bytes=300000-", "bytes=500000-", "bytes=500001-"]

    def test_a_stalled_answer_is_gone_on_with(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(cut=300_000, stall=2.0)]
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == BODY
        assert spans(site) == [None, "bytes=300000-"]

    def test_a_server_that_sends_a_byte_now_and_then_is_stalled_too(self, site: Site, tmp_path: Path) -> None:
        site.content["/a.zip"] = b"x" * 5000
        site.faults["/a.zip"] = [Fault(cut=10, stall=3.0, drip=0.05)]
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == b"x" * 5000
        assert len(site.asked) == 2
        assert site.asked[1][1] is not None

    def test_progress_gives_new_patience_and_none_ends_it(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(cut=100) for _ in range(8)]
        get(site, tmp_path / "a.zip")  # eight failures, each after new bytes
        assert (tmp_path / "a.zip").read_bytes() == BODY
        waits = Waits()
        site.faults["/a.zip"] = [Fault(cut=100), *[Fault(cut=0) for _ in range(9)]]
        with pytest.raises(UserError, match=r"broke the connection .*, 3 times in a row.*100 bytes are kept"):
            get(site, tmp_path / "b.zip", waits=waits)
        assert waits.seconds == [1.0, 2.0]
        site.faults.clear()
        get(site, tmp_path / "b.zip")
        assert spans(site)[-1] == "bytes=100-"
        assert (tmp_path / "b.zip").read_bytes() == BODY

    def test_a_server_that_announces_more_than_it_has(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(headers={"Content-Length": str(len(BODY) + 10)}, cut=len(BODY))] * 1
        site.faults["/a.zip"] += [Fault(status=416, headers={"Content-Range": f"bytes */{len(BODY)}"})]
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == BODY

    def test_a_server_that_announces_less_than_it_has(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(headers={"Content-Length": "1000"})]
        with pytest.raises(UserError, match="offers 1,000 bytes instead of 1,000,000"):
            get(site, tmp_path / "a.zip", size=len(BODY))
        assert not (tmp_path / "a.zip").exists()

    def test_nobody_there(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/a\.zip broke the connection"):
            download(["http://127.0.0.1:9/a.zip"], tmp_path / "a.zip", patience=Waits().patience)
        assert list(tmp_path.iterdir()) == []


class TestVersions:
    """A part is only ever joined to the rest of its own version."""

    @pytest.mark.parametrize("validators", [{"ETag", "Last-Modified"}, {"Last-Modified"}, set()])
    @pytest.mark.parametrize("ranges", [True, False])
    def test_changed_content_is_taken_from_its_beginning(
        self, site: Site, tmp_path: Path, validators: set[str], ranges: bool
    ) -> None:
        site.validators, site.ranges = validators, ranges
        site.faults["/a.zip"] = [Fault(cut=300_000)] * 3
        with pytest.raises(UserError):
            get(site, tmp_path / "a.zip", waits=Waits(attempts=1))
        assert Part(tmp_path / "a.zip").length == 300_000
        site.faults.clear()
        site.content["/a.zip"] = OTHER
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == OTHER

    def test_a_server_that_ignores_the_condition_is_seen_through(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(cut=300_000)]
        with pytest.raises(UserError):
            get(site, tmp_path / "a.zip", waits=Waits(attempts=1))
        site.conditions = False
        site.content["/a.zip"] = OTHER
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == OTHER
        assert spans(site) == [None, "bytes=300000-", None]

    def test_a_server_without_ranges_starts_anew(self, site: Site, tmp_path: Path) -> None:
        site.ranges = False
        site.faults["/a.zip"] = [Fault(cut=300_000)]
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == BODY

    def test_a_whole_part_needs_no_server(self, site: Site, tmp_path: Path) -> None:
        get(site, tmp_path / "a.zip")
        os.rename(tmp_path / "a.zip", tmp_path / "a.zip.part")  # killed before it got its name
        asked = len(site.asked)
        get(site, tmp_path / "a.zip")
        assert len(site.asked) == asked
        assert (tmp_path / "a.zip").read_bytes() == BODY

    @pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'{"size": "x"}', None])
    def test_a_part_of_nobody_knows_what_is_not_used(self, site: Site, tmp_path: Path, note: bytes | None) -> None:
        (tmp_path / "a.zip.part").write_bytes(OTHER[:500])
        if note is not None:
            (tmp_path / "a.zip.part.json").write_bytes(note)
        get(site, tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == BODY


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "words"),
        [(403, r"refuses \(403\)"), (404, "has no such file"), (401, "wants a log-in"), (400, "answered 400")],
    )
    def test_are_told_at_once(self, site: Site, tmp_path: Path, status: int, words: str) -> None:
        site.faults["/a.zip"] = [Fault(status)]
        with pytest.raises(UserError, match=f"a.zip {words}.*get the file elsewhere and put it there"):
            get(site, tmp_path / "a.zip")
        assert len(site.asked) == 1
        assert not list(tmp_path.iterdir())

    def test_a_page_in_place_of_the_file(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<html>log in")]
        with pytest.raises(UserError, match="gives a web page instead of the file"):
            get(site, tmp_path / "a.zip")

    @pytest.mark.parametrize("status", [500, 502, 503, 429])
    def test_a_busy_server_is_asked_again(self, site: Site, tmp_path: Path, status: int) -> None:
        waits = Waits()
        date = formatdate(time.time() + 100, usegmt=True)
        site.faults["/a.zip"] = [Fault(status, {"Retry-After": "17"}), Fault(status, {"Retry-After": date})]
        get(site, tmp_path / "a.zip", waits=waits)
        assert (tmp_path / "a.zip").read_bytes() == BODY
        assert waits.seconds[0] == 17
        assert 95 < waits.seconds[1] <= 100

    def test_a_server_that_wants_a_day_is_not_given_it(self, site: Site, tmp_path: Path) -> None:
        waits = Waits()
        site.faults["/a.zip"] = [Fault(503, {"Retry-After": "86400"}), Fault(503, {"Retry-After": "soon"})]
        get(site, tmp_path / "a.zip", waits=waits)
        assert waits.seconds == [300.0, 2.0]


class TestMirrors:
    def test_come_in_their_order(self, site: Site, tmp_path: Path) -> None:
        site.faults["/gone"] = [Fault(404)]
        site.faults["/busy"] = [Fault(500)] * 3
        url = get(site, tmp_path / "a.zip", "/gone", "/busy", "/a.zip", "/never")
        assert url == site.url + "/a.zip"
        assert [path for path, _, _ in site.asked] == ["/gone", "/busy", "/busy", "/busy", "/a.zip"]

    def test_all_reasons_are_told(self, site: Site, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"/x has no such file \(404\); .*/y has no such file \(404\)"):
            get(site, tmp_path / "a.zip", "/x", "/y")

    def test_another_address_begins_anew_unless_a_hash_is_known(self, site: Site, tmp_path: Path) -> None:
        for known, span in ((False, None), (True, "bytes=300000-")):
            site.asked.clear()
            site.content["/mirror"] = BODY
            site.faults["/a.zip"] = [Fault(cut=300_000), Fault(404)]
            target = tmp_path / f"{known}.zip"
            url = get(site, target, "/a.zip", "/mirror", verified=known)
            assert target.read_bytes() == BODY
            assert site.asked[-1][:2] == ("/mirror", span)
            assert url.endswith("/mirror" if not known else "/a.zip")

    def test_a_dead_host_is_waited_for_once(self, site: Site, tmp_path: Path) -> None:
        waits = Waits()
        for name in "ab":
            site.content[f"/{name}"] = BODY
            urls = [f"http://127.0.0.1:9/{name}", f"{site.url}/{name}"]
            download(urls, tmp_path / name, patience=waits.patience)
        assert len(waits.seconds) == 2  # of three attempts, for the first file alone

    def test_a_file_of_another_size_is_not_begun(self, site: Site, tmp_path: Path) -> None:
        site.content["/mirror"] = BODY[:-1]
        url = get(site, tmp_path / "a.zip", "/mirror", "/a.zip", size=len(BODY))
        assert url.endswith("/a.zip")


SCRIPT = """
import sys
from pathlib import Path
from distillery.data.download import Patience, download
from distillery.errors import UserError
try:
    download([sys.argv[1]], Path(sys.argv[2]), patience=Patience(attempts=1))
except UserError as error:
    sys.exit(str(error))
"""


class TestEndings:
    def test_a_killed_download_is_gone_on_with(self, site: Site, tmp_path: Path) -> None:
        site.pause = lambda path: time.sleep(0.05)
        target = tmp_path / "a.zip"
        child = subprocess.Popen([sys.executable, "-c", SCRIPT, f"{site.url}/a.zip", str(target)])
        while Part(target).length < 200_000:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        kept = Part(target).length
        assert 200_000 <= kept < len(BODY)
        site.pause = lambda path: None
        get(site, target)
        assert target.read_bytes() == BODY
        assert spans(site) == [None, f"bytes={kept}-"]

    def test_a_full_disk_keeps_what_has_arrived(self, site: Site, tmp_path: Path) -> None:
        def narrow() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

        target = tmp_path / "a.zip"
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, f"{site.url}/a.zip", str(target)],
            preexec_fn=narrow,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "a.zip.part: no space left on the disk; what has arrived is kept; free some space" in done.stderr
        assert Part(target).length == 400_000
        get(site, target)
        assert target.read_bytes() == BODY
        assert spans(site)[-1] == "bytes=400000-"

    def test_room_is_asked_for_first(self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = type("Usage", (), {"free": 999_999})
        monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
        with pytest.raises(UserError, match=r"needs 1\.0 MB, and 1000\.0 kB are free on this disk; free some space"):
            get(site, tmp_path / "a.zip")
        assert Part(tmp_path / "a.zip").length == 0

    def test_the_note_says_which_version(self, site: Site, tmp_path: Path) -> None:
        site.faults["/a.zip"] = [Fault(cut=10)]
        with pytest.raises(UserError):
            get(site, tmp_path / "a.zip", waits=Waits(attempts=1))
        note = json.loads((tmp_path / "a.zip.part.json").read_text())
        assert note["url"] == f"{site.url}/a.zip"
        assert note["size"] == len(BODY)
        assert note["etag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
