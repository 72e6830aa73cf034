import os
from pathlib import Path

import numpy as np

from vadlab.datasets.formats.one_class_layouts import SPLITS, find_clips
from vadlab.datasets.video import index_video
from vadlab.registry import MODELS
from vadlab.utils.errors import DataError
from vadlab.utils.npy_list import read_npy_list

from ..objects.objects import Objects
from .attribute import Attribute


@MODELS.register_module()
class PoseFiles(Attribute):
    """Poses from files, as AI-VAD released them (Reiss and Hoshen, 2022): ``extracted_features/ped2/train/pose.npy``.

    Such a file is a list with one array (P, 2 * K) for each frame of all clips of a split, one after the other in the
    order of their names: x and y of K keypoints of P people. It does not tell where the people are. So each pose is an
    object of its own, without a box, and has no other attribute: with ``combine='attributes'``, as in AI-VAD's code,
    the highest pose of a frame is added to the highest speed. These objects are in no picture.

    Args:
        data_root (str): The data set's folder, for names and lengths of the clips.
        train (str): File of the training clips.
        test (str): File of the test clips.
        keypoints (int): K.
        layout (str): Of the folder, see :class:`~vadlab.datasets.OneClassVideos`.
    """

    def __init__(self, data_root: str, train: str, test: str, keypoints: int = 17, layout: str = 'auto') -> None:
        super().__init__()
        self.data_root, self.keypoints, self.layout = data_root, keypoints, layout
        self.files = dict(zip(SPLITS, (train, test), strict=True))
        self._poses: dict[str, list[np.ndarray]] = {}

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_poses': {}}

    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """NaN: the objects that are found in the frame have no pose."""
        return np.full((len(objects), 2 * self.keypoints), np.nan, np.float32)

    def more_objects(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """The objects of a video that are only in the file.

        Args:
            path (str): The video.

        Returns:
            tuple: Frame of each, int64, shape (P,), and their vectors, float32, shape (P, 2 * K).

        Raises:
            MissingFileError: A file or the folder is missing.
            DataError: A file does not fit the clips, or the video is not one of them.
        """
        if not self._poses:
            for split in SPLITS:
                self._poses.update(self._read(split))
        found = self._poses.get(os.path.realpath(path))
        if found is None:
            raise DataError(f'PoseFiles: {path} is no clip of {self.data_root}, so there are no poses of it')
        frames = np.repeat(np.arange(len(found)), [len(poses) for poses in found])
        return frames.astype(np.int64), np.concatenate([np.zeros((0, 2 * self.keypoints), np.float32), *found])

    def _read(self, split: str) -> dict[str, list[np.ndarray]]:
        clips = find_clips(self.data_root, split, self.layout).clips
        lengths = [clip.num_frames or index_video(clip.path).total_frames for clip in clips]
        poses = read_npy_list(self.files[split])
        if len(poses) != sum(lengths):
            raise DataError(
                f'{self.files[split]} has poses of {len(poses)} frames, but the {len(clips)} {split} clips of '
                f'{self.data_root} have {sum(lengths)}'
            )
        width = 2 * self.keypoints
        found = [np.zeros((0, width), np.float32) if not one.size else one.astype(np.float32) for one in poses]
        wrong = next((i for i, one in enumerate(found) if one.ndim != 2 or one.shape[1] != width), None)
        if wrong is not None:
            raise DataError(
                f'{self.files[split]}: frame {wrong} has an array of shape {found[wrong].shape}; wanted (people, '
                f'{width}) for {self.keypoints} keypoints'
            )
        if not all(np.isfinite(one).all() for one in found):
            raise DataError(f'{self.files[split]} has poses with NaN or infinite numbers')
        ends = np.cumsum(lengths)
        return {
            os.path.realpath(clip.path): found[end - length : end]
            for clip, end, length in zip(clips, ends, lengths, strict=True)
        }

    def describe(self, vector: np.ndarray) -> str:
        """Number of keypoints."""
        return f'{len(vector) // 2} keypoints, from {Path(self.files["test"]).name}'
