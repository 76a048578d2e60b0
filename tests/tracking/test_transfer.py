from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from distillery.config.siamrpnpp import Pretraining, SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.engine.checkpoint import save_tensors
from distillery.engine.weights import load_weights
from distillery.errors import UserError
from distillery.tracking import residual, transfer
from distillery.tracking.mobile import AtrousMobileNetV2
from distillery.tracking.residual import AtrousResNet
from distillery.tracking.siamrpnpp import SiamRPNPP, build


def with_statistics(classifier: nn.Module) -> nn.Module:
    """Random weights, BatchNorm that has something to do."""
    torch.manual_seed(0)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return classifier.eval()


def normalised(image: Tensor) -> Tensor:
    """As torchvision's `presets.ImageClassification`."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (image / 255 - mean[:, None, None]) / deviation[:, None, None]


def agree(found: Tensor, expected: Tensor, border: int) -> None:
    """Equal where no padding is felt, and nowhere else by chance."""
    side = found.shape[-1]
    inner = slice(border, side - border)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found[..., inner, inner], expected[..., inner, inner], rtol=1e-3, atol=1e-4 * scale)
    assert not torch.allclose(found[..., 0, 0], expected[..., 0, 0], rtol=1e-3, atol=1e-4 * scale)


def test_a_residual_network_computes_what_torchvisions_dilated_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strides, dilations, shortcuts, colours: torchvision's own dilated network on the crop without its first 7 px,
    whose zero padding then falls on the positions that ours begins with."""
    depths = (1, 1, 2, 2)
    reference = with_statistics(
        models.ResNet(models.resnet.Bottleneck, list(depths), replace_stride_with_dilation=[False, True, True])
    )
    save_tensors(tmp_path / "weights.safetensors", reference.state_dict())
    monkeypatch.setitem(residual.NETWORKS, "resnet50", (models.resnet.Bottleneck, depths))  # type: ignore[misc]
    backbone = AtrousResNet("resnet50")
    transfer.load_pretrained(backbone, "resnet50", str(tmp_path / "weights.safetensors"))
    image = 255 * torch.rand(1, 3, 263, 263)
    with torch.inference_mode():
        levels = backbone.eval()(image[..., :255, :255])
        features = reference.maxpool(reference.relu(reference.bn1(reference.conv1(normalised(image[..., 7:, 7:])))))
        features = reference.layer1(features)
        # Cells of the border: 3 of 4 px before level 2, then 1 for each 3x3 convolution and its dilation.
        torch.testing.assert_close(levels[1][..., 5:59, 5:59], features[..., 4:58, 4:58], rtol=1e-3, atol=1e-3)
        for level, border in ((2, 2), (3, 5), (4, 11)):
            features = reference.get_submodule(f"layer{level}")(features)
            agree(levels[level], features[..., :31, :31], border)


def test_a_mobile_network_computes_what_torchvisions_does_before_it_dilates(tmp_path: Path) -> None:
    reference = with_statistics(models.mobilenet_v2())
    save_tensors(tmp_path / "weights.safetensors", reference.state_dict())
    backbone = AtrousMobileNetV2()
    transfer.load_pretrained(backbone, "mobilenet_v2", str(tmp_path / "weights.safetensors"))
    image = 255 * torch.rand(1, 3, 135, 135)
    with torch.inference_mode():
        levels = backbone.eval()(image[..., :127, :127])
        features = reference.features[:7](normalised(image[..., 7:, 7:]))
        agree(levels[2], features[..., :15, :15], 5)


