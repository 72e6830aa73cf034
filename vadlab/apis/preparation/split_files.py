"""Write ``raw/metadata/{train,val,test}.csv``."""

from collections.abc import Sequence
from pathlib import Path

from vadlab.datasets.formats.av_clip_metadata import SPLITS, AVClipRecord, format_metadata, write_metadata
from vadlab.utils.errors import DataError
from vadlab.utils.text_file import read_text


def write_split_files(
    records: Sequence[AVClipRecord], folder: Path, source: Path, overwrite: bool = False
) -> list[Path]:
    """Write one CSV per split, unless the metadata was read from these files.

    An existing file with other contents is not changed and is an error, since it may have been edited by hand.

    Args:
        records (Sequence[AVClipRecord]): Records of all splits.
        folder (Path): Folder of the CSVs.
        source (Path): File or folder that the metadata was read from.
        overwrite (bool): Replace files with other contents.

    Returns:
        list[Path]: The files of the splits that have clips.

    Raises:
        DataError: An existing file has other contents.
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
