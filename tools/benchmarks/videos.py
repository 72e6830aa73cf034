"""Test videos with a realistic bit rate, and the frame number drawn into every frame.

A camera pans over a textured scene with moving textured actors and new noise in every frame. The codec needs bits for
all of this, as for a surveillance recording. The number is a black-and-white bar code of 16 fields in the upper part of
the frame, which can be read after any resizing.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, FPS = 320, 240, 30
_ROWS, _COLUMNS = 2, 8
_FIELD_H, _FIELD_W = 30, WIDTH // _COLUMNS


def draw_number(frame: np.ndarray, number: int) -> None:
    """Draw ``number`` (0..65535) into ``frame``, uint8, shape (H, W, 3), in place."""
    for bit in range(_ROWS * _COLUMNS):
        row, column = divmod(bit, _COLUMNS)
        value = 235 if number >> bit & 1 else 20
        frame[row * _FIELD_H : (row + 1) * _FIELD_H, column * _FIELD_W : (column + 1) * _FIELD_W] = value


def read_number(frame: np.ndarray) -> int:
    """The number drawn into a frame of any size, uint8, shape (h, w, 3)."""
    height, width = frame.shape[:2]
    number = 0
    for bit in range(_ROWS * _COLUMNS):
        row, column = divmod(bit, _COLUMNS)
        y = round((row + 0.5) * _FIELD_H * height / HEIGHT)
        x = round((column + 0.5) * _FIELD_W * width / WIDTH)
        number |= int(frame[y - 2 : y + 3, x - 2 : x + 3].mean() > 128) << bit
    return number


def _texture(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture with detail at all scales, float32, shape (height, width, 3), about 30..220."""
    picture = np.zeros((height, width, 3), np.float32)
    for cell in (64, 32, 16, 8, 4, 2):
        coarse = generator.standard_normal((height // cell + 1, width // cell + 1, 3)).astype(np.float32)
        picture += coarse.repeat(cell, 0).repeat(cell, 1)[:height, :width] * cell**0.5
    return 125 + picture * (35 / picture.std())


def make_frames(count: int, noise: float, seed: int = 0) -> Iterator[np.ndarray]:
    """Frames of a surveillance-like scene.

    Args:
        count: Number of frames.
        noise: Standard deviation of the camera noise in grey levels.
        seed: Seed of scene and noise.

    Yields:
        RGB frames, uint8, shape (240, 320, 3); frame i shows the number i.
    """
    generator = np.random.default_rng(seed)
    scene = _texture(generator, HEIGHT + 64, WIDTH + 128)
    actors = [_texture(generator, 70, 40) for _ in range(5)]
    # One long strip of noise, read from a new position for each frame, is a hundred times faster than new noise.
    strip = generator.normal(0, noise, HEIGHT * WIDTH * 3 * 4).astype(np.float32)
    size = HEIGHT * WIDTH * 3
    for i in range(count):
        x, y = int(64 + 60 * np.sin(i / 97)), int(32 + 28 * np.sin(i / 61))
        frame = scene[y : y + HEIGHT, x : x + WIDTH].copy()
        for k, actor in enumerate(actors):
            left = int((i * (1 + k % 3) + 60 * k) % (WIDTH - 40))
            top = int(90 + (70 * np.sin(i / (23 + 5 * k)) + 70) / 2)
            frame[top : top + 70, left : left + 40] = actor
        start = int(generator.integers(0, strip.size - size))
        frame += strip[start : start + size].reshape(frame.shape)
        picture = frame.clip(0, 255).astype(np.uint8)
        draw_number(picture, i)
        yield picture


def write_video(
    path: Path,
    count: int,
    codec: str = 'libx264',
    noise: float = 3.0,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    gop: int = 250,
    b_frames: int | None = None,
    times: list[int] | None = None,
    seed: int = 0,
) -> None:
    """Encode :func:`make_frames`, atomically.

    Args:
        path: File to write.
        count: Number of frames.
        codec: FFmpeg's name of the encoder.
        noise: See :func:`make_frames`.
        options: The encoder's options.
        container: FFmpeg's name of the container; None uses the file extension.
        container_options: The container's options.
        gop: Maximum number of frames from one keyframe to the next.
        b_frames: Maximum number of consecutive B-frames; None for the encoder's default.
        times: Presentation times in thirtieths of a second, ascending, one per frame; None for a constant rate.
        seed: See :func:`make_frames`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.partial-{path.name}')
    with av.open(str(partial), 'w', format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=FPS, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        for i, picture in enumerate(make_frames(count, noise, seed)):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts = times[i] if times else i
            frame.time_base = Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    partial.replace(path)


def hide_beginning(path: Path, frames: int, total: int) -> None:
    """Rewrite the edit list of an mp4 so that its first frames are not shown.

    Args:
        path: An mp4 of one video stream with an edit list of one entry (FFmpeg writes one if there are B-frames).
        frames: Number of frames to hide.
        total: Number of frames.

    Raises:
        ValueError: There is no such edit list.
    """
    content = bytearray(path.read_bytes())
    place = content.find(b'elst')
    header = content.find(b'mdhd')
    if place < 0 or header < 0 or content[place + 4] != 0:
        raise ValueError(f'{path}: no edit list of version 0')
    scale = struct.unpack_from('>I', content, header + 4 + 12)[0]
    entries = struct.unpack_from('>I', content, place + 8)[0]
    if entries != 1:
        raise ValueError(f'{path}: {entries} edits, expected 1')
    duration, start = struct.unpack_from('>Ii', content, place + 12)
    struct.pack_into('>Ii', content, place + 12, duration * (total - frames) // total, start + frames * scale // FPS)
    path.write_bytes(content)


def cut(path: Path, share: float) -> None:
    """Keep only the first ``share`` (0..1) of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def corrupt(path: Path, share: float, length: int = 20000) -> None:
    """Overwrite ``length`` bytes of a file with noise, starting at ``share`` (0..1) of its size."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * share)
    noise = np.random.default_rng(0).integers(0, 256, min(length, len(content) - start), dtype=np.uint8)
    content[start : start + len(noise)] = noise.tobytes()
    path.write_bytes(content)


def write_sound(path: Path) -> None:
    """Write an mp4 with one second of sound and no video."""
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('aac', rate=16000)
        for i in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
            frame.sample_rate, frame.pts = 16000, i * 1024
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
