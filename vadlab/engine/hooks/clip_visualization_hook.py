"""Pictures of a test of classified clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from vadlab.evaluation.functional import classification
from vadlab.evaluation.metrics.classification_metric import ClassificationMetric, HeadPredictions
from vadlab.registry import HOOKS
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.errors import ConfigError
from vadlab.visualization.figures.class_bars import plot_grouped_bars
from vadlab.visualization.figures.confusion_picture import plot_confusion
from vadlab.visualization.html_report import figure_article, picture_name, write_page
from vadlab.visualization.renderers.clip_picture import ClipPicture, HeadDecision, draw_clip

_DPI = 110


@dataclass(frozen=True)
class _Drawn:
    """A clip on the page: its picture, what the heads say, which of them are wrong."""

    picture: str
    words: str
    wrong: tuple[str, ...]


@HOOKS.register_module()
class ClipVisualizationHook(Hook):
    """Draws a confusion matrix and bars of all classes for each head, some clips with what the model looked at, a page.

    Args:
        show_dir (str): The folder; made where it is missing.
        clips (Sequence[str] | None): Ids of the clips to draw; None spreads ``max_clips`` over the test set.
        max_clips (int): How many then, at most.

    Raises:
        ConfigError: ``max_clips`` below 1.
    """

    priority = 'LOW'

    def __init__(self, show_dir: str, clips: Sequence[str] | None = None, max_clips: int = 24) -> None:
        if max_clips < 1:
            raise ConfigError(f'max_clips is {max_clips}; give 1 or more')
        self.show_dir = Path(show_dir)
        self.clips = None if clips is None else frozenset(clips)
        self.max_clips = max_clips
        self._seen = 0
        self._places: frozenset[int] = frozenset()
        self._drawn: dict[str, _Drawn] = {}

    def before_test(self, runner: Runner) -> None:
        """Start anew, ask the model for its attention, and fail now where the folder cannot be made."""
        self.show_dir.mkdir(parents=True, exist_ok=True)
        self._drawn, self._seen = {}, 0
        count = len(runner.test_dataloader.dataset)
        spread = np.linspace(0, count - 1, min(self.max_clips, count)).round().astype(int)
        self._places = frozenset(spread.tolist())
        self._collect_attention(runner, True)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[AudioVisualDataSample] | None = None,
    ) -> None:
        """Draw the chosen clips of a batch from their frames and spectrograms as loaded."""
        inputs = (data_batch or {}).get('inputs') or {}
        classes = runner.test_dataloader.dataset.metainfo.get('classes') or {}
        for row, sample in enumerate(outputs or ()):
            # Processes take turns over the test set; each knows the place of its own clips well enough to spread them.
            place, self._seen = self._seen * runner.world_size + runner.rank, self._seen + 1
            wanted = sample.clip_id in self.clips if self.clips is not None else place in self._places
            if not wanted:
                continue
            spectrogram = (inputs.get('audio') or [None] * len(outputs or ()))[row]
            clip = clip_picture(sample, inputs['video'][row], spectrogram, classes)
            name = picture_name(clip.clip_id)
            draw_clip(clip).savefig(self.show_dir / name, dpi=_DPI)
            wrong = tuple(head.name for head in clip.heads if head.truth and not head.right)
            self._drawn[clip.clip_id] = _Drawn(name, '; '.join(_in_words(head) for head in clip.heads), wrong)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw what is known of all clips, gather the list over the processes and write the page."""
        self._collect_attention(runner, False)
        drawn: dict[str, _Drawn] = {}
        for part in all_gather_object(self._drawn):
            drawn |= part
        if not is_main_process():
            return
        articles = []
        for metric in runner.test_evaluator.metrics:
            if isinstance(metric, ClassificationMetric):
                articles += [self._head_article(head, found) for head, found in metric.predictions.items()]
        for clip_id, clip in sorted(drawn.items(), key=lambda item: (-len(item[1].wrong), item[0])):
            verdict = f'{", ".join(clip.wrong)} wrong' if clip.wrong else 'right'
            articles.append(figure_article(clip_id, [clip.picture], clip.words, verdict, alarm=bool(clip.wrong)))
        note = f'All classes of each head, then {len(drawn)} clips, those with mistakes first.'
        page = write_page(self.show_dir, 'Tested clips', note, articles)
        runner.logger.info(f'{len(drawn)} clips and {len(articles) - len(drawn)} heads: {page}')

    def _head_article(self, head: str, found: HeadPredictions) -> str:
        there = np.flatnonzero(found.labels.any(axis=0))
        top1 = classification.top_1(found.scores, found.labels)
        title = f'{head}: top-1 {top1:.3f} of {len(found.scores)} clips'
        matrix = classification.confusion_matrix(found.scores, found.labels)
        # In a folder of their own: a clip may be called confusion_species.
        confusion, bars = f'heads/confusion_{picture_name(head)}', f'heads/classes_{picture_name(head)}'
        plot_confusion(matrix, found.classes, self.show_dir / confusion, title)
        decided = classification.predicted_labels(found.scores, found.multi_label)
        measures = {
            'F1': classification.class_f1(decided, found.labels)[there],
            'average precision': classification.class_average_precision(found.scores, found.labels)[there],
        }
        counts = found.labels.sum(axis=0)
        names = [f'{found.classes[k]} ({counts[k]})' for k in there]
        plot_grouped_bars(names, measures, self.show_dir / bars, f'{head}, each class (clips)')
        text = f'{len(there)} of {len(found.classes)} classes have tested clips.'
        return figure_article(title, [confusion, bars], text)

    def _collect_attention(self, runner: Runner, wanted: bool) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if hasattr(model, 'collect_attention'):
            model.collect_attention = wanted


def clip_picture(
    sample: AudioVisualDataSample,
    video: torch.Tensor,
    spectrogram: torch.Tensor | None,
    classes: Mapping[str, Sequence[str]],
) -> ClipPicture:
    """What to draw of a sample.

    Args:
        sample (AudioVisualDataSample): With predictions.
        video (Tensor): As loaded, uint8, shape (T, 3, H, W).
        spectrogram (Tensor | None): As loaded, shape (1, F, L); None of a clip without sound.
        classes (Mapping[str, Sequence[str]]): Names of each head's classes; numbers where they lack.
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
    return ClipPicture(clip_id, frames, times, duration, heads, sound, span, attention, note)


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
