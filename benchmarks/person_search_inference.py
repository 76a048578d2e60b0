"""Images a second of the person-search network beside SeqNet, with the same weights, on a CPU.

    python benchmarks/person_search_inference.py --seqnet CLONE [--threads 2] [--size 992x576] [--rounds 3]

Timed is one image from decoded pixels of the network's size to boxes, scores and id features; ours goes the way of
`distillery search`. SeqNet is two networks in one: Faster R-CNN (ResNet-50 to conv4, RPN, RoIAlign, conv5 on 300
proposals, scores and boxes), the work of ours where conv5 is the head, and then a second conv5 on what that found, from
which its id feature comes; ours has it from the first. So SeqNet is timed twice, to the end of its first stage (without
an id feature) and whole.

The weights are SeqNet's, random, BatchNorm's statistics settled, renamed into ours. SeqNet takes the maximum over a
region and aligns regions half a cell off; here ours does, too, and both drop proposals of less than 16 pixels. It stops
where boxes and scores differ: on a small image and in double precision, since rounding decides which of two nearly
equal proposals of a random network comes first; in single precision what is said about the same proposals is compared.
"""

from __future__ import annotations

import copy
import importlib
import statistics
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from harness import (
    Node,
    add_clone,
    arguments,
    begin,
    difference,
    interleaved,
    opencv,
    ratio,
    require_parity,
    settle,
    stand_in,
    table,
)
from torch import Tensor, nn

from distillery.config.search_network import Identification, Proposals, Regions, Resize, ResNetShape
from distillery.engine.devices import Device
from distillery.person_search.dataset import Pixels, as_input
from distillery.person_search.folding import folded
from distillery.person_search.network import OIMNetwork
from distillery.person_search.searchers import NetworkSearcher

CPU = Device(torch.device("cpu"), torch.float32)
RESNET50 = ResNetShape(stem_blocks=6)
RESNET18 = ResNetShape(block="basic", depths=(2, 2, 2, 2), stem_blocks=2, norm="batch")
PROPOSALS = Proposals(channels=1024, anchor_sizes=(32, 64, 128, 256, 512), min_size=16)
REGIONS = Regions(score=0.5, nms=0.4, detections=300)
FOUND = 20
"""Of 300 proposals so many have a score above one half, before suppression."""
CHECKED, CHECKED_PROPOSALS = (320, 192), 40
"""Size of the image and number of proposals in double precision."""


class AsSeqNet(OIMNetwork):
    """Ours with the pooling of SeqNet: the maximum of what conv5 makes of a region, and regions half a cell off."""

    def __init__(self, shape: ResNetShape = RESNET50, proposals: Proposals = PROPOSALS) -> None:
        super().__init__(shape, proposals, REGIONS, Identification(queue=0), 1)
        self.head.avgpool = nn.AdaptiveMaxPool2d(1)  # type: ignore[assignment]

    def pool(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """See `OIMNetwork`."""
        return super().pool(features, [(own + self.stem.stride / 2).to(features.dtype) for own in boxes])


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "", peers=("seqnet",))
    parser.add_argument("--size", default="992x576", help="of the image, multiples of 32 (default: 992x576)")
    parser.set_defaults(rounds=3, threads=2)
    options = parser.parse_args()
    if not options.seqnet:
        parser.error("nothing to compare with: give a clone of SeqNet")
    begin(options)
    width, height = (int(side) for side in options.size.split("x"))
    torch.manual_seed(0)
    commit, peer = seqnet(options.seqnet)
    pixels = noise(width, height)
    settle(peer, lambda: regions_of(peer, pixels))
    ours, small = AsSeqNet(), OIMNetwork(RESNET18, PROPOSALS, REGIONS, Identification(queue=0), 1)
    ours.load_state_dict(renamed(peer.state_dict(), ours.state_dict()))
    settle(small, lambda: small.pool(small.stem(as_input(pixels, small.stem.stride, CPU.torch)), [some_boxes()]))
    check(peer.eval(), ours.eval())
    some_score(peer, ours, pixels)
    search = searching(ours, pixels)
    check_regions(peer, ours, pixels)
    candidates = {
        "distillery, ResNet-50": search,
        f"SeqNet {commit}, its first stage": lambda: first_stage(peer, pixels),
        f"SeqNet {commit}, whole": lambda: whole(peer, pixels),
        "distillery, ResNet-18": searching(small, pixels),
    }
    seconds = interleaved(candidates, options.rounds)
    rows = []
    for name, taken in seconds.items():
        middle, times = statistics.median(taken), ratio(taken, seconds["distillery, ResNet-50"])
        rows.append([name, f"{1 / middle:.3f}", f"{middle:.2f}", f"{times:.2f}"])
    print(f"One image of {width}x{height} pixels, {PROPOSALS.post_nms[1]} proposals.\n")
    print(table(["network", "images/s", "s/image", "time / ours"], rows))


def seqnet(clone: str) -> tuple[str, Any]:
    """Its commit, and the network with random weights."""
    commit = add_clone(clone)
    stand_in("yacs.config", CfgNode=Node)
    config, resnet = importlib.import_module("defaults")._C, importlib.import_module("models.resnet")
    module: Any = importlib.import_module("models.seqnet")
    module.build_resnet = lambda name, pretrained: resnet.build_resnet(name, False)  # nothing is downloaded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision would rather have `weights` than `pretrained`
        network = module.SeqNet(config)
    network.rpn.min_size = PROPOSALS.min_size
    return commit, network


