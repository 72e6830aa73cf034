"""Checks of videos, and of their annotations against them."""

from collections import Counter
from functools import partial

from vadlab.datasets.temporal_truth import outside_of

from ..video_check import decode_some, video_recipe
from .check_context import CheckContext, SplitUnderTest, names
from .file_checks import check_files


def check_videos(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Decode frames of every video, and compare its annotations with its true length."""
    paths = sorted({s['video_path'] for split in splits for s in split.samples})
    if not paths:
        return
    results = look_at_videos(paths, _backend(splits), context)
    for split in splits:
        samples, missing = split.samples, len(getattr(split.dataset, 'missing_videos', ()))
        limit = split.settings.get('max_bad_videos', 0) - missing
        bad = [
            (s['video_id'], results[s['video_path']]['error']) for s in samples if 'error' in results[s['video_path']]
        ]
        check = f'{split.name} videos'
        for name, error in bad:
            context.report.add('warning' if len(bad) <= limit else 'failure', check, f'{name}: {error}')
        if bad:
            level = 'warning' if len(bad) <= limit else 'failure'
            beside = f' and {missing} missing' if missing else ''
            context.report.add(level, check, f'{len(bad)} damaged{beside} videos, max_bad_videos is {limit + missing}')
        good = [s for s in samples if 'error' not in results[s['video_path']]]
        paths_of_split = {s['video_path'] for s in good}  # several samples may be clips of one video
        frames = sum(results[path]['total_frames'] for path in paths_of_split)
        if good:
            context.report.passed(check, f'{len(paths_of_split)} videos decode, {frames:,} frames')
        _check_lengths(check, good, results, context)


def _check_lengths(check: str, samples: list[dict], results: dict[str, dict], context: CheckContext) -> None:
    """Check that annotated frames lie within their videos."""
    counts: Counter[str] = Counter()
    where: dict[str, list[str]] = {}

    def note(what: str, name: str) -> None:
        counts[what] += 1
        where.setdefault(what, []).append(name)

    for sample in samples:
        total = results[sample['video_path']]['total_frames']
        for region in sample.get('regions', []):
            if region['start_frame'] >= total:
                note('regions begin after the end of their video and are dropped', sample['video_id'])
            elif region['end_frame'] >= total:
                note('regions end after the end of their video and are clipped', sample['video_id'])
        if problem := outside_of(sample, total):
            context.report.fail(check, problem)
        elif any(end > total for _, end in sample.get('intervals', [])):
            note('anomalous intervals reach beyond their video and are clipped', sample['video_id'])
    for what, count in counts.items():
        context.report.warn(check, f'{count} {what}: {names(where[what])}')


def _backend(splits: list[SplitUnderTest]) -> str:
    """The reader that the experiment uses."""
    steps = [step for split in splits if (step := split.transform('DecodeFrames')) is not None]
    return steps[0].get('backend', 'auto') if steps else 'auto'


def look_at_videos(paths: list[str], backend: str, context: CheckContext) -> dict[str, dict]:
    """Results of :func:`~vadlab.apis.video_check.check_video` for each video, by all workers."""
    look = partial(decode_some, num_frames=context.num_frames, backend=backend)
    recipe = video_recipe(context.num_frames, backend)
    # Without patience: a damaged file may crash the decoder, and with it the process.
    return check_files(look, {path: path for path in paths}, context, recipe, patience_s=0)
