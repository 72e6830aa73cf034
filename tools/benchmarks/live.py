"""Live cameras on one core: latency by stage, and how many cameras are scored at 5 frames per second each."""

import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

from .decode import speed_file
from .harness import TOOLS, Entry, Report, compete, resident_bytes

# With its small CLIP as it is: the speed does not depend on the training.
CONFIG = 'fgclip_demo_zero_shot.py'
RATE = 5.0


class LiveJob:
    """Watch cameras with the demo's model for some seconds; files at their own rate stand for the cameras.

    Args:
        path: The video of all cameras.
        cameras: Number of cameras.
        seconds: How long they are watched.
    """

    def __init__(self, path: str, cameras: int, seconds: float) -> None:
        os.chdir(TOOLS.parent)  # the weights are named from there
        import torch

        from vadlab.apis.inferencers.vad_inferencer import VADInferencer

        torch.set_num_threads(1)
        self.path, self.cameras, self.seconds = path, cameras, seconds
        self.inferencer = VADInferencer(f'configs/{CONFIG}')
        self.baseline_bytes = resident_bytes()

    def run(self) -> dict[str, Any]:
        """Watch; return latencies in milliseconds, and the share of due frames that were scored."""
        from vadlab.apis.live.camera import WatchSettings
        from vadlab.apis.live.camera_specs import CameraSpec
        from vadlab.apis.live.watch import Watch
        from vadlab.structures.video_result import Thresholds

        specs = [CameraSpec(f'camera{i}', self.path) for i in range(self.cameras)]
        watch = Watch(self.inferencer, specs, WatchSettings(rate=RATE), thresholds=Thresholds(1.0, 1.0))
        halt = threading.Event()
        timer = threading.Timer(self.seconds, halt.set)
        timer.start()
        watch.run(halt)
        timer.cancel()
        states = watch.states()
        found: dict[str, Any] = {}
        for name, (median, p99) in watch.stage_table().items():
            found[f'{name} ms'] = 1000 * median
            if name == 'total':
                found['p99 ms'] = 1000 * p99
        due = RATE * self.seconds * self.cameras
        found['scored of due'] = sum(state.scored for state in states) / due
        found['dropped'] = float(sum(state.dropped for state in states))
        return found


def run(cache_dir: Path, runs: int, frames: int, counts: tuple[int, ...], seconds: float) -> Report:
    """Measure numbers of cameras, each pinned to one core.

    Args:
        cache_dir: Folder of the videos.
        runs: Runs per number.
        frames: Length of the videos.
        counts: Numbers of cameras.
        seconds: Length of a run.
    """
    report = Report()
    small = speed_file(cache_dir, 'GOP 250' if frames > 1000 else 'GOP 12', frames)
    large = enlarged(small, cache_dir / f'large_{frames}.mp4', min(frames, 1000))
    for size, path in (('320 x 240', small), ('1280 x 720', large)):
        entries = [
            Entry(
                f'{count} cameras',
                'live:LiveJob',
                dict(path=str(path), cameras=count, seconds=seconds),
                units=count * seconds,
                threads=1,
                pin=True,
            )
            for count in counts
        ]
        rows = compete(
            'live', f'cameras of {size} at 30 frames/s, {RATE:g} scored per second', entries, runs, warm_up=0
        )
        for row, count in zip(rows, counts, strict=True):
            if row.cpu_s is not None:
                row.details['cameras per core by CPU'] = count * seconds / row.cpu_s.median
        report.rows += rows
        report.errors += [f'live: {row.name}: {row.note}' for row in rows if row.note]
    return report


def enlarged(source: Path, target: Path, frames: int, height: int = 720, width: int = 1280) -> Path:
    """The first frames of a video in another size, with a keyframe every two seconds."""
    if target.exists():
        return target
    import av

    from vadlab.utils.atomic import atomic_path

    with atomic_path(target) as part, av.open(str(source)) as video, av.open(str(part), 'w', format='mp4') as out:
        stream = out.add_stream('libx264', rate=30, options={'preset': 'veryfast'})
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.codec_context.gop_size = 60
        for number, frame in enumerate(video.decode(video=0)):
            if number == frames:
                break
            larger = frame.reformat(width, height, 'yuv420p')
            larger.pts, larger.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(larger))
        out.mux(stream.encode(None))
    return target
