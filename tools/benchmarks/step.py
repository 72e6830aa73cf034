"""Time and memory of a training step of FG-CLIP, compared with the plain reference on the same weights and batch."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .harness import Entry, Report, compete, limit, resident_bytes
from .plain_fgclip import ARCHITECTURES, LOG_SCALE, PlainFGCLIP, make_batch, make_clip
from .training_step import TrainingStepJob

MEAN = (122.7709383, 116.7460125, 104.09373615)
STD = (68.5005327, 66.6321579, 70.32316305)
REFERENCE = 'plain reference'


def build_ours(
    arch: str, with_cp: bool, chunk_size: int | None = None, seed: int = 0, contrast: tuple[int, int] | None = None
) -> nn.Module:
    """VADLab's ``FGCLIP`` with the weights of :func:`make_clip`; ``contrast``: size and chunk of a gradient cache."""
    import tempfile

    from vadlab.registry import MODELS
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    settings = ARCHITECTURES[arch]
    vision, text = settings['vision_config'], settings['text_config']
    with tempfile.TemporaryDirectory() as folder:
        make_clip(arch, seed).save_pretrained(folder)
        model = MODELS.build(
            dict(
                type='FGCLIP',
                data_preprocessor=dict(type='VADDataPreprocessor', mean=MEAN, std=STD),
                vision=dict(
                    type='CLIPVisionTransformer',
                    image_size=vision['image_size'],
                    patch_size=vision['patch_size'],
                    width=vision['hidden_size'],
                    layers=vision['num_hidden_layers'],
                    heads=vision['num_attention_heads'],
                    chunk_size=chunk_size,
                    with_cp=with_cp,
                ),
                text=dict(
                    type='CLIPTextTransformer',
                    width=text['hidden_size'],
                    layers=text['num_hidden_layers'],
                    heads=text['num_attention_heads'],
                    with_cp=with_cp,
                ),
                embed_dim=settings['projection_dim'],
                queue=dict(type='NegativeQueue', warmup=10**6),
                gradient_cache=None if contrast is None else dict(contrast_batch=contrast[0], chunk=contrast[1]),
                pretrained=folder,
                logit_scale_init=LOG_SCALE,
            )
        )
        model.init_weights()
        return model


