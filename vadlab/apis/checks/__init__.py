"""Checks for one kind of data set each; a data set lists its checks in ``verification``."""

from collections.abc import Callable

from .av_clip_checks import check_av_clips
from .caption_checks import check_images, check_words
from .check_context import CheckContext, SplitUnderTest
from .feature_checks import check_features
from .region_checks import check_boxes, check_captions
from .video_checks import check_videos

#: In the order in which they run, fast ones first. Each gets the splits of the data sets that list it.
CHECKS: dict[str, Callable[[list[SplitUnderTest], CheckContext], None]] = {
    'boxes': check_boxes,
    'captions': check_captions,
    'words': check_words,
    'images': check_images,
    'videos': check_videos,
    'features': check_features,
    'clips': check_av_clips,
}

__all__ = ['CHECKS', 'CheckContext', 'SplitUnderTest']
