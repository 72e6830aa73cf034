from collections.abc import Sequence

import cv2
import numpy as np
import torch

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from ..heads.grounding_head import box_iou
from ..objects.objects import Objects
from ..objects.onnx_file import OnnxFile, letterbox
from .attribute import Attribute

LAYOUTS = ('auto', 'heatmap', 'simcc', 'yolo')
_WHERE = 'Name an ONNX file of a pose model in the config: --cfg-options pose_model=FILE'


@MODELS.register_module()
class Pose(Attribute):
    """Posture of a person: keypoints from a pose model that was exported to ONNX, as shares of the box.

    ============ ================================= =====================================================================
    layout       output                            models
    ============ ================================= =====================================================================
    ``heatmap``  (N, K, h, w)                      a heat map per keypoint: HRNet, ViTPose, SimpleBaseline. The position
                                                   is the highest cell, moved by a quarter towards its higher neighbour
                                                   (Xiao et al., ECCV 2018)
    ``simcc``    (N, K, a * W) and (N, K, a * H)   a classification of x and of y: RTMPose (Li et al., "SimCC",
                                                   ECCV 2022)
    ``yolo``     (1, 4 + C + 3 * K, boxes)         boxes with keypoints in pixels: YOLOv8-pose and later. Each object
                                                   takes the most confident box that overlaps it
    ============ ================================= =====================================================================

    The first two take a crop of one person: the box, enlarged by ``padding`` and to the aspect ratio of the input. The
    last one takes the whole frame, padded with 114, RGB from 0 to 1.

    The vector is x and y of each keypoint, 0..1 inside the box, as in AI-VAD (Reiss and Hoshen, 2022,
    arXiv:2212.00789).

    Args:
        path (str): The ``.onnx`` file.
        layout (str): See above; ``auto``: by the shapes of the outputs.
        keypoints (int): K; 17 for COCO.
        input_size (tuple[int, int] | None): Height and width of the input, if the file leaves them open.
        mean (tuple): Mean of the channels, on the scale 0..255; ImageNet's by default. Not for ``yolo``, like ``std``.
        std (tuple): Standard deviation of the channels, on the same scale.
        is_bgr (bool): Order of the channels.
        padding (float): Height and width of the crop, in those of the box.
        score_thr (float): An object has no pose if the mean confidence of its keypoints is lower.
        iou_threshold (float): Least overlap of a box of ``yolo`` with the object, 0..1.
        person (str | None): Class that has a pose; None for all. Without classes, all objects have one.
        classes (tuple[str, ...]): The detector's by default.
        threads (int): Threads of onnxruntime.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self,
        path: str,
        layout: str = 'auto',
        keypoints: int = 17,
        input_size: Sequence[int] | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        is_bgr: bool = False,
        padding: float = 1.25,
        score_thr: float = 0.3,
        iou_threshold: float = 0.3,
        person: str | None = 'person',
        classes: tuple[str, ...] = (),
        threads: int = 1,
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise ConfigError(f'Pose: there is no layout={layout!r}. Known: {", ".join(LAYOUTS)}')
        if keypoints < 1 or padding <= 0 or min(std) <= 0:
            raise ConfigError('Pose: keypoints, padding and std must be > 0')
        self.file = OnnxFile(path, 'pose model', _WHERE, threads)
        self.layout, self.keypoints = layout, keypoints
        self.input_size = tuple(input_size) if input_size is not None else None
        self.mean, self.std, self.is_bgr = np.array(mean, np.float32), np.array(std, np.float32), is_bgr
        self.padding, self.score_thr, self.iou_threshold = padding, score_thr, iou_threshold
        self.person, self.classes = person, tuple(classes)
        self._layout = ''  # set when the file is open
        self._size = (0, 0)

    def open(self) -> None:
        """Load the file, if it is not loaded yet.

        Raises:
            MissingFileError: There is no such file.
            MissingDependencyError: onnxruntime is not installed.
            ConfigError: The input's size is open, and ``input_size`` is not set, or differs from the file's.
            DataError: It is not a pose model.
        """
        if self._layout:
            return
        self.file.open()
        size = tuple(own or wanted for own, wanted in zip(self.file.size, self.input_size or (0, 0), strict=True))
        if 0 in size:
            raise ConfigError(
                f'Pose: {self.file.path} takes pictures of any size. Set input_size=(height, width) of its training'
            )
        if self.input_size not in (None, size):
            raise ConfigError(f'Pose: input_size={self.input_size}, but {self.file.path} takes {size}')
        self._size = int(size[0]), int(size[1])
        self._layout = self._layout_of(self.file.outputs)

    def _layout_of(self, outputs: Sequence[Sequence[int]]) -> str:
        """Layout by the shapes of the outputs; open lengths fit everything.

        Raises:
            DataError: They are not those of a pose model with this number of keypoints.
        """
        fits = {
            'simcc': len(outputs) == 2 and all(len(s) == 3 and s[1] in (-1, self.keypoints) for s in outputs),
            'heatmap': len(outputs) == 1 and len(outputs[0]) == 4 and outputs[0][1] in (-1, self.keypoints),
            'yolo': len(outputs) == 1 and len(outputs[0]) == 3 and outputs[0][1] > 4 + 3 * self.keypoints,
        }
        found = [name for name, fit in fits.items() if fit and self.layout in ('auto', name)]
        if found:
            return found[0]
        k = self.keypoints
        raise DataError(
            f'{self.file.path} is not a {"" if self.layout == "auto" else self.layout + " "}pose model of {k} '
            f'keypoints: its outputs have the shapes {", ".join(str(list(s)) for s in outputs)}; wanted '
            f'(N, {k}, h, w), or (N, {k}, x) and (N, {k}, y), or (1, classes + {4 + 3 * k}, boxes). Check keypoints '
            'and layout'
        )

    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """Keypoints as shares of the box, shape (M, 2 * K); NaN without a pose."""
        self.open()
        out = np.full((len(objects), self.keypoints, 2), np.nan, np.float32)
        boxes = objects.boxes_xyxy.astype(np.float64)
        people = np.flatnonzero(self._is_person(objects))
        if len(people):
            find = self._in_frame if self._layout == 'yolo' else self._in_crops
            points, sure = find(frame, boxes[people])
            corners, sides = boxes[people, None, :2], boxes[people, None, 2:] - boxes[people, None, :2]
            points = (points - corners) / np.maximum(sides, 1e-6)
            good = (sure.mean(axis=1) >= self.score_thr) & np.isfinite(points).all(axis=(1, 2))
            out[people[good]] = points[good]
        return out.reshape(len(objects), 2 * self.keypoints)

    def _is_person(self, objects: Objects) -> np.ndarray:
        if self.person is None or self.person not in self.classes or objects.class_scores.shape[1] == 0:
            return np.ones(len(objects), bool)
        return objects.class_scores.argmax(axis=1) == self.classes.index(self.person)

    def _in_crops(self, frame: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints in pixels of the frame, shape (M, K, 2), and their confidences (M, K), from a crop per person."""
        height, width = self._size
        middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        scales = np.minimum(width / sides[:, 0], height / sides[:, 1]) / self.padding
        corners = middle - np.array([width, height]) / scales[:, None] / 2
        pixels = np.empty((len(boxes), 3, height, width), np.float32)
        for one, scale, (x, y) in zip(pixels, scales, corners, strict=True):
            # Pixel centres are at halves.
            shift = np.array([(0.5 - x) * scale - 0.5, (0.5 - y) * scale - 0.5])
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            crop = cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR)
            crop = crop[..., ::-1] if self.is_bgr else crop
            one[:] = ((crop - self.mean) / self.std).transpose(2, 0, 1)
        step = self.file.batch or len(pixels)
        parts = [self._run(pixels[i : i + step], step) for i in range(0, len(pixels), step)]
        points, sure = (np.concatenate(values) for values in zip(*parts, strict=True))
        return points / scales[:, None, None] + corners[:, None], sure

    def _run(self, pixels: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints in pixels of the input, and their confidences."""
        count = len(pixels)
        if count < batch:  # the file has a fixed number of pictures
            pixels = np.concatenate([pixels, np.zeros((batch - count, *pixels.shape[1:]), np.float32)])
        outputs = [output[:count] for output in self.file.run(pixels)]
        if any(len(output) != count or output.shape[1] != self.keypoints for output in outputs):
            shapes = ', '.join(str(output.shape) for output in outputs)
            raise DataError(f'{self.file.path}: outputs {shapes} for {count} people of {self.keypoints} keypoints')
        if self._layout == 'simcc':
            return simcc_points(outputs[0], outputs[1], self._size)
        return heatmap_points(outputs[0], self._size)

    def _in_frame(self, frame: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same from a model that finds people itself; NaN where none overlaps the box."""
        padded, scale, corner = letterbox(frame, self._size, is_centred=True)
        pixels = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32) / 255
        found = self.file.run(pixels)[0][0].T
        if not found.shape[1] > 4 + 3 * self.keypoints:
            raise DataError(f'{self.file.path}: an output of the shape {found.T.shape}, without keypoints')
        classes = found.shape[1] - 4 - 3 * self.keypoints
        confidence = found[:, 4 : 4 + classes].max(axis=1)
        found, confidence = found[confidence >= self.score_thr], confidence[confidence >= self.score_thr]
        half = found[:, 2:4] / 2
        theirs = np.concatenate([found[:, :2] - half, found[:, :2] + half], axis=1)
        theirs = (theirs - np.tile(corner, 2)) / scale
        keypoints = found[:, 4 + classes :].reshape(len(found), self.keypoints, 3)
        points = np.full((len(boxes), self.keypoints, 2), np.nan)
        sure = np.zeros((len(boxes), self.keypoints))
        overlap = box_iou(torch.from_numpy(boxes), torch.from_numpy(theirs.astype(np.float64))).numpy()
        for row in range(len(boxes)):
            near = np.flatnonzero(overlap[row] >= self.iou_threshold)
            if len(near):
                best = near[confidence[near].argmax()]
                points[row] = (keypoints[best, :, :2] - corner) / scale
                sure[row] = keypoints[best, :, 2]
        return points, sure

    def describe(self, vector: np.ndarray) -> str:
        """How far the keypoints reach, in the box's width and height."""
        points = vector.reshape(-1, 2)
        width, height = np.ptp(points, axis=0)
        return f'{len(points)} keypoints over {width:.2f} x {height:.2f} of the box'


