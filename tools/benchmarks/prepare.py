"""Preparation of clips, compared with ffmpeg's decode of the same files and with a plain preparation."""

import hashlib
import shutil
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from . import videos
from .harness import Entry, Report, compete, limit, resident_bytes

WIDTH, HEIGHT, SIZE, RATE = 1280, 720, 224, 48000
KEPT = 32
REFERENCE = 'ffmpeg, decoding'


def clip_files(cache_dir: Path, count: int, frames: int, gop: int) -> list[Path]:
    """720p clips at 30 frames per second with 48 kHz AAC, as from camera traps, made at first use."""
    paths = [cache_dir / f'clips_{frames}_{gop}' / f'{i}.mp4' for i in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f'.new-{path.name}')
            _write_clip(partial, frames, gop, number)
            partial.replace(path)
    return paths


def _write_clip(path: Path, frames: int, gop: int, seed: int) -> None:
    import av

    with av.open(str(path), 'w') as out:
        video = out.add_stream('libx264', rate=videos.FPS, options={'crf': '23', 'preset': 'veryfast'})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        video.codec_context.gop_size = gop
        audio = out.add_stream('aac', rate=RATE, layout='mono')
        for picture in videos.make_frames(frames, 4.0, seed):
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture).reformat(WIDTH, HEIGHT, 'yuv420p')))
        out.mux(video.encode(None))
        samples = np.random.default_rng(seed).normal(0, 0.1, (1, frames * RATE // videos.FPS)).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(samples, format='fltp', layout='mono')
        sound.sample_rate, sound.time_base, sound.pts = RATE, Fraction(1, RATE), 0
        fifo = av.AudioFifo()
        fifo.write(sound)
        for piece in fifo.read_many(audio.codec_context.frame_size, partial=True):
            out.mux(audio.encode(piece))
        out.mux(audio.encode(None))


class PrepareJob:
    """Process all clips once.

    Args:
        kind: ``vadlab``: frames and spectrograms as from ``tools/prepare_wildlife.py``. ``plain``: every frame decoded,
            the sound by a call of ffmpeg. ``decode``: ffmpeg decodes the video without output. ``scale``: ffmpeg also
            scales the frames.
        paths: The clips.
    """

    def __init__(self, kind: str, paths: list[str]) -> None:
        self.kind, self.paths = kind, paths
        self.folder = tempfile.TemporaryDirectory()
        self.works_in_child = kind in ('decode', 'scale')
        if not self.works_in_child:
            import librosa

            import vadlab.apis.preparation.prepare_av_clip

            librosa.feature.melspectrogram(y=np.zeros(2048, np.float32))  # compiled and cached at first use
            assert vadlab
        self.baseline_bytes = resident_bytes()

    def run(self) -> dict[str, Any]:
        """Process all clips; return data of the frames of ours and of the plain preparation, for comparison."""
        if self.works_in_child:
            scale = ['-vf', f'scale={SIZE}:{SIZE}', '-pix_fmt', 'rgb24'] if self.kind == 'scale' else []
            for path in self.paths:
                command = ['ffmpeg', '-v', 'error', '-nostdin', '-threads', '1', '-i', path, '-map', '0:v', *scale]
                subprocess.run([*command, '-f', 'null', '-'], check=True)
            return {}
        make = self._vadlab if self.kind == 'vadlab' else self._plain
        digest = hashlib.sha256()
        for number, path in enumerate(self.paths):
            digest.update(make(path, number))
        return dict(frames_sha256=digest.hexdigest())

    def _vadlab(self, path: str, number: int) -> bytes:
        from vadlab.apis.preparation.prepare_av_clip import AVClipJob, prepare_av_clip
        from vadlab.datasets.audio.log_mel import LogMelRecipe
        from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
        from vadlab.datasets.formats.prepared_av_clips import frames_path, load_frames
        from vadlab.datasets.video import video_index

        # A preparation reads each file for the first time.
        video_index._index_video.cache_clear()
        job = AVClipJob(
            clip_id=str(number),
            video=path,
            video_path=path,
            video_bytes=0,
            start=None,
            end=None,
            audio='',
            audio_path=path,
            audio_bytes=0,
            out=self.folder.name,
            frames=FrameRecipe(KEPT, None, SIZE, SIZE),
            sound=LogMelRecipe(),
        )
        clip = prepare_av_clip(job)
        if clip.bad or not clip.has_mel:
            raise RuntimeError(clip.bad or f'{path}: no sound was found')
        return load_frames(frames_path(self.folder.name, clip.clip_id), clip.frames_shape).numpy().tobytes()

    def _plain(self, path: str, number: int) -> bytes:
        import av
        import librosa
        import torch

        with av.open(path) as container:
            container.streams.video[0].codec_context.thread_count = 1
            pictures = [
                frame.reformat(SIZE, SIZE, 'rgb24', interpolation='BILINEAR').to_ndarray()
                for frame in container.decode(video=0)
            ]
        wanted = ((np.arange(KEPT) + 0.5) * len(pictures) / KEPT).astype(int)
        frames = np.ascontiguousarray(np.stack([pictures[i] for i in wanted]).transpose(0, 3, 1, 2))
        torch.save(torch.from_numpy(frames), f'{self.folder.name}/{number}.pt')
        command = ['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-ac', '1', '-ar', '16000', '-f', 'f32le', '-']
        sound = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)
        mel = librosa.feature.melspectrogram(y=sound, sr=16000, n_fft=1024, win_length=400, hop_length=160)
        np.save(f'{self.folder.name}/{number}.npy', librosa.power_to_db(mel, top_db=None))
        return frames.tobytes()

    def finish(self) -> dict[str, Any]:
        """Remove the written files."""
        self.folder.cleanup()
        return {}


def run(cache_dir: Path, runs: int = 5, clips: int = 4, frames: int = 300) -> Report:
    """Measure the preparation of clips, one process.

    Args:
        cache_dir: Folder of the clips.
        runs: Runs per comparison.
        clips: Number of clips.
        frames: Frames per clip.
    """
    report = Report()
    if not shutil.which('ffmpeg'):
        report.errors.append('prepare: the ffmpeg program is not installed, there is nothing to compare with')
        return report
    for gop in (250, 30):
        paths = [str(path) for path in clip_files(cache_dir, clips, frames, gop)]
        case = f'{clips} clips of {frames} frames, 720p, GOP {gop}, {KEPT} frames of {SIZE}x{SIZE} kept, with sound'
        contestants = {
            REFERENCE: 'decode',
            'ffmpeg, decoding and scaling': 'scale',
            'plain preparation': 'plain',
            'vadlab': 'vadlab',
        }
        entries = [
            Entry(name, 'prepare:PrepareJob', dict(kind=kind, paths=paths), units=clips * frames, threads=1, pin=True)
            for name, kind in contestants.items()
        ]
        found: dict[str, Any] = {}
        rows = compete('prepare', case, entries, runs, REFERENCE, 'frames/s', on_first=found.__setitem__)
        report.rows += rows
        report.errors += [f'prepare: {row.name}: {row.note}' for row in rows if row.note]
        digests = {name: said['frames_sha256'] for name, said in found.items() if 'frames_sha256' in said}
        if len(set(digests.values())) > 1:
            report.errors.append(f'prepare, GOP {gop}: the frames of the plain preparation and of VADLab differ')
        ratio = next(row for row in rows if row.name == 'vadlab').ratio
        name = f'preparing clips, GOP {gop}, sound included, against ffmpeg decoding their pictures'
        report.targets.append(limit(name, 1.0, None if ratio is None else ratio.median))
    return report
