"""Checks of snippet features, and of the ground truth against them."""

import numpy as np

from ..feature_check import FEATURE_RECIPE, read_whole
from .check_context import CheckContext, SplitUnderTest, names
from .file_checks import check_files

_SCALE = 1.5  # largest allowed ratio of the norms of training and test features


def check_features(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Read all features; compare the scale of the splits; compare intervals with the lengths of their videos."""
    paths = sorted({path for split in splits for path in (*_pictures(split), *_sound(split))})
    results = check_files(read_whole, {path: path for path in paths}, context, FEATURE_RECIPE)
    scales = {}
    for split in splits:
        check = f'{split.name} features'
        pictures, sound = _pictures(split), _sound(split)
        used = pictures | sound
        bad = [results[path]['error'] for path in used if 'error' in results[path]]
        good = {path: results[path] for path in used if 'error' not in results[path]}
        if bad:
            text = '; '.join(bad[:3]) + ('; ...' if len(bad) > 3 else '')
            context.report.fail(check, f'{len(bad)} of {len(used)} files cannot be used: {text}')
        if good:
            norms = [result['norm'] for path, result in good.items() if result['norm'] and path in pictures]
            scales[split.name] = float(np.mean(norms)) if norms else 0.0
            total = sum(result['snippets'] for result in good.values())
            of_sound = f', {sum(path in sound for path in good)} of them of sound' if sound else ''
            text = f'{len(good)} files{of_sound}, {total:,} snippets, finite; mean norm {scales[split.name]:.3g}'
            context.report.passed(check, text)
        empty = [path for path, result in good.items() if result['zeros']]
        if empty:
            total = sum(good[path]['zeros'] for path in empty)
            context.report.warn(check, f'{total} snippets of {len(empty)} files are all zeros: {names(empty)}')
        _check_lengths(split, context)
    _check_scales(scales, context)


def _pictures(split: SplitUnderTest) -> dict[str, None]:
    return dict.fromkeys(path for sample in split.samples for path in sample['feature_paths'])


def _sound(split: SplitUnderTest) -> dict[str, None]:
    return dict.fromkeys(sample['audio_path'] for sample in split.samples if sample.get('audio_path'))


def _check_lengths(split: SplitUnderTest, context: CheckContext) -> None:
    """Check the lengths of test videos, and that intervals lie within them."""
    if not split.settings.get('test_mode'):
        return
    check = f'{split.name} lengths'
    videos = {sample['video_id']: sample for sample in split.samples}
    frames = sum(sample['total_frames'] for sample in videos.values())
    known = [name for name, sample in videos.items() if sample['length_known']]
    text = f'{len(videos)} videos, {frames:,} frames; {len(known)} of these counts are of the videos'
    if len(known) < len(videos):
        text += f", {len(videos) - len(known)} are the features' length: what follows the last snippet is not scored"
    context.report.passed(check, text)
    beyond = [name for name, s in videos.items() if any(end > s['total_frames'] for _, end in s['intervals'])]
    if beyond:
        text = f'anomalous intervals of {len(beyond)} videos reach beyond them and are clipped: {names(beyond)}'
        context.report.warn(check, text)


def _check_scales(scales: dict[str, float], context: CheckContext) -> None:
    """Warn if training and test features differ in scale: one set is normalised, or they are different sets."""
    train = scales.get('train')
    for name, scale in scales.items():
        if name != 'train' and train and scale and not 1 / _SCALE < scale / train < _SCALE:
            context.report.warn(
                f'{name} features',
                f'their mean norm is {scale:.3g}, in training {train:.3g}: is one set normalised, or another?',
            )
