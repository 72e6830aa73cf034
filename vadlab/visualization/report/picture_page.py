"""HTML page with all pictures of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .templates import write_assets, write_page


@dataclass(frozen=True)
class Article:
    """Pictures side by side under a heading. All text is escaped in the page.

    Attributes:
        heading (str): Heading, such as the name of a video.
        pictures (Sequence[str]): File names, relative to the page.
        text (str): Text below the heading.
        label (str): Text beside the heading, such as a class.
        verdict (str): Text at the right of the heading, such as a score.
        alarm (bool): Whether the verdict is drawn as a warning.
        order (float): Articles with a higher number come first; equal ones are sorted by heading.
    """

    heading: str
    pictures: Sequence[str]
    text: str = ''
    label: str = ''
    verdict: str = ''
    alarm: bool = False
    order: float = 0.0

    def as_values(self) -> dict[str, Any]:
        """Variables of the template; names of pictures are quoted for links."""
        values = {name: getattr(self, name) for name in ('heading', 'text', 'label', 'verdict', 'alarm')}
        return {**values, 'pictures': [quote(name) for name in self.pictures]}


class PicturePage:
    """Page of articles, for light and dark screens of any width.

    Args:
        title (str): Title of the page.
        articles (Sequence[Article]): Articles of the page.
    """

    def __init__(self, title: str, articles: Sequence[Article] = ()) -> None:
        self.title = title
        self.articles = list(articles)

    def write(self, folder: str | Path, note: str) -> Path:
        """Write ``index.html``, and its style to ``assets/``.

        Args:
            folder (str | Path): Folder with the pictures.
            note (str): Sentence below the title.

        Returns:
            Path: Path of the page.
        """
        ordered = sorted(self.articles, key=lambda article: (-article.order, article.heading))
        write_assets(Path(folder), ('report.css',))
        articles = [article.as_values() for article in ordered]
        return write_page(
            Path(folder) / 'index.html', 'pictures.html', title=self.title, note=note, articles=articles, root=''
        )
