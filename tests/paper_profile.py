"""What the paper stage's tests write up: a config of two families with a few ablations, and scores made by hand."""

from __future__ import annotations

import copy
from typing import Any

STEPS = {"steps": 40, "batch": 4}
SHARING = {"threshold": 0.1, "granularity": "sample"}


def _run(networks: list[str], **own: Any) -> dict[str, Any]:
    return {"networks": networks, "optimisation": STEPS} | own


def _taught(networks: list[str], distillation: dict[str, Any], **own: Any) -> dict[str, Any]:
    return _run(networks, teacher="teacher", distillation=distillation, **own)


BOTH = ["dim", "intelligent"]
VARIED = {"target": "ablations"}
SIAMFC: dict[str, Any] = {
    "architectures": {"teacher": {"width": 0.25}, "intelligent": {"width": 0.125}, "third": {"width": 0.1}},
    "searched": {"dim": "policy", "dim_random": "random"},
    "selection": {"budget": 13, "updates": 2, "children": 2, "optimisation": STEPS},
    "pairs": {"epoch": 8},
    "runs": {
        "teacher": _run(["teacher"]),
        "ground_truth": _run(BOTH),
        "tskd": _taught(BOTH, {}),
        "tsskd": _taught(BOTH, {"sharing": SHARING}),
        "soft": _taught(["dim"], {"lam": 0.0, "omega": 0.0}, **VARIED),
        "label_map": _run(["dim"], control="label_map", **VARIED),
        "gate_own": _taught(BOTH, {"sharing": SHARING | {"gate": "own"}}, **VARIED),
        "three_students": _taught([*BOTH, "third"], {"sharing": SHARING}, **VARIED),
        "shapes": _taught(["dim_random"], {}, **VARIED),
        "ground_truth_long": _run(["dim"], **VARIED) | {"optimisation": STEPS | {"steps": 90}},
        "tskd_long": _taught(["dim"], {}, **VARIED) | {"optimisation": STEPS | {"steps": 90}},
    },
}
SIAMRPN: dict[str, Any] = {
    "architectures": {"teacher": {"width": 0.125}, "dim": {"width": 0.0625}},
    "pairs": {"epoch": 8},
    "runs": {
        "teacher": _run(["teacher"]),
        "ground_truth": _run(["dim"]),
        "tsskd": _taught(["dim"], {"soft": "bernoulli"}),
    },
}
SIAMRPNPP: dict[str, Any] = {
    "architectures": {"teacher": {"backbone": "resnet34"}, "r18": {"backbone": "resnet18"}},
    "pairs": {"epoch": 8},
    "runs": {
        "teacher": _run(["teacher"], **VARIED),
        "ground_truth": _run(["r18"], **VARIED),
        "tskd": _taught(["r18"], {"soft": "bernoulli", "layers": [2, 3, 4]}, **VARIED),
    },
}
FRAMES = {"source": "embedded", "seed": 3, "width": 160, "height": 120}
DATA: dict[str, Any] = {
    "got10k": {
        "source": "embedded", "seed": 2, "train_sequences": 2, "train_frames": 2, "val_sequences": 1, "val_frames": 2,
    },
    "otb100": FRAMES | {"sequences": 5, "frames": 9},
    "vot2019": FRAMES | {"seed": 4, "sequences": 2, "frames": 8},
    "lasot": FRAMES | {"seed": 5, "sequences": 2, "frames": 20},
    "trackingnet": FRAMES
    | {"seed": 6, "train_sequences": 2, "train_frames": 6, "test_sequences": 1, "test_frames": 4},
    "cuhk_sysu": {
        "source": "embedded", "seed": 3, "width": 240, "height": 180, "train_images": 16, "train_identities": 8,
        "test_images": 24, "test_identities": 8, "gallery_sizes": [6, 12],
    },
    "prw": {
        "source": "embedded", "seed": 4, "width": 240, "height": 180, "train_frames": 12, "train_identities": 4,
        "test_frames": 30, "test_identities": 8, "queries": 12, "mini_queries": 6,
    },
}  # fmt: skip


