from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vadlab.evaluation.functional import classification
from vadlab.evaluation.metrics.classification_metric import ClassificationMetric, HeadPredictions
from vadlab.registry import RENDERERS
from vadlab.structures import AudioVisualDataSample

from ..figures.class_bars import plot_grouped_bars
from ..figures.confusion_picture import plot_confusion
from ..report.file_names import picture_name
from ..report.picture_page import Article
from .av_clip_picture import AVClipPicture, HeadDecision, draw_av_clip
from .renderer import DPI, Renderer


@RENDERERS.register_module(name='AudioVisualDataSample')
class AVClipRenderer(Renderer):
    """Renderer of confusion matrices and class bars per head, and of clips with spectrogram and attention."""

    title = 'Tested clips'
    max_samples = 24

    def draw(self, inputs: Mapping[str, Any], sample: AudioVisualDataSample) -> Article:
        """Draw one clip, see :meth:`Renderer.draw`; ``inputs`` are ``video`` and ``audio``."""
        classes = self.dataset.metainfo.get('classes') or {}
        clip = av_clip_picture(sample, inputs['video'], inputs.get('audio'), classes)
        name = picture_name(clip.clip_id)
        draw_av_clip(clip, heading=False).savefig(self.folder / name, dpi=DPI)
        wrong = [head.name for head in clip.heads if head.truth and not head.right]
        return Article(
            heading=clip.clip_id,
            pictures=[name],
            text='; '.join(_in_words(head) for head in clip.heads),
            label=clip.note,
            verdict=f'{", ".join(wrong)} wrong' if wrong else 'right',
            alarm=bool(wrong),
            order=len(wrong),
        )

    def overview(self, metrics: Sequence[Any]) -> list[Article]:
        """One article per head over all clips, see :meth:`Renderer.overview`."""
        return [
            self._head_article(head, found)
            for metric in metrics
            if isinstance(metric, ClassificationMetric)
            for head, found in metric.predictions.items()
        ]

    def note(self, drawn: int, total: int) -> str:
        """The sentence below the title, see :meth:`Renderer.note`."""
        return f'All classes of each head, then {drawn} of {total} clips, those with mistakes first.'

    def _head_article(self, head: str, found: HeadPredictions) -> Article:
        there = np.flatnonzero(found.labels.any(axis=0))
        top1 = classification.top_1(found.scores, found.labels)
        title = f'{head}: top-1 {top1:.3f} of {len(found.scores)} clips'
        matrix = classification.confusion_matrix(found.scores, found.labels)
        # In a separate folder, since a clip may be called confusion_species.
        confusion, bars = f'heads/confusion_{picture_name(head)}', f'heads/classes_{picture_name(head)}'
        plot_confusion(matrix, found.classes, self.folder / confusion)
        decided = classification.predicted_labels(found.scores, found.multi_label)
        measures = {
            'F1': classification.class_f1(decided, found.labels)[there],
            'average precision': classification.class_average_precision(found.scores, found.labels)[there],
        }
        counts = found.labels.sum(axis=0)
        names = [f'{found.classes[k]} ({counts[k]})' for k in there]
        plot_grouped_bars(names, measures, self.folder / bars, f'{head}, each class (clips)')
        text = f'{len(there)} of {len(found.classes)} classes have tested clips.'
        return Article(title, [confusion, bars], text, order=float('inf'))


def av_clip_picture(
    sample: AudioVisualDataSample,
    video: torch.Tensor,
    spectrogram: torch.Tensor | None,
    classes: Mapping[str, Sequence[str]],
) -> AVClipPicture:
    """Content of the picture of a sample.

    Args:
        sample (AudioVisualDataSample): Sample with predictions.
        video (Tensor): Loaded frames, uint8, shape (T, 3, H, W).
        spectrogram (Tensor | None): Loaded spectrogram, shape (1, F, L); None for a clip without sound.
        classes (Mapping[str, Sequence[str]]): Class names per head; missing names are replaced by numbers.
    """
    frames = video.cpu().permute(0, 2, 3, 1).numpy()
    duration = float(sample.get('duration') or 1.0)
    times = sample.get('times')
    if times is None or len(times) != len(frames):
        times = np.linspace(0, duration, len(frames), endpoint=False)
    span, sound = (0.0, duration), None
    if spectrogram is not None:
        sound = spectrogram[0].float().cpu().numpy()
        start = float(sample.get('audio_start') or 0.0)
        span = (start, start + sound.shape[1] * float(sample.get('audio_hop') or duration / sound.shape[1]))
    heads = []
    for name, scores in sample.pred_scores.items():
        label = (sample.get('gt_labels') or {}).get(name)
        truth = _truth(label)
        names = [str(c) for c in classes.get(name) or range(len(scores))]
        heads.append(HeadDecision(name, names, scores.float().cpu().numpy(), truth))
    attention = {name: part.float().cpu().numpy() for name, part in (sample.get('pred_attention') or {}).items()}
    note = f'{duration:.1f} s' + ('' if sound is not None else ', no sound')
    clip_id, times = str(sample.clip_id), np.asarray(times)
    return AVClipPicture(clip_id, frames, times, duration, heads, sound, span, attention, note)


def _truth(label: torch.Tensor | None) -> list[int]:
    if label is None:
        return []
    if label.ndim == 0:
        return [int(label)] if label >= 0 else []
    return label.nonzero()[:, 0].tolist()


def _in_words(head: HeadDecision) -> str:
    best = int(np.argmax(head.scores))
    said = f'{head.name}: {head.classes[best]} ({head.scores[best]:.2f})'
    if head.right or not head.truth:
        return said
    return f'{said}, truly {", ".join(str(head.classes[k]) for k in head.truth)}'
