"""Make synthetic surveillance videos in UCF-Crime's format: ``python tools/make_demo_data.py --out DIR``."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.option_checks import require_at_least
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar

if TYPE_CHECKING:
    from vadlab.simulators.surveillance.demo_set import VideoPlan


# Raise it when the same seed gives other videos than before, so that old folders are recognised.
SIMULATOR_VERSION = 2

README = """# Synthetic surveillance videos

Made by `python tools/make_demo_data.py --out {out} --train {train} --test {test} --seed {seed} --story {story}`
(VADLab's simulator, version {version}): drawn scenes with camera noise, no real person or place.

- `Videos/`: H.264, 320x240, 15 frames per second, in UCF-Crime's folders.
- `train.json`, `test.json`: captions and keyframed boxes (`end_frame` inclusive), one video in twenty in
  Chinese; up to five hard negatives per English region.
- `Temporal_Anomaly_Annotation.txt`: anomalous frames of the test videos, half-open and 0-based.

Training and test videos share no scene, camera or person. An event may run past the end of a video and continue at its
start, so that the position in the video gives no information.

| class | train | test |
| --- | --- | --- |
{rows}
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Make synthetic surveillance videos in UCF-Crime's format.")
    parser.add_argument('--out', type=Path, help='folder of the data set')
    parser.add_argument('--train', type=int, default=400, help='training videos of all classes (default: 400)')
    parser.add_argument('--test', type=int, default=120, help='test videos of all classes (default: 120)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the data set (default: 0)')
    parser.add_argument(
        '--frames', type=int, nargs=2, default=(None, None), metavar=('MIN', 'MAX'), help='video lengths'
    )
    parser.add_argument(
        '--story',
        default='events',
        choices=('events', 'motion'),
        help='events that one frame shows, or events that only frames in their order tell (default: events)',
    )
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='make the planned videos of these classes only (default: all)'
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: one per core)')
    parser.add_argument('--preview', type=Path, metavar='DIR', help='write one contact sheet per class to this folder')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    if args.out is None and args.preview is None:
        raise ConfigError('Nothing to do: set --out DIR for videos, or --preview DIR for contact sheets.')
    require_at_least(1, args, 'workers')
    if args.preview is not None:
        preview(args.preview, args.seed, args.story)
    if args.out is not None:
        make(args.out, args.train, args.test, args.seed, tuple(args.frames), args.workers, args.story, args.classes)
    return 0


def preview(folder: Path, seed: int, story: str) -> None:
    """Write one contact sheet per class."""
    import cv2

    from vadlab.simulators.surveillance.contact_sheet import contact_sheet
    from vadlab.simulators.surveillance.story import STORIES

    folder.mkdir(parents=True, exist_ok=True)
    for kind in STORIES[story].classes:
        cv2.imwrite(
            str(folder / f'{kind}.png'), cv2.cvtColor(contact_sheet(kind, seed=seed, story=story), cv2.COLOR_RGB2BGR)
        )
    say(f'Contact sheets of {len(STORIES[story].classes)} classes: {folder}')


def make(
    out: Path,
    train: int,
    test: int,
    seed: int,
    frames: tuple[int | None, int | None],
    workers: int,
    story: str,
    classes: list[str] | None = None,
) -> None:
    """Write a data set; existing videos are kept.

    Raises:
        ConfigError: The folder contains a data set with other settings.
    """
    from vadlab.simulators.common.made_folder import check_settings
    from vadlab.simulators.surveillance.demo_set import plan_demo_set
    from vadlab.simulators.surveillance.story import STORIES

    plans = plan_demo_set(train, test, seed, *frames, story, classes)
    settings = dict(
        train=train, test=test, seed=seed, frames=list(frames), story=story, classes=classes, version=SIMULATOR_VERSION
    )
    check_settings(out, settings)
    records: dict[VideoPlan, dict] = {}
    written = 0
    # A forked child of a process in which OpenCV has already used its threads can hang.
    context = multiprocessing.get_context('spawn')
    with ProgressBar('videos', len(plans)) as bar, ProcessPoolExecutor(workers, mp_context=context) as pool:
        # Long videos first, so that all workers finish at about the same time.
        order = sorted(plans, key=lambda plan: -plan.num_frames)
        futures = {pool.submit(make_one, plan, out): plan for plan in order}
        try:
            for future in as_completed(futures):
                records[futures[future]], new = future.result()
                written += new
                bar.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for split in ('train', 'test'):
        found = [records[plan] for plan in plans if plan.split == split]
        write_text(out / f'{split}.json', json.dumps(found, ensure_ascii=False, indent=1) + '\n')
    lines = [plan.temporal_line() for plan in plans if plan.split == 'test']
    write_text(out / 'Temporal_Anomaly_Annotation.txt', '\n'.join(lines) + '\n')
    counts = Counter((plan.kind, plan.split) for plan in plans)
    rows = '\n'.join(
        f'| {kind} | {counts[kind, "train"]} | {counts[kind, "test"]} |' for kind in STORIES[story].classes
    )
    write_text(out / 'README.md', README.format(out=out.name, rows=rows, **settings))
    total = sum(plan.num_frames for plan in plans)
    say(f'{out}: {len(plans)} videos ({written} new), {total} frames, train.json, test.json, temporal annotation.')


def make_one(plan: VideoPlan, out: Path) -> tuple[dict, bool]:
    """Write one video in a worker process; return its annotation, and whether the video is new."""
    import cv2

    cv2.setNumThreads(1)
    new = plan.write(out)
    return plan.record(), new


if __name__ == '__main__':
    run_cli(main)
