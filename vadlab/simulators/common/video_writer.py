"""Writing H.264 videos, optionally with sound."""

from pathlib import Path
from types import TracebackType

import av
import numpy as np

from vadlab.utils.atomic import part_of


class VideoWriter:
    """Writer of mp4 files, which get their name only when they are complete.

    Args:
        path: The file; missing folders are made.
        fps: Frames per second, a whole number.
        crf: x264's constant rate factor: lower values give better quality and larger files.
        sound: The whole sound track, float32 in -1..1 of shape (1 or 2 channels, samples), and samples per second; it
            is encoded as AAC. None for no track.
    """

    def __init__(self, path: Path, fps: float, crf: int = 26, sound: tuple[np.ndarray, int] | None = None) -> None:
        self.path, self.fps, self.crf, self.sound = Path(path), fps, crf, sound
        self._part = part_of(self.path)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> 'VideoWriter':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._part), 'w', format='mp4')
        return self

    def add(self, image: np.ndarray) -> None:
        """Append a frame, RGB uint8 of shape (H, W, 3); all frames have the same size."""
        if self._container is None:
            raise RuntimeError('VideoWriter.add() belongs inside "with VideoWriter(...)".')
        if self._stream is None:
            options = {'preset': 'superfast', 'crf': str(self.crf), 'threads': '1'}
            self._stream = self._container.add_stream('libx264', rate=round(self.fps), options=options)
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = 'yuv420p'
            self._add_sound()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        self._container.mux(self._stream.encode(frame))

    def _add_sound(self) -> None:
        if self._container is None or self.sound is None:
            return
        samples, rate = self.sound
        layout = 'stereo' if len(samples) == 2 else 'mono'
        stream = self._container.add_stream('aac', rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format='fltp', layout=layout)
        frame.sample_rate = rate
        for part in (frame, None):
            self._container.mux(stream.encode(part))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        try:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        if kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)