TRACKING = {  # variant: (AUC on OTB-100 by seed, parameters, milliseconds)
    "siamfc/teacher": ((0.660, 0.672, 0.668), 146_000, 12.4),
    "siamfc/dim-ground_truth": ((0.600, 0.615, 0.606), 11_500, 4.1),
    "siamfc/dim-tskd": ((0.620, 0.634, 0.631), 11_500, 4.1),
    "siamfc/dim-tsskd": ((0.631, 0.640, 0.629), 11_500, 4.1),
    "siamfc/intelligent-ground_truth": ((0.640, 0.652, 0.636), 36_600, 6.0),
    "siamfc/intelligent-tskd": ((0.657, 0.668, 0.664), 36_600, 6.0),
    "siamfc/intelligent-tsskd": ((0.652, 0.661, 0.640), 36_600, 6.0),
    "siamrpn/teacher": ((0.701, 0.695, 0.712), 460_000, 9.0),
    "siamrpn/dim-ground_truth": ((0.640, 0.645, 0.638), 26_000, 3.0),
    "siamrpn/dim-tsskd": ((0.676, 0.671, 0.680), 26_000, 3.0),
    "baseline/static": ((0.351,), 0, 0.0),
    "baseline/ncc": ((0.516,), 0, 0.0),
}
ABLATIONS = {
    "siamfc/dim-soft": ((0.612, 0.630, 0.622), 11_500, 4.1),
    "siamfc/dim-label_map": ((0.604, 0.610, 0.607), 11_500, 4.1),
    "siamfc/dim-gate_own": ((0.628, 0.633, 0.627), 11_500, 4.1),
    "siamfc/dim_random-shapes": ((0.610, 0.621, 0.600), 11_400, 4.0),
    "siamrpnpp/teacher": ((0.710, 0.702, 0.715), 800_000, 40.0),
    "siamrpnpp/r18-ground_truth": ((0.652, 0.660, 0.655), 300_000, 15.0),
    "siamrpnpp/r18-tskd": ((0.690, 0.688, 0.694), 300_000, 15.0),
}
HARDER = {"otb100": 0.0, "lasot": 0.2, "trackingnet": 0.05, "vot2019": 0.3}
"""Benchmark -> how much lower its first measure is than OTB-100's AUC."""
SMALL = {"block": "basic", "depths": [1, 1, 1, 1], "stem_blocks": 1, "stride": 8, "norm": "batch"}
FOUR: dict[str, Any] = {
    "oim": {}, "oim_detector": {"detector": {}}, "oim_table": {"table": "reid"},
    "oim_both": {"table": "reid", "detector": {}},
}  # fmt: skip


def _searchers(networks: list[str], students: dict[str, Any], **own: Any) -> dict[str, Any]:
    return {"networks": networks, "students": students, "optimisation": STEPS} | own


