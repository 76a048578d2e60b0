from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery.config.registry import load_registry
from distillery.data.acquisition import Fetched, fetch
from distillery.data.download import Patience
from distillery.data.pins import Pins
from distillery.data.registry_report import missing
from distillery.errors import UserError
from web_server import Fault, Site

NOISE = random.Random(4).randbytes(400_000)


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content)
    return stream.getvalue()


def dog(name: str) -> dict[str, bytes]:
    return {f"{name}/img/0001.jpg": NOISE, f"{name}/groundtruth_rect.txt": b"1,2,3,4\n"}


def row(**own: Any) -> dict[str, Any]:
    """A row of the register, of a set whose sequences are Dog and Cat unless told otherwise."""
    told = {"title": "Pets-2", "used_for": "tests", "page": "https://pets.example", "access": "open", "licence": "none"}
    told |= {"amount": "1 MB", "marks": ["Dog/img", "Cat/groundtruth_rect.txt"], "layout": "NAME/img", "counts": {}}
    return told | {"unverified": "nothing"} | own


class Desk:
    """A project's folder with a register, and a web site beside it."""

    def __init__(self, root: Path, site: Site) -> None:
        self.root, self.site = root, site
        self.registry = root / "config" / "datasets.yaml"
        self.folder = root / "datasets"
        self.registry.parent.mkdir(parents=True)
        self.waits: list[float] = []

    def register(self, **rows: dict[str, Any]) -> None:
        self.registry.write_text(yaml.safe_dump(rows))

    def pets(self, **own: Any) -> None:
        """The open set of two archives."""
        self.site.content |= {f"/{name}.zip": zipped(dog(name)) for name in ("Dog", "Cat")}
        archive = {"name": "{each}.zip", "urls": [self.site.url + "/{each}.zip"], "each": ["Dog", "Cat"]}
        self.register(pets=row(archives=[archive], **own))

    def fetch(self, name: str = "pets", **more: Any) -> Fetched:
        patience = Patience(attempts=2, stall=1.0, sleep=self.waits.append)
        return fetch(
            name,
            self.folder,
            registry=load_registry(self.registry),
            pins=Pins(self.registry),
            **({"patience": patience} | more),
        )

    def tree(self, name: str = "pets") -> dict[str, bytes]:
        root = self.folder / name
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def marker(self, name: str = "pets") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / f"{name}.fetched.json").read_text())
        return content

    def pins(self) -> Any:
        return json.loads(self.registry.with_suffix(".lock.json").read_text())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Site() as site:
        yield Desk(tmp_path / "project", site)


PETS = dog("Dog") | dog("Cat")


