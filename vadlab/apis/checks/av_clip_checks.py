"""Checks of clips with sound: prepared files or videos, classes, and the share of clips with sound."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.datasets.formats.prepared_av_clips import load_frames, load_mel
from vadlab.utils.errors import VADLabError

from .check_context import CheckContext, SplitUnderTest, names
from .file_checks import check_files
from .video_checks import look_at_videos

_SHARE = 0.3  # allowed difference between training and test in the share of clips with sound


def check_av_clips(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Read every prepared file, or decode every video; count classes; compare the splits' shares of sound."""
    prepared = [split for split in splits if split.dataset.source == 'processed']
    videos = [split for split in splits if split.dataset.source == 'videos']
    if prepared:
        _check_prepared(prepared, context)
        _check_sound(prepared, context)
        _check_statistics(context)
    if videos:
        paths = sorted({sample['video_path'] for split in videos for sample in split.samples})
        results = look_at_videos(paths, 'auto', context)
        for split in videos:
            bad = [s['clip_id'] for s in split.samples if 'error' in results[s['video_path']]]
            for clip_id, error in _first_errors(split, results):
                context.report.fail(f'{split.name} clips', f'{clip_id}: {error}')
            if not bad:
                context.report.passed(f'{split.name} clips', f'{len(split.samples)} clips: their videos decode')
    for split in splits:
        _check_classes(split, context)


def _first_errors(split: SplitUnderTest, results: dict[str, dict]) -> list[tuple[str, str]]:
    found = [(s['clip_id'], results[s['video_path']].get('error', '')) for s in split.samples]
    return [(clip_id, error) for clip_id, error in found if error][:5]


def _check_prepared(splits: list[SplitUnderTest], context: CheckContext) -> None:
    samples = {sample['frames_path']: sample for split in splits for sample in split.samples}
    results = check_files(_look_at, samples, context)
    for split in splits:
        check = f'{split.name} clips'
        found = {sample['clip_id']: results[sample['frames_path']] for sample in split.samples}
        bad = [result['error'] for result in found.values() if 'error' in result]
        if bad:
            context.report.fail(check, f'{len(bad)} of {len(found)} clips: {"; ".join(bad[:3])}')
        frames = sum(result.get('frames', 0) for result in found.values())
        if len(bad) < len(found):
            text = f'{len(found) - len(bad)} clips of {frames:,} frames and their spectrograms can be read, all finite'
            context.report.passed(check, text)
        for what, key in (('are of one colour throughout', 'blank'), ('have a constant spectrogram', 'constant')):
            like = [clip_id for clip_id, result in found.items() if result.get(key)]
            if like:
                context.report.warn(check, f'{len(like)} clips {what}: {names(like)}')


def _look_at(sample: dict[str, Any]) -> dict[str, Any]:
    """Properties of a clip's files: ``frames``, ``blank``, ``constant``; or ``error``."""
    try:
        frames = load_frames(sample['frames_path'], sample['frames_shape'])
        found = dict(frames=len(frames), blank=bool(frames.amin() == frames.amax()), constant=False)
        if sample['mel_path']:
            mel = load_mel(sample['mel_path'], sample['mel_shape'])
            if not np.isfinite(mel).all():
                return dict(error=f'{sample["mel_path"]}: NaN or infinite numbers')
            found['constant'] = bool(mel.min() == mel.max())
        return found
    except (VADLabError, OSError) as error:
        return dict(error=str(error))


def _check_sound(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Warn if training and test differ in their share of clips with sound, since test metrics then mean little."""
    shares = {split.name: float(np.mean([s['has_audio'] for s in split.samples])) for split in splits if split.samples}
    for name, share in shares.items():
        text = f'{share:.0%} of the clips have sound'
        if abs(share - shares.get('train', share)) > _SHARE:
            context.report.warn(f'{name} sound', f'{text}, in training {shares["train"]:.0%}')
        else:
            context.report.passed(f'{name} sound', text)


def _check_statistics(context: CheckContext) -> None:
    preprocessor = context.config.get('data_preprocessor') or context.config.model.get('data_preprocessor') or {}
    path = preprocessor.get('audio_statistics')
    if path and preprocessor.get('audio_mean') is None and not Path(path).is_file():
        context.report.fail('statistics', f'{path} is not there: tools/prepare_wildlife.py writes it')


def _check_classes(split: SplitUnderTest, context: CheckContext) -> None:
    """Count the clips of each class; a class with a single training clip cannot be learned."""
    for head, classes in split.dataset.classes.items():
        seen = Counter(index for sample in split.samples for index in sample['labels'][head])
        counts = {name: seen[index] for index, name in enumerate(classes)}
        check = f'{split.name} {head}'
        there = [count for count in counts.values() if count]
        text = f'{len(there)} of {len(classes)} classes'
        if there:
            text += f', {min(there)} to {max(there)} clips each'
        few = [name for name, count in counts.items() if count == 1]
        if split.name == 'train' and few:
            context.report.warn(check, f'{text}; a single clip of {names(few)}')
        else:
            context.report.passed(check, text)
