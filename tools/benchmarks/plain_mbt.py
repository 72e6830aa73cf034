"""A plain implementation of audio-visual recognition with bottlenecks: the reference of the benchmark.

Nagrani et al., NeurIPS 2021, arXiv:2107.00135, with transformers' VideoMAE (or a few 3-D convolutions) and a ResNet-18
of torch's own layers. Every clip has a spectrogram (zeros if it has no sound) and passes every layer. A mask excludes
the audio of silent clips when modalities are averaged.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainBlock(nn.Module):
    """Basic residual block."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample: nn.Module | None = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class PlainResNet18(nn.Module):
    """ResNet-18 with one input channel, without a classifier; named as in torchvision."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        before = width
        for i in range(4):
            after = width * 2**i
            stage = nn.Sequential(PlainBlock(before, after, 1 if i == 0 else 2), PlainBlock(after, after, 1))
            self.add_module(f'layer{i + 1}', stage)
            before = after

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for i in range(4):
            x = getattr(self, f'layer{i + 1}')(x)
        return x.flatten(2).transpose(1, 2)


class PlainMBT(nn.Module):
    """Encoders, fusion and heads.

    Args:
        ours: VADLab's ``AudioVisualRecognizer``, whose sizes and weights are copied.
    """

    def __init__(self, ours: Any) -> None:
        super().__init__()
        fusion = ours.fusion
        self.is_videomae = hasattr(ours.encoders.video, 'encoder')
        if self.is_videomae:
            from transformers import VideoMAEModel

            self.video = VideoMAEModel(ours.encoders.video.encoder.config)
            self.video.load_state_dict(ours.encoders.video.encoder.state_dict())
        else:
            stages = []
            for convolution, norm, _ in ours.encoders.video.stages:
                stages += [
                    nn.Conv3d(convolution.in_channels, convolution.out_channels, 3, convolution.stride, 1, bias=False),
                    nn.GroupNorm(norm.num_groups, norm.num_channels),
                    nn.ReLU(),
                ]
            self.video = nn.Sequential(*stages)
            copy_in_order(self.video, ours.encoders.video.stages)
        self.audio = PlainResNet18(ours.encoders.audio.resnet.conv1.out_channels)
        self.audio.load_state_dict(ours.encoders.audio.resnet.state_dict())
        names, width = ('video', 'audio'), fusion.width
        heads = fusion.layers['video'][0].heads
        self.depth, self.start = fusion.depth, fusion.fusion_layer
        self.inputs = nn.ModuleDict()
        self.layers = nn.ModuleDict()
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in names})
        self.cls = nn.ParameterDict({name: nn.Parameter(fusion.cls[name].detach().clone()) for name in names})
        self.bottleneck = nn.Parameter(fusion.bottleneck.detach().clone())
        for name in names:
            channels = ours.encoders[name].width
            self.inputs[name] = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
            self.layers[name] = nn.ModuleList(
                nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, 'gelu', batch_first=True, norm_first=True)
                for _ in range(self.depth)
            )
            copy_in_order(self.inputs[name], fusion.projections[name])
            copy_in_order(self.norms[name], fusion.norms[name])
            for layer, block in zip(self.layers[name], fusion.layers[name], strict=True):
                copy_block(layer, block)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, head.linear.out_features) for name, head in ours.heads.items()}
        )
        for name, head in ours.heads.items():
            copy_in_order(self.heads[name], head.linear)

    def forward(self, video: Tensor, audio: Tensor, has_audio: Tensor, places: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits of each head."""
        if self.is_videomae:
            video_tokens = self.video(pixel_values=video).last_hidden_state
        else:
            video_tokens = self.video(video.transpose(1, 2)).flatten(2).transpose(1, 2)
        batch = len(video)
        tokens = {'video': video_tokens, 'audio': self.audio(audio)}
        state = {
            name: torch.cat([self.cls[name].expand(batch, 1, -1), self.inputs[name](x) + places[name]], dim=1)
            for name, x in tokens.items()
        }
        bottleneck = self.bottleneck.expand(batch, -1, -1)
        k = bottleneck.shape[1]
        weight = torch.stack([torch.ones_like(has_audio), has_audio]).float()[..., None, None]
        for i in range(self.depth):
            if i < self.start:
                state = {name: self.layers[name][i](x) for name, x in state.items()}
                continue
            updates = []
            for name in tokens:
                joint = self.layers[name][i](torch.cat([state[name], bottleneck], dim=1))
                state[name] = joint[:, :-k]
                updates.append(joint[:, -k:])
            bottleneck = (torch.stack(updates) * weight).sum(0) / weight.sum(0)
        read = torch.stack([self.norms[name](state[name])[:, 0] for name in tokens])
        fused = (read * weight[..., 0]).sum(0) / weight[..., 0].sum(0)
        return {name: head(fused) for name, head in self.heads.items()}

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The cross-entropy of each head."""
        logits = self(batch['video'], batch['audio'], batch['has_audio'], batch['places'])
        return {f'loss_{name}': F.cross_entropy(logits[name], batch['labels'][name]) for name in logits}


def copy_in_order(target: nn.Module, source: nn.Module) -> None:
    """Copy the weights of a module with the same layers under other names."""
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
            mine.copy_(theirs)


def copy_block(layer: nn.TransformerEncoderLayer, block: Any) -> None:
    """Copy the weights of one of VADLab's blocks."""
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(block.qkv.weight)
        layer.self_attn.in_proj_bias.copy_(block.qkv.bias)
    for mine, theirs in (
        (layer.self_attn.out_proj, block.out),
        (layer.norm1, block.norm1),
        (layer.norm2, block.norm2),
        (layer.linear1, block.fc1),
        (layer.linear2, block.fc2),
    ):
        copy_in_order(mine, theirs)
