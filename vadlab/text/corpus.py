"""Checks of the input of caption metrics: one candidate and some references per image, as words."""

from collections.abc import Hashable, Sequence

from vadlab.utils.errors import DataError

Caption = Sequence[Hashable]


def check_corpus(candidates: Sequence[Caption], references: Sequence[Sequence[Caption]]) -> None:
    """Check that there is one candidate per list of references.

    Raises:
        DataError: There is no caption, the numbers differ, or :func:`check_references` fails.
    """
    if len(candidates) != len(references):
        raise DataError(f'There are {len(candidates)} candidates for {len(references)} lists of references')
    check_references(references)
    check_captions(candidates)


def check_references(references: Sequence[Sequence[Caption]]) -> None:
    """Check that every image has references, and that they are lists of words.

    Raises:
        DataError: They are not.
    """
    if not len(references):
        raise DataError('There are no references: caption metrics need at least one image')
    for number, captions in enumerate(references):
        if isinstance(captions, str) or not len(captions):
            raise DataError(f'Image {number} has no list of references: {captions!r}')
        check_captions(captions)


def check_captions(captions: Sequence[Caption]) -> None:
    """Check that captions are lists of words (or of token ids), not text.

    Raises:
        DataError: One is text.
    """
    for caption in captions:
        if isinstance(caption, str):
            raise DataError(f'The caption {caption!r} is text; give its words, such as ptb_tokenize(caption)')