class TestFromTheWeb:
    def test_a_set_of_several_archives(self, desk: Desk) -> None:
        desk.pets()
        found = desk.fetch("Pets 2")
        assert found.root == desk.folder / "pets"
        assert desk.tree() == PETS
        assert desk.left() == ["pets", "pets.fetched.json"]
        marker = desk.marker()
        digests = {f"{name}.zip": hashlib.sha256(zipped(dog(name))).hexdigest() for name in ("Dog", "Cat")}
        assert {name: told["sha256"] for name, told in marker["archives"].items()} == digests
        assert (marker["files"], marker["bytes"]) == (4, sum(map(len, PETS.values())))
        assert {name: pin["sha256"] for name, pin in desk.pins()["pets"].items()} == digests

    def test_the_second_time_nothing_is_done(self, desk: Desk) -> None:
        desk.pets()
        desk.fetch()
        marker = (desk.folder / "pets.fetched.json").read_bytes()
        asked = len(desk.site.asked)
        assert desk.fetch().done == "is there already, nothing to do"
        assert len(desk.site.asked) == asked
        assert (desk.folder / "pets.fetched.json").read_bytes() == marker

    def test_archives_are_kept_on_demand(self, desk: Desk) -> None:
        desk.pets()
        desk.fetch(keep=True)
        assert (desk.folder / "downloads" / "pets" / "Dog.zip").read_bytes() == zipped(dog("Dog"))

    def test_a_failure_in_the_middle_is_gone_on_with(self, desk: Desk) -> None:
        desk.pets()
        desk.site.faults["/Cat.zip"] = [Fault(403)]
        with pytest.raises(UserError, match=r"Cat\.zip refuses \(403\)"):
            desk.fetch()
        assert not (desk.folder / "pets").exists()
        desk.fetch()
        assert desk.tree() == PETS
        assert [path for path, _, _ in desk.site.asked] == ["/Dog.zip", "/Cat.zip", "/Cat.zip"]
        assert desk.left() == ["pets", "pets.fetched.json"]

    def test_known_hashes_are_checked(self, desk: Desk) -> None:
        body = zipped(PETS)
        digests = {kind: hashlib.new(kind, body).hexdigest() for kind in ("sha256", "sha1", "md5")}
        digests["sha256_prefix"] = digests["sha256"][:8]
        desk.site.content["/p.zip"] = body
        for kind, digest in digests.items():
            archive = {"name": "p.zip", "urls": [f"{desk.site.url}/p.zip"]}
            wrong = digest.replace(digest[0], "0" if digest[0] != "0" else "1", 1)
            desk.register(pets=row(archives=[archive | {kind: wrong}]))
            with pytest.raises(UserError) as caught:
                desk.fetch()
            assert wrong in str(caught.value)
            assert digest in str(caught.value)
            assert "correct the row pets.p.zip in" in str(caught.value)
            (desk.folder / "downloads" / "pets" / "p.zip").unlink()
            desk.register(pets=row(archives=[archive | {kind: digest, "size": len(body)}]))
            desk.fetch()
            shutil.rmtree(desk.folder)

    def test_a_mirror_is_asked_where_the_first_gives_something_else(self, desk: Desk) -> None:
        body = zipped(PETS)
        desk.site.content |= {"/p.zip": zipped({"x": b""}), "/mirror": body}
        urls = [f"{desk.site.url}/p.zip", f"{desk.site.url}/mirror"]
        digest = hashlib.sha256(body).hexdigest()
        desk.register(pets=row(archives=[{"name": "p.zip", "urls": urls, "sha256": digest}]))
        desk.fetch()
        assert desk.tree() == PETS

    def test_the_root_is_found_wherever_the_archive_has_it(self, desk: Desk) -> None:
        files = {f"Pets-v1.0/data/{name}": content for name, content in PETS.items()} | {"README": b"hello"}
        desk.site.content |= {"/p.zip": zipped(files), "/more.txt": b"beside"}
        archives = [{"name": name, "urls": [f"{desk.site.url}/{name}"]} for name in ("p.zip", "more.txt")]
        desk.register(pets=row(archives=archives))
        desk.fetch()
        assert desk.tree() == PETS | {"more.txt": b"beside"}

    def test_an_archive_without_the_layout_loses_nothing(self, desk: Desk) -> None:
        desk.site.content["/p.zip"] = zipped(dog("Dog"))
        desk.register(pets=row(archives=[{"name": "p.zip", "urls": [f"{desk.site.url}/p.zip"]}]))
        with pytest.raises(UserError, match=r"no folder of it holds Cat/groundtruth_rect\.txt.*--from") as caught:
            desk.fetch()
        tree = Path(str(caught.value).split(": ")[0])
        assert (tree / "Dog" / "img" / "0001.jpg").read_bytes() == NOISE

    def test_two_archives_that_contradict_each_other(self, desk: Desk) -> None:
        desk.site.content |= {"/a.zip": zipped(PETS), "/b.zip": zipped({"Dog/groundtruth_rect.txt": b"5,6,7,8"})}
        archives = [{"name": f"{name}.zip", "urls": [f"{desk.site.url}/{name}.zip"]} for name in "ab"]
        desk.register(pets=row(archives=archives))
        with pytest.raises(UserError, match=r"b\.zip holds something else of that name"):
            desk.fetch()
        desk.site.content["/b.zip"] = zipped({"Dog/groundtruth_rect.txt": b"1,2,3,4\n", "x": b""})
        desk.registry.with_suffix(".lock.json").unlink()
        shutil.rmtree(desk.folder)
        desk.fetch()
        assert desk.tree() == PETS | {"x": b""}


