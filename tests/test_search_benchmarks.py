"""The person-search benchmarks: made-up data as the real sets are stored, sides that agree or stop the script."""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import AnchorGenerator, RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from distillery.person_search.benchmarks import cuhk_protocols, prw
from distillery.person_search.predictions import write_predictions
from distillery.person_search.protocol import TOP, search_scores
from person_search import builders
from test_benchmarks import FOLDER, rows, run

PEER_MODULES = ("models", "models.oim")


@pytest.fixture(autouse=True)
def from_the_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts import their neighbours and the peer; they set the number of threads."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "path", list(sys.path))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    for name in PEER_MODULES:
        sys.modules.pop(name, None)


def small_cuhk(queries: int = 12, images: int = 50, size: int = 30) -> Any:
    from person_search_data import people, with_galleries

    return with_galleries(people(queries, images), size)


def found_in(protocol: Any, count: int = 200) -> Any:
    from person_search_data import detections

    shown = cuhk_protocols.test_appearances(protocol)
    return detections(shown, protocol.images, [query.identity for query in protocol.queries], count)


class TestData:
    def test_a_protocol_survives_its_file(self, tmp_path: Path) -> None:
        from person_search_data import write_protocol

        made, file = small_cuhk(), cuhk_protocols.protocol_file(tmp_path, 30)
        write_protocol(file, made)
        read = cuhk_protocols.load_protocol(tmp_path, 30)
        for query in range(len(made.queries)):
            ours, stored = made.gallery(query), read.gallery(query)
            assert [entry.image for entry in ours] == [entry.image for entry in stored]
            assert all(
                np.array_equal(one.box, other.box) if one.box is not None else other.box is None
                for one, other in zip(ours, stored, strict=True)
            )
        assert all(
            one.image == other.image and np.array_equal(one.box, other.box)
            for one, other in zip(made.queries, read.queries, strict=True)
        )

    def test_scipy_reads_the_structs_of_the_real_file(self, tmp_path: Path) -> None:
        from person_search_data import write_protocol

        file = tmp_path / "TestG30.mat"
        write_protocol(file, small_cuhk())
        table = scipy.io.loadmat(file)["TestG30"]
        assert table.shape == (1, 12) and table.dtype.names == ("Query", "Gallery")
        query, gallery = table[0, 0]["Query"], table[0, 0]["Gallery"]
        assert query.dtype.names == ("imname", "idlocate", "ishard", "idname") and gallery.shape == (1, 30)
        assert query["idlocate"][0, 0].shape == (1, 4) and query["idlocate"][0, 0].dtype in (np.uint8, np.uint16)
        assert gallery["idlocate"][0, 0].shape == (1, 4) and gallery["idlocate"][0, -1].shape == (1, 0)

    def test_galleries_hold_the_positives_first_and_nothing_twice(self) -> None:
        made = small_cuhk()
        for number, query in enumerate(made.queries):
            gallery = made.gallery(number)
            names, shown = [entry.image for entry in gallery], [entry.box is not None for entry in gallery]
            assert len(names) == len(set(names)) == 30 and query.image not in names
            assert 1 <= sum(shown) <= 6 and shown == sorted(shown, reverse=True)

    def test_prw_is_what_its_reader_makes_of_the_frames(self, tmp_path: Path) -> None:
        from person_search_data import prw_frames, prw_protocol

        frames = prw_frames(20, 60, 7)
        made = prw_protocol(frames, 10)
        builders.write_prw_lists(tmp_path, [], [frame.name[:-4] for frame in frames])
        for name, boxes, ids in frames:
            sides = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
            builders.write_prw_frame(tmp_path, name[:-4], np.column_stack([np.where(ids < 0, -2, ids), sides]))
        lines = []
        for query in made.queries:
            x1, y1, x2, y2 = query.box
            lines.append(f"{query.identity} {x1} {y1} {x2 - x1} {y2 - y1} {query.image[:-4]}\n")
        (tmp_path / "query_info.txt").write_text("".join(lines))
        read = prw.load_protocol(tmp_path, "prw")
        assert made.images == read.images
        for name in ("offsets", "entries", "positives", "positive_boxes"):
            np.testing.assert_array_equal(getattr(made, name), getattr(read, name))

    def test_detections_are_near_the_people(self) -> None:
        made = small_cuhk()
        found = found_in(made)
        assert len(found.gallery_image) == 200 and len(found.query_feature) == 12
        assert set(found.gallery_image) <= set(made.images)
        assert 0.3 < search_scores(made, found).map < 1


