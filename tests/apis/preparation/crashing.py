"""Stands in for a decoder that takes its process along."""

import os
import signal
from pathlib import Path

from vadlab.datasets.formats.prepared_av_clips import PreparedAVClip


def crash_on_fox1(job):
    if job.clip_id == 'fox1':
        part = Path(job.out) / 'video_frames' / f'.fox1.pt.{os.getpid()}.part'
        part.parent.mkdir(exist_ok=True)
        part.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return PreparedAVClip(**job.facts(), frames_shape=[1], num_frames=1)