class TestChangedArchives:
    def test_are_refused_with_both_hashes_and_kept(self, desk: Desk) -> None:
        desk.pets()
        desk.fetch()
        old = zipped(dog("Dog"))
        new = zipped(dog("Dog") | {"Dog/groundtruth_rect.txt": b"4,3,2,1\n"})
        desk.site.content["/Dog.zip"] = new
        shutil.rmtree(desk.folder / "pets")
        with pytest.raises(UserError) as caught:
            desk.fetch()
        said = str(caught.value)
        assert hashlib.sha256(old).hexdigest() in said
        assert hashlib.sha256(new).hexdigest() in said
        assert "datasets.lock.json says" in said
        assert "if its publishers changed it and you trust the change, remove the entry pets.Dog.zip in" in said
        archive = desk.folder / "downloads" / "pets" / "Dog.zip"
        assert archive.read_bytes() == new
        with pytest.raises(UserError, match="is not the archive that was expected"):
            desk.fetch()  # and once more

        # The remedies, one after the other: the old archive is back, or the new one is trusted.
        archive.unlink()
        desk.site.content["/Dog.zip"] = old
        desk.fetch()
        assert desk.tree() == PETS
        shutil.rmtree(desk.folder / "pets")
        desk.site.content["/Dog.zip"] = new
        pins = desk.pins()
        del pins["pets"]["Dog.zip"]
        desk.registry.with_suffix(".lock.json").write_text(json.dumps(pins))
        desk.fetch()
        assert desk.tree() == PETS | {"Dog/groundtruth_rect.txt": b"4,3,2,1\n"}
        assert desk.pins()["pets"]["Dog.zip"]["sha256"] == hashlib.sha256(new).hexdigest()

    def test_a_size_that_is_known_is_compared_before_anything_is_fetched(self, desk: Desk) -> None:
        desk.pets()
        desk.fetch()
        shutil.rmtree(desk.folder / "pets")
        desk.site.content["/Dog.zip"] += b"longer"
        desk.site.faults["/Dog.zip"] = [Fault(cut=100)]
        with pytest.raises(
            UserError, match=r"offers 400,268 bytes instead of 400,262 \(so says .*lock\.json; if its publ"
        ):
            desk.fetch()

    @pytest.mark.parametrize("content", ["{", "[]", '{"pets": 1}', '{"pets": {"Dog.zip": {}}}'])
    def test_a_broken_lock_file(self, desk: Desk, content: str) -> None:
        desk.pets()
        desk.registry.with_suffix(".lock.json").write_text(content)
        with pytest.raises(UserError, match=r"datasets\.lock\.json"):
            desk.fetch()
        assert desk.registry.with_suffix(".lock.json").read_text() == content