class TestScoring:
    def test_the_first_queries_score_as_in_the_whole(self) -> None:
        import person_search_scoring as script

        made = small_cuhk()
        found = found_in(made)
        whole = search_scores(made, found)
        part = search_scores(script.first(made, 5), found, query_rows=np.arange(5))
        np.testing.assert_allclose(part.average_precision, whole.average_precision[:5])

    def test_seqnet_gets_every_detection_once(self) -> None:
        import person_search_scoring as script

        made = small_cuhk()
        found = found_in(made)
        boxes, features, queries = script.lists(made.images, found, 4)
        assert len(boxes) == len(features) == len(made.images) and len(queries) == 4
        for name, own, rows_of in zip(made.images, boxes, features, strict=True):
            of = found.gallery_image == name
            np.testing.assert_array_equal(own, np.column_stack([found.gallery_box, found.gallery_score])[of])
            np.testing.assert_allclose(np.linalg.norm(rows_of, axis=1), 1, rtol=1e-6)

    @pytest.mark.parametrize("error", [0.0, 0.01])
    def test_numbers_are_compared_on_the_queries_that_both_scored(self, error: float) -> None:
        import person_search_scoring as script

        made = small_cuhk()
        found = found_in(made)
        whole = search_scores(made, found)
        top = [float(((whole.best_rank[:5] > 0) & (whole.best_rank[:5] <= k)).mean()) for k in TOP]
        answer = {"mAP": whole.average_precision[:5].mean() + error, "accs": top}
        row, wrong = script.compared(script.Case("made up", made, found, lambda: answer, 5), 1)
        assert wrong == pytest.approx(error, abs=1e-12)
        assert row[0] == "made up" and row[4] == "5 of 12, scaled"

    def test_a_process_of_its_own_scores_what_the_files_hold(self, tmp_path: Path) -> None:
        import person_search_scoring as script
        from person_search_data import write_protocol

        made = small_cuhk()
        write_protocol(cuhk_protocols.protocol_file(tmp_path, 30), made)
        found = found_in(made)
        write_predictions(tmp_path / script.SCORED, found)
        answer = script.child("G30", tmp_path)
        assert answer["map"] == search_scores(made, found).map
        assert 10 < answer["peak"] < 2000 and answer["load"] > 0 and answer["score"] > 0

    def test_needs_the_peer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DISTILLERY_SEQNET", raising=False)
        for script in ("scoring", "oim", "inference"):
            with pytest.raises(SystemExit, match="2"):
                run(f"person_search_{script}.py", monkeypatch=monkeypatch)


LITERAL_LOSS = '''
import torch
from torch import nn
from torch.nn import functional as F


class OIMLoss(nn.Module):
    """Region after region, with SeqNet's interface: identities from 1, 5555 nobody's."""

    def __init__(self, dimension, identities, queued, momentum, scale):
        super().__init__()
        self.register_buffer("lut", torch.zeros(identities, dimension))
        self.register_buffer("cq", torch.zeros(queued, dimension))
        self.momentum, self.scale, self.header = momentum, scale, 0

    def forward(self, inputs, labels):
        ids = torch.cat(labels) - 1
        columns = torch.cat([self.lut, self.cq]).clone()
        loss = F.cross_entropy(FACTOR * self.scale * inputs @ columns.T, ids, ignore_index=5554)
        for x, identity in zip(inputs.detach(), ids.tolist(), strict=True):
            if identity < len(self.lut):
                self.lut[identity] = F.normalize(self.momentum * self.lut[identity] + (1 - self.momentum) * x, dim=0)
            else:
                self.cq[self.header] = x
                self.header = (self.header + 1) % len(self.cq)
        return loss
'''


