"""Pages that show all pictures of a test."""

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
:root {{ color-scheme: light; --ink: #1f2933; --muted: #69778a; --line: #e4e8ee; --alarm: #e4572e; --calm: #2563a8; }}
body {{ margin: 0 auto; max-width: 1440px; padding: 24px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: #f6f8fa; }}
h1 {{ font-size: 22px; margin: 0 0 4px; }}
p.note {{ color: var(--muted); margin: 0 0 24px; }}
article {{ background: white; border: 1px solid var(--line); border-radius: 8px;
  padding: 16px 20px; margin-bottom: 20px; }}
header {{ display: flex; gap: 16px; align-items: baseline; }}
h2 {{ font-size: 17px; margin: 0; flex: 1; overflow-wrap: anywhere; }}
.class {{ color: var(--muted); }}
.score {{ font-variant-numeric: tabular-nums; font-weight: 600; color: var(--calm); }}
.score.alarm {{ color: var(--alarm); }}
article p {{ margin: 4px 0 8px; color: var(--muted); overflow-wrap: anywhere; }}
img {{ display: block; width: 100%; height: auto; }}
.row {{ display: flex; gap: 24px; align-items: center; flex-wrap: wrap; }}
.row a {{ flex: 1 1 420px; max-width: 100%; }}
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
<header><h2>{video_id}</h2><span class="class">{class_name}</span><span class="score{alarm}">{score:.3f}</span></header>
<p>{caption}</p>
<a href="{picture}"><img src="{picture}" alt="Score curve and frames of {video_id}" loading="lazy"></a>
</article>"""


_FIGURES = """<article>
<header><h2>{title}</h2><span class="score{alarm}">{verdict}</span></header>
<p>{text}</p>
<div class="row">{pictures}</div>
</article>"""


def figure_article(title: str, pictures: Sequence[str], text: str = '', verdict: str = '', alarm: bool = False) -> str:
    """HTML of pictures side by side under a heading; all text is escaped.

    Args:
        title (str): The heading.
        pictures (Sequence[str]): File names beside the page.
        text (str): Below the heading.
        verdict (str): At the heading's right.
        alarm (bool): Whether the verdict is a bad one.
    """
    images = ''.join(
        f'<a href="{html.escape(quote(name))}"><img src="{html.escape(quote(name))}" alt="{html.escape(title)}" '
        'loading="lazy"></a>'
        for name in pictures
    )
    return _FIGURES.format(
        title=html.escape(title),
        text=html.escape(text),
        verdict=html.escape(verdict),
        alarm=' alarm' if alarm else '',
        pictures=images,
    )


@dataclass(frozen=True)
class PictureEntry:
    """A picture on the page.

    Attributes:
        video_id (str): As the data set has it.
        picture (str): File name beside the page.
        score (float): Of the whole video, 0..1.
        class_name (str): May be empty.
        caption (str): May be empty.
    """

    video_id: str
    picture: str
    score: float
    class_name: str = ''
    caption: str = ''


def picture_name(video_id: str) -> str:
    """A file name for a video's picture that every file system takes, and that no other video id gets."""
    safe = re.sub(r'[^A-Za-z0-9._-]+', '_', video_id).strip('._')[:100]
    if not safe or safe != video_id:
        digest = zlib.crc32(video_id.encode('utf-8', 'backslashreplace'))
        safe = f'{safe or "video"}-{digest:08x}'
    return f'{safe}.png'


def write_index(
    folder: str | Path, entries: Sequence[PictureEntry], title: str = 'Tested videos', threshold: float = 0.5
) -> Path:
    """Write ``index.html``: all pictures, the highest video score first. What comes from data is escaped.

    Args:
        folder (str | Path): Where the pictures are.
        entries (Sequence[PictureEntry]): One per picture.
        title (str): Of the page.
        threshold (float): Scores from here on are shown as alarms.

    Returns:
        Path: The page.
    """
    articles = [
        _ARTICLE.format(
            video_id=html.escape(entry.video_id),
            class_name=html.escape(entry.class_name),
            caption=html.escape(entry.caption),
            picture=html.escape(quote(entry.picture)),
            score=entry.score,
            alarm=' alarm' if entry.score >= threshold else '',
        )
        for entry in sorted(entries, key=lambda entry: (-entry.score, entry.video_id))
    ]
    return write_page(folder, title, f'{len(articles)} videos, the highest anomaly score first.', articles)


def write_page(folder: str | Path, title: str, note: str, articles: Sequence[str]) -> Path:
    """Write ``index.html``.

    Args:
        folder (str | Path): Where the pictures are.
        title (str): Of the page.
        note (str): Below the title.
        articles (Sequence[str]): HTML of each, such as :func:`figure_article` makes.

    Returns:
        Path: The page.
    """
    page = _PAGE.format(title=html.escape(title), note=html.escape(note), articles='\n'.join(articles))
    target = Path(folder) / 'index.html'
    write_text(target, page)
    return target