class TestLoading:
    @pytest.fixture
    def weights(self, tmp_path: Path) -> Path:
        save_tensors(tmp_path / "resnet18.safetensors", models.resnet18().state_dict())
        return tmp_path / "resnet18.safetensors"

    def test_a_network_begins_with_them(self, weights: Path) -> None:
        pretraining = Pretraining(weights=str(weights))
        architecture = SiamRPNPPArchitecture(
            backbone="resnet18", head_channels=8, levels=(2, 3), pretraining=pretraining
        )
        made = build(architecture, SiamRPNPPGeometry())
        expected = models.resnet18()
        expected.load_state_dict(load_weights(weights))
        found = made.backbone.get_submodule("layer3").state_dict()
        for name, value in expected.layer3.state_dict().items():
            middle = found[name][..., 1:2, 1:2] if name == "0.downsample.0.weight" else found[name]
            assert torch.equal(middle, value), name
        assert found["0.downsample.0.weight"].count_nonzero() == expected.layer3[0].downsample[0].weight.count_nonzero()

    @pytest.mark.parametrize(
        ("name", "width", "sentence"),
        [
            ("resnet34", 1.0, "has no tensor 'layer1.2.conv1.weight'"),
            ("resnet50", 1.0, "has no tensor 'layer1.0.conv3.weight'"),
            ("resnet18", 0.5, r"has shape \(64,\), the backbone needs \(32,\)"),
        ],
    )
    def test_of_another_architecture(self, weights: Path, name: Any, width: float, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            transfer.load_pretrained(AtrousResNet(name, width=width), name, str(weights))

    def test_of_another_family(self, weights: Path) -> None:
        with pytest.raises(UserError, match=r"has no tensor 'features.0.0.weight'"):
            transfer.load_pretrained(AtrousMobileNetV2(), "mobilenet_v2", str(weights))

    def test_that_do_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="does not exist"):
            transfer.load_pretrained(AtrousResNet("resnet18"), "resnet18", str(tmp_path / "none.safetensors"))

    def test_in_torchs_own_format(self, weights: Path, tmp_path: Path) -> None:
        torch.save(models.resnet18().state_dict(), tmp_path / "weights.pth")
        backbone = AtrousResNet("resnet18")
        transfer.load_pretrained(backbone, "resnet18", str(tmp_path / "weights.pth"))
        expected = torch.load(tmp_path / "weights.pth", weights_only=True)["layer2.0.conv1.weight"]
        assert torch.equal(backbone.get_submodule("layer2.0.conv1").weight, expected)

    def test_imagenet_is_the_file_that_fetch_writes(self, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And nothing is fetched by a job: without the file it says which command does."""
        monkeypatch.chdir(weights.parent)
        with pytest.raises(UserError, match=r"weights/resnet18.safetensors: does not exist; run `distillery fetch w"):
            transfer.load_pretrained(AtrousResNet("resnet18"), "resnet18", "imagenet")
        Path("datasets/weights").mkdir(parents=True)
        weights.rename("datasets/weights/resnet18.safetensors")
        transfer.load_pretrained(AtrousResNet("resnet18"), "resnet18", "imagenet")


class TestSchedule:
    def network(self, backbone: Any = "resnet18", **changes: Any) -> SiamRPNPP:
        pretraining = Pretraining(weights="unused.safetensors", frozen_epochs=2, **changes)
        architecture = SiamRPNPPArchitecture(backbone=backbone, width=0.1, head_channels=4, pretraining=pretraining)
        return SiamRPNPP(architecture, SiamRPNPPGeometry()).train()

    @staticmethod
    def moving(network: SiamRPNPP) -> set[int]:
        """Levels of the backbone that are trained; parameters and statistics must agree."""
        found = set()
        for level, modules in network.backbone.parts().items():
            learn = {p.requires_grad for module in modules for p in module.parameters()}
            collect = {n.training for m in modules for n in m.modules() if isinstance(n, nn.BatchNorm2d)}
            assert learn | collect in ({True}, {False})
            if learn == {True}:
                found.add(level)
        return found

    @pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2"])
    def test_frozen_then_some_levels(self, backbone: str) -> None:
        made = self.network(backbone)
        history = []
        for epoch in range(4):
            made.begin_epoch(epoch)
            history.append(self.moving(made))
            assert all(p.requires_grad for p in made.heads.parameters())
            assert made.heads[0].adjust[1].training
        assert history == [set(), set(), {2, 3, 4}, {2, 3, 4}]
        made.begin_epoch(0)  # depends on the epoch alone
        assert self.moving(made) == set()

    def test_other_levels(self) -> None:
        made = self.network(levels=(4,))
        made.begin_epoch(2)
        assert self.moving(made) == {4}

    def test_without_pretraining_everything_learns(self) -> None:
        architecture = SiamRPNPPArchitecture(backbone="resnet18", width=0.1, head_channels=4)
        made = SiamRPNPP(architecture, SiamRPNPPGeometry()).train()
        made.begin_epoch(0)
        assert self.moving(made) == {0, 1, 2, 3, 4}

    def test_evaluation_mode_stays(self) -> None:
        made = self.network().eval()
        made.begin_epoch(5)
        assert not any(module.training for module in made.modules())

    def test_what_is_frozen_does_not_move(self) -> None:
        made = self.network()
        optimiser = torch.optim.SGD(
            [{"params": group, "lr": 0.1 * factor} for group, factor in made.parameter_groups()],
            momentum=0.9,
            weight_decay=0.1,
        )
        states = []
        for epoch in range(4):
            made.begin_epoch(epoch)
            scores, *_ = made(255 * torch.rand(2, 3, 127, 127), 255 * torch.rand(2, 3, 255, 255))
            optimiser.zero_grad(set_to_none=True)
            scores.square().sum().backward()
            optimiser.step()
            states.append({name: value.clone() for name, value in made.backbone.state_dict().items()})
        first, frozen, *_, last = states
        assert all(torch.equal(frozen[name], value) for name, value in first.items())
        moved = {name.split(".")[0] for name, value in last.items() if not torch.equal(frozen[name], value)}
        assert moved == {"layer2", "layer3", "layer4"}