PERSON_SEARCH: dict[str, Any] = {
    "benchmarks": ["cuhk_sysu", "prw"],
    "networks": {"large": SMALL | {"width": 16}, "small": SMALL | {"width": 8}},
    "identification": {"dimension": 16, "queue": 100, "batch_norm": True},
    "detection_teacher": "large-detector",
    "reid_teacher": {"shape": SMALL, "optimisation": STEPS},
    "tables": {
        "reid": {},
        "oim_final": {"teacher": "oim/large-oim", "construction": "final"},
        "random": {"teacher": None, "construction": "random"},
    },
    "runs": {
        "detector": _searchers(["large"], {"detector": {}}, method="detector"),
        "oim": _searchers(["large", "small"], FOUR),
        "qeeps": _searchers(
            ["large"],
            {"qeeps": {"start": "oim"}, "qeeps_table": {"start": "oim_table", "table": "reid"}},
            method="qeeps",
        ),
        "varied": _searchers(
            ["small"],
            {
                "oim_hint": {"detector": {"levels": ["hint"]}},
                "oim_random": {"table": "random"},
                "oim_final": {"table": "oim_final"},
                "oim_updated": {"table": "reid", "frozen": False},
                "oim_no_queue": {"queue": 0},
                "oim_table_no_queue": {"table": "reid", "queue": 0},
            },
            benchmarks=["cuhk_sysu"],
            **VARIED,
        ),
        "longer": _searchers(
            ["small"], {"oim_long": {}, "oim_table_long": {"table": "reid"}},
            benchmarks=["cuhk_sysu"], **VARIED,
        ) | {"optimisation": STEPS | {"steps": 90}},
    },
}  # fmt: skip
SEARCH = {  # variant: (mAP on CUHK-SYSU by seed, parameters, milliseconds)
    "detector/large-detector": ((0.0, 0.0, 0.0), 170_000, 19.0),  # it does not search
    "reid/teacher": ((0.700, 0.712, 0.690), 64_000, 5.0),
    "oim/large-oim": ((0.318, 0.217, 0.243), 181_000, 21.0),
    "oim/large-oim_detector": ((0.331, 0.262, 0.259), 181_000, 21.0),
    "oim/large-oim_table": ((0.386, 0.317, 0.320), 181_000, 21.0),
    "oim/large-oim_both": ((0.401, 0.322, 0.344), 181_000, 21.0),
    "oim/small-oim": ((0.175, 0.187, 0.121), 24_000, 11.0),
    "oim/small-oim_detector": ((0.213, 0.222, 0.160), 24_000, 11.0),
    "oim/small-oim_table": ((0.204, 0.194, 0.181), 24_000, 11.0),
    "oim/small-oim_both": ((0.236, 0.218, 0.202), 24_000, 11.0),
    "qeeps/large-qeeps": ((0.372, 0.301, 0.309), 196_000, 64.0),
    "qeeps/large-qeeps_table": ((0.419, 0.377, 0.381), 196_000, 64.0),
    "baseline/histogram": ((0.22,), 0, 0.0),
}
SEARCH_ABLATIONS = {
    "oim/small-oim_hint": ((0.196, 0.205, 0.143), 24_000, 11.0),
    "oim/small-oim_random": ((0.164, 0.150, 0.131), 24_000, 11.0),
    "oim/small-oim_final": ((0.199, 0.188, 0.178), 24_000, 11.0),
    "oim/small-oim_updated": ((0.201, 0.203, 0.175), 24_000, 11.0),
    "oim/small-oim_no_queue": ((0.181, 0.173, 0.130), 24_000, 11.0),
    "oim/small-oim_table_no_queue": ((0.197, 0.190, 0.188), 24_000, 11.0),
    "oim/small-oim_long": ((0.281, 0.266, 0.272), 24_000, 11.0),
    "oim/small-oim_table_long": ((0.290, 0.281, 0.279), 24_000, 11.0),
}


SEARCH_HARDER = {"cuhk_sysu": 0.0, "prw": 0.06, "prw_mini": 0.02}
"""Benchmark of person search -> how much lower its mAP is than CUHK-SYSU's."""
AP = {"plain": 0.80, "detector": 0.86, "table": 0.82, "both": 0.87}
"""What a network learns from -> detection AP of the large one; a small one is .15 lower."""
SEARCH_TERMS = {  # what a person-search network learns from -> its own loss terms
    "plain": ("rpn_score", "rpn_box", "score", "box", "identity"),
    "detector": (
        "rpn_score", "rpn_box", "score", "box", "identity", "hint", "rpn_score_soft", "score_soft", "box_bounded",
    ),
}  # fmt: skip


def document() -> dict[str, Any]:
    """A whole profile."""
    return copy.deepcopy(
        {
            "profile": "tiny",
            "seeds": [0, 1, 2],
            "data": DATA,
            "tracking": {
                "benchmarks": ["otb100", "vot2019", "lasot", "trackingnet"],
                "siamfc": SIAMFC,
                "siamrpn": SIAMRPN,
                "siamrpnpp": SIAMRPNPP,
            },
            "person_search": PERSON_SEARCH,
        }
    )
