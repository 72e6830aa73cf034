"""``raw/metadata/{train,val,test}.csv``, made of whatever metadata was given."""

from collections.abc import Sequence
from pathlib import Path

from vadlab.datasets.formats.av_clip_metadata import SPLITS, AVClipRecord, format_metadata, write_metadata
from vadlab.utils.errors import DataError
from vadlab.utils.text_file import read_text


def write_split_files(
    records: Sequence[AVClipRecord], folder: Path, source: Path, overwrite: bool = False
) -> list[Path]:
    """Write one CSV a split, where they are not what the metadata was read from.

    A file that is there and says something else is left alone, and is an error: nobody could tell whether it was
    made here or by hand.

    Args:
        records (Sequence[AVClipRecord]): Of all splits.
        folder (Path): Folder of the CSVs.
        source (Path): What the metadata was read from.
        overwrite (bool): Replace files that say something else.

    Returns:
        list[Path]: The files of the splits that have clips.

    Raises:
        DataError: A file that is there says something else.
    """
    paths = {split: folder / f'{split}.csv' for split in SPLITS if any(r.split == split for r in records)}
    if source.resolve() == folder.resolve():
        return list(paths.values())
    texts = {path: format_metadata([r for r in records if r.split == split]) for split, path in paths.items()}
    for path, text in texts.items():
        if overwrite or path.resolve() == source.resolve() or not path.is_file():
            continue
        if read_text(path) != text:
            raise DataError(
                f'{path} is there and differs from {source}. Prepare from {folder} if it is right, or replace it: '
                '--overwrite-metadata'
            )
    for split, path in paths.items():
        if path.resolve() != source.resolve():
            write_metadata(path, [r for r in records if r.split == split])
    return list(paths.values())
