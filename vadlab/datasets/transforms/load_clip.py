import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from ...registry import TRANSFORMS
from ...utils.loader_workers import is_first_worker
from ..audio.audio_reader import read_audio
from ..audio.log_mel import log_mel
from ..formats.av_clip_recipe import plan_av_clip
from ..formats.prepared_av_clips import load_frames, load_mel
from ..video import index_video, read_frames

_warned: set[str] = set()


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Load frames and spectrogram of a clip, mapped from prepared files or decoded by the same recipe.

    Prepared frames are mapped into memory, so only the frames that :class:`SampleClip` selects are read.

    Required keys: clip_id; frames_path, frames_shape, mel_path, mel_shape for a prepared clip, else video_path,
    audio_path, start, end, frame_recipe, sound_recipe

    Added keys: frames (uint8, RGB, shape (S, H, W, 3)), img_shape (tuple of H and W), mel (float32, decibels, shape
    (F, L), or None without sound), audio_start (float, seconds), band_start (int)

    Modified keys: has_audio; frame_inds, times (as arrays), fps, num_frames, duration, audio_hop (added if the clip is
    decoded)

    Raises:
        DataError: A file is damaged, or differs from the manifest.
        MissingFileError: A video is missing.
    """

    def transform(self, results: dict) -> dict:
        if 'frames_path' in results:
            self._map(results)
        else:
            self._decode(results)
        results['img_shape'] = results['frames'].shape[1:3]
        results['has_audio'] = results['mel'] is not None
        results['audio_start'], results['band_start'] = 0.0, 0
        return results

    @staticmethod
    def _map(results: dict) -> None:
        results['frames'] = load_frames(results['frames_path'], results['frames_shape']).permute(0, 2, 3, 1).numpy()
        results['frame_inds'] = np.asarray(results['frame_inds'], np.int64)
        results['times'] = np.asarray(results['times'], np.float64)
        results['mel'] = load_mel(results['mel_path'], results['mel_shape']) if results['mel_path'] else None

    @staticmethod
    def _decode(results: dict) -> None:
        path, recipe, sound_recipe = results['video_path'], results['frame_recipe'], results['sound_recipe']
        index = index_video(path)
        plan = plan_av_clip(index, recipe, results['start'], results['end'])
        size = (recipe.height, recipe.width)
        results['frames'] = read_frames(index, plan.frame_inds, size, interpolation=recipe.interpolation)
        results.update(
            frame_inds=plan.frame_inds,
            times=plan.times,
            fps=plan.fps,
            num_frames=plan.num_frames,
            duration=plan.duration,
            audio_hop=sound_recipe.hop_s,
        )
        audio_path = results['audio_path'] or path
        sound = read_audio(audio_path, sound_recipe.sample_rate, results['start'] or 0.0, results['end'])
        if sound is not None:
            _warn(results['clip_id'], sound.notes)
        is_heard = sound is not None and not (sound.is_silent and sound_recipe.silence == 'mask')
        results['mel'] = log_mel(sound.waveform, sound_recipe) if sound is not None and is_heard else None

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _warn(clip_id: str, notes: tuple[str, ...]) -> None:
    """Warn about the sound of a clip, once per kind of warning, in one of the loading processes."""
    for note in notes:
        if note not in _warned and is_first_worker():
            _warned.add(note)
            MMLogger.get_current_instance().warning(f'{clip_id}, and perhaps further clips: {note}')
