"""Audio-visual recognition: a training step compared with a plain reference, and the cost of clips without sound."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .harness import Entry, Report, Row, compete, limit, resident_bytes
from .plain_mbt import PlainMBT
from .training_step import TrainingStepJob

REFERENCE = 'plain reference'
CLASSES = {'species': 10, 'behaviour': 12}
VIDEOMAE: dict[str, Any] = dict(type='VideoMAE', pooled=False)
CNN: dict[str, Any] = dict(type='Simple3DCNN')
# Clips, frames, pixels, mel bands and columns (10 ms each), width of the fusion, encoder of frames.
SIZES: dict[str, dict[str, Any]] = {
    'VideoMAE-B': dict(clips=1, frames=16, pixels=224, bands=128, columns=1024, width=512, video=VIDEOMAE),
    '3-D CNN': dict(clips=8, frames=16, pixels=112, bands=128, columns=1024, width=512, video=CNN),
    'tiny VideoMAE': dict(
        clips=2,
        frames=4,
        pixels=16,
        bands=32,
        columns=64,
        width=16,
        video=dict(VIDEOMAE, image_size=16, patch_size=8, num_frames=4, width=16, layers=2, heads=2),
    ),
    'tiny CNN': dict(
        clips=4, frames=4, pixels=16, bands=32, columns=64, width=16, video=dict(CNN, channels=(8, 16), strides=(1, 2))
    ),
}


def build_ours(size: str, with_cp: bool = False, seed: int = 0) -> Any:
    """VADLab's ``AudioVisualRecognizer`` with random weights."""
    from vadlab.registry import MODELS
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    torch.manual_seed(seed)
    settings = SIZES[size]
    tiny = settings['width'] < 64
    return MODELS.build(
        dict(
            type='AudioVisualRecognizer',
            data_preprocessor=dict(type='AudioVisualDataPreprocessor', audio_mean=0.0, audio_std=1.0),
            video_encoder=dict(settings['video'], **({'with_cp': True} if with_cp else {})),
            audio_encoder=dict(type='SpectrogramResNet', base_channels=8 if tiny else 64),
            fusion=dict(type='MBT', width=settings['width'], heads=2 if tiny else 8),
            heads={
                name: dict(type='ClassificationHead', classes=[f'{name} {i}' for i in range(count)])
                for name, count in CLASSES.items()
            },
        )
    )


