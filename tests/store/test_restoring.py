"""Restoring from DVC: a remote that is a folder, one that is read by HTTP, a shared cache, and none."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from distillery.errors import UserError
from distillery.store.restoring import restore
from project import Project
from small_workflow import CONFIG, commit, dvc, made


@pytest.fixture(scope="session")
def store(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the finished project has pushed to; not to be changed."""
    folder = tmp_path_factory.mktemp("remote") / "store"
    dvc(finished.root, "remote", "add", "--local", "push", str(folder))
    dvc(finished.root, "push", "--remote", "push")
    return folder


@pytest.fixture
def served(store: Path) -> Iterator[str]:
    """The same folder behind a web server, which only gives."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(store))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def back(clone: Project, **options: object) -> dict[str, Any]:
    return restore("small", config=Path(CONFIG), root=clone.root, **options)  # type: ignore[arg-type]


def test_from_a_folder_all_comes_back_and_the_record_is_written(finished: Project, clone: Project, store: Path) -> None:
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(store))
    record = back(clone)
    assert made(clone.root) == made(finished.root)
    assert (clone.root / "recordings/small/net/crops.safetensors").read_bytes() == b"", "it only saves work"
    assert record.pop("differing") == []
    assert record == json.loads((clone.root / "results/small/store.json").read_text())
    published = json.loads((finished.root / "results/small/store.json").read_text())
    assert record["restored"] is True
    assert published["restored"] is False
    assert record["files"] == published["files"]
    assert record["stored"] == published["stored"]
    assert clone.jobs("--configfile", CONFIG) == {}
    back(clone)  # and again, with nothing left to fetch


def test_a_commit_of_other_code_is_told_which_jobs_it_changes(clone: Project, store: Path) -> None:
    """Though all that is restored is newer than its sources."""
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(store))
    clone.append("src/track.py")
    commit(clone.root, "better tracking")
    assert back(clone)["differing"] == ["src/track.py"]
    assert set(clone.jobs("--configfile", CONFIG)) == {"track", "score", "report", "publish_headline"}


def test_by_http_with_a_named_remote(finished: Project, clone: Project, served: str) -> None:
    dvc(clone.root, "remote", "add", "--local", "web", served)
    back(clone, remote="web")
    assert made(clone.root) == made(finished.root)


def test_without_a_remote_the_cache_is_enough(finished: Project, clone: Project) -> None:
    with pytest.raises(UserError, match=r"dvc checkout.*name the store with `dvc remote add"):
        back(clone)
    dvc(clone.root, "cache", "dir", "--local", str(finished.root / ".dvc/cache"))
    back(clone)
    assert made(clone.root) == made(finished.root)


def test_what_the_store_lost_is_said_and_the_same_call_goes_on(clone: Project, store: Path, tmp_path: Path) -> None:
    partial_store = tmp_path / "partial"
    shutil.copytree(store, partial_store)
    lost = sorted(file for file in partial_store.rglob("*") if file.is_file() and file.suffix != ".dir")[:5]
    for file in lost:
        file.unlink()
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(partial_store))
    with pytest.raises(UserError, match=r"`dvc pull .*` failed"):
        back(clone)
    assert not (clone.root / "results/small/store.json").exists()
    shutil.copytree(store, partial_store, dirs_exist_ok=True)
    back(clone)


def test_a_damaged_store_is_found_out(clone: Project, store: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(store, damaged)
    file = next(file for file in sorted(damaged.rglob("*")) if file.is_file() and b"picture" in file.read_bytes())
    file.chmod(0o644)
    file.write_bytes(b"other")
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(damaged))
    with pytest.raises(UserError, match=r"is not what DVC holds|`dvc pull .*` failed"):
        back(clone)
    assert not (clone.root / "results/small/store.json").exists()


def test_files_that_only_lie_here_are_not_lost(clone: Project, store: Path) -> None:
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(store))
    mine = clone.root / "results/small/report.html"
    mine.parent.mkdir(parents=True)
    mine.write_text("of my own run")
    with pytest.raises(UserError, match=r"`dvc pull .*--force"):
        back(clone)
    assert mine.read_text() == "of my own run"
    back(clone, force=True)
    assert mine.read_text() != "of my own run"


def test_hard_links_are_refused_before_anything_comes(clone: Project, store: Path) -> None:
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(store))
    dvc(clone.root, "config", "--local", "cache.type", "hardlink")
    with pytest.raises(UserError, match=r"write-protect.*cannot rerun"):
        back(clone)
    assert not (clone.root / "data").exists()


def test_while_snakemake_runs_nothing_is_restored(clone: Project) -> None:
    (clone.root / ".snakemake/locks").mkdir(parents=True)
    (clone.root / ".snakemake/locks/0.input.lock").write_text("data/small/a.json")
    with pytest.raises(UserError, match=r"Snakemake is running here, or was killed.*--unlock"):
        back(clone)


@pytest.mark.parametrize("pointer", ["data.dvc", "results/small.dvc"])
def test_a_commit_that_published_nothing_is_named(clone: Project, pointer: str) -> None:
    (clone.root / pointer).unlink()
    commit(clone.root, "unpublished")
    with pytest.raises(UserError, match=rf"{pointer}: does not exist .*restore a bundle"):
        back(clone)


def test_a_profile_needs_its_file(clone: Project) -> None:
    with pytest.raises(UserError, match=r"other.yaml: does not exist"):
        restore("small", config=Path("config/other.yaml"), root=clone.root)