class TestOfOnesOwn:
    def unpacked(self, folder: Path) -> Path:
        for name, content in PETS.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def test_a_folder_is_linked_and_left_alone(self, desk: Desk, tmp_path: Path) -> None:
        desk.pets()
        mine = self.unpacked(tmp_path / "disk" / "Pets-v1" / "all")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("disk/**/*")}
        for _ in range(2):
            desk.fetch(source=tmp_path / "disk")
            assert (desk.folder / "pets").is_symlink()
            assert (desk.folder / "pets").resolve() == mine
        assert desk.tree() == PETS
        assert desk.marker()["from"] == f"folder {mine}"
        assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("disk/**/*")} == before
        assert desk.site.asked == []

    @pytest.mark.parametrize("how", ["file", "folder", "downloads", "other name"])
    def test_an_archive_is_unpacked_and_left_alone(self, desk: Desk, tmp_path: Path, how: str) -> None:
        desk.register(pets=row(access="e-mail", ask="write to a@b.example", archives=[{"name": "dataset.zip"}]))
        folder = desk.folder / "downloads" / "pets" if how == "downloads" else tmp_path / "disk"
        folder.mkdir(parents=True)
        file = folder / ("Pets final (2).zip" if how == "other name" else "dataset.zip")
        file.write_bytes(zipped({f"dataset/{name}": content for name, content in PETS.items()}))
        source = {"file": file, "other name": file, "folder": folder, "downloads": None}[how]
        desk.fetch(source=source)
        assert desk.tree() == PETS
        assert file.is_file()
        assert list(desk.pins()["pets"]) == ["dataset.zip"]

    def test_what_is_not_given_comes_from_the_web(self, desk: Desk, tmp_path: Path) -> None:
        desk.pets()
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk" / "Dog.zip").write_bytes(zipped(dog("Dog")))
        desk.fetch(source=tmp_path / "disk")
        assert desk.tree() == PETS
        assert [path for path, _, _ in desk.site.asked] == ["/Cat.zip"]

    def test_one_archive_of_the_whole_set_needs_no_web(self, desk: Desk, tmp_path: Path) -> None:
        desk.pets()
        (tmp_path / "PETS100.zip").write_bytes(zipped(PETS))
        desk.fetch(source=tmp_path / "PETS100.zip")
        assert desk.tree() == PETS
        assert desk.site.asked == []

    def test_a_copy_that_was_put_in_place_is_recorded(self, desk: Desk) -> None:
        desk.pets()
        self.unpacked(desk.folder / "pets")
        assert "was there already" in desk.fetch().done
        assert desk.marker()["from"] == "found in place"
        assert desk.tree() == PETS

    def test_something_else_in_its_place_is_not_touched(self, desk: Desk) -> None:
        desk.pets()
        (desk.folder / "pets").mkdir(parents=True)
        (desk.folder / "pets" / "holiday.jpg").write_bytes(b"mine")
        with pytest.raises(
            UserError, match=r"pets: is not Pets-2 in its official layout, Dog/img is missing; complete"
        ):
            desk.fetch()
        assert desk.tree() == {"holiday.jpg": b"mine"}
        (desk.folder / "pets" / "holiday.jpg").unlink()
        desk.fetch()  # an empty folder is no loss
        assert desk.tree() == PETS

    def test_a_link_to_a_disk_that_is_not_mounted(self, desk: Desk) -> None:
        desk.pets()
        desk.folder.mkdir()
        (desk.folder / "pets").symlink_to("/mnt/nowhere/pets")
        with pytest.raises(UserError, match="is a link to /mnt/nowhere/pets, which does not exist; mount it"):
            desk.fetch()
        assert (desk.folder / "pets").is_symlink()

    @pytest.mark.parametrize("what", ["nothing", "empty folder", "text file"])
    def test_a_source_that_is_none(self, desk: Desk, tmp_path: Path, what: str) -> None:
        desk.pets()
        source = tmp_path / "source"
        if what == "empty folder":
            source.mkdir()
        elif what == "text file":
            source.write_text("hello")
        with pytest.raises(UserError, match=r"does not exist|holds neither|is not a whole zip or tar archive"):
            desk.fetch(source=source)
        assert not (desk.folder / "pets").exists()


