from collections.abc import Sequence

import cv2
import numpy as np
from torch import nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from .coco_classes import COCO_CLASSES
from .objects import Objects
from .onnx_file import OnnxFile, letterbox

LAYOUTS = ('auto', 'yolox', 'yolov5', 'yolov8')
_STRIDES = (8, 16, 32)
_WHERE = (
    'Download yolox_nano.onnx (3.7 MB) from the releases of https://github.com/Megvii-BaseDetection/YOLOX and name it '
    'in the config: --cfg-options detector=FILE. Without a detector: configs/aivad_ped2_blobs.py'
)


@MODELS.register_module()
class ONNXDetector(nn.Module):
    """Objects from a detector that was exported to ONNX: YOLOX, or a YOLO of Ultralytics' layouts.

    ============ ============================ ===========================================================
    layout       output                       meaning
    ============ ============================ ===========================================================
    ``yolox``    (1, cells, 5 + C)            offset in the cell, log of the size, objectness, classes
    ``yolov5``   (1, boxes, 5 + C)            centre and size in pixels, objectness, classes
    ``yolov8``   (1, 4 + C, boxes)            centre and size in pixels, classes
    ============ ============================ ===========================================================

    YOLOX's exports take BGR pixels from 0 to 255, the others RGB from 0 to 1. The picture is scaled to the input, with
    its aspect ratio, and padded with 114: at the bottom and right for YOLOX, on all sides for the others.

    YOLOX (Ge et al., 2021, arXiv:2107.08430, Apache-2.0) has exports for COCO in its releases, of which
    ``yolox_nano.onnx`` is the smallest: https://github.com/Megvii-BaseDetection/YOLOX/releases

    Args:
        path (str): The ``.onnx`` file.
        score_thr (float): Boxes with less confidence are dropped, 0..1.
        iou_threshold (float): Of two boxes that overlap more than this, the less confident is dropped, 0..1.
        max_boxes (int): Number of most confident boxes kept per frame.
        classes (Sequence[str]): Class names of the detector, in its order.
        keep_classes (Sequence[str] | None): Use only these; None for all.
        layout (str): ``yolox``, ``yolov5``, ``yolov8`` or ``auto``: by the shape of the output.
        threads (int): Threads of onnxruntime.

    Raises:
        ConfigError: A name is unknown.
    """

    def __init__(
        self,
        path: str,
        score_thr: float = 0.12,
        iou_threshold: float = 0.45,
        max_boxes: int = 100,
        classes: Sequence[str] = COCO_CLASSES,
        keep_classes: Sequence[str] | None = None,
        layout: str = 'auto',
        threads: int = 1,
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise ConfigError(f'ONNXDetector: there is no layout={layout!r}. Known: {", ".join(LAYOUTS)}')
        unknown = sorted(set(keep_classes or ()) - set(classes))
        if unknown:
            raise ConfigError(f'ONNXDetector: keep_classes has {unknown[0]!r}, which is not one of classes')
        self.file = OnnxFile(path, 'detector', _WHERE, threads)
        self.score_thr = score_thr
        self.iou_threshold = iou_threshold
        self.max_boxes = max_boxes
        self.classes = tuple(classes)
        self._kept = [self.classes.index(name) for name in keep_classes] if keep_classes is not None else None
        self.layout = layout
        self._layout = ''  # set when the file is open

    def start_clip(self) -> None:
        """Do nothing: frames are independent."""

    def open(self) -> None:
        """Load the file, if it is not loaded yet.

        Raises:
            MissingFileError: There is no such file.
            MissingDependencyError: onnxruntime is not installed.
            DataError: It is not an ONNX model, or its input or output is not that of a detector.
        """
        if self._layout:
            return
        self.file.open()
        height, width = self.file.size
        if height is None or width is None:
            raise DataError(
                f'{self.file.path} takes pictures of any size. Export the detector for one size, such as 416 x 416'
            )
        self._size = height, width
        self._layout = self._layout_of(self.file.outputs[0])
        self._grid, self._cell = self._cells()

    def _layout_of(self, dims: Sequence[int]) -> str:
        """Layout by the output's shape.

        Raises:
            DataError: It is not the output of a detector with these classes.
        """
        count = len(self.classes)
        cells = sum((self._size[0] // s) * (self._size[1] // s) for s in _STRIDES)
        if len(dims) == 3:
            kinds = []
            if dims[2] == 5 + count:
                kinds = ['yolox', 'yolov5'] if dims[1] == cells else ['yolov5', 'yolox']
            elif dims[1] == 4 + count:
                kinds = ['yolov8']
            if kinds and self.layout in ('auto', *kinds):
                return kinds[0] if self.layout == 'auto' else self.layout
        raise DataError(
            f'{self.file.path} is not a {"detector" if self.layout == "auto" else self.layout} of {count} classes: its '
            f'output has the shape {list(dims)}; wanted (1, boxes, {5 + count}) or (1, {4 + count}, boxes). '
            'Check classes and layout'
        )

    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Position of each cell of YOLOX's grids, and its size in pixels."""
        places, sizes = [], []
        for stride in _STRIDES:
            y, x = np.mgrid[: self._size[0] // stride, : self._size[1] // stride]
            places.append(np.stack([x, y], axis=-1).reshape(-1, 2))
            sizes.append(np.full((x.size, 1), stride))
        return np.concatenate(places).astype(np.float32), np.concatenate(sizes).astype(np.float32)

    def detect(self, frame: np.ndarray, flow: np.ndarray | None = None) -> Objects:
        """Objects of a frame, the most confident first.

        Args:
            frame (np.ndarray): RGB, uint8, shape (H, W, 3).
            flow (np.ndarray | None): Not used.

        Raises:
            MissingFileError, MissingDependencyError, DataError: See :meth:`open`.
        """
        self.open()
        pixels, scale, offset = self._prepare(frame)
        output = self.file.run(pixels)[0][0]
        centre_size, scores = self._decode(output)
        if self._kept is not None:
            mask = np.zeros(scores.shape[1], bool)
            mask[self._kept] = True
            scores = scores * mask
        best = scores.max(axis=1)
        sure = best >= self.score_thr
        centre_size, scores, best = centre_size[sure], scores[sure], best[sure]
        half = centre_size[:, 2:] / 2
        boxes = np.concatenate([centre_size[:, :2] - half, centre_size[:, :2] + half], axis=1)
        boxes = (boxes - np.tile(offset, 2)) / scale
        height, width = frame.shape[:2]
        boxes = boxes.clip(0, [width, height, width, height])
        there = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        boxes, scores, best = boxes[there], scores[there], best[there]
        if not len(boxes):
            return Objects.none(len(self.classes))
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        found = cv2.dnn.NMSBoxes(sides.tolist(), best.tolist(), self.score_thr, self.iou_threshold)
        kept = np.asarray(found, np.int64).reshape(-1)[: self.max_boxes]
        return Objects(boxes[kept].astype(np.float32), scores[kept].astype(np.float32))

    def _prepare(self, frame: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """The network's input, the scale of the picture in it, and the position (x, y) of its top left corner."""
        padded, scale, corner = letterbox(frame, self._size, is_centred=self._layout != 'yolox')
        if self._layout == 'yolox':
            padded = padded[..., ::-1]
        pixels = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)
        return pixels if self._layout == 'yolox' else pixels / 255, scale, corner

    def _decode(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres and sizes in pixels of the input, shape (M, 4), and class confidences, shape (M, C)."""
        if self._layout == 'yolov8':
            output = output.T
            return output[:, :4], output[:, 4:]
        # Most boxes are dropped by the objectness alone, which is at least the confidence of every class.
        kept = output[:, 4] >= self.score_thr
        output = output[kept]
        boxes = output[:, :4]
        if self._layout == 'yolox':
            cell = self._cell[kept]
            boxes = np.concatenate([(boxes[:, :2] + self._grid[kept]) * cell, np.exp(boxes[:, 2:]) * cell], axis=1)
        return boxes, output[:, 4:5] * output[:, 5:]
