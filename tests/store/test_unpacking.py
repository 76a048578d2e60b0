"""Bundles that come back, that are damaged or hostile, and calls that are cut off."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillery.errors import UserError
from distillery.store import bundles, unpacking
from project import REPOSITORY, Project, environment
from small_workflow import CONFIG, git, made

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture(scope="session")
def bundle(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "small.tar.gz"
    bundles.write("small", out, config=Path(CONFIG), root=finished.root)
    return out


def untouched(clone: Project) -> bool:
    """Nothing of a profile, nothing changed, nothing left aside."""
    own = [clone.root / name for name in ("data", "checkpoints", "results/small", ".dvc/tmp/restore", ".snakemake")]
    return not any(folder.exists() for folder in own) and git(clone.root, "status", "--porcelain") == ""


def test_it_comes_back_and_nothing_is_to_be_done(finished: Project, clone: Project, bundle: Path) -> None:
    manifest, record = unpacking.restore(bundle, root=clone.root)
    assert manifest.profile == "small"
    assert made(clone.root) == made(finished.root)
    assert record["restored"] is True
    assert clone.jobs("--configfile", CONFIG) == {}
    assert git(clone.root, "status", "--porcelain") == "", "the pointers are those that were committed"
    # Its prediction and what follows from it are made again, and are the same bytes.
    lost = [clone.root / "results/small/predictions/a", clone.root / "results/small/metrics/a"]
    for folder in lost:
        shutil.rmtree(folder)
    table = clone.root / "results/small/tables/table.csv"
    before = table.read_bytes()
    table.unlink()
    assert clone.jobs(str(table.relative_to(clone.root)), "--configfile", CONFIG) == {
        "track": 1,
        "score": 1,
        "report": 1,
    }
    clone.snakemake(str(table.relative_to(clone.root)), "--configfile", CONFIG)
    assert table.read_bytes() == before
    assert made(clone.root) == made(finished.root)
    unpacking.restore(bundle, root=clone.root)  # over itself


def test_other_code_is_refused_unless_forced(clone: Project, bundle: Path) -> None:
    (clone.root / "docs").mkdir()
    (clone.root / "docs/a.md").write_text("a later commit that changes no result")
    assert origin_of(bundle) in git(clone.root, "log", "--format=%H")
    source = clone.root / "src/train.py"
    source.write_text(source.read_text() + "# edited\n")
    with pytest.raises(
        UserError, match=rf"made by commit {origin_of(bundle)}; 1 of the files .* src/train.py.*--force"
    ):
        unpacking.restore(bundle, root=clone.root)
    assert not (clone.root / "data").exists()
    _, record = unpacking.restore(bundle, root=clone.root, force=True)
    assert record["differing"] == ["src/train.py"]
    jobs = clone.jobs("--configfile", CONFIG)
    assert jobs["train"] == 8
    assert "dataset" not in jobs


def origin_of(bundle: Path) -> str:
    return str(bundles.read(bundle).commit)


def test_files_of_other_content_are_not_lost(finished: Project, clone: Project, bundle: Path) -> None:
    mine = clone.root / "results/small/report.html"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match=r"report.html: is not as in small.tar.gz.*would be lost.*--force"):
        unpacking.restore(bundle, root=clone.root)
    assert mine.read_text() == "mine"
    assert not (clone.root / "data").exists()
    unpacking.restore(bundle, root=clone.root, force=True)
    assert made(clone.root) == made(finished.root)


@pytest.mark.usefixtures("any_cache")
def test_the_profile_can_be_asked_for(clone: Project, bundle: Path) -> None:
    with pytest.raises(UserError, match="is a bundle of profile small, not of mini"):
        unpacking.restore(bundle, profile="mini", root=clone.root)


def test_hard_links_are_refused(clone: Project, bundle: Path) -> None:
    (clone.root / ".dvc/config.local").write_text("[cache]\n    type = hardlink\n")
    with pytest.raises(UserError, match="write-protect"):
        unpacking.restore(bundle, root=clone.root)
    assert untouched(clone)


def members(bundle: Path) -> list[Member]:
    with tarfile.open(bundle) as archive:
        return [(info, stream.read()) for info in archive if (stream := archive.extractfile(info)) is not None]


def packed(out: Path, content: list[Member]) -> Path:
    with tarfile.open(out, "w:gz", compresslevel=1) as archive:
        for info, data in content:
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out


def edit(name: str, data: bytes) -> Callable[[list[Member]], list[Member]]:
    return lambda content: [(info, data if info.name == name else old) for info, old in content]


def manifest_with(change: Callable[[dict[str, Any]], Any]) -> Callable[[list[Member]], list[Member]]:
    """The manifest changed; and, where a row of a file is renamed, its member with it."""

    def changed(content: list[Member]) -> list[Member]:
        manifest = json.loads(content[0][1])
        change(manifest)
        return [(content[0][0], json.dumps(manifest).encode()), *content[1:]]

    return changed


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def renamed(new: str) -> Callable[[list[Member]], list[Member]]:
    """A bundle whose manifest agrees that a file lies elsewhere."""

    def changed(content: list[Member]) -> list[Member]:
        manifest = json.loads(content[0][1])
        manifest["files"][new] = manifest["files"].pop(REPORT)
        for info, _ in content:
            info.name = new if info.name == REPORT else info.name
        return [(content[0][0], json.dumps(manifest).encode()), *content[1:]]

    return changed


REPORT, ODD = "results/small/report.html", "does not hold what its manifest says"
ATTACKS: dict[str, tuple[Callable[[list[Member]], list[Member]], str]] = {
    "a changed file": (edit(REPORT, b"better numbers"), ODD),
    "a changed data image of equal size": (edit("data/small/a/0.jpg", b"x" * 600), ODD),
    "a missing file": (lambda content: [row for row in content if row[0].name != REPORT], ODD),
    "a further file": (lambda content: [*content, (tarfile.TarInfo("data/small/z"), b"")], ODD),
    "a name that climbs out": (renamed("results/small/../../../escaped"), "which is no file of profile"),
    "an absolute name": (renamed("/tmp/escaped"), "which is no file of profile"),
    "a source file": (renamed("src/train.py"), "which is no file of profile"),
    "a git hook": (renamed(".git/hooks/post-checkout"), "which is no file of profile"),
    "a link": (lambda content: [*content, (link("data/small/l", "/etc"), b"")], "holds the link"),
    "the same name twice": (lambda content: [*content, content[1]], "twice|more than"),
    "more bytes than it says": (
        lambda content: [*content, (tarfile.TarInfo("data/small/bomb"), bytes(10**8))],
        "unpacks to more than",
    ),
    "no records": (manifest_with(lambda manifest: manifest["files"].pop(bundles.RECORDS)), "no records"),
    "records of others": (edit(bundles.RECORDS, b"x"), ODD),
    "a profile with a path": (manifest_with(lambda manifest: manifest.update(profile="../x")), "not the name of"),
    "another format": (manifest_with(lambda manifest: manifest.update(format=9)), "of format 9"),
    "negative sizes": (manifest_with(lambda manifest: manifest["files"][REPORT].__setitem__(2, -1)), "negative"),
    "a petabyte": (manifest_with(lambda manifest: manifest["files"][REPORT].__setitem__(2, 10**15)), "are free"),
    "a manifest that is a list": (edit(bundles.MANIFEST, b"[]"), "not a whole bundle"),
    "a manifest too deep": (edit(bundles.MANIFEST, b"[" * 100_000), "not a whole bundle"),
    "no manifest": (lambda content: content[1:], "its first member is no manifest"),
}


@pytest.fixture
def any_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC is not asked for its settings, of which other tests are: it takes its time to start."""
    monkeypatch.setattr(unpacking.preflight, "check", lambda root: {})


