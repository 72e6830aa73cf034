"""Seconds to score videos end to end, against decoding them whole and against the usual loop with OpenCV."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .decode import speed_file
from .harness import TOOLS, Entry, Report, compete, limit, resident_bytes
from .readers import READERS

# With its small CLIP as it is: the speed does not depend on the training.
CONFIG = 'fgclip_demo_zero_shot.py'
DISTANCE = 16
SHORT_FRAMES = 150


class InferJob:
    """Score videos with the demo's model, every 16th frame.

    Args:
        kind: ``vadlab``; ``opencv all``, the usual loop: OpenCV decodes all frames, and each goes through the model
            alone; or ``opencv``: the same with every 16th frame.
        paths: The videos.
        readers: Decoding threads.
        fill_batches: Frames of several videos in a batch.
    """

    def __init__(self, kind: str, paths: list[str], readers: int = 1, fill_batches: bool = False) -> None:
        os.chdir(TOOLS.parent)  # the weights are named from there
        import torch

        from vadlab.apis import load_model

        if kind == 'vadlab':
            torch.set_num_threads(1)  # the cores decode; the loop has torch's default
        self.kind, self.paths = kind, paths
        self.model = load_model(f'configs/{CONFIG}', sampling=DISTANCE, workers=readers, fill_batches=fill_batches)
        self.baseline_bytes = resident_bytes()

    def run(self) -> dict[str, Any]:
        """Score all videos; return a digest of the scores."""
        if self.kind != 'vadlab':
            return dict(frames=sum(self._loop(path, 1 if 'all' in self.kind else DISTANCE) for path in self.paths))
        digest = hashlib.sha256()
        for result in sorted(self.model(self.paths), key=lambda result: result.name):
            if result.error is not None:
                raise RuntimeError(result.error)
            digest.update(result.scores.tobytes())
        return dict(scores_sha256=digest.hexdigest())

    def _loop(self, path: str, distance: int) -> int:
        import cv2
        import torch

        scorer, count, embeds = self.model.scorer, 0, []
        capture = cv2.VideoCapture(path)
        with torch.inference_mode():
            while True:
                ok, picture = capture.read()
                if not ok:
                    break
                if count % distance == distance // 2:
                    size = scorer.reader.size_of(*picture.shape[:2])
                    picture = cv2.resize(picture[..., ::-1], size[::-1], interpolation=cv2.INTER_CUBIC)
                    embeds.append(scorer.embed(picture[None]))
                count += 1
            self.model.model.score_embeds(torch.cat(embeds))
        return count


class DecodeJob:
    """Decode all frames of videos with FFmpeg on one thread, without a conversion of the pictures.

    Args:
        program: Use the program ``ffmpeg``; else FFmpeg's libraries through PyAV.
        paths: The videos.
    """

    def __init__(self, program: bool, paths: list[str]) -> None:
        import av

        assert av
        self.program, self.paths = program, paths
        self.baseline_bytes = resident_bytes()
        self.works_in_child = program

    def run(self) -> dict[str, Any]:
        """Decode all videos."""
        if not self.program:
            for path in self.paths:
                READERS['pyav_all'](path, np.zeros(0, np.int64), 0)
            return {}
        # One process for all videos, so its start counts once.
        with tempfile.NamedTemporaryFile('w', suffix='.txt') as file:
            file.writelines(f"file '{os.path.abspath(path)}'\n" for path in self.paths)
            file.flush()
            listed = ('-f', 'concat', '-safe', '0', '-i', file.name)
            quiet = ('ffmpeg', '-v', 'error', '-nostdin', '-threads', '1')
            subprocess.run([*quiet, *listed, '-map', '0:v', '-f', 'null', '-'], check=True)
        return {}


def run(cache_dir: Path, runs: int = 5, frames: int = 7000, videos: int = 100) -> Report:
    """Measure inference on one long video and on a folder of short ones.

    Args:
        cache_dir: Folder of the videos.
        runs: Runs per comparison.
        frames: Length of the long video.
        videos: Number of short videos.
    """
    program = shutil.which('ffmpeg') is not None
    reference = f'full decode, one thread ({"ffmpeg" if program else "FFmpeg by PyAV"})'
    report = Report()
    long = [str(speed_file(cache_dir, 'GOP 250' if frames > 1000 else 'GOP 12', frames))]
    first = speed_file(cache_dir, 'GOP 250' if frames > 1000 else 'GOP 12', min(SHORT_FRAMES, frames))
    folder = cache_dir / f'short_{videos}'
    folder.mkdir(parents=True, exist_ok=True)
    short = [str(folder / f'{i:03d}.mp4') for i in range(videos)]
    for path in short:
        if not os.path.exists(path):
            os.link(first, path)
    several = f'videos of {SHORT_FRAMES} frames'
    few = short[: max(videos // 5, 1)]  # the usual loop takes a minute for a hundred
    cases = ((f'a video of {frames} frames', long), (f'{videos} {several}', short), (f'{len(few)} {several}', few))
    for case, paths in cases:
        entries = [
            Entry(reference, 'infer:DecodeJob', dict(program=program, paths=paths), threads=1),
            Entry('vadlab, one reader', 'infer:InferJob', dict(kind='vadlab', paths=paths), threads=1),
            Entry('vadlab, two readers', 'infer:InferJob', dict(kind='vadlab', paths=paths, readers=2), threads=1),
        ]
        if paths is short:
            filled = dict(kind='vadlab', paths=paths, fill_batches=True)
            entries.append(Entry('vadlab, one reader, filled batches', 'infer:InferJob', filled, threads=1))
            entries.append(Entry('OpenCV loop, every 16th frame', 'infer:InferJob', dict(kind='opencv', paths=paths)))
        else:
            entries.append(Entry('OpenCV loop, every frame', 'infer:InferJob', dict(kind='opencv all', paths=paths)))
        found: dict[str, Any] = {}
        rows = compete('infer', case, entries, runs, reference, on_first=found.__setitem__)
        report.rows += rows
        report.errors += [f'infer: {row.name}: {row.note}' for row in rows if row.note]
        digests = {said['scores_sha256'] for said in found.values() if 'scores_sha256' in said}
        if paths is long and len(digests) != 1:
            report.errors.append('infer: the scores with one reader and with two differ')
        ratios = {row.name: row.ratio.median for row in rows if row.ratio is not None}
        for name, wanted in (('vadlab, one reader', 0.75), ('vadlab, two readers', 0.55)) if paths is not few else ():
            what = f'{case}, {name}, against a full decode on one thread'
            report.targets.append(limit(what, wanted, ratios.get(name)))
        loop = 'OpenCV loop, every frame'
        if paths is not short:
            measured = loop in ratios and 'vadlab, two readers' in ratios
            gain = ratios[loop] / ratios['vadlab, two readers'] if measured else None
            report.targets.append(limit(f'{case}, speed against the {loop}', 5.0, gain, at_least=True))
    return report
