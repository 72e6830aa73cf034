"""Checks of videos, and of their annotations against them."""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from vadlab.datasets.temporal_truth import outside_of

from ..video_check import check_video
from .check_context import CheckContext, SplitUnderTest, names


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
    """Results of :func:`~vadlab.apis.video_check.check_video` for each video, in worker processes."""
    results: dict[str, dict] = {}
    context.progress(0, len(paths))
    if context.workers <= 1:
        for path in paths:
            results[path] = check_video(path, context.num_frames, backend, context.cache_dir)
            context.progress(len(results), len(paths))
        return results
    # Spawned, not forked, since torch has started threads in this process.
    spawning = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(context.workers, mp_context=spawning) as pool:
        futures = {pool.submit(check_video, p, context.num_frames, backend, context.cache_dir): p for p in paths}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            context.progress(len(results), len(paths))
    return results
