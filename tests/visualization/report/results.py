"""Results of small videos whose frames show their own numbers."""

from fractions import Fraction

import av
import numpy as np
from mmengine.structures import InstanceData

from tests.datasets.conftest import number_picture
from vadlab.evaluation.functional.events import find_events
from vadlab.structures.video_result import Calibration, RunInfo, Thresholds, VideoResult

LIMITS = Thresholds(
    high=0.6, low=0.4, min_s=0.1, gap_s=0.15, source='calibrated on data/calm', false_alarms_per_hour=1.5
)
CALIBRATION = Calibration(2.0, 7, 0.4, 0.1, 0.15, (0.9, 0.8, 0.7, 0.45), 'data/calm')
RUN = RunInfo(
    'configs/fgclip_demo.py', 'epoch_1.pth', 'FGCLIP', ('Normal', 'Riot'), 'every 4th frame', LIMITS, CALIBRATION
)


def write_video(path, times, codec='libx264', pix_fmt='yuv420p', size=None, sound=None, shift=0.0, options=None):
    """A video of numbered frames at the given times in seconds, and a tone of the given sound codec."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=30, options=options or {})
        picture = number_picture(0)
        stream.height, stream.width = size or picture.shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        if codec != 'mpeg4':
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        audio = out.add_stream(sound, rate=44100, layout='mono') if sound else None
        for number, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(number_picture(number), format='rgb24')
            frame = frame.reformat(stream.width, stream.height)
            base = Fraction(1, 30 if codec == 'mpeg4' else 1000)
            frame.pts, frame.time_base = round((time_s + shift) / base), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if audio:
            wave = 0.2 * np.sin(np.arange(int(44100 * times[-1])) / 20)
            for start in range(0, len(wave) - 1152, 1152):
                part = wave[None, start : start + 1152].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(part, format='fltp', layout='mono')
                frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path


def result_of(name, path, times, scores=None, truth=None, with_boxes=True, size=(96, 128)):
    """A result with two bumps of the score above the threshold, one below, and a box that moves to the right."""
    times = np.asarray(times, np.float64)
    n = len(times)
    if scores is None:
        place = np.arange(n) / max(n - 1, 1)
        bumps = (0.8, 0.3, 0.06), (0.6, 0.75, 0.05), (0.25, 0.52, 0.03)  # height, place, width
        scores = 0.1 + sum(high * np.exp(-(((place - at) / width) ** 2)) for high, at, width in bumps)
    scores = np.asarray(scores, np.float32)
    fps = (n - 1) / (times[-1] - times[0]) if n > 1 else 25.0
    seen = np.arange(0, n, 4)
    boxes = None
    if with_boxes:
        left = np.linspace(8, 88, len(seen))
        boxes = InstanceData()
        boxes.frame_inds = seen
        boxes.boxes_xyxy = np.stack([left, np.full(len(seen), 24), left + 32, np.full(len(seen), 72)], 1).astype(
            np.float32
        )
        boxes.scores, boxes.track_ids = scores[seen], np.zeros(len(seen), np.int64)
        boxes.labels, boxes.reasons = ['person <b>'] * len(seen), [f'<i>fast</i> in {frame}' for frame in seen]
    class_scores = np.stack([1 - scores[seen], scores[seen]], 1)
    result = VideoResult(
        name, str(path), fps, size, scores, times, seen, ('Normal', 'Riot'), class_scores, (), boxes, truth, LIMITS
    )
    result.events = tuple(find_events(scores, times, LIMITS, result.duration_s))
    return result