class TestOIM:
    def peer(self, folder: Path, factor: float) -> str:
        (folder / "models").mkdir()
        (folder / "models/oim.py").write_text(LITERAL_LOSS.replace("FACTOR", str(factor)))
        return str(folder)

    def test_agrees_with_a_literal_loop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--seqnet", self.peer(tmp_path, 1.0), "--rois", "24", "--rounds", "1"]
        run("person_search_oim.py", *words, monkeypatch=monkeypatch)
        found = rows(capsys.readouterr().out)[2:]
        assert [line[0] for line in found] == [
            *(f"CUHK-SYSU, {share} % unlabelled" for share in (0, 30, 73)),
            "PRW, 17 % unlabelled",
        ]
        assert all(float(line[4]) > 0 and float(line[5]) <= 1e-6 for line in found)

    def test_stops_where_gradients_differ(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        words = ["--seqnet", self.peer(tmp_path, 1.01), "--rois", "8", "--rounds", "1"]
        with pytest.raises(SystemExit, match="differ by more than"):
            run("person_search_oim.py", *words, monkeypatch=monkeypatch)


class FirstStage(nn.Module):
    """torchvision's Faster R-CNN with ResNet-18, its parts under SeqNet's names."""

    def __init__(self, min_size: float) -> None:
        super().__init__()
        resnet = resnet18()
        parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
        self.backbone = nn.Sequential(OrderedDict((name, getattr(resnet, name)) for name in parts))
        self.backbone.register_forward_hook(lambda _, __, found: OrderedDict(feat_res4=found))
        anchors = AnchorGenerator(((32, 64, 128),), ((0.5, 1.0, 2.0),))
        counts = {"training": 20, "testing": 20}
        self.rpn = RegionProposalNetwork(anchors, RPNHead(256, 9), 0.7, 0.3, 256, 0.5, counts, dict(counts), 0.7)
        self.rpn.min_size = min_size
        head = nn.Sequential(OrderedDict(layer4=resnet.layer4))
        head.register_forward_hook(lambda _, __, found: {"feat_res5": F.adaptive_max_pool2d(found, 1)})
        pool = MultiScaleRoIAlign(["feat_res4"], 14, 2)
        self.roi_heads = RoIHeads(pool, head, None, 0.5, 0.5, 128, 0.5, None, 0.5, 0.4, 300)
        self.roi_heads.faster_rcnn_predictor = FastRCNNPredictor(512, 2)
        self.roi_heads.reid_head = copy.deepcopy(head)
        self.roi_heads.postprocess_proposals = self.roi_heads.postprocess_detections
        self.transform = GeneralizedRCNNTransform(1, 1, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class TestInference:
    @pytest.fixture
    def sides(self, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, Any]:
        import harness
        import person_search_inference as script

        for name, value in {"CHECKED": (192, 96), "CHECKED_PROPOSALS": 12, "FOUND": 5}.items():
            monkeypatch.setattr(script, name, value)
        torch.manual_seed(0)
        settings = script.PROPOSALS.model_copy(update={"channels": 256, "anchor_sizes": (32, 64, 128)})
        peer, ours = FirstStage(settings.min_size), script.AsSeqNet(script.RESNET18, settings)
        harness.settle(peer, lambda: script.regions_of(peer, script.noise(192, 96)))
        ours.load_state_dict(script.renamed(peer.state_dict(), ours.state_dict()))
        return script, peer.eval(), ours.eval()

    def test_the_same_weights_find_the_same_people(
        self, sides: tuple[Any, Any, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        script, peer, ours = sides
        script.check(peer, ours)
        script.check_regions(peer, ours, script.noise(192, 96))
        assert capsys.readouterr().out.count("with the same weights") == 4

    def test_other_weights_stop_it(self, sides: tuple[Any, Any, Any]) -> None:
        script, peer, ours = sides
        with torch.no_grad():
            ours.layers.box.weight.mul_(1.05)
        with pytest.raises(SystemExit, match="not the same"):
            script.check_regions(peer, ours, script.noise(192, 96))
        with pytest.raises(SystemExit, match="not the same"):
            script.check(peer, ours)

    def test_every_tensor_but_those_of_the_id_feature_has_a_name_there(self) -> None:
        import person_search_inference as script

        unknown = {name for name in script.AsSeqNet().state_dict() if not name.startswith(tuple(script.NAMES))}
        assert unknown == {
            *(f"layers.identity.{name}" for name in ("weight", "bias")),
            *(f"identification.{name}" for name in ("table", "queue", "pointer")),
        }


def test_gpu_on_a_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--device", "cpu", "--width", "4", "--size", "160x96", "--batch", "1", "--training-batch", "1"]
    run("person_search_gpu.py", *words, "--rounds", "1", "--precision", "float32", monkeypatch=monkeypatch)
    found = rows(capsys.readouterr().out)[2:]
    assert [line[0] for line in found] == ["ResNet-50", "ResNet-18"]
    assert all(float(cell) > 0 for line in found for cell in line[3:6])
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="torch finds no GPU"):
            run("person_search_gpu.py", monkeypatch=monkeypatch)
