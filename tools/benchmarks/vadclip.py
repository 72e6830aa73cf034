"""VadCLIP: a training step and the test of a long video, compared with the published structure on the same weights."""

import math
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES

from .harness import Entry, Report, compete, limit, resident_bytes
from .plain_vadclip import PlainVadCLIP
from .training_step import TrainingStepJob

REFERENCE = 'published structure'
CLASSES = UCF_CRIME_CLASSES
# As published for UCF-Crime, with CLIP ViT-B/16's text tower; and small enough to test the benchmark itself.
SIZES: dict[str, dict[str, Any]] = {
    'published': dict(embed_dim=512, max_snippets=256, text=dict(width=512, layers=12, heads=8)),
    'tiny': dict(embed_dim=16, max_snippets=32, text=dict(width=16, layers=2, heads=2)),
}
# Snippets of UCF-Crime's test videos: the logarithm has mean 4.81 (122 snippets) and deviation 1.01.
MEDIAN, SPREAD, SHORTEST = 122, 1.01, 9


def make_lengths(count: int, places: int, kind: str, most: int | None = None) -> list[int]:
    """Snippets of each video.

    Args:
        count: Number of videos.
        places: Positions of a video or chunk; lengths scale with it, and 256 gives UCF-Crime's own lengths.
        kind: ``ucf-crime`` for its distribution, or ``full`` for videos of ``places`` snippets.
        most: Maximum length, longer videos are truncated; ``places`` by default.
    """
    if kind == 'full':
        return [places] * count
    quantiles = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
    lengths = [round(MEDIAN * places / 256 * math.exp(SPREAD * q)) for q in quantiles]
    return [min(most or places, max(SHORTEST, n)) for n in lengths]


def build_ours(size: str, seed: int = 0) -> Any:
    """VADLab's ``VadCLIP`` with random weights."""
    from vadlab.registry import MODELS
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    torch.manual_seed(seed)
    sizes = SIZES[size]
    text = dict(type='CLIPTextTransformer', long_context_length=None, **sizes['text'])
    model = MODELS.build(dict(type='VadCLIP', classes=CLASSES, **{**sizes, 'text': text}))
    with torch.no_grad():  # with scores near 1, the loss of a normal video has too few digits to compare
        model.classifier.weight.mul_(0.05)
    return model


