"""Species and behaviour of any clips, with a trained recogniser."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from vadlab.datasets.audio.log_mel import LogMelRecipe
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
from vadlab.datasets.formats.prepared_av_clips import read_prepared_recipe
from vadlab.datasets.video import index_video
from vadlab.utils.config_check import checked_arguments
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.many_files import Engine, Lost
from vadlab.utils.read_ahead import read_ahead

from .base_inferencer import BaseInferencer, build_steps
from .frame_sampling import steps_of_test
from .video_inputs import VideoInput, VideoSource, find_sources


@dataclass(frozen=True)
class RecognisedClip:
    """Class probabilities of a clip.

    Attributes:
        source (VideoSource): The video.
        start_s (float): Start of the clip in the video, in seconds.
        end_s (float): End of the clip, in seconds.
        has_audio (bool): Whether it has sound.
        scores (dict[str, np.ndarray]): Per head, the probability of each class, float32, shape (C,).
        error (str | None): Why it could not be recognised; the other fields are then unused.
    """

    source: VideoSource
    start_s: float = 0.0
    end_s: float = 0.0
    has_audio: bool = False
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class _Prepared:
    source: VideoSource
    start_s: float = 0.0
    end_s: float = 0.0
    packed: dict | None = None
    error: str | None = None


class ClipInferencer(BaseInferencer):
    """Recognises clips of any videos with the config's test pipeline; frames and sound are read from the video.

    The recipe of frames and sound is that of the config's prepared clips if they exist, otherwise that of its data set.

    A batch has clips of one video, so probabilities do not depend on the others; but see ``fill_batches``.

    Args:
        config (Config | str | Path): The experiment.
        checkpoint (str | Path | None): Trained weights.
        device (str | None): Device of the model; by default the GPU, if there is one.
        clip_s (float | None): Cut videos into clips of this length in seconds, > 0; None: a video is one clip.
        workers (int): Threads that read videos, >= 1.
        batch_size (int): Clips per forward pass, >= 1.
        fill_batches (bool | None): Fill batches with clips of several videos; probabilities may then differ in the last
            digits with the other videos. None: on a GPU.

    Raises:
        ConfigError: The config is not of a recogniser, or a value is out of its range.
        CheckpointError: The weights do not fit the model.
    """

    @checked_arguments
    def __init__(
        self,
        config: Config | str | Path,
        checkpoint: str | Path | None,
        device: str | None = None,
        clip_s: float | None = None,
        workers: int = 2,
        batch_size: int = 8,
        fill_batches: bool | None = None,
    ) -> None:
        self.clip_s = clip_s
        self.workers = workers
        self.batch_size = batch_size
        super().__init__(config, checkpoint, device)
        self.fill_batches = self.fills_batches(fill_batches)
        self.made_by |= dict(clip_s=clip_s, workers=workers, batch_size=batch_size, fill_batches=fill_batches)
        #: Class names per head.
        self.classes: dict[str, tuple[str, ...]] = {name: head.classes for name, head in self.model.heads.items()}

    def check_config(self, config: Config) -> None:
        """Check that the test reads clips; see :class:`BaseInferencer`."""
        steps = steps_of_test(config)
        if 'LoadClip' not in [step['type'] for step in steps]:
            raise ConfigError('The test pipeline of this config does not read clips, so it cannot recognise any.')
        self.pipeline = build_steps(steps)
        options = config.test_dataloader.dataset
        size = options.get('image_size')
        height, width = (size, size) if isinstance(size, int) else tuple(size or (224, 224))
        self.frame_recipe = FrameRecipe(**{'height': height, 'width': width, **(options.get('frame_recipe') or {})})
        self.sound_recipe = LogMelRecipe(**(options.get('sound_recipe') or {}))
        if options.get('source', 'processed') == 'processed':
            try:
                folder = Path(options.get('data_root', ''), options.get('processed_dir', 'processed'))
                self.frame_recipe, self.sound_recipe = read_prepared_recipe(folder)
            except MissingFileError:
                pass  # the clips that the weights were trained on are not here

    def check_model(self) -> None:
        """Check that the model is a recogniser; see :class:`BaseInferencer`."""
        if not hasattr(self.model, 'heads'):
            raise ConfigError(f'{self.config.model.type} is not a recogniser: it has no heads.')

    def __call__(
        self, inputs: VideoInput | Iterable[VideoInput], engine: Engine | None = None
    ) -> Iterator[RecognisedClip]:
        """Recognise the clips of videos.

        Args:
            inputs: Paths of videos, folders, lists, patterns, or a list of these.
            engine (Engine | None): What recognises clips; None: this process. Each worker has a model of its own.

        Yields:
            RecognisedClip: One per clip, in the order of the videos and of time.

        Raises:
            MissingFileError, DataError: An input does not exist, or is not a video.
        """
        sources = find_sources(inputs)
        if engine is None or engine.is_here:
            yield from self._clips(sources)
            return
        for source, clips in self.elsewhere(attrgetter('clips_of'), sources, engine, self.workers, in_order=True):
            if isinstance(clips, Lost):
                clips = [RecognisedClip(source, error=f'{source.path}: {clips.reason}')]
            yield from clips

    def clips_of(self, source: VideoSource) -> list[RecognisedClip]:
        """The clips of a video; see :meth:`__call__`."""
        return list(self._clips([source]))

    def _clips(self, sources: Sequence[VideoSource]) -> Iterator[RecognisedClip]:
        batch: list[_Prepared] = []
        for prepared in read_ahead(sources, self._prepared, self.workers, 2 * self.batch_size, in_order=True):
            is_other = bool(batch) and prepared.source is not batch[0].source and not self.fill_batches
            if batch and (prepared.packed is None or is_other or len(batch) == self.batch_size):
                yield from self._recognise(batch)
                batch = []
            if prepared.packed is None:
                yield RecognisedClip(prepared.source, error=prepared.error)
            else:
                batch.append(prepared)
        if batch:
            yield from self._recognise(batch)

    def _prepared(self, source: VideoSource) -> Iterator[_Prepared]:
        try:
            if source.frames is not None:
                raise DataError(f'{source.name}: a clip is a file with pictures and sound; arrays have no sound.')
            length = index_video(source.path).duration_s
            step = length if self.clip_s is None else self.clip_s
            # A last part of less than half a clip belongs to the clip before it.
            count = max(int(length / step + 0.5), 1)
            for number in range(count):
                start, end = number * step, length if number == count - 1 else (number + 1) * step
                whole = self.clip_s is None
                packed = self._pack(source, None if whole else start, None if number == count - 1 else end)
                yield _Prepared(source, start, end, packed)
        except (DataError, OSError) as error:
            yield _Prepared(source, error=str(error))

    def _pack(self, source: VideoSource, start: float | None, end: float | None) -> dict:
        return self.pipeline(
            dict(
                clip_id=source.name,
                video_path=source.path,
                audio_path=None,
                start=start,
                end=end,
                frame_recipe=self.frame_recipe,
                sound_recipe=self.sound_recipe,
                labels={},
                num_classes={},
                multi_label=(),
            )
        )

    @torch.inference_mode()
    def _recognise(self, batch: list[_Prepared]) -> Iterator[RecognisedClip]:
        samples = self.model.test_step(pseudo_collate([prepared.packed for prepared in batch]))
        for prepared, sample in zip(batch, samples, strict=True):
            scores = {head: values.float().cpu().numpy() for head, values in sample.pred_scores.items()}
            yield RecognisedClip(prepared.source, prepared.start_s, prepared.end_s, sample.has_audio, scores)