NAMES = {
    "stem.": "backbone.",
    "head.": "roi_heads.box_head.",
    "proposals.head.conv.": "rpn.head.conv.0.0.",
    "proposals.head.score.": "rpn.head.cls_logits.",
    "proposals.head.box.": "rpn.head.bbox_pred.",
    "layers.score.": "roi_heads.faster_rcnn_predictor.cls_score.",
    "layers.box.": "roi_heads.faster_rcnn_predictor.bbox_pred.",
}
"""How our names begin, and SeqNet's; it has no id feature in its first stage."""


def renamed(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SeqNet's tensors under our names; what has no name there stays ours."""
    found = {}
    for name, value in ours.items():
        start = next((start for start in NAMES if name.startswith(start)), None)
        found[name] = value if start is None else theirs[NAMES[start] + name.removeprefix(start)]
    return found


def check(peer: Any, ours: AsSeqNet) -> None:
    """Stops where boxes or scores of the first stage differ."""
    one, other, pixels = copy.deepcopy(peer).double(), copy.deepcopy(ours).double(), noise(*CHECKED)
    for proposing in (one.rpn, other.proposals):
        proposing._post_nms_top_n["testing"] = CHECKED_PROPOSALS
    some_score(one, other, pixels)
    boxes, scores = first_stage(one, pixels)
    size = pixels.shape[0], pixels.shape[1]
    with torch.no_grad():
        images, _ = look(one, pixels)  # normalised in single precision they would differ
        found = other.detect(other.look(images.tensors, [size]), size)
    if len(boxes) != len(found.boxes):
        sys.exit(f"SeqNet finds {len(boxes)} people, ours {len(found.boxes)}: the networks are not the same")
    require_parity(f"Boxes of {len(boxes)} people", difference(found.boxes, boxes))
    require_parity("Their scores", difference(found.scores, scores))


def noise(width: int, height: int) -> Pixels:
    """A blurred noise image (H, W, 3)."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(opencv().resize(coarse, (width, height)), np.uint8)


def some_boxes() -> Tensor:
    """Four people."""
    return torch.tensor([[20.0, 20, 80, 180], [100, 10, 160, 150], [30, 5, 120, 170], [200, 20, 270, 190]])


def tensor_of(peer: Any, pixels: Pixels) -> Tensor:
    """An image (3, H, W) in 0..1, as SeqNet's reader gives it, in the network's precision and of the size it wants."""
    precision, size = next(peer.parameters()).dtype, pixels.shape[:2]
    peer.transform.min_size, peer.transform.max_size = (min(size),), max(size)
    return torch.from_numpy(pixels).permute(2, 0, 1).to(precision).div(255)


def look(peer: Any, pixels: Pixels) -> tuple[Any, Any]:
    """SeqNet's prepared images, and its map."""
    images, _ = peer.transform([tensor_of(peer, pixels)])
    return images, peer.backbone(images.tensors)


@torch.no_grad()
def regions_of(peer: Any, pixels: Pixels) -> None:
    """Both heads of SeqNet on some regions."""
    images, features = look(peer, pixels)
    pooled = peer.roi_heads.box_roi_pool(features, [some_boxes()], images.image_sizes)
    peer.roi_heads.box_head(pooled)
    peer.roi_heads.reid_head(pooled)


def proposed(peer: Any, pixels: Pixels) -> tuple[Any, ...]:
    """What SeqNet says about its proposals: logits, deltas, the proposals, sizes of the images."""
    images, features = look(peer, pixels)
    proposals, _ = peer.rpn(images, features, None)
    heads = peer.roi_heads
    pooled = heads.box_head(heads.box_roi_pool(features, proposals, images.image_sizes))
    return *heads.faster_rcnn_predictor(pooled["feat_res5"]), proposals, images.image_sizes


@torch.no_grad()
def first_stage(peer: Any, pixels: Pixels) -> tuple[Tensor, Tensor]:
    """Boxes and scores of SeqNet's Faster R-CNN."""
    boxes, scores, _ = peer.roi_heads.postprocess_proposals(*proposed(peer, pixels))
    return boxes[0], scores[0]


@torch.no_grad()
def whole(peer: Any, pixels: Pixels) -> Any:
    """SeqNet as it is."""
    return peer([tensor_of(peer, pixels)])


@torch.no_grad()
def some_score(peer: Any, ours: AsSeqNet, pixels: Pixels) -> None:
    """Moves the bias of the score, so that of a random network's proposals as many pass as in a picture of people."""
    logits = proposed(peer, pixels)[0]
    margin = (logits[:, 1] - logits[:, 0]).sort(descending=True).values[FOUND - 1 : FOUND + 1].mean()
    for layer in (peer.roi_heads.faster_rcnn_predictor.cls_score, ours.layers.score):
        layer.bias[1] -= margin.to(layer.bias.dtype)


@torch.no_grad()
def check_regions(peer: Any, ours: AsSeqNet, pixels: Pixels) -> None:
    """Stops where the networks say other things about SeqNet's proposals in the whole image."""
    logits, deltas, proposals, _ = proposed(peer, pixels)
    images = as_input(pixels, ours.stem.stride, CPU.torch)
    answer = ours.layers(ours.pool(ours.look(images, [(pixels.shape[0], pixels.shape[1])]), proposals))
    require_parity("Scores of the same proposals", difference(answer.scores, logits), 1e-3)
    require_parity("Deltas of the same proposals", difference(answer.deltas, deltas), 1e-3)


def searching(network: OIMNetwork, pixels: Pixels) -> Callable[[], Any]:
    """Ours as `distillery search` does it."""
    height, width = pixels.shape[:2]
    resize = Resize(shorter=min(height, width), longer=max(height, width))
    searcher = NetworkSearcher(folded(network.eval()), resize, CPU, true_boxes=False)

    @torch.no_grad()
    def search() -> Any:
        return searcher.gallery([pixels], [])

    return search


if __name__ == "__main__":
    main()