@pytest.mark.usefixtures("any_cache")
@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_and_damaged_bundles_are_refused(clone: Project, bundle: Path, tmp_path: Path, attack: str) -> None:
    change, problem = ATTACKS[attack]
    hostile = packed(tmp_path / "hostile.tar.gz", change(members(bundle)))
    with pytest.raises(UserError, match=problem):
        unpacking.restore(hostile, root=clone.root)
    assert untouched(clone)
    assert not list(tmp_path.glob("escaped*"))


@pytest.mark.usefixtures("any_cache")
@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.9])
def test_a_bundle_that_was_cut_off_is_refused(clone: Project, bundle: Path, tmp_path: Path, kept: float) -> None:
    whole = bundle.read_bytes()
    short = tmp_path / "short.tar.gz"
    short.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(UserError, match="not a whole"):
        unpacking.restore(short, root=clone.root)
    assert untouched(clone)


@pytest.mark.usefixtures("any_cache")
def test_what_is_no_bundle_is_refused(clone: Project, tmp_path: Path) -> None:
    for content in (b"text", gzip.compress(b"text" * 1000)):
        (tmp_path / "text.tar.gz").write_bytes(content)
        with pytest.raises(UserError, match="is not a whole bundle"):
            unpacking.restore(tmp_path / "text.tar.gz", root=clone.root)
    with pytest.raises(UserError, match="does not exist"):
        unpacking.restore(tmp_path / "none.tar.gz", root=clone.root)


