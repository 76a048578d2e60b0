"""Sets of archives in archives and of listed files, as their publishers pack them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from acquisition_desk import NOISE, Desk, row, zipped
from distillery.errors import UserError
from web_server import Fault


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
