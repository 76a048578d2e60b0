"""Region proposal network: torchvision's, with the head of the official OIM network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork

from distillery.config.person_search import Proposals


class ProposalHead(nn.Module):
    """3x3 convolution and ReLU, then an objectness score and four box deltas for every anchor.

    The official code scores an anchor with a softmax over two classes, here it is the equivalent sigmoid of one.

    Args:
        inputs: Channels of the feature map.
        hidden: Channels of the 3x3 convolution.
        anchors: Anchors at every position.
    """

    def __init__(self, inputs: int, hidden: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.score = nn.Conv2d(hidden, anchors, 1)
        self.box = nn.Conv2d(hidden, 4 * anchors, 1)
        for layer, deviation in ((self.conv, 0.01), (self.score, 0.01), (self.box, 0.001)):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness logits and box deltas of every feature map, as torchvision's RPN asks for them."""
        hidden = [F.relu(self.conv(feature)) for feature in features]
        # Under mixed precision the boxes are still decoded in float32.
        return [self.score(x).float() for x in hidden], [self.box(x).float() for x in hidden]


def build_proposal_network(proposals: Proposals, inputs: int) -> RegionProposalNetwork:
    """The proposal network of a config on a map of `inputs` channels."""
    anchors = AnchorGenerator((proposals.anchor_sizes,), (proposals.anchor_ratios,))
    network = RegionProposalNetwork(
        anchors,
        ProposalHead(inputs, proposals.channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=proposals.positive_iou,
        bg_iou_thresh=proposals.negative_iou,
        batch_size_per_image=proposals.batch,
        positive_fraction=0.5,
        pre_nms_top_n={"training": proposals.pre_nms[0], "testing": proposals.pre_nms[1]},
        post_nms_top_n={"training": proposals.post_nms[0], "testing": proposals.post_nms[1]},
        nms_thresh=proposals.nms,
    )
    network.min_size = proposals.min_size
    return network
