"""HTML page with all pictures of a run."""

import html
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from vadlab.utils.atomic import write_text

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --page: #f6f8fa; --card: #ffffff; --ink: #1f2933; --muted: #5b6878; --line: #e4e8ee;
  --alarm: #c73e17; --calm: #2563a8; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #14181d; --card: #1e242c; --ink: #e6eaef; --muted: #a3afbd; --line: #333c47; --alarm: #ff8a65;
    --calm: #7cb3f0; }}
}}
body {{ margin: 0 auto; max-width: 1440px; padding: clamp(10px, 2vw, 24px); font: 15px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--page); }}
h1 {{ font-size: 22px; margin: 0 0 4px; }}
p.note {{ color: var(--muted); margin: 0 0 24px; }}
article {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: clamp(8px, 1.5vw, 16px) clamp(8px, 2vw, 20px); margin-bottom: 20px; }}
header {{ display: flex; gap: 4px 16px; align-items: baseline; flex-wrap: wrap; }}
h2 {{ font-size: 17px; margin: 0; flex: 1 1 14em; overflow-wrap: anywhere; }}
.class {{ color: var(--muted); }}
.score {{ font-variant-numeric: tabular-nums; font-weight: 600; color: var(--calm); }}
.score.alarm {{ color: var(--alarm); }}
article p {{ margin: 4px 0 8px; color: var(--muted); overflow-wrap: anywhere; }}
img {{ display: block; width: 100%; height: auto; border-radius: 4px; }}
.row {{ display: flex; gap: 24px; align-items: center; flex-wrap: wrap; }}
.row a {{ flex: 1 1 min(420px, 100%); max-width: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="note">{note}</p>
{articles}
</body>
</html>
"""

_ARTICLE = """<article>
<header><h2>{heading}</h2><span class="class">{label}</span><span class="score{alarm}">{verdict}</span></header>
<p>{text}</p>
<div class="row">{pictures}</div>
</article>"""


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

    def as_html(self) -> str:
        """HTML of the article."""
        images = ''.join(
            f'<a href="{html.escape(quote(name))}"><img src="{html.escape(quote(name))}" '
            f'alt="{html.escape(self.heading)}" loading="lazy"></a>'
            for name in self.pictures
        )
        return _ARTICLE.format(
            heading=html.escape(self.heading),
            label=html.escape(self.label),
            text=html.escape(self.text),
            verdict=html.escape(self.verdict),
            alarm=' alarm' if self.alarm else '',
            pictures=images,
        )


class HTMLReport:
    """HTML page of articles, for light and dark screens of any width.

    Args:
        title (str): Title of the page.
        articles (Sequence[Article]): Articles of the page.
    """

    def __init__(self, title: str, articles: Sequence[Article] = ()) -> None:
        self.title = title
        self.articles = list(articles)

    def write(self, folder: str | Path, note: str) -> Path:
        """Write ``index.html``.

        Args:
            folder (str | Path): Folder with the pictures.
            note (str): Sentence below the title.

        Returns:
            Path: Path of the page.
        """
        ordered = sorted(self.articles, key=lambda article: (-article.order, article.heading))
        articles = '\n'.join(article.as_html() for article in ordered)
        target = Path(folder) / 'index.html'
        write_text(target, _PAGE.format(title=html.escape(self.title), note=html.escape(note), articles=articles))
        return target


def picture_name(name: str) -> str:
    """A unique file name for a sample's picture, valid on every file system."""
    safe = re.sub(r'[^A-Za-z0-9._-]+', '_', name).strip('._')[:100]
    if not safe or safe != name:
        safe = f'{safe or "video"}-{zlib.crc32(name.encode(errors="surrogateescape")):08x}'
    return f'{safe}.png'
