"""Texts from data for XML files of other tools."""


def xml_text(text: str) -> str:
    """The text without characters that XML does not allow; they become spaces, halves of characters their code."""
    text = text.encode('utf-8', 'backslashreplace').decode()
    return ''.join(char if char in '\t\n\r' or (char >= ' ' and char not in '\ufffe\uffff') else ' ' for char in text)


def label_text(text: str | None) -> str:
    """A label on one line: :func:`xml_text` with single spaces; ``anomaly`` if nothing is left."""
    return ' '.join(xml_text(text or '').split()) or 'anomaly'
