"""Time to load videos with FG-CLIP's pipeline, compared with the time of a training step."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .decode import speed_file
from .harness import TOOLS, Entry, Report, compete, limit
from .plain_fgclip import ARCHITECTURES

REFERENCE = 'training step, 1 video'
LOADERS = {
    'loader, no cache': 'none',
    'loader, jpeg cache, first epoch': 'jpeg first',
    'loader, jpeg cache, later epochs': 'jpeg',
    'loader, raw cache, later epochs': 'raw',
}


def make_data(folder: Path, video: Path, videos: int, total: int) -> None:
    """Write a data set in UCF-Crime's format whose videos are all the same file, each with two regions."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for i in range(videos):
        name = f'Abuse{i:03d}_x264.mp4'
        path = folder / 'Videos' / 'Abuse' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(video, path)
        except OSError:
            shutil.copy(video, path)
        regions = []
        for region, start in enumerate((total // 4, total * 3 // 8)):
            end = start + total // 4
            box = [0.1 + 0.2 * region, 0.3, 0.45 + 0.2 * region, 0.8]
            keyframes = [dict(frame=frame, bbox=box, enabled=True) for frame in (start, end)]
            caption = f'person {region} crosses the yard and pushes another one'
            regions.append(dict(caption=caption, start_frame=start, end_frame=end, keyframes=keyframes))
        caption = f'A camera of street {i} shows people who walk and argue.'
        records.append(dict(f_path=f'Videos/{name}', global_caption=caption, bbox_info=regions))
    (folder / 'train.json').write_text(json.dumps(records))


class LoadJob:
    """Load one video through the training pipeline: probe, sample, decode, boxes, augment, tokenize, pack.

    Args:
        kind: ``none`` (no cache), ``jpeg first`` (fills one), ``jpeg`` or ``raw`` (reads a full one).
        data_root: See :func:`make_data`.
        frames: Frames sampled per video.
        size: Height and width of the frames in pixels.
        cache_dir: Folder of the frame cache.
    """

    def __init__(self, kind: str, data_root: str, frames: int, size: int, cache_dir: str) -> None:
        from vadlab.registry import DATASETS
        from vadlab.utils.config import load_config
        from vadlab.utils.setup_env import register_all_modules

        register_all_modules()
        self.emptied = Path(cache_dir) if kind == 'jpeg first' else None
        options = dict(data_root=data_root, ann_file='train.json', num_frames=frames, image_size=size)
        if kind != 'none':
            options.update(cache_dir=cache_dir, cache_format=kind.split()[0])
        config = load_config(TOOLS.parent / 'configs' / 'fgclip_ucf.py', options)
        self.dataset = DATASETS.build(config.train_dataloader.dataset)
        self.next = 0
        if kind in ('jpeg', 'raw'):
            for i in range(len(self.dataset)):
                self.dataset[i]

    def run(self) -> dict[str, Any]:
        """Load the next video."""
        if self.emptied is not None and self.emptied.is_dir():
            for file in self.emptied.iterdir():
                file.unlink()
        sample = self.dataset[self.next % len(self.dataset)]
        self.next += 1
        return dict(frames=len(sample['inputs']))


def run(
    cache_dir: Path,
    runs: int = 5,
    videos: int = 4,
    frames: int = 64,
    video_frames: int = 7000,
    arch: str = 'ViT-B/32',
) -> Report:
    """Measure data loading.

    Args:
        cache_dir: Folder of the video.
        runs: Runs of the comparison.
        videos: Videos of the data set.
        frames: Frames sampled from a video.
        video_frames: Length of each video.
        arch: A key of ``ARCHITECTURES``, of the training step.
    """
    video = speed_file(cache_dir, 'GOP 250' if video_frames > 1000 else 'GOP 12', video_frames)
    data_root = cache_dir / f'loader_{video_frames}_{videos}'
    make_data(data_root, video, videos, video_frames)
    size = ARCHITECTURES[arch]['vision_config']['image_size']
    entries = [Entry(REFERENCE, 'step:StepJob', dict(kind='ours_cp', arch=arch, frames=frames, videos=1))]
    case = f'{frames} of {video_frames} frames, one worker'
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in LOADERS.items():
            options = dict(kind=kind, data_root=str(data_root), frames=frames, size=size)
            options['cache_dir'] = os.path.join(folder, kind.replace(' ', '_'))
            entries.append(Entry(name, 'loader:LoadJob', options, threads=1))
        report = Report(compete('loader', case, entries, runs, REFERENCE, 'videos/s'))
    report.errors += [f'loader: {row.name}: {row.note}' for row in report.rows if row.note]
    later = next(row for row in report.rows if row.name == 'loader, jpeg cache, later epochs')
    ratio = None if later.ratio is None else later.ratio.median
    report.targets.append(limit('loading with a full cache against a step, one worker', 0.05, ratio))
    return report
