import os
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.json_file import read_json

from .pixel_data_preprocessor import PixelDataPreprocessor, names_in_batch, packed_inputs

# ImageNet's mean and standard deviation, which VideoMAE expects, on the scale 0..255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@MODELS.register_module()
class AudioVisualDataPreprocessor(PixelDataPreprocessor):
    """Stacks the clips of a batch and normalises them on the device; clips without sound use no memory there.

    Spectrograms are normalised by one mean and one standard deviation, those of all training clips. So the differences
    in loudness and in frequency bands between clips are kept. Normalising each clip by its own statistics would amplify
    the noise of quiet clips, and would depend on where a clip was cut. The two numbers are part of the model's state: a
    checkpoint has those that it was trained with, and they are used in testing.

    Args:
        mean (Sequence[float]): Mean of red, green and blue, on the scale 0..255.
        std (Sequence[float]): Standard deviation of red, green and blue, > 0.
        audio_statistics (str | None): ``statistics.json`` of the prepared training clips. If the file does not exist,
            the numbers must come from a checkpoint.
        audio_mean (float | None): Mean in decibels, instead of the file.
        audio_std (float | None): Standard deviation in decibels, > 0, instead of the file.
        batch_augment (dict | None): Config of a batch augmentation such as :class:`MixUp`; in training only.
        non_blocking (bool): Copy from pinned memory asynchronously.

    Raises:
        ConfigError: An option is out of its range.
        DataError: The file of statistics cannot be read.
    """

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        audio_statistics: str | None = None,
        audio_mean: float | None = None,
        audio_std: float | None = None,
        batch_augment: dict | None = None,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(mean, std, non_blocking)
        if (audio_mean is None) != (audio_std is None) or (audio_std is not None and not audio_std > 0):
            raise ConfigError(
                'AudioVisualDataPreprocessor: audio_mean and audio_std go together, audio_std positive; got '
                f'{audio_mean}, {audio_std}.'
            )
        if audio_mean is None and audio_statistics is not None:
            audio_mean, audio_std = read_statistics(audio_statistics)
        self.audio_statistics = audio_statistics
        unknown = float('nan')
        self.register_buffer('audio_mean', torch.tensor(unknown if audio_mean is None else audio_mean))
        self.register_buffer('audio_std', torch.tensor(unknown if audio_std is None else audio_std))
        self.batch_augment = None if batch_augment is None else MODELS.build(batch_augment)
        self._known = audio_mean is not None

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._known = bool(torch.isfinite(self.audio_mean))

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Convert a collated batch to the model's inputs.

        Args:
            data (dict): ``inputs``, a dict of lists of B: ``video``, uint8, shape (T, 3, H, W), or None; ``audio``,
                float32, shape (1, F, L), or None. ``data_samples``, a list of
                :class:`~vadlab.structures.AudioVisualDataSample` or None. Other keys are passed on.
            training (bool): Whether to apply ``batch_augment``.

        Returns:
            dict: The same keys; ``inputs`` is a dict on the device. Masks and lengths stay on the CPU, so that reading
            them needs no synchronisation:

            - ``video`` (Tensor): float32, shape (B, T, 3, H, W), zeros for clips without video; shape (B, 0, 3, 0, 0)
              if no clip has video.
            - ``video_mask`` (Tensor): True for clips with video, bool, shape (B,).
            - ``audio`` (Tensor): float32, shape (A, 1, F, L), of the A clips with sound, in order, padded with zeros
              (the mean) to the longest; shape (0, 1, 0, 0) if no clip has sound.
            - ``audio_mask`` (Tensor): True for clips with sound, bool, shape (B,).
            - ``audio_lengths`` (Tensor): Number of columns of each spectrogram before padding, int64, shape (A,).

        Raises:
            DataError: A clip does not have the format of PackAudioVisualInputs, or the shapes of clips differ.
        """
        inputs = packed_inputs(data)
        videos, audios = list(inputs['video']), list(inputs['audio'])
        samples = data.get('data_samples')
        names = names_in_batch(samples, len(videos), 'clip')
        inputs = {**self._stack_videos(videos, names), **self._pad_audios(audios, names)}
        if training and self.batch_augment is not None and samples:
            inputs, samples = self.batch_augment(inputs, samples)
        return {**data, 'inputs': inputs, 'data_samples': samples}

    def _stack_videos(self, videos: list[Tensor | None], names: list[str]) -> dict[str, Tensor]:
        shape = next((video.shape for video in videos if video is not None), None)
        if shape is None:
            empty = torch.zeros(len(videos), 0, 3, 0, 0, device=self.device)
            return dict(video=empty, video_mask=torch.zeros(len(videos), dtype=torch.bool))
        for name, video in zip(names, videos, strict=True):
            if video is None:
                continue
            if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[1] != 3:
                raise DataError(
                    f'AudioVisualDataPreprocessor: {name} is {video.dtype} of shape {tuple(video.shape)}; wanted uint8 '
                    '(frames, 3, height, width), as PackAudioVisualInputs makes.'
                )
            if video.shape != shape:
                raise DataError(
                    f'AudioVisualDataPreprocessor: {name} has {video.shape[0]} frames of {video.shape[2]}x'
                    f'{video.shape[3]} pixels, but others of its batch {shape[0]} of {shape[2]}x{shape[3]}. Put '
                    'SampleClip into the pipeline, and prepare all clips with the same recipe.'
                )
        stack = torch.stack([torch.zeros(shape, dtype=torch.uint8) if video is None else video for video in videos])
        frames = (self.to_device(stack).float() - self.mean) / self.std
        seen = torch.tensor([video is not None for video in videos])
        if not seen.all():
            frames[~seen] = 0
        return dict(video=frames, video_mask=seen)

    def _pad_audios(self, audios: list[Tensor | None], names: list[str]) -> dict[str, Tensor]:
        heard = [(name, audio) for name, audio in zip(names, audios, strict=True) if audio is not None]
        mask = torch.tensor([audio is not None for audio in audios])
        if not heard:
            empty = torch.zeros(0, 1, 0, 0, device=self.device)
            return dict(audio=empty, audio_mask=mask, audio_lengths=torch.zeros(0, dtype=torch.int64))
        if not self._known:
            said = f'{self.audio_statistics} is not there' if self.audio_statistics else 'audio_statistics is not set'
            raise ConfigError(
                f'AudioVisualDataPreprocessor: mean and deviation of the spectrograms are not known: {said}, and no '
                'checkpoint was loaded. tools/prepare_wildlife.py writes statistics.json.'
            )
        bands = heard[0][1].shape[1]
        for name, audio in heard:
            if not audio.is_floating_point() or audio.ndim != 3 or audio.shape[0] != 1:
                raise DataError(
                    f'AudioVisualDataPreprocessor: the sound of {name} is {audio.dtype} of shape {tuple(audio.shape)}; '
                    'wanted floats (1, bands, columns), as PackAudioVisualInputs makes.'
                )
            if audio.shape[1] != bands:
                raise DataError(
                    f'AudioVisualDataPreprocessor: the sound of {name} has {audio.shape[1]} bands, but that of '
                    f'{heard[0][0]} in the same batch {bands}. Prepare all clips with the same recipe.'
                )
        counts = [audio.shape[2] for _, audio in heard]
        padded = torch.zeros(len(heard), 1, bands, max(counts), device=self.device)
        for place, (_, audio), count in zip(padded, heard, counts, strict=True):
            place[..., :count] = (self.to_device(audio) - self.audio_mean) / self.audio_std
        return dict(audio=padded, audio_mask=mask, audio_lengths=torch.tensor(counts))


def read_statistics(path: str) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the training clips' spectrograms; None without a file or without sound.

    Raises:
        DataError: The file cannot be read.
    """
    if not os.path.isfile(path):
        MMLogger.get_current_instance().info(f'{path} is not there: statistics of sound must come from a checkpoint')
        return None, None
    try:
        found = read_json(path)['sound']
        mean, std = found['mean'], found['std']
        if mean is not None and not (float(mean) == mean and std > 0):
            raise ValueError(f'mean is {mean!r}, std is {std!r}')
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{path} is not a file of statistics of prepared clips ({error})') from error
    return mean, std
