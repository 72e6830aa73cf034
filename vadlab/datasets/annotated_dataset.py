"""What VADLab's data sets share: transforms of its registry, and files that are found when they are read."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.dataset import BaseDataset

from ..registry import TRANSFORMS
from ..utils.errors import MissingFileError


class AnnotatedDataset(BaseDataset):
    """Base of data sets whose files are named relative to ``data_root`` or to the working directory.

    Args:
        ann_file: One annotation file or several.
        data_root: Folder with the files.
        pipeline: Transforms, built by VADLab's registry whatever default scope a Runner has set.
        metainfo: As MMEngine's, as are all below.
        test_mode: As MMEngine's.
        indices: Use only these samples, or that many of the first.
        serialize_data: Keep the list as bytes that workers share.
        lazy_init: Do not read anything yet.
    """

    def __init__(
        self,
        ann_file: str | Sequence[str],
        data_root: str,
        pipeline: list[dict | Any],
        metainfo: dict | None = None,
        test_mode: bool = False,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        super().__init__(
            ann_file=ann_file,  # type: ignore[arg-type]
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={},
            filter_cfg=None,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def _join_prefix(self) -> None:
        """Find files when they are read, so that a missing one is our error, not MMEngine's."""

    def _locate(self, name: str, option: str, exists: Callable[[str], bool] = os.path.exists) -> str:
        """The absolute path of a file or folder that an option names: below ``data_root``, or as it is written.

        Raises:
            MissingFileError: It is at neither place.
        """
        places = list(dict.fromkeys(os.path.abspath(os.path.join(base, name)) for base in (self.data_root, '')))
        for place in places:
            if exists(place):
                return place
        raise MissingFileError(
            f'{type(self).__name__}: {option} {name} not found (looked at {" and ".join(places)}). '
            f'Check data_root and {option}'
        )
