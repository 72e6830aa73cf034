"""Make the pictures of pages in gallery.md: ``python docs/make_pictures.py CHECKPOINT``, a checkpoint of ``make demo``.

Needs Chromium. The figures of the gallery are written by the commands beneath them.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from PIL import Image

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import MissingDependencyError
from vadlab.utils.option_checks import require_folder
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_checkpoint

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs/fgclip_demo.py'
PICTURES = ROOT / 'docs/images'
CLASSES = ('Arson', 'Explosion', 'Normal')
WAIT_MS = 300_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(description='Make the pictures of pages in docs/gallery.md.')
    parser.add_argument('checkpoint', help='weights of make demo, with their calibration beside them')
    parser.add_argument('--port', type=int, default=8023, help='of the service (default: 8023)')
    parser.add_argument('--frames', type=int, default=900, help='length of the rendered videos (default: 900)')
    parser.add_argument('--out', type=Path, default=PICTURES, help='folder of the pictures (default: docs/images)')
    args = parser.parse_args(argv)
    require_folder(args.out, '--out')
    require_checkpoint(args.checkpoint)
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if chromium is None:
        raise MissingDependencyError('The pictures need Chromium: apt-get install chromium')
    from playwright.sync_api import sync_playwright

    args.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch, sync_playwright() as playwright:
        data, watched = Path(scratch, 'data'), Path(scratch, 'watched')
        options = ['--seed', 5, '--train', 3, '--test', 4, '--frames', args.frames, args.frames, '--classes', *CLASSES]
        subprocess.run(command('make_demo_data', '--out', data, *options), check=True)
        videos = [next((data / 'Videos').rglob(f'{kind}*.mp4')) for kind in CLASSES]
        watched.mkdir()

        browser = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--disable-gpu'])
        page = browser.new_page(viewport={'width': 900, 'height': 680})
        address, model = f'http://127.0.0.1:{args.port}', (CONFIG, args.checkpoint)
        options = ['--watch', watched, '--data', Path(scratch, 'jobs'), '--port', args.port]
        with running('serve', *model, *options, until='open http'):
            page.goto(address)
            page.set_input_files('#files', videos)
            reports = page.get_by_role('link', name='Report')
            reports.nth(len(videos) - 1).wait_for(timeout=WAIT_MS)
            page.mouse.move(0, 0)
            save(page, args.out / 'service.png')

            page.set_viewport_size({'width': 1120, 'height': 1010})
            page.goto(f'{address}{reports.last.get_attribute("href")}')
            page.keyboard.press('n')  # to the first event
            page.wait_for_timeout(2000)
            save(page, args.out / 'report.png')

            sources = [f'--source={name}={path}' for name, path in zip(('yard', 'gate', 'hall'), videos, strict=True)]
            with running('watch', *model, '--out', watched, *sources):
                page.set_viewport_size({'width': 1180, 'height': 640})
                page.goto(f'{address}/wall')
                page.get_by_text('with an event now').wait_for(timeout=WAIT_MS)
                page.wait_for_timeout(3000)
                save(page, args.out / 'wall.png')
        browser.close()
    say(f'{args.out}: report.png, service.png, wall.png')
    return 0


def save(page: 'Page', path: Path) -> None:
    """Save a page as a small picture of 256 colours."""
    picture = Image.open(BytesIO(page.screenshot())).convert('RGB')
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def command(tool: str, *words: object) -> list[str]:
    """The command line of a tool."""
    return [sys.executable, str(ROOT / 'tools' / f'{tool}.py'), *map(str, words)]


@contextmanager
def running(tool: str, *words: object, until: str = '') -> Iterator[None]:
    """Run a tool during a block, which begins when the tool has printed a line with a text."""
    process = subprocess.Popen(command(tool, *words), stdout=subprocess.PIPE, text=True)
    try:
        any(until in line for line in process.stdout or ())
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == '__main__':
    run_cli(main)
