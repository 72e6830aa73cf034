"""Conversion of scores per snippet and crop to one score per frame."""

import re
from dataclasses import dataclass

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

EXPANSIONS = ('repeat', 'linear')
SMOOTHERS = ('forward_window', 'fixed_blocks')


def snippet_to_frame(scores: np.ndarray, snippet_len: int = 16, mode: str = 'repeat') -> np.ndarray:
    """Convert snippet scores to frame scores.

    Args:
        scores (np.ndarray): Scores of consecutive snippets, shape (T,), or (T, K) for class scores.
        snippet_len (int): Frames per snippet, > 0.
        mode (str): ``repeat``: each frame gets its snippet's score. ``linear``: interpolation between the middles of
            snippets, constant before the first and after the last middle.

    Returns:
        np.ndarray: Shape (T * snippet_len,), or (T * snippet_len, K); float64 for ``linear``.

    Raises:
        ConfigError: ``mode`` is unknown, or ``snippet_len`` is below 1.
        DataError: There is no snippet.
    """
    scores = np.asarray(scores)
    if mode not in EXPANSIONS:
        raise ConfigError(f'the way from snippets to frames is {mode!r}; choose one of {", ".join(EXPANSIONS)}')
    if snippet_len < 1:
        raise ConfigError(f'snippet_len is {snippet_len}; a snippet has 1 frame or more')
    if len(scores) == 0:
        raise DataError('There is no snippet to take scores from')
    if mode == 'repeat':
        return np.repeat(scores, snippet_len, axis=0)
    frames = np.arange(len(scores) * snippet_len)
    middles = np.arange(len(scores)) * snippet_len + (snippet_len - 1) / 2
    columns = [np.interp(frames, middles, column) for column in scores.reshape(len(scores), -1).T]
    return np.stack(columns, axis=1).reshape(len(frames), *scores.shape[1:])


def frame_to_snippet(scores: np.ndarray, snippet_len: int = 16) -> np.ndarray:
    """Undo :func:`snippet_to_frame`'s ``repeat``.

    Args:
        scores (np.ndarray): Scores of frames, shape (N, ...), N > 0; the last snippet may be shorter.
        snippet_len (int): Frames per snippet, > 0.

    Returns:
        np.ndarray: Shape (ceil(N / snippet_len), ...).

    Raises:
        DataError: Scores differ within a snippet, so they are not repeated snippet scores.
    """
    scores = np.asarray(scores)
    snippets = scores[::snippet_len]
    different = np.flatnonzero(snippet_to_frame(snippets, snippet_len)[: len(scores)] != scores)
    if different.size:
        raise DataError(
            f'scores differ within a snippet of {snippet_len} frames (first at frame {different[0]}): they are no '
            'repeated snippet scores'
        )
    return snippets


def reduce_crops(scores: np.ndarray, crop: int | None = None) -> np.ndarray:
    """Combine the scores of several crops of the same snippets.

    Args:
        scores (np.ndarray): Shape (C, T, ...), C > 0.
        crop (int | None): None: mean over the crops (10 for UCF-Crime and ShanghaiTech, 5 for XD-Violence in the
            public features). An index: only that crop (VadCLIP tests crop 5 on UCF-Crime and crop 0 on XD-Violence).

    Returns:
        np.ndarray: Shape (T, ...).

    Raises:
        DataError: There are no crops, or none with that index.
    """
    scores = np.asarray(scores)
    if len(scores) == 0:
        raise DataError('There is no crop to take scores from')
    if crop is None:
        return scores.mean(axis=0)
    if not 0 <= crop < len(scores):
        raise DataError(f'There is no crop {crop}; the crops are 0 to {len(scores) - 1}')
    return scores[crop]


@dataclass(frozen=True)
class Smoothing:
    """Smoothing of snippet scores, written in configs and on the command line as ``forward_window(7)``.

    Attributes:
        method (str): ``forward_window`` or ``fixed_blocks``.
        size (int): Snippets in a window or block, 2 or more.
    """

    method: str
    size: int

    @classmethod
    def parse(cls, text: str | None) -> 'Smoothing | None':
        """Parse a smoothing; returns None for None, ``none`` and ``off``.

        Args:
            text (str | None): ``forward_window(7)`` or ``fixed_blocks(8)``; ``forward_window:7`` requires no quotes in
                a shell.

        Raises:
            ConfigError: The text is not valid.
        """
        if text is None or text in ('none', 'off'):
            return None
        match = re.fullmatch(r'(\w+)(?:\((\d+)\)|:(\d+))', text)
        size = int(match[2] or match[3]) if match else 0
        if match is None or match[1] not in SMOOTHERS or size < 2:
            choices = ', '.join(f'{name}(K)' for name in SMOOTHERS)
            raise ConfigError(f'smoothing is {text!r}; choose none, {choices}, with K snippets, 2 or more')
        return cls(match[1], size)

    def __str__(self) -> str:
        return f'{self.method}({self.size})'

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Smooth the snippet scores of one video, shape (T,) or (T, K)."""
        return (forward_window if self.method == 'forward_window' else fixed_blocks)(scores, self.size)


def forward_window(scores: np.ndarray, size: int) -> np.ndarray:
    """Mean of each snippet and the ``size - 1`` following ones, with zeros after the end of the video.

    Pu et al., "Learning Prompt-Enhanced Context Features for Weakly-Supervised Video Anomaly Detection", TIP 2024, use
    it in testing on UCF-Crime (7) and ShanghaiTech (3). The zeros lower the scores of the last ``size - 1`` snippets.

    Args:
        scores (np.ndarray): Scores of consecutive snippets, shape (T,) or (T, K).
        size (int): Number of snippets in the window, > 0.

    Returns:
        np.ndarray: The same shape, float64.
    """
    padded = _pad_end(scores, size - 1)
    # Each window is summed separately: with a running sum, equal windows would get slightly different means.
    return np.lib.stride_tricks.sliding_window_view(padded, size, axis=0).mean(axis=-1)


def fixed_blocks(scores: np.ndarray, size: int) -> np.ndarray:
    """Mean of each block of ``size`` snippets, for all its snippets; the last block is padded with zeros.

    The same authors use it in testing on XD-Violence (8).

    Args:
        scores (np.ndarray): Scores of consecutive snippets, shape (T,) or (T, K).
        size (int): Number of snippets in a block, > 0.

    Returns:
        np.ndarray: The same shape, float64.
    """
    padded = _pad_end(scores, -len(scores) % size)
    means = padded.reshape(-1, size, *padded.shape[1:]).mean(axis=1)
    return np.repeat(means, size, axis=0)[: len(scores)]


def _pad_end(scores: np.ndarray, count: int) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    return np.concatenate([scores, np.zeros((count, *scores.shape[1:]))])