class TestGated:
    @pytest.mark.parametrize("access", ["form", "e-mail", "by hand"])
    def test_one_sentence_says_how(self, desk: Desk, access: str) -> None:
        ask = "register at https://pets.example and download p.zip"
        archives = [{"name": "p.zip"}, {"name": "more.txt", "urls": [f"{desk.site.url}/more.txt"]}]
        desk.register(pets=row(access=access, ask=ask, archives=archives))
        with pytest.raises(UserError) as caught:
            desk.fetch()
        said = str(caught.value)
        assert f"Pets-2 has to be asked for ({access}); {ask}; put it into {desk.folder}/downloads/pets and run" in said
        assert f"`distillery fetch pets --to {desk.folder}`" in said
        assert "\n" not in said
        assert desk.site.asked == []
        # And so it is done.
        (desk.folder / "downloads" / "pets" / "p.zip").write_bytes(zipped(PETS))
        desk.site.content["/more.txt"] = b"beside"
        desk.fetch()
        assert desk.tree() == PETS | {"more.txt": b"beside"}

    def test_missing_lists_what_is_absent_without_looking_further(self, desk: Desk) -> None:
        desk.pets()
        rows = yaml.safe_load(desk.registry.read_text())
        rows |= {"asked": row(title="Asked", access="form", ask="fill the form")}
        desk.registry.write_text(yaml.safe_dump(rows))
        registry = load_registry(desk.registry)
        absent = missing(registry, ["asked", "pets"], desk.folder)
        assert [(one.name, one.title, one.access) for one in absent] == [
            ("asked", "Asked", "form"),
            ("pets", "Pets-2", "open"),
        ]
        assert "fill the form" in absent[0].how
        assert absent[1].how.startswith("run `distillery fetch pets")
        assert desk.site.asked == []
        desk.fetch()
        assert [one.name for one in missing(registry, ["asked", "pets"], desk.folder)] == ["asked"]


