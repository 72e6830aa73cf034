"""Save the captions of a test."""

from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.json_file import write_json


@HOOKS.register_module()
class CaptionFileHook(Hook):
    """Writes the captions of all test images to one JSON, in the format of COCO's result files.

    ``[{"image_id": ..., "caption": ..., "log_prob": ...}, ...]``, in the order of the image ids.
    ``tools/eval_captions.py`` and COCO's own evaluation read it.

    Args:
        path (str): The file to write.
    """

    priority = 'LOW'
    suffix, holds = '.captions.json', 'captions'

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.written = False
        self._captions: dict[int | str, dict[str, Any]] = {}

    def before_test(self, runner: Any) -> None:
        """Remove captions of an earlier test."""
        self._captions, self.written = {}, False

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Collect the captions of a batch."""
        for sample in outputs or []:
            if 'pred_caption' not in sample:
                continue
            record = {'image_id': sample.image_id, 'caption': sample.pred_caption}
            self._captions[sample.image_id] = record | {'log_prob': round(float(sample.pred_score), 6)}

    def after_test(self, runner: Any) -> None:
        """Gather over ranks and write. Padding of the sampler may give one image to two ranks; it is written once."""
        captions: dict[int | str, dict[str, Any]] = {}
        for part in all_gather_object(self._captions):
            captions |= part
        self.written = bool(captions)
        if captions and is_main_process():
            write_json(self.path, [captions[image] for image in sorted(captions, key=lambda i: (str(type(i)), i))])
