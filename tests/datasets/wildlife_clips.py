"""Small clips with sound, and metadata around them."""

import wave
from fractions import Fraction

import av
import numpy as np

from .conftest import HEIGHT, WIDTH, number_picture

FPS = 10


def tone(seconds, rate=16000, hz=440.0, level=0.5):
    """A sine, float32, shape (seconds * rate,)."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_clip(path, frames=20, sound=None, rate=16000, codec='aac', sound_from=0.0, gop=10):
    """A video whose frames carry their number, at 10 a second; with a track of sound, if there is one.

    Args:
        path (Path): The ending says the container.
        frames (int): How many.
        sound (np.ndarray | None): float32, shape (N,) or (N, 2).
        rate (int): Of ``sound``, in Hz.
        codec (str): Of the track; ``pcm_s16le`` keeps every sample, in ``.mov`` and ``.mkv``.
        sound_from (float): When the sound begins, in seconds.
        gop (int): Frames from one keyframe to the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as out:
        video = out.add_stream('libx264', rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        video.codec_context.gop_size = gop
        video.codec_context.thread_count = 1
        audio = None
        if sound is not None:
            sound = sound[:, None] if sound.ndim == 1 else sound
            layout = 'mono' if sound.shape[1] == 1 else 'stereo'
            audio = out.add_stream(codec, rate=rate, layout=layout)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(number_picture(i), format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            pcm = codec.startswith('pcm')
            data = np.round(sound * 32768).clip(-32768, 32767).astype(np.int16) if pcm else sound
            data = data.reshape(1, -1) if pcm else np.ascontiguousarray(data.T)
            frame = av.AudioFrame.from_ndarray(data, format='s16' if pcm else 'fltp', layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(sound_from * rate)
            if pcm:
                out.mux(audio.encode(frame))
            else:
                fifo = av.AudioFifo()
                fifo.write(frame)
                for piece in fifo.read_many(audio.codec_context.frame_size or 1024, partial=True):
                    out.mux(audio.encode(piece))
            out.mux(audio.encode(None))
    return path


def write_wav(path, samples, rate=16000):
    """A ``.wav`` of int16 samples, shape (N,) or (N, channels)."""
    samples = np.asarray(samples, np.int16)
    samples = samples[:, None] if samples.ndim == 1 else samples
    with wave.open(str(path), 'w') as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


METADATA = """\
clip_id,video,split,species,behaviour,start,end
deer1,a/one.mp4,train,red deer,grazing,,
fox1,a/two.mp4,train,fox,running,,
fox2,three.mp4,train,fox,grazing,0.5,1.5
deer2,three.mp4,val,red deer,running,1.5,
fox3,four.mp4,test,fox,running,,
"""


def write_set(folder, metadata=METADATA):
    """Four videos, two of them with sound, and the metadata of five clips."""
    write_clip(folder / 'videos/a/one.mp4', 20, tone(2.0))
    write_clip(folder / 'videos/a/two.mp4', 12)
    write_clip(folder / 'videos/three.mp4', 30, tone(3.0, hz=880))
    write_clip(folder / 'videos/four.mp4', 7)
    (folder / 'metadata.csv').write_text(metadata)
    return folder