def make_features(lengths: list[int], width: int, seed: int = 1) -> Tensor:
    """Features that are similar within a video, padded with zeros, shape (videos, longest, width)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths), width)
    feats = torch.randn(len(lengths), 1, width, generator=generator) + 0.5 * torch.randn(shape, generator=generator)
    return feats * (torch.arange(shape[1]) < torch.tensor(lengths)[:, None])[..., None]


class VadCLIPStepJob(TrainingStepJob):
    """Forward, backward and AdamW's update of one batch, half of it normal.

    Args:
        kind: ``reference`` or ``ours``.
        size: A key of ``SIZES``.
        videos: Videos of a batch.
        lengths: See :func:`make_lengths`.
    """

    def __init__(self, kind: str, size: str, videos: int, lengths: str) -> None:
        import vadlab.models  # noqa: F401
        from vadlab.structures import VADDataSample

        self.baseline_bytes = resident_bytes()
        self.kind = kind
        model = build_ours(size)
        # The normal and the abnormal half have the same lengths.
        half = make_lengths((videos + 1) // 2, model.max_snippets, lengths)
        self.lengths = (half + half)[:videos]
        feats = make_features(self.lengths, SIZES[size]['embed_dim'])
        labels = [0 if i < len(half) else 1 + i % (len(CLASSES) - 1) for i in range(videos)]
        if kind == 'reference':
            self.model: Any = PlainVadCLIP(model)
            targets = torch.eye(len(CLASSES))[labels]
            missing = model.max_snippets - feats.shape[1]
            padded = torch.nn.functional.pad(feats, (0, 0, 0, missing))
            self.batch: Any = (padded, torch.tensor(self.lengths), targets)
        else:
            self.model = model
            samples = [
                VADDataSample(metainfo=dict(video_id=f'video{i}', num_snippets=n), gt_label=label)
                for i, (n, label) in enumerate(zip(self.lengths, labels, strict=True))
            ]
            self.batch = (feats[:, None], samples)
        self.model.train()
        del model
        self.start(kind, 0.01)

    def losses(self) -> dict[str, Tensor]:
        """Losses of the batch, with their graph."""
        return self.model.loss(*self.batch) if self.kind == 'reference' else self.model(*self.batch, mode='loss')


class VadCLIPTestJob:
    """Scores of test videos, one after the other, as in the test on UCF-Crime.

    Args:
        kind: ``reference`` or ``ours``.
        size: A key of ``SIZES``.
        videos: Number of videos, with UCF-Crime's lengths; the longest have several chunks.
    """

    def __init__(self, kind: str, size: str, videos: int) -> None:
        model = build_ours(size)
        self.kind = kind
        self.size = model.max_snippets
        lengths = make_lengths(videos, self.size, 'ucf-crime', most=8 * self.size)
        self.videos = [make_features([n], SIZES[size]['embed_dim'], seed=n)[0] for n in lengths]
        self.model = (PlainVadCLIP(model) if kind == 'reference' else model).eval()
        self.runs = 0

    def scores(self, feats: Tensor) -> Tensor:
        """Binary scores of one video in column 0, then its class probabilities, shape (T, 1 + K)."""
        n = len(feats)
        if self.kind == 'ours':
            out = self.model(feats[None, None])
            return torch.cat([out['scores'][0][:, None], out['class_scores'][0]], 1)
        # As published, one extra chunk if the length is a multiple of the chunk length.
        chunks = n // self.size + 1
        padded = torch.nn.functional.pad(feats, (0, 0, 0, chunks * self.size - n)).view(chunks, self.size, -1)
        lengths = torch.tensor([max(1, min(self.size, n - i * self.size)) for i in range(chunks)])
        _, binary, logits = self.model(padded, lengths)
        return torch.cat([binary.reshape(-1, 1).sigmoid(), logits.flatten(0, 1).softmax(-1)], 1)[:n]

    @torch.no_grad()
    def run(self) -> dict[str, Any]:
        """Score all videos once. The first run also returns sums, for comparison."""
        from vadlab.models.layers.weights_cache import steady_weights

        with steady_weights():  # as in a test loop
            found = [self.scores(feats) for feats in self.videos]
        self.runs += 1
        if self.runs > 1:
            return {}
        return dict(score_sum=sum(x[:, 0].double().sum().item() for x in found), normal_sum=_normal_sum(found))


def _normal_sum(found: list[Tensor]) -> float:
    return sum(x[:, 1].double().sum().item() for x in found)


def compare(reference: dict[str, float], ours: dict[str, float], case: str) -> list[str]:
    """Differences of two first runs: losses by more than 1e-4, sums and the gradient norm by 1e-3 relative."""
    wrong = []
    for key, value in reference.items():
        tolerance = dict(rel_tol=0.0, abs_tol=1e-4) if key.startswith('loss') else dict(rel_tol=1e-3, abs_tol=1e-6)
        if key not in ours or not math.isclose(value, ours[key], **tolerance):
            wrong.append(f'{case}: {key} is {ours.get(key)}, the published structure says {value}')
    return wrong


def run(runs: int = 5, size: str = 'published', videos: int = 128) -> Report:
    """Measure a training step with UCF-Crime's lengths and with full ones, and the test.

    Args:
        runs: Runs per comparison.
        size: A key of ``SIZES``.
        videos: Videos per training batch; the test has at most 16.
    """
    report = Report()
    test_videos = min(16, videos)
    cases: list[tuple[str, str, dict[str, Any], float | None]] = [
        (f'training step, {videos} videos of {words}', 'VadCLIPStepJob', dict(videos=videos, lengths=kind), wanted)
        for kind, words, wanted in (('ucf-crime', "UCF-Crime's lengths", 1.5), ('full', 'full length', None))
    ]
    cases.append((f'test of {test_videos} videos', 'VadCLIPTestJob', dict(videos=test_videos), 1.5))
    for case, job, options, wanted in cases:
        first: dict[str, dict[str, float]] = {}
        entries = [
            Entry(name, f'vadclip:{job}', dict(kind=kind, size=size, **options))
            for name, kind in ((REFERENCE, 'reference'), ('VADLab', 'ours'))
        ]
        rows = compete('vadclip', case, entries, runs, REFERENCE, '', on_first=first.__setitem__)
        report.rows += rows
        ours = rows[1]
        if ours.name in first:
            report.errors += compare(first[REFERENCE], first[ours.name], case)
        else:
            report.errors.append(f'{case}: {ours.note}')
        if size == 'published' and wanted is not None:
            speed = None if ours.ratio is None else 1 / ours.ratio.median
            report.targets.append(limit(f'VadCLIP, speed of the {case}', wanted, speed, at_least=True))
    return report
