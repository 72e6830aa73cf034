"""A plain training step of FG-CLIP on transformers' CLIP: reference of the benchmark, and oracle of tests.

It is not optimised. Every frame goes through the whole tower, the last block runs a second time along its value path
for every frame, texts are padded to 77 positions. It shares only mmcv's RoIAlign with VADLab.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# As for training from scratch, ln(1 / 0.07): at ln 100 the losses of random weights saturate.
LOG_SCALE = 2.6592


def _arch(
    embed_dim: int, patch_size: int, width: int, layers: int, heads: int, text_width: int, text_heads: int
) -> dict[str, Any]:
    """A public CLIP at 224 pixels: sizes of the joint space, the vision tower and the text tower."""
    vision = dict(image_size=224, patch_size=patch_size, hidden_size=width, intermediate_size=4 * width)
    text = dict(hidden_size=text_width, intermediate_size=4 * text_width, num_hidden_layers=12)
    return dict(
        projection_dim=embed_dim,
        vision_config=dict(**vision, num_hidden_layers=layers, num_attention_heads=heads),
        text_config=dict(**text, num_attention_heads=text_heads),
    )


ARCHITECTURES: dict[str, dict[str, Any]] = {
    'ViT-B/32': _arch(512, 32, 768, 12, 12, 512, 8),
    'ViT-B/16': _arch(512, 16, 768, 12, 12, 512, 8),
    'ViT-L/14': _arch(768, 14, 1024, 24, 16, 768, 12),
    'small': dict(
        projection_dim=64,
        vision_config=dict(
            image_size=128,
            patch_size=16,
            hidden_size=128,
            intermediate_size=512,
            num_hidden_layers=6,
            num_attention_heads=4,
        ),
        text_config=dict(hidden_size=64, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4),
    ),
    'tiny': dict(
        projection_dim=16,
        vision_config=dict(
            image_size=64,
            patch_size=16,
            hidden_size=32,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=2,
        ),
        text_config=dict(hidden_size=24, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2),
    ),
}


def make_clip(arch: str, seed: int = 0) -> nn.Module:
    """A transformers ``CLIPModel`` with random weights, the same for the same seed."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    settings = ARCHITECTURES[arch]
    # OpenAI's end token has the greatest id; transformers finds it by this id.
    text = dict(settings['text_config'], eos_token_id=49407, bos_token_id=49406, pad_token_id=0)
    vision = settings['vision_config']
    return CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=settings['projection_dim'])
    ).eval()


