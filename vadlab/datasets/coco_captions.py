"""Data set of images with captions, in COCO's formats."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from ..registry import DATASETS
from ..utils.errors import ConfigError
from .annotated_dataset import AnnotatedDataset
from .formats.caption_files import CaptionImage, ImageFinder, read_caption_files
from .problem_list import ProblemList

_ROWS = ('pairs', 'images')
_THREADS = 8  # threads that read headers; on a network file system each read waits
_ADVICE = 'Check data_root, image_dir, ann_file and id_file'
_MAGIC = (b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'BM', b'II*\0', b'MM\0*', b'GIF8')


@DATASETS.register_module()
class COCOCaptions(AnnotatedDataset):
    """Images with captions, in Karpathy's layout or COCO's.

    Chen et al., "Microsoft COCO Captions", 2015, arXiv:1504.00325; the split of Karpathy and Fei-Fei, 2015,
    arXiv:1412.2306, either as its one JSON (``splits``) or as COCO's caption files with ``.npy`` lists of annotation
    ids (``id_file``). COCO's files are read as plain JSON, without pycocotools.

    Training on words uses ``rows='pairs'``, one row per caption, or ``rows='images'``, one row per image with all its
    captions, from which ``TokenizeWords`` draws some. Evaluation and self-critical training use ``images``.

    Before training, all files are located, and their first bytes are compared with those of image formats. All problems
    are counted by kind in one error.

    A sample before its transforms is a dict with ``image_id``, ``image_path``, ``captions`` (all, or only the pair's
    own), ``caption`` (only pairs) and ``sample_idx``.

    Args:
        ann_file: One or several files: below ``data_root``, below the working directory, or absolute.
        data_root: Folder with the files.
        image_dir: Folder with the images, below ``data_root`` or absolute. Images may be in subfolders, such as
            ``train2014`` and ``val2017`` of COCO.
        pipeline: Transforms.
        rows: ``pairs`` or ``images``.
        splits: Splits to use, for Karpathy's layout; None takes all.
        id_file: One or several ``.npy`` files of annotation ids, for COCO's layout; None takes all annotations.
        check_images: Whether to check each file's first bytes.
        shuffle_images: Control experiment: pair every image with the captions of another one.
        test_mode: As in MMEngine.
        indices: Use only these rows, or, for an integer, the first ones.
        serialize_data: Store the list as bytes that workers share.
        lazy_init: Read nothing until ``full_init``.

    Raises:
        ConfigError: An option has an invalid value.
        MissingFileError: Caption files or images are missing.
        DataError: Caption files or images cannot be used.
    """

    METAINFO: dict = dict()
    verification = ('words', 'images')

    def __init__(
        self,
        ann_file: str | Sequence[str],
        data_root: str = '',
        image_dir: str = '',
        pipeline: list[dict | Any] = [],  # noqa: B006 (as in MMEngine; never changed)
        rows: str = 'pairs',
        splits: Sequence[str] | None = None,
        id_file: str | Sequence[str] | None = None,
        check_images: bool = True,
        shuffle_images: bool = False,
        test_mode: bool = False,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        if rows not in _ROWS:
            raise ConfigError(f'COCOCaptions: rows is {rows!r}; choose one of {", ".join(_ROWS)}')
        if not ann_file:
            raise ConfigError('COCOCaptions: ann_file is empty: set the caption file')
        #: Warnings for the log and ``tools/verify.py``; filled when the captions are read.
        self.notes: list[str] = []
        self.image_dir = image_dir
        self.rows = rows
        self.splits = [splits] if isinstance(splits, str) else splits
        self.id_file = id_file
        self.check_images = check_images
        self.shuffle_images = shuffle_images
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            pipeline=pipeline,
            test_mode=test_mode,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )

    def load_data_list(self) -> list[dict]:
        """Read captions, find and check the images, and build the rows."""
        problems = ProblemList('COCOCaptions')
        ann_files = [self._locate(name, 'ann_file') for name in _as_list(self.ann_file)]
        id_files = [self._locate(name, 'id_file') for name in _as_list(self.id_file)]
        images = read_caption_files(ann_files, self.splits, id_files, problems)
        paths = self._find(images, problems)
        for image in images:
            for caption in image.captions:
                if not any(map(str.isalnum, caption)):
                    problems.note('captions without a word', f'{caption!r} of image {image.image_id}')
        problems.raise_if_any(', '.join(ann_files), _ADVICE)
        for step in self.pipeline.transforms:
            if hasattr(step, 'check_images'):  # a step that does not read the images, but patches
                step.check_images([(image.image_id, path) for image, path in zip(images, paths, strict=True)])
        self._report(images, ann_files)
        if self.shuffle_images:
            paths = _shuffled(paths)
        rows = []
        for image, path in zip(images, paths, strict=True):
            common = dict(image_id=image.image_id, image_path=path)
            if self.rows == 'images':
                rows.append({**common, 'captions': image.captions})
            else:
                rows += [{**common, 'caption': caption, 'captions': [caption]} for caption in image.captions]
        return rows

    def references(self) -> list[list[str]]:
        """Captions per image, for either kind of rows; for document frequencies and vocabularies."""
        by_image: dict[int | str, list[str]] = {}
        for i in range(len(self)):
            row = self.get_data_info(i)
            by_image.setdefault(row['image_id'], []).extend(row['captions'])
        return list(by_image.values())

    def _find(self, images: list[CaptionImage], problems: ProblemList) -> list[str]:
        finder = ImageFinder(self._locate(self.image_dir, 'image_dir') if self.image_dir else self.data_root)
        found = [finder.find(image.file_name) for image in images]
        for image, paths in zip(images, found, strict=True):
            if not paths:
                problems.note(f'images are not below {finder.folder}', image.file_name, missing=True)
            elif len(paths) > 1:
                places = ', '.join(os.path.relpath(path, finder.folder or '.') for path in paths)
                problems.note(f'images are there more than once below {finder.folder}; name their folder', places)
        there = [paths[0] for paths in found if paths]
        if self.check_images:
            with ThreadPoolExecutor(_THREADS) as pool:
                for path, is_image in zip(there, pool.map(_looks_like_image, there), strict=True):
                    if not is_image:
                        problems.note('files are not images', path)
        return [paths[0] if paths else '' for paths in found]

    def _report(self, images: list[CaptionImage], ann_files: list[str]) -> None:
        logger = MMLogger.get_current_instance()
        lengths = [len(caption.split()) for image in images for caption in image.captions]
        logger.info(
            f'COCOCaptions: {", ".join(ann_files)}: {len(images)} images'
            f'{" of " + ", ".join(self.splits) if self.splits else ""}, {len(lengths)} captions, the longest of '
            f'{max(lengths, default=0)} words, in {len(images) if self.rows == "images" else len(lengths)} rows'
        )
        self.notes = []
        for step in self.pipeline.transforms:
            limit = getattr(step, 'max_len', None)
            num_cut = sum(length > limit - 2 for length in lengths) if limit else 0
            if num_cut:
                self.notes.append(f'{num_cut} of {len(lengths)} captions are cut at max_len={limit} tokens')
        for note in self.notes:
            logger.warning(f'COCOCaptions: {note}')


def _as_list(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _shuffled(paths: list[str]) -> list[str]:
    """The paths in a fixed random order in which none keeps its position."""
    order = np.random.default_rng(0).permutation(len(paths))
    found = list(paths)
    for place, source in zip(order, np.roll(order, 1), strict=True):
        found[place] = paths[source]
    return found


def _looks_like_image(path: str) -> bool:
    try:
        with open(path, 'rb') as file:
            start = file.read(12)
    except OSError:
        return False
    return start.startswith(_MAGIC) or (start[:4] == b'RIFF' and start[8:] == b'WEBP')