class TestArchivesInArchives:
    def test_as_got10k_is_packed(self, desk: Desk, repository: Path) -> None:
        """The layout that open-mmlab/mmtracking's script unpacks, by the register's own row."""
        spec = yaml.safe_load((repository / "config" / "datasets.yaml").read_text())["got10k"]
        desk.register(got10k=spec)
        train = [{f"GOT-10k_Train_00000{n}/00000001.jpg": NOISE[:n]} for n in (1, 2)]
        splits = {f"GOT-10k_Train_split_0{n}.zip": zipped(files) for n, files in enumerate(train, 1)}
        names = {"list.txt": b"GOT-10k_Train_000001\nGOT-10k_Train_000002\n"}
        val = zipped({"val/GOT-10k_Val_000001/00000001.jpg": b"v", "val/list.txt": b"GOT-10k_Val_000001\n"})
        whole = {f"full_data/train_data/{name}": body for name, body in (splits | names).items()}
        whole |= {"full_data/val_data.zip": val, "full_data/test_data.zip": zipped({"test/list.txt": b"t"})}
        expected = {
            "train/GOT-10k_Train_000001/00000001.jpg": NOISE[:1],
            "train/GOT-10k_Train_000002/00000001.jpg": NOISE[:2],
            "train/list.txt": names["list.txt"],
            "val/GOT-10k_Val_000001/00000001.jpg": b"v",
            "val/list.txt": b"GOT-10k_Val_000001\n",
        }
        downloads = desk.folder / "downloads" / "got10k"
        downloads.mkdir(parents=True)
        (downloads / "full_data.zip").write_bytes(zipped(whole))
        desk.fetch("got10k")
        assert desk.tree("got10k") == expected | {"test/list.txt": b"t"}

        shutil.rmtree(desk.folder)  # the single files of the same page
        downloads.mkdir(parents=True)
        for name, body in (splits | names | {"val_data.zip": val}).items():
            (downloads / name).write_bytes(body)
        desk.fetch("got10k")
        assert desk.tree("got10k") == expected

    def test_as_trackingnet_is_listed_and_packed(self, desk: Desk, repository: Path) -> None:
        spec = yaml.safe_load((repository / "config" / "datasets.yaml").read_text())["trackingnet"]
        spec["index"]["url"] = desk.site.url
        desk.register(trackingnet=spec)
        files = {
            "TEST/zips/aB-1_0.zip": zipped({"0.jpg": b"t"}),
            "TEST/anno/aB-1_0.txt": b"1,2,3,4\n",
            "TRAIN_11/zips/x_1.zip": zipped({"x_1/0.jpg": b"u"}),
            "TRAIN_11/anno/x_1.txt": b"5,6,7,8\n",
        }
        base = "/datasets/SilvioGiancola/TrackingNet/resolve/main/"
        desk.site.content |= {base + path: body for path, body in files.items()}
        entries = [
            {"type": "file", "path": path, "size": len(body), "oid": "0" * 40}
            | ({"lfs": {"oid": hashlib.sha256(body).hexdigest(), "size": len(body)}} if path.endswith("zip") else {})
            for path, body in files.items()
        ]
        tree = "/api/datasets/SilvioGiancola/TrackingNet/tree/main/"
        pages = {
            f"{tree}TEST?recursive=true": [{"type": "directory", "path": "TEST/zips", "size": 0}, entries[0]],
            f"{tree}TEST?recursive=true&cursor=2": entries[1:2],
            f"{tree}TRAIN_11?recursive=true": entries[2:],
        }
        for path, page in pages.items():
            desk.site.faults[path] = [Fault(body=json.dumps(page).encode())]
        following = f'<{desk.site.url}{tree}TEST?recursive=true&cursor=2>; rel="next"'
        desk.site.faults[f"{tree}TEST?recursive=true"][0].headers["Link"] = following
        desk.fetch("trackingnet")
        assert desk.tree("trackingnet") == {
            "TEST/frames/aB-1_0/0.jpg": b"t",
            "TEST/anno/aB-1_0.txt": b"1,2,3,4\n",
            "TRAIN_11/frames/x_1/0.jpg": b"u",
            "TRAIN_11/anno/x_1.txt": b"5,6,7,8\n",
        }

    def test_as_vot_is_listed(self, desk: Desk, repository: Path) -> None:
        spec = yaml.safe_load((repository / "config" / "datasets.yaml").read_text())["vot2018"]
        spec["index"]["url"] = f"{desk.site.url}/vot2018/main/description.json"
        desk.register(vot2018=spec)
        color, notes = zipped({"00000001.jpg": b"c"}), zipped({"groundtruth.txt": b"1,2\n", "occlusion.tag": b"0\n"})
        told = {
            "name": "ants3",
            "annotations": {"url": "ants3.zip", "checksum": hashlib.sha1(notes).hexdigest()},
            "channels": {"color": {"url": "../../sequences/c.zip", "checksum": hashlib.md5(color).hexdigest()}},
        }
        desk.site.content |= {
            "/vot2018/main/description.json": json.dumps({"sequences": [told]}).encode(),
            "/vot2018/main/ants3.zip": notes,
            "/sequences/c.zip": color,
        }
        desk.fetch("vot2018")
        assert desk.tree("vot2018") == {
            "list.txt": b"ants3\n",
            "ants3/color/00000001.jpg": b"c",
            "ants3/groundtruth.txt": b"1,2\n",
            "ants3/occlusion.tag": b"0\n",
        }

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>",
            b"[]",
            b'{"sequences": [{}]}',
            b'{"sequences": [{"name": "../x", "annotations": {"url": "a"}, "channels": {}}]}',
        ],
    )
    def test_a_listing_of_another_form(self, desk: Desk, body: bytes) -> None:
        desk.site.content["/d.json"] = body
        desk.register(pets=row(index={"kind": "vot", "url": f"{desk.site.url}/d.json"}))
        with pytest.raises(UserError, match=r"d\.json: is not a listing of the form that is known"):
            desk.fetch()


SCRIPT = """
import sys, time
from pathlib import Path
from distillery.config.registry import load_registry
from distillery.data import acquisition, archives
from distillery.data.download import Patience
from distillery.data.pins import Pins
from distillery.errors import UserError
registry, folder, slow = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
write = archives._Tree.write
def slowly(tree, path, member):
    write(tree, path, member)
    time.sleep(slow)
archives._Tree.write = slowly
try:
    told = {"registry": load_registry(registry), "pins": Pins(registry), "patience": Patience(attempts=1)}
    print(acquisition.fetch("pets", folder, **told).done)
except UserError as error:
    sys.exit(str(error))
"""