def pack(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch in the format of VADLab's pipeline: ``inputs`` and ``data_samples``."""
    from mmengine.structures import InstanceData

    from vadlab.structures import VADDataSample

    samples: list[VADDataSample] = []
    for video, caption, region in zip(batch['videos'], batch['captions'], batch['regions'], strict=True):
        sample = VADDataSample(metainfo=dict(video_id=f'video{len(samples)}', total_frames=len(video)))
        sample.gt_caption = 'random'
        sample.gt_caption_tokens = caption
        sample.gt_regions = InstanceData(
            captions=['random'] * len(region['tokens']),
            tokens=region['tokens'],
            negative_tokens=[[] for _ in region['tokens']],
            boxes_xyxyn=region['boxes'],
            box_valid=region['valid'],
        )
        samples.append(sample)
    return dict(inputs=list(batch['videos']), data_samples=samples)


class StepJob(TrainingStepJob):
    """Forward, backward and AdamW's update of one batch.

    Args:
        kind: ``reference``, ``ours`` or ``ours_cp`` (with activation checkpointing).
        arch: A key of ``ARCHITECTURES``.
        frames: T.
        videos: B. A single video has no negatives, so its global loss is always 0.
        chunk_size: Frames per forward pass of our tower.
    """

    def __init__(self, kind: str, arch: str, frames: int, videos: int = 2, chunk_size: int | None = 32) -> None:
        import mmcv.ops  # noqa: F401

        import vadlab.models  # noqa: F401

        self.kind = kind
        self.batch = make_batch(arch, videos, frames)
        self.packed = pack(self.batch)
        make_clip('tiny')  # load libraries before the measurement, since their memory is not for activations
        self.baseline_bytes = resident_bytes()
        self.model = (
            PlainFGCLIP(make_clip(arch)) if kind == 'reference' else build_ours(arch, kind == 'ours_cp', chunk_size)
        )
        self.model.train()
        self.start(kind, 0.01)

    def losses(self) -> dict[str, Tensor]:
        """Losses of the batch, with their graph."""
        if self.kind == 'reference':
            mean, std = (torch.tensor(x).view(3, 1, 1) for x in (MEAN, STD))
            videos = (self.batch['videos'].float() - mean) / std
            out = self.model(videos, self.batch['captions'], self.batch['regions'])
        else:
            data = self.model.data_preprocessor(self.packed, training=True)
            out = self.model(**data, mode='loss')
        return {name: value for name, value in out.items() if name in ('loss_global', 'loss_region')}


def compare(reference: dict[str, float], ours: dict[str, float], case: str, name: str) -> list[str]:
    """Differences of two first steps: losses by more than 1e-4, the gradient norm by more than 1e-3 relative.

    Losses near 0 are reported, too, since their equality proves nothing.
    """
    wrong = []
    for key in ('loss_global', 'loss_region'):
        if not reference[key] > 1e-2:
            wrong.append(f'{case}, {name}: {key} of the reference is {reference[key]:.6f}, which proves nothing')
        if not math.isclose(reference[key], ours[key], rel_tol=0, abs_tol=1e-4):
            wrong.append(f'{case}, {name}: {key} is {ours[key]:.6f}, the reference says {reference[key]:.6f}')
    if not math.isclose(reference['grad_norm'], ours['grad_norm'], rel_tol=1e-3, abs_tol=1e-6):
        wrong.append(
            f'{case}, {name}: gradient norm is {ours["grad_norm"]:.6f}, the reference says {reference["grad_norm"]:.6f}'
        )
    return wrong


def run(
    runs: int = 5,
    frames: tuple[int, ...] = (32, 128),
    arch: str = 'ViT-B/32',
    videos: int = 2,
    chunk_size: int | None = 32,
    long_runs: int | None = None,
) -> Report:
    """Measure a training step.

    Args:
        runs: Runs per comparison.
        frames: Frames per video.
        arch: A key of ``ARCHITECTURES``.
        videos: Videos per batch.
        chunk_size: Frames per forward pass of our tower, as in our configs.
        long_runs: Runs for batches of more than 64 frames; None for ``runs``.
    """
    report = Report()
    for count in frames:
        case = f'{arch}, {videos} x {count} frames'
        first: dict[str, dict[str, float]] = {}
        entries = [
            Entry(name, 'step:StepJob', dict(kind=kind, arch=arch, frames=count, videos=videos, chunk_size=chunk_size))
            for name, kind in ((REFERENCE, 'reference'), ('VADLab', 'ours'), ('VADLab, checkpointing', 'ours_cp'))
        ]
        turns = long_runs if long_runs is not None and videos * count > 64 else runs
        rows = compete('step', case, entries, turns, REFERENCE, 'steps/s', on_first=first.__setitem__)
        report.rows += rows
        plain, ours, ours_cp = rows
        for row in (ours, ours_cp):
            if row.name in first:
                report.errors += compare(first[REFERENCE], first[row.name], case, row.name)
            else:
                report.errors.append(f'{case}, {row.name}: {row.note}')
        if videos * count < 64:
            continue  # the targets are for real batches; in a small one the optimizer and the embedding table dominate
        speed = None if ours.ratio is None else 1 / ours.ratio.median
        report.targets.append(
            limit(f'step speed against the reference, {videos} x {count} frames', 1.3, speed, at_least=True)
        )
        for row, wanted in ((ours, 1.0), (ours_cp, 0.4)):
            found = None
            if row.activation_mib is not None and plain.activation_mib is not None:
                found = row.activation_mib / plain.activation_mib
            report.targets.append(limit(f'activation memory, {row.name}, {videos} x {count} frames', wanted, found))
    return report