def started(clone: Project, bundle: Path, program: str = "", **options: Any) -> subprocess.Popen[str]:
    """`distillery restore --bundle`, with a program that runs before."""
    code = f"import sys\n{program}\nfrom distillery.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, "restore", "--bundle", str(bundle)],
        cwd=clone.root,
        env=environment() | {"PYTHONPATH": str(REPOSITORY / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


SLOW = """
import os, time
from distillery.store import unpacking
real = {function}
def slow(*arguments, **options):
    time.sleep(0.02)
    return real(*arguments, **options)
{function} = slow
"""


@pytest.mark.parametrize(
    ("function", "seen"), [("unpacking.publishing.described", ".dvc/tmp/restore/tree"), ("unpacking._place", "data")]
)
def test_killed_at_any_time_the_same_command_goes_on(
    finished: Project, clone: Project, bundle: Path, function: str, seen: str
) -> None:
    process = started(clone, bundle, SLOW.format(function=function))
    until = time.monotonic() + 60
    while not (clone.root / seen).exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not (clone.root / "results/small/store.json").exists() or seen == "data"
    again = started(clone, bundle)
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert made(clone.root) == made(finished.root)
    assert not (clone.root / ".dvc/tmp/restore").exists()


def test_a_full_disk_loses_nothing(finished: Project, clone: Project, tmp_path: Path) -> None:
    large = tmp_path / "large"
    shutil.copytree(finished.root, large, symlinks=True)
    weights = large / "checkpoints/small/tracking/net/a/seed0.safetensors"
    weights.write_bytes(os.urandom(200_000))
    from distillery.store.publishing import publish

    publish("small", large / "results/small/store.json", root=large)
    bundles.write("small", tmp_path / "large.tar.gz", config=Path(CONFIG), root=large)

    def limit() -> None:  # the system's own way to say that there is no room for a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    process = started(clone, tmp_path / "large.tar.gz", preexec_fn=limit)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no space left on the disk" in said
    assert "Traceback" not in said
    assert untouched(clone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        with pytest.raises(UserError, match="are free"):
            unpacking.restore(tmp_path / "large.tar.gz", root=clone.root)
    assert untouched(clone)
    unpacking.restore(tmp_path / "large.tar.gz", root=clone.root)
    assert made(clone.root) == made(large)


@pytest.mark.usefixtures("any_cache")
def test_two_at_once_do_not_meet(clone: Project, bundle: Path) -> None:
    with (
        unpacking._alone(clone.root / ".dvc/tmp/restore"),
        pytest.raises(UserError, match="is in use by another restore"),
    ):
        unpacking.restore(bundle, root=clone.root)
