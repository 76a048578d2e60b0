"""Tiny training sets in the official layouts, written by hand: VID, DET, COCO and YouTube-BB."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = (160, 120)
"""Width and height of the frames."""


def picture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W, 3) smooth texture, BGR."""
    noise = np.random.default_rng(seed)
    coarse = noise.integers(0, 256, (max(2, size[1] // 8), max(2, size[0] // 8), 3), dtype=np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def vid_object(track: int, corners: tuple[int, int, int, int], occluded: int = 0, generated: int = 0) -> str:
    """An `<object>` as the development kit's files have it: xmax before xmin."""
    x1, y1, x2, y2 = corners
    return (
        f"\t<object>\n\t\t<trackid>{track}</trackid>\n\t\t<name>n02084071</name>\n\t\t<bndbox>\n"
        f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymax>{y2}</ymax>\n\t\t\t<ymin>{y1}</ymin>\n"
        f"\t\t</bndbox>\n\t\t<occluded>{int(occluded)}</occluded>\n\t\t<generated>{int(generated)}</generated>\n\t</object>\n"
    )


def annotation(objects: str, name: str = "000000") -> str:
    return (
        f"<annotation>\n\t<folder>a</folder>\n\t<filename>{name}</filename>\n"
        "\t<source>\n\t\t<database>ILSVRC_2015</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{SIZE[0]}</width>\n\t\t<height>{SIZE[1]}</height>\n\t</size>\n{objects}</annotation>\n"
    )


def write_vid(root: Path, snippets: int = 3, frames: int = 5, seed: int = 0) -> Path:
    """Snippets with two drifting objects; the second is not labelled in the frame before the last."""
    for number in range(snippets):
        name = f"ILSVRC2015_VID_train_000{number % 2}/ILSVRC2015_train_{number:08d}"
        for frame in range(frames):
            write_image(root / "Data/VID/train" / name / f"{frame:06d}.JPEG", picture(seed + 100 * number + frame))
            x = 20 + 6 * frame
            text = vid_object(0, (x, 30, x + 39, 59), occluded=frame == 1, generated=frame % 2)
            if frame != frames - 2:
                text += vid_object(1, (90, 50 - frame, 121, 90))
            file = root / "Annotations/VID/train" / name / f"{frame:06d}.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(annotation(text, f"{frame:06d}"))
    return root


def write_det(root: Path, images: int = 3, seed: int = 0) -> Path:
    """Images of both years' folders; the first has two objects."""
    for number in range(images):
        part = "ILSVRC2013_train/n01443537" if number % 2 == 0 else "ILSVRC2014_train_0000"
        name = f"{part}/image_{number:04d}"
        write_image(root / "Data/DET/train" / f"{name}.JPEG", picture(seed + number))
        objects = "".join(
            f"<object><name>n01443537</name><bndbox><xmin>{x}</xmin><xmax>{x + 30}</xmax><ymin>20</ymin>"
            "<ymax>60</ymax></bndbox></object>"
            for x in ((10, 80) if number == 0 else (40,))
        )
        file = root / "Annotations/DET/train" / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(annotation(objects))
    return root


def write_coco(root: Path, images: int = 4, seed: int = 0) -> Path:
    """Images with an object each, a crowd in the first, a large object in the second, nothing labelled in the last."""
    listed, annotations = [], []
    for number in range(images):
        name = f"{number + 9:012d}.jpg"
        write_image(root / "train2017" / name, picture(seed + number))
        listed.append({"license": 3, "file_name": name, "height": SIZE[1], "width": SIZE[0], "id": number + 9})
        if number < images - 1:
            box = [1.5, 10.25, 140.0, 100.5] if number == 1 else [30.5 + number, 40.25, 40.0, 30.5]
            annotations.append(
                {
                    "segmentation": [[30.5, 40.25, 70.5, 40.25, 70.5, 70.75]],
                    "area": 1220.0,
                    "iscrowd": 0,
                    "image_id": number + 9,
                    "bbox": box,
                    "category_id": 18,
                    "id": 1000 - number,
                }
            )
    crowd = {"counts": [3, 4], "size": [SIZE[1], SIZE[0]]}
    annotations.insert(
        1,
        {
            "segmentation": crowd,
            "area": 9,
            "iscrowd": 1,
            "image_id": 9,
            "bbox": [0, 0, 99, 99],
            "category_id": 1,
            "id": 5,
        },
    )
    content = {
        "info": {"description": "COCO 2017 Dataset", "year": 2017},
        "licenses": [{"id": 3, "name": "é ]}"}],
        "images": listed,
        "annotations": annotations,
        "categories": [{"supercategory": "animal", "id": 18, "name": "dog"}],
    }
    file = root / "annotations/instances_train2017.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return root


def write_youtube_bb(root: Path, videos: int = 2, seconds: int = 4, seed: int = 0) -> Path:
    """A table with an absent row and a video without frames, and the other videos' frames."""
    rows = []
    for number in range(videos):
        name = "AAB6lO-XiKE" if number == 0 else f"NA_{number}"
        for second in range(seconds):
            moment = 238000 + 1000 * second
            corners = "-1.0,-1.0,-1.0,-1.0" if second == 1 else f"0.{2 + second},0.{5 + second},0.25,0.75"
            rows.append(f"{name},{moment},5,cat,0,{'absent' if second == 1 else 'present'},{corners}")
            if second != 1:
                file = root / f"yt_bb_detection_train/5/{name}_{moment}_5_0.jpg"
                write_image(file, picture(seed + 10 * number + second))
    rows += [f"gone1234567,{1000 * second},5,cat,1,present,0.1,0.2,0.3,0.4" for second in range(2)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "yt_bb_detection_train.csv").write_text("\n".join(rows) + "\n")
    return root


WRITERS = {"vid": write_vid, "det": write_det, "coco": write_coco, "youtube_bb": write_youtube_bb}


def link(name: str, source: Path, data: Path) -> Path:
    """The manifest of a set in `data`, where a rule would put it."""
    from distillery import datasets

    manifest = data / f"{name}.json"
    datasets.make(name, json.dumps({"source": "local", "root": str(source)}), manifest)
    return manifest