def run(desk: Desk, slow: float = 0.0, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(desk.registry), str(desk.folder), str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


class TestEndings:
    def kill(self, child: subprocess.Popen[str]) -> None:
        child.send_signal(signal.SIGKILL)
        child.communicate()

    def wait_for(self, folder: Path, pattern: str) -> None:
        end = time.monotonic() + 30
        while not any(path.stat().st_size for path in folder.glob(pattern)) and time.monotonic() < end:
            time.sleep(0.01)

    def test_killed_while_it_downloads(self, desk: Desk) -> None:
        desk.pets()
        desk.site.pause = lambda path: time.sleep(0.1)
        child = run(desk)
        self.wait_for(desk.folder, "downloads/pets/Dog.zip.part")
        self.kill(child)
        desk.site.pause = lambda path: None
        desk.fetch()
        assert desk.tree() == PETS
        assert desk.site.asked[1][1] is not None  # it went on
        assert desk.left() == ["pets", "pets.fetched.json"]

    def test_killed_while_it_unpacks(self, desk: Desk) -> None:
        desk.pets()
        child = run(desk, slow=5.0)
        self.wait_for(desk.folder, ".pets.partial/.unpacking-*/tree/Dog/img/0001.jpg")
        self.kill(child)
        assert (desk.folder / "downloads" / "pets" / "Dog.zip").is_file()
        desk.fetch()
        assert desk.tree() == PETS
        assert [path for path, _, _ in desk.site.asked] == ["/Dog.zip", "/Cat.zip"]
        assert desk.left() == ["pets", "pets.fetched.json"]

    @pytest.mark.parametrize("moment", ["_merge", "write_json"])
    def test_stopped_at_other_moments(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
        """An error at each call of what moves files or notes what is done; every next run goes on."""
        from distillery.data import assembly

        desk.pets()
        real = getattr(assembly, moment)
        stops = 0
        for after in range(1, 12):
            calls = 0

            def stop(*arguments: Any, after: int = after) -> None:
                nonlocal calls
                calls += 1
                if calls == after:
                    raise KeyboardInterrupt
                real(*arguments)

            monkeypatch.setattr(assembly, moment, stop)
            try:
                desk.fetch()
            except KeyboardInterrupt:
                stops += 1
        assert stops
        assert desk.tree() == PETS

    def test_killed_after_the_set_got_its_place(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.pets()

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("distillery.data.acquisition._record", stop)
            desk.fetch()
        desk.fetch()
        assert set(desk.marker()["archives"]) == {"Dog.zip", "Cat.zip"}
        assert desk.left() == ["pets", "pets.fetched.json"]

    def test_two_at_a_time(self, desk: Desk) -> None:
        desk.pets()
        child = run(desk, slow=0.3)
        self.wait_for(desk.folder, ".pets.partial/.unpacking-*/tree/Dog/img/0001.jpg")
        with pytest.raises(UserError, match="is in use by another process that does the same; wait until it has ended"):
            desk.fetch()
        out, _ = child.communicate()
        assert "is there, made of 2 files" in out
        assert desk.tree() == PETS

    def test_a_full_disk(self, desk: Desk) -> None:
        def narrow() -> None:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

        desk.pets()
        child = run(desk, preexec_fn=narrow)
        _, said = child.communicate()
        assert "no space left on the disk; what has arrived is kept; free some space and run the same command" in said
        desk.fetch()
        assert desk.tree() == PETS
        assert desk.site.asked[1][1] == "bytes=300000-"

    def test_as_a_user_without_rights(self, desk: Desk) -> None:
        """Not as root, whom no permission stops: the whole way, and a folder that may not be written."""
        with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own are the user's alone
            os.chmod(open_to_all, 0o755)
            self.without_rights(Desk(Path(open_to_all) / "project", desk.site))

    def without_rights(self, desk: Desk) -> None:
        desk.pets()
        desk.fetch()  # which imports what is needed: the interpreter's own folder may be root's
        shutil.rmtree(desk.folder)
        if os.geteuid() == 0:
            for folder in (desk.root, desk.registry.parent):
                os.chown(folder, 65534, 65534)
            desk.registry.with_suffix(".lock.json").unlink()
        assert as_nobody(desk).startswith("is there, made of 2 files")
        assert desk.tree() == PETS
        shutil.rmtree(desk.folder)
        desk.folder.mkdir(mode=0o555)
        said = as_nobody(desk)
        assert said.endswith("permission denied; check the permissions of its folder."), said


def as_nobody(desk: Desk) -> str:
    """What a fetch says to a user who is not root, in a process of its own."""
    ends = multiprocessing.get_context("fork")
    here, there = ends.Pipe()

    def child() -> None:
        if os.geteuid() == 0:
            os.chdir(desk.root)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            there.send(desk.fetch().done)
        except UserError as error:
            there.send(str(error))
        except BaseException as error:
            there.send(repr(error))

    process = ends.Process(target=child)
    process.start()
    said: str = here.recv() if here.poll(60) else "nothing"
    process.join()
    return said


def test_weights_become_safetensors(desk: Desk, repository: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from torchvision import models

    network = models.mobilenet_v2()
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()[:8]
    name = f"mobilenet_v2-{digest}.pth"
    desk.site.content[f"/{name}"] = stream.getvalue()
    archive = {"name": name, "urls": [f"{desk.site.url}/{name}"], "sha256_prefix": digest}
    desk.register(pets=row(archives=[archive], convert="safetensors", marks=["mobilenet_v2.safetensors"]))
    desk.fetch()
    found = load_file(desk.folder / "pets" / "mobilenet_v2.safetensors")
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(value, found[key]) for key, value in network.state_dict().items())

    shutil.rmtree(desk.folder)
    name = f"mobilenet_v2-{hashlib.sha256(NOISE).hexdigest()[:8]}.pth"
    desk.site.content[f"/{name}"] = NOISE
    archive = {"name": name, "urls": [f"{desk.site.url}/{name}"]}
    desk.register(pets=row(archives=[archive], convert="safetensors", marks=["mobilenet_v2.safetensors"]))
    with pytest.raises(UserError, match="does not hold the weights of mobilenet_v2"):
        desk.fetch()


class TestDVC:
    def dvc(self, root: Path, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", "-q", *arguments], cwd=root, check=True, capture_output=True)

    def git(self, root: Path, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def test_a_set_that_was_stored(self, desk: Desk, tmp_path: Path) -> None:
        desk.pets()
        self.git(desk.root, "init", "-q")
        (desk.root / ".dvc").mkdir()  # as a clone of the project has it
        (desk.root / ".dvc" / "config").write_text(
            f"[core]\n    analytics = false\n    remote = box\n['remote \"box\"']\n    url = {tmp_path / 'remote'}\n"
        )
        desk.fetch()
        self.dvc(desk.root, "add", "datasets/pets")
        self.dvc(desk.root, "push")
        self.git(desk.root, "add", "datasets/pets.dvc", ".dvc/config")
        self.git(desk.root, "commit", "-qm", "pets")
        first = self.git(desk.root, "rev-parse", "HEAD")
        for revision in ("", first):
            shutil.rmtree(desk.folder / "pets")
            shutil.rmtree(desk.root / ".dvc" / "cache")
            (desk.folder / "pets.fetched.json").unlink(missing_ok=True)
            if revision:
                (desk.folder / "pets.dvc").unlink()
            desk.fetch(revision=revision)
            assert desk.tree() == PETS
            assert len(desk.site.asked) == 2
            assert desk.marker()["from"].startswith("DVC, datasets/pets")
        with pytest.raises(UserError, match=r"dogs\.dvc: does not exist, so DVC knows no copy"):
            desk.register(dogs=row(access="form", ask="ask"))
            desk.fetch("dogs", revision="")

    def test_outside_a_project(self, desk: Desk) -> None:
        desk.pets()
        with pytest.raises(UserError, match="lies in no project with DVC"):
            desk.fetch(revision="")
