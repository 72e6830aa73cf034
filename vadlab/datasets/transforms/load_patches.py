from collections.abc import Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import DataError
from ..formats.patch_store import PatchStore
from ..problem_list import ProblemList


@TRANSFORMS.register_module()
class LoadPatches(BaseTransform):
    """Read the stored outputs of a frozen backbone for an image, instead of the image.

    ``tools/extract_patches.py`` writes such a store. It is valid for one set of backbone weights, which the model
    checks, and for one list of transforms, which is checked here.

    Required keys: image_id, image_path

    Added keys: patches (float16 or float32, shape (tokens, width)), patches_of (hash of the weights)

    Args:
        store: Folder of a :class:`~vadlab.datasets.formats.patch_store.PatchStore`.
        pipeline: The transforms of images that the store replaces.

    Raises:
        MissingFileError: There is no such folder.
        DataError: It does not hold patches, or was made with other transforms; while running: an image is not in it.
    """

    def __init__(self, store: str, pipeline: Sequence[dict | Any]) -> None:
        self.store = PatchStore(store)
        steps = [repr(TRANSFORMS.build(step) if isinstance(step, dict) else step) for step in pipeline]
        made = self.store.recipe['steps']
        if steps != made:
            different = [f'{b} there, {a} here' for a, b in zip(steps, made, strict=False) if a != b]
            raise DataError(
                f'LoadPatches: {store} was made from other pictures: '
                f'{different[0] if different else f"by {len(made)} transforms, here are {len(steps)}"}. Make another '
                'store: python tools/extract_patches.py CONFIG'
            )

    def check_images(self, images: Sequence[tuple[int | str, str]]) -> None:
        """Check that all images, by id and path, are in the store; a data set calls it when it is read.

        Raises:
            DataError: Images are missing, or other files have their ids.
        """
        problems = ProblemList('LoadPatches')
        for image_id, path in images:
            if problem := self.store.problem_of(image_id, path):
                problems.note(problem, f'id {image_id}')
        problems.raise_if_any(str(self.store.folder), 'Add the missing ones: python tools/extract_patches.py CONFIG')

    def transform(self, results: dict) -> dict:
        self.check_images([(results['image_id'], results['image_path'])])
        results['patches'] = self.store.read(results['image_id'])
        results['patches_of'] = self.store.recipe['weights']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(store={str(self.store.folder)!r})'
