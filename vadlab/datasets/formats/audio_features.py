"""Finding the features of the sound of videos: one file per video, for all crops of its pictures."""

from collections.abc import Sequence

from .path_index import PathIndex

#: Endings of the files, after the name of the video; the first is that of XD-Violence's VGGish features.
AUDIO_ENDINGS = ('__vggish.npy', '_vggish.npy', '.npy')


def find_audio(video_ids: Sequence[str], index: PathIndex) -> dict[str, list[str]]:
    """The files with the features of the sound of each video.

    Args:
        video_ids (Sequence[str]): Names of the videos, without folders, crop and extension.
        index (PathIndex): Index of the folder with these features.

    Returns:
        dict[str, list[str]]: Absolute paths for each video: none, one, or several if the folder has copies.
    """
    found = {}
    for video_id in video_ids:
        names = (index.find(f'{video_id}{ending}') for ending in AUDIO_ENDINGS)
        found[video_id] = next((paths for paths in names if paths), [])
    return found