def make_clips(size: str, silent: int, seed: int = 1) -> list[dict[str, Any]]:
    """Random clips; every second clip from the start has no sound, until there are ``silent`` clips without sound."""
    generator = torch.Generator().manual_seed(seed)
    s = SIZES[size]
    clips: list[dict[str, Any]] = []
    for i in range(s['clips']):
        frames = torch.randint(
            0, 256, (s['frames'], 3, s['pixels'], s['pixels']), dtype=torch.uint8, generator=generator
        )
        sound = torch.randn(1, s['bands'], s['columns'], generator=generator)
        labels = {name: torch.tensor(i % count) for name, count in CLASSES.items()}
        clips.append(dict(video=frames, audio=None if i % 2 and i // 2 < silent else sound, labels=labels))
    return clips


class RecognizerStepJob(TrainingStepJob):
    """Forward, backward and AdamW's update of one batch.

    Statistics of batch norm are not updated, since silent clips are part of them in the reference.

    Args:
        kind: ``reference``, ``ours`` or ``ours_cp`` (VideoMAE with activation checkpointing).
        size: A key of ``SIZES``.
        silent: Number of clips without sound.
    """

    def __init__(self, kind: str, size: str, silent: int) -> None:
        self.kind = kind
        clips = make_clips(size, silent)
        build_ours('tiny VideoMAE')  # load libraries before the measurement, since their memory is not for activations
        self.baseline_bytes = resident_bytes()
        ours = build_ours(size, kind == 'ours_cp')
        self.batch = self._plain_batch(ours, clips) if kind == 'reference' else self._packed(clips)
        self.model: Any = PlainMBT(ours) if kind == 'reference' else ours
        del ours
        self.model.train()
        for part in self.model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        self.start(kind, 1e-5)

    @staticmethod
    def _packed(clips: list[dict[str, Any]]) -> dict[str, Any]:
        from vadlab.structures import AudioVisualDataSample

        samples = [
            AudioVisualDataSample(metainfo=dict(clip_id=f'clip{i}'), gt_labels=clip['labels'])
            for i, clip in enumerate(clips)
        ]
        inputs = {name: [clip[name] for clip in clips] for name in ('video', 'audio')}
        return dict(inputs=inputs, data_samples=samples)

    @staticmethod
    def _plain_batch(ours: Any, clips: list[dict[str, Any]]) -> dict[str, Any]:
        from vadlab.models.layers.grid_positions import grid_positions

        sound = next(clip['audio'] for clip in clips if clip['audio'] is not None)
        silence = torch.zeros_like(sound)
        shapes = {'video': tuple(clips[0]['video'].shape), 'audio': tuple(sound.shape)}
        return dict(
            frames=torch.stack([clip['video'] for clip in clips]),
            mean=ours.data_preprocessor.mean,
            std=ours.data_preprocessor.std,
            audio=torch.stack([silence if clip['audio'] is None else clip['audio'] for clip in clips]),
            has_audio=torch.tensor([clip['audio'] is not None for clip in clips]),
            labels={name: torch.stack([clip['labels'][name] for clip in clips]) for name in CLASSES},
            places={
                name: grid_positions(ours.encoders[name].token_grid(shape), ours.fusion.width)
                for name, shape in shapes.items()
            },
        )

    def losses(self) -> dict[str, Tensor]:
        """Losses of the batch, with their graph."""
        if self.kind == 'reference':
            batch = self.batch
            return self.model.loss({**batch, 'video': (batch['frames'].float() - batch['mean']) / batch['std']})
        data = self.model.data_preprocessor(self.batch, training=True)
        return {k: v for k, v in self.model(**data, mode='loss').items() if k.startswith('loss')}


def compare(reference: dict[str, float], ours: dict[str, float], case: str, name: str) -> list[str]:
    """Differences of two first steps: losses by more than 1e-4, the gradient norm by more than 1e-3 relative."""
    wrong = []
    for key, value in reference.items():
        tolerance = dict(rel_tol=0.0, abs_tol=1e-4) if key.startswith('loss') else dict(rel_tol=1e-3, abs_tol=1e-6)
        if key not in ours or not math.isclose(value, ours[key], **tolerance):
            wrong.append(f'{case}, {name}: {key} is {ours.get(key)}, the reference says {value}')
    return wrong


def run(
    runs: int = 5, large: str | None = 'VideoMAE-B', small: str = '3-D CNN', long_runs: int | None = None
) -> Report:
    """Measure a training step with a large encoder, and one with a small encoder and half of the clips silent.

    Args:
        runs: Runs per comparison.
        large: A key of ``SIZES`` with VideoMAE; None skips it.
        small: A key of ``SIZES``.
        long_runs: Runs with the large one; None for ``runs``.
    """
    report = Report()
    if large is not None:
        entries = {REFERENCE: ('reference', 0), 'VADLab': ('ours', 0), 'VADLab, checkpointing': ('ours_cp', 0)}
        case = f'training step, {large}, clips: {SIZES[large]["clips"]}'
        plain, ours, checkpointed = _measure(report, case, entries, large, long_runs or runs)
        if large == 'VideoMAE-B':
            memory = None
            if checkpointed.activation_mib is not None and plain.activation_mib is not None:
                memory = checkpointed.activation_mib / plain.activation_mib
            report.targets.append(limit('audio-visual step, VideoMAE-B: speed', 0.95, _speed(ours), at_least=True))
            report.targets.append(limit('audio-visual step, VideoMAE-B: activations, checkpointing', 0.5, memory))
    half = SIZES[small]['clips'] // 2
    case = f'training step, {small}, clips: {SIZES[small]["clips"]}, half of them silent'
    entries = {REFERENCE: ('reference', half), 'VADLab': ('ours', half), 'VADLab, all with sound': ('ours', 0)}
    _, masked, full = _measure(report, case, entries, small, runs)
    if small == '3-D CNN':
        # By CPU time, since these two are not measured alternately.
        cost = None if masked.cpu_s is None or full.cpu_s is None else masked.cpu_s.median / full.cpu_s.median
        report.targets.append(limit('audio-visual step, half silent: speed', 1.2, _speed(masked), at_least=True))
        report.targets.append(limit('audio-visual step: CPU time with half silent by that with all sound', 0.9, cost))
    return report


def _speed(row: Row) -> float | None:
    return None if row.ratio is None else 1 / row.ratio.median


def _measure(report: Report, case: str, contestants: dict[str, tuple[str, int]], size: str, runs: int) -> list[Row]:
    first: dict[str, dict[str, float]] = {}
    entries = [
        Entry(name, 'audiovisual:RecognizerStepJob', dict(kind=kind, size=size, silent=silent))
        for name, (kind, silent) in contestants.items()
    ]
    rows = compete('audiovisual', case, entries, runs, REFERENCE, 'steps/s', on_first=first.__setitem__)
    report.rows += rows
    for row in rows[1:]:
        if row.name not in first:
            report.errors.append(f'{case}, {row.name}: {row.note}')
        elif contestants[row.name][1] == contestants[REFERENCE][1]:  # the same batch
            report.errors += compare(first[REFERENCE], first[row.name], case, row.name)
    return rows
