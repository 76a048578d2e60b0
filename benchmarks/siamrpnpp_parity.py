"""SiamRPN++ against pysot: number of parameters, outputs with the same weights, and time of a frame's forward.

    python benchmarks/siamrpnpp_parity.py path/to/pysot [--threads 1] [--rounds 10]

pysot's networks are built from its own config files (ResNet-34 and 18 from ResNet-50's) with random weights, a few
batches set their BatchNorm statistics, and the weights are renamed into ours. Fails where parameters differ in number
or outputs by more than 1e-4 of their largest magnitude. Folding BatchNorm is compared in float64: it changes the order
of roundings, and random ResNet-50s amplify those of float32 to about 1e-4 with and without it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from distillery.config.siamrpnpp import SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.engine.cost import milliseconds
from distillery.tracking.siamrpnpp import SiamRPNPP

TOLERANCE = 1e-4
NETWORKS = {
    "resnet50": SiamRPNPPArchitecture(),
    "resnet34": SiamRPNPPArchitecture(backbone="resnet34"),
    "resnet18": SiamRPNPPArchitecture(backbone="resnet18"),
    "mobilenetv2": SiamRPNPPArchitecture(backbone="mobilenet_v2", width=1.4, weighted=False),
}
"""pysot's backbones and what the networks on them are here."""
STAGE_BEGINS = {2: 2, 3: 4, 4: 7, 5: 11, 6: 14, 7: 17}
"""Number of the first block of MobileNetV2's stages, counted as torchvision counts."""


class Reference(nn.Module):
    """pysot's `ModelBuilder` without the parts that need its global config."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__()
        from pysot.models.backbone import get_backbone
        from pysot.models.head import get_rpn_head
        from pysot.models.neck import get_neck

        experiment = f"siamrpn_{'mobilev2' if name == 'mobilenetv2' else 'r50'}_l234_dwxcorr"
        config = yaml.safe_load((root / "experiments" / experiment / "config.yaml").read_text())
        config["BACKBONE"]["TYPE"] = name
        if name in ("resnet18", "resnet34"):  # pysot has the backbones, yet no config for them
            config["ADJUST"]["KWARGS"]["in_channels"] = [128, 256, 512]

        def make(function: Callable[..., nn.Module], section: str) -> nn.Module:
            return function(config[section]["TYPE"], **config[section]["KWARGS"])

        self.backbone = make(get_backbone, "BACKBONE")
        self.neck = make(get_neck, "ADJUST")
        self.rpn_head = make(get_rpn_head, "RPN")

    def template(self, exemplar: Tensor) -> Any:
        return self.neck(self.backbone(exemplar))

    def track(self, template: Any, search: Tensor) -> tuple[Tensor, Tensor]:
        return self.rpn_head(template, self.neck(self.backbone(search)))


def renamed(name: str) -> str:
    """Our name of one of pysot's tensors."""
    part, *rest = name.split(".")
    if part == "neck":
        return ".".join([f"heads.{int(rest[0].removeprefix('downsample')) - 2}.adjust", *rest[2:]])
    if part == "rpn_head":
        if rest[0] in ("cls_weight", "loc_weight"):
            return f"weights.{'classification' if rest[0] == 'cls_weight' else 'regression'}"
        level, branch, place, *inner = rest
        branch = {"cls": "classification", "loc": "regression"}[branch]
        place = {"conv_kernel": "template", "conv_search": "search", "head": "head"}[place]
        return ".".join([f"heads.{int(level.removeprefix('rpn')) - 2}", branch, place, *inner])
    if not (rest[0] == "layer0" or "conv" in rest):
        return name  # ResNet
    if rest[0] == "layer0":
        return ".".join(["backbone.features.0", *rest[1:]])
    stage, block, _, index, tensor = rest
    kind = ["0.0", "0.1", "", "1.0", "1.1", "", "2", "3"][int(index)]
    number = int(stage.removeprefix("layer"))
    if number == 1:
        # Our first block is torchvision's, without expansion.
        if int(index) < 2:
            return f"backbone.expand.{index}.{tensor}"
        return f"backbone.features.1.conv.{ {'3': '0.0', '4': '0.1', '6': '1', '7': '2'}[index] }.{tensor}"
    return f"backbone.features.{STAGE_BEGINS[number] + int(block)}.conv.{kind}.{tensor}"


@torch.inference_mode()
def compare(root: Path, name: str, rounds: int) -> bool:
    torch.manual_seed(0)
    reference = Reference(root, name)
    network = SiamRPNPP(NETWORKS[name], SiamRPNPPGeometry())
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = 0.5
    exemplar, search = 255 * torch.rand(4, 3, 127, 127), 255 * torch.rand(4, 3, 255, 255)
    reference.train()
    for _ in range(4):
        reference.track(reference.template(exemplar), search)
    reference.eval()
    network.load_state_dict({renamed(tensor): value for tensor, value in reference.state_dict().items()})
    network.eval()
    folded = network.for_inference()

    equal = True
    counts = [sum(parameter.numel() for parameter in made.parameters()) for made in (reference, network)]
    statistics = sum(value.numel() for value in network.buffers() if value.is_floating_point())
    equal &= counts[0] == counts[1]
    print(f"{name}: parameters pysot {counts[0]:,}, ours {counts[1]:,} ({4e-6 * counts[1]:.2f} MB);")
    print(f"  with BatchNorm's running statistics {4e-6 * (counts[1] + statistics):.2f} MB")
    exemplar, search = 255 * torch.rand(4, 3, 127, 127), 255 * torch.rand(4, 3, 255, 255)
    expected = reference.track(reference.template(exemplar), search)
    equal &= agree("forward", expected, network(exemplar, search)[:2])
    equal &= agree("template and respond", expected, network.respond(network.template(exemplar), search))
    template, kernels = reference.template(exemplar[:1]), folded.template(exemplar[:1])
    theirs, ours = milliseconds(
        [lambda: reference.track(template, search[:1]), lambda: folded.respond(kernels, search[:1])], rounds=rounds
    )
    print(f"  one search region: pysot {theirs:.1f} ms, ours {ours:.1f} ms ({theirs / ours:.2f}x)")
    reference, folded = reference.double(), network.double().for_inference()
    exemplar, search = exemplar.double(), search.double()
    expected = reference.track(reference.template(exemplar), search)
    return equal & agree("folded, float64", expected, folded.respond(folded.template(exemplar), search))


def agree(how: str, expected: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> bool:
    equal = True
    for name, theirs, ours in zip(("cls", "loc"), expected, found, strict=True):
        error = float((theirs - ours).abs().max() / theirs.abs().max())  # shapes that differ raise
        equal &= theirs.shape == ours.shape and error < TOLERANCE
        print(f"  {how}, {name} {tuple(theirs.shape)}: largest difference {error:.1e} of the largest value")
    return equal


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pysot", type=Path, help="checkout of STVIR/pysot")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sys.path.insert(0, str(arguments.pysot))
    results = [compare(arguments.pysot, name, arguments.rounds) for name in NETWORKS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
