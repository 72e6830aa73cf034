"""Reading images and captions from COCO's caption files and Karpathy's."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.npy_file import read_npy

from ..problem_list import ProblemList
from .class_names import equal_but_for_case

# COCO 2014's file names contain the folder of the published archives: COCO_val2014_000000000042.jpg is in val2014.
_COCO_NAME = re.compile(r'COCO_([a-z]+\d{4})_')
_EXAMPLE = "Karpathy's dataset_coco.json ('images' with 'sentences') or COCO's captions_train2014.json ('annotations')"


@dataclass
class CaptionImage:
    """An image with its captions.

    Attributes:
        image_id: Id in the file.
        file_name: Name of the image file, with its folder below the image folder if the caption file has it.
        captions: At least one caption, in the order of the file.
    """

    image_id: int | str
    file_name: str
    captions: list[str] = field(default_factory=list)


def read_caption_files(
    paths: Sequence[str],
    splits: Sequence[str] | None = None,
    id_paths: Sequence[str] = (),
    problems: ProblemList | None = None,
) -> list[CaptionImage]:
    """Read images with captions.

    Two layouts are supported and distinguished by the content of the file. In Karpathy's, one file holds all splits,
    and each image names its split. COCO's layout has one file per part; the Karpathy split then comes as ``.npy`` lists
    of annotation ids, often with separate lists for training and ``restval``.

    Args:
        paths: The files; all of one layout.
        splits: For Karpathy's layout: splits to use, by default all.
        id_paths: For COCO's layout: ``.npy`` files of annotation ids to use, by default all annotations.
        problems: Collects problems of single images and captions.

    Returns:
        list[CaptionImage]: Images with captions, in the order of the files.

    Raises:
        MissingFileError: There is no such file.
        DataError: A file has neither layout, or an option does not apply to its layout.
    """
    problems = ProblemList('read_caption_files') if problems is None else problems
    contents = [_read_json(path) for path in paths]
    is_coco = ['annotations' in content for content in contents]
    if len(set(is_coco)) > 1:
        raise DataError(f"{', '.join(paths)} are not of one layout: give only COCO's files, or only Karpathy's")
    if is_coco[0]:
        if splits is not None:
            raise DataError(
                f"{paths[0]} is in COCO's layout and has no splits ({', '.join(splits)} wanted). Give id_file, or "
                "Karpathy's dataset_coco.json"
            )
        images = _from_coco(paths, contents, id_paths, problems)
    else:
        if id_paths:
            raise DataError(f"{paths[0]} has its own splits: leave id_file out, or give COCO's caption files")
        images = _from_karpathy(paths, contents, splits, problems)
    for image_id, count in Counter(image.image_id for image in images).items():
        if count > 1:
            problems.note('image ids occur more than once', str(image_id))
    return images


def _read_json(path: str) -> dict:
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise MissingFileError(f'There is no caption file {path}; wanted {_EXAMPLE}') from None
    images = content.get('images') if isinstance(content, dict) else None
    annotations = content.get('annotations', []) if isinstance(content, dict) else None
    first: dict = images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else {}
    if not first or not isinstance(annotations, list) or not ('annotations' in content or 'sentences' in first):
        raise DataError(f'{path} contains no captions; wanted {_EXAMPLE}')
    return content


def _id(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f'{str(value)[:40]!r} is not an id')
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{str(value)[:40]!r} is not a text')
    return value


def _missing_key(error: Exception) -> str:
    return f'no {error}' if isinstance(error, KeyError) else str(error)


def _from_karpathy(
    paths: Sequence[str], contents: list[dict], splits: Sequence[str] | None, problems: ProblemList
) -> list[CaptionImage]:
    images = []
    found: Counter[str] = Counter()
    for path, content in zip(paths, contents, strict=True):
        for entry in content['images']:
            try:
                split = str(entry.get('split'))
                image = CaptionImage(
                    image_id=_id(entry.get('cocoid', entry.get('imgid', entry['filename']))),
                    file_name=os.path.join(_text(entry.get('filepath', '')), _text(entry['filename'])),
                    captions=[_text(sentence['raw']) for sentence in entry['sentences']],
                )
            except (AttributeError, KeyError, TypeError) as error:
                problems.note(f'images of {path} are incomplete', f'{str(entry)[:60]}: {_missing_key(error)}')
                continue
            found[split] += 1
            if splits is not None and split not in splits:
                continue
            if not image.captions:
                problems.note('images have no caption', str(image.image_id))
            images.append(image)
    for same in equal_but_for_case(found):
        problems.note(
            'names of splits differ in capital letters only', ', '.join(f'{name} ({found[name]})' for name in same)
        )
    missing = [split for split in splits or () if split not in found]
    if missing:
        known = ', '.join(f'{split} ({count})' for split, count in sorted(found.items()))
        raise DataError(f'{", ".join(paths)}: no image is of split {", ".join(missing)}; there are {known}')
    return images


def _from_coco(
    paths: Sequence[str], contents: list[dict], id_paths: Sequence[str], problems: ProblemList
) -> list[CaptionImage]:
    wanted = {path: _read_ids(path) for path in id_paths}
    chosen = set().union(*wanted.values()) if id_paths else None
    images: dict[int | str, CaptionImage] = {}
    seen = set()
    for path, content in zip(paths, contents, strict=True):
        for entry in content['images']:
            try:
                image = CaptionImage(_id(entry['id']), _text(entry['file_name']))
            except (KeyError, TypeError) as error:
                problems.note(f'images of {path} are incomplete', f'{str(entry)[:60]}: {_missing_key(error)}')
                continue
            if image.image_id in images:
                problems.note('image ids occur more than once', str(image.image_id))
            images[image.image_id] = image
        for entry in content['annotations']:
            try:
                number, image_id, caption = _id(entry['id']), _id(entry['image_id']), _text(entry['caption'])
            except (KeyError, TypeError) as error:
                problems.note(f'annotations of {path} are incomplete', f'{str(entry)[:60]}: {_missing_key(error)}')
                continue
            seen.add(number)
            if image_id not in images:
                problems.note(f'captions of {path} are of image ids that it does not list', str(image_id))
            elif chosen is None or number in chosen:
                images[image_id].captions.append(caption)
    for path, ids in wanted.items():
        unknown = ids - seen
        if unknown:
            raise DataError(
                f'{path}: {len(unknown)} of its {len(ids)} annotation ids (first: {min(unknown)}) are not in '
                f'{", ".join(paths)}. It is of another split: the ids of train go with captions_train2014.json, those '
                'of restval, dev and test with captions_val2014.json'
            )
    if chosen is None:
        for image in images.values():
            if not image.captions:
                problems.note('images have no caption', str(image.image_id))
    return [image for image in images.values() if image.captions]


def _read_ids(path: str) -> set[int]:
    ids = read_npy(path)
    if ids.dtype.kind not in 'iu' or ids.ndim != 1 or not len(ids):
        raise DataError(f'{path} holds {ids.dtype} of shape {ids.shape}; wanted a list of annotation ids')
    return set(ids.tolist())


class ImageFinder:
    """Finds image files by the names that caption files give; each folder is listed once.

    Args:
        folder: The image folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._listings: dict[str, frozenset[str]] = {}
        self._below: list[str] | None = None

    def find(self, file_name: str) -> list[str]:
        """Absolute paths of the files that match a name: one, none or several.

        A file at exactly this path is the only match. Else the name without folders is looked up: in the folder itself,
        then in the folder that a COCO 2014 name contains, then in all direct subfolders (``train2017``, ``val2017``).
        """
        base = os.path.basename(file_name)
        names = [file_name, base]
        part = _COCO_NAME.match(base)
        if part:
            names.append(os.path.join(part[1], base))
        for name in names:
            path = os.path.abspath(os.path.join(self.folder, name))
            if os.path.basename(path) in self._listing(os.path.dirname(path)):
                return [path]
        folders = [os.path.abspath(os.path.join(self.folder, name)) for name in natural_sorted(self._subfolders())]
        return [os.path.join(folder, base) for folder in folders if base in self._listing(folder)]

    def _subfolders(self) -> list[str]:
        if self._below is None:
            try:
                self._below = [entry.name for entry in os.scandir(self.folder or '.') if entry.is_dir()]
            except OSError:
                self._below = []
        return self._below

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]
