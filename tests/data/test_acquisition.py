"""Getting a dataset: from the web, from one's own files, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml

from acquisition_desk import NOISE, PETS, Desk, dog, row, zipped
from distillery.config.registry import load_registry
from distillery.data.registry_report import missing
from distillery.errors import UserError
from web_server import Fault


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