class PlainFGCLIP(nn.Module):
    """FG-CLIP on transformers' CLIP.

    Args:
        clip: A ``CLIPModel``.
    """

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip
        self.roi_projection = nn.Linear(
            clip.visual_projection.in_features, clip.visual_projection.out_features, bias=False
        )
        self.roi_projection.weight.data.copy_(clip.visual_projection.weight.data)
        self.logit_scale = nn.Parameter(torch.tensor(LOG_SCALE))
        self.logit_scale_finegrained = nn.Parameter(torch.tensor(LOG_SCALE))

    def encode_frames(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frame embeddings, shape (T, E), and dense features, shape (T, E, h, w), of frames (T, 3, H, W)."""
        vision = self.clip.vision_model
        out = vision(pixel_values=frames, output_hidden_states=True)
        embeds = self.clip.visual_projection(out.pooler_output)
        before, last = out.hidden_states[-2], vision.encoder.layers[-1]
        x = before + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(before)))
        x = x + last.mlp(last.layer_norm2(x))
        patches = self.roi_projection(vision.post_layernorm(x[:, 1:]))
        side = int(patches.shape[1] ** 0.5)
        # mmcv's RoIAlign ignores strides, so the tensor must be contiguous.
        return embeds, patches.transpose(1, 2).unflatten(2, (side, side)).contiguous()

    def encode_texts(self, tokens: list[Tensor]) -> Tensor:
        """Text embeddings, shape (K, E), of unpadded token ids, padded here to 77."""
        ids = torch.zeros(len(tokens), 77, dtype=torch.long)
        mask = torch.zeros(len(tokens), 77, dtype=torch.long)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        out = self.clip.text_model(input_ids=ids, attention_mask=mask)
        return self.clip.text_projection(out.pooler_output)

    def forward(self, videos: Tensor, captions: list[Tensor], regions: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            videos: Normalised frames, float32, shape (B, T, 3, H, W).
            captions: Token ids of each video's caption.
            regions: Per video ``boxes`` (R, T, 4) xyxy in 0..1, ``valid`` (R, T) and R ``tokens``.

        Returns:
            dict: ``loss_global``, ``loss_region`` (weighted by 0.1), and ``video_embeds``, ``region_embeds``.
        """
        from mmcv.ops import roi_align

        video_embeds, region_embeds = [], []
        for frames, region in zip(videos, regions, strict=True):
            embeds, dense = self.encode_frames(frames)
            video_embeds.append(embeds.mean(0))
            side = dense.shape[-1]
            for boxes, valid in zip(region['boxes'], region['valid'], strict=True):
                index = torch.arange(len(frames))[:, None].float()
                rois = torch.cat([index, boxes * side], dim=1)
                pooled = roi_align(dense, rois, 1, 1.0, 0, 'avg', True).flatten(1)
                region_embeds.append((pooled * valid[:, None]).sum(0) / valid.sum())
        videos_e = F.normalize(torch.stack(video_embeds), dim=-1)
        regions_e = F.normalize(torch.stack(region_embeds), dim=-1)
        texts = F.normalize(self.encode_texts(captions + [t for r in regions for t in r['tokens']]), dim=-1)
        return dict(
            loss_global=_contrast(videos_e, texts[: len(captions)], self.logit_scale),
            loss_region=0.1 * _contrast(regions_e, texts[len(captions) :], self.logit_scale_finegrained),
            video_embeds=videos_e,
            region_embeds=regions_e,
        )


def _contrast(a: Tensor, b: Tensor, log_scale: Tensor) -> Tensor:
    logits = log_scale.exp() * a @ b.T
    truth = torch.arange(len(a))
    return (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2


def make_batch(arch: str, videos: int, frames: int, seed: int = 0) -> dict[str, Any]:
    """Random videos with two regions each, and a caption for each of the three.

    Each region has a moving box in a quarter of the frames. The two overlap by half of that, so three eighths of the
    frames have a box. Captions have 18 to 24 tokens.

    Returns:
        dict: ``videos`` uint8 (B, T, 3, H, W), ``captions`` and ``regions`` as :class:`PlainFGCLIP` takes them.
    """
    generator = torch.Generator().manual_seed(seed)
    size = ARCHITECTURES[arch]['vision_config']['image_size']

    def text(length: int) -> Tensor:
        ids = torch.randint(0, 49406, (length,), generator=generator)
        ids[0], ids[-1] = 49406, 49407
        return ids

    regions = []
    for _ in range(videos):
        boxes, valid = torch.zeros(2, frames, 4), torch.zeros(2, frames, dtype=torch.bool)
        for region, start in enumerate((frames // 4, frames * 3 // 8)):
            span = max(frames // 4, 1)
            left = torch.linspace(0.1 + 0.2 * region, 0.4, span)
            valid[region, start : start + span] = True
            boxes[region, start : start + span] = torch.stack(
                [left, torch.full_like(left, 0.3), left + 0.25, torch.full_like(left, 0.8)], dim=1
            )
        regions.append(dict(boxes=boxes, valid=valid, tokens=[text(18), text(20)]))
    pixels = torch.randint(0, 256, (videos, frames, 3, size, size), generator=generator, dtype=torch.uint8)
    return dict(videos=pixels, captions=[text(24) for _ in range(videos)], regions=regions)
