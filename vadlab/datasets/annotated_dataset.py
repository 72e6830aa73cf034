"""The base class of VADLab's data sets."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.dataset import BaseDataset

from ..registry import TRANSFORMS
from ..utils.errors import MissingFileError


class AnnotatedDataset(BaseDataset):
    """Base of data sets with files relative to ``data_root`` or to the working directory.

    Args:
        ann_file: One or several annotation files.
        data_root: Folder with the files.
        pipeline: Transforms, built by VADLab's registry for any default scope of the Runner.
        metainfo: As in MMEngine, like all following arguments.
        test_mode: As in MMEngine.
        indices: Use only these samples, or, for an integer, the first ones.
        serialize_data: Store the list as bytes that workers share.
        lazy_init: Read nothing until ``full_init``.
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
        """Do nothing: files are located when they are read, so that a missing one raises our error, not MMEngine's."""

    def _locate(self, name: str, option: str, exists: Callable[[str], bool] = os.path.exists) -> str:
        """Absolute path of the file or folder of an option: below ``data_root``, or the path itself.

        Raises:
            MissingFileError: It exists at neither path.
        """
        places = list(dict.fromkeys(os.path.abspath(os.path.join(base, name)) for base in (self.data_root, '')))
        for place in places:
            if exists(place):
                return place
        raise MissingFileError(
            f'{type(self).__name__}: {option} {name} not found (looked at {" and ".join(places)}). '
            f'Check data_root and {option}'
        )