def heatmap_points(maps: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of keypoints from heat maps.

    Args:
        maps (np.ndarray): Shape (N, K, h, w).
        size (tuple[int, int]): Height and width of the input.

    Returns:
        tuple: Positions in pixels of the input, shape (N, K, 2), and the values there, shape (N, K).
    """
    count, keypoints, height, width = maps.shape
    flat = maps.reshape(count, keypoints, -1)
    y, x = np.divmod(flat.argmax(axis=2), width)
    n, k = np.ogrid[:count, :keypoints]
    # A quarter of a cell towards the higher neighbour; beyond the border there is none.
    right, left = maps[n, k, y, np.minimum(x + 1, width - 1)], maps[n, k, y, np.maximum(x - 1, 0)]
    below, above = maps[n, k, np.minimum(y + 1, height - 1), x], maps[n, k, np.maximum(y - 1, 0), x]
    inside_x, inside_y = (x > 0) & (x < width - 1), (y > 0) & (y < height - 1)
    where_x = x + 0.5 + 0.25 * np.sign(right - left) * inside_x
    where_y = y + 0.5 + 0.25 * np.sign(below - above) * inside_y
    points = np.stack([where_x * size[1] / width, where_y * size[0] / height], axis=2)
    return points, flat.max(axis=2)


def simcc_points(along_x: np.ndarray, along_y: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of keypoints from classifications of x and y.

    Args:
        along_x (np.ndarray): Shape (N, K, a * W).
        along_y (np.ndarray): Shape (N, K, a * H).
        size (tuple[int, int]): H and W of the input.

    Returns:
        tuple: Positions in pixels of the input, shape (N, K, 2), and the lower of the two highest values, shape (N, K).
    """
    x = (along_x.argmax(axis=2) + 0.5) * size[1] / along_x.shape[2]
    y = (along_y.argmax(axis=2) + 0.5) * size[0] / along_y.shape[2]
    return np.stack([x, y], axis=2), np.minimum(along_x.max(axis=2), along_y.max(axis=2))
