"""Every code block of the documents is run, or read by the real command's own parser, or says what it needs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doc_blocks import (
    IN_A_CLONE,
    ROOT,
    RUN_PAGES,
    Block,
    blocks_of,
    command_lines,
    copy_of_repository,
    faults,
    lines_not_printed,
    looks_like_commands,
    options_of,
    pages,
    run_page,
)

KNOWN_LANGUAGES = {'', 'sh', 'bash', 'python', 'text', 'json', 'yaml', 'slurm', 'csv', 'html', 'xml', 'toml', 'mermaid'}


def shell(text, page='README.md'):
    return Block(page, 1, 'sh', text)


@pytest.mark.parametrize('page', pages())
def test_commands_are_in_blocks_that_are_checked(page):
    unchecked = [str(block) for block in blocks_of(page) if looks_like_commands(block)]
    assert not unchecked, f'these blocks have commands; begin them with ```sh: {unchecked}'
    unknown = {block.language for block in blocks_of(page) if not block.language.startswith('{')} - KNOWN_LANGUAGES
    assert not unknown, f'{page}: blocks of {unknown}; code is ```sh or ```python'


@pytest.mark.parametrize('page', pages())
def test_real_parsers_read_every_command(page):
    """Options, configs and their settings, make's targets, extras and imported names exist."""
    found = [fault for block in blocks_of(page) if block.is_code for fault in faults(block)]
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('page', pages())
def test_options_of_commands_inside_sentences_exist(page):
    text = re.sub(r'^```.*?^```$', '', (ROOT / page).read_text(encoding='utf-8'), flags=re.DOTALL | re.MULTILINE)
    for name, rest in re.findall(r'`(?:python )?tools/(\w+)\.py ([^`]*)`', text):
        given = {word.split('=')[0] for word in shlex.split(rest) if word.startswith('--')}
        unknown = given - options_of(ROOT / 'tools' / f'{name}.py')
        assert not unknown, f'{page}: tools/{name}.py has no {unknown}'


def test_tutorials_are_run():
    """All pages of the folder, and the pages that they continue."""
    tutorials = {f'docs/tutorials/{path.name}' for path in (ROOT / 'docs/tutorials').glob('*.md')}
    assert tutorials | {'docs/start.md'} == set(RUN_PAGES)
    assert {page for page in RUN_PAGES.values() if page} | IN_A_CLONE <= set(RUN_PAGES)


def test_most_blocks_of_tutorials_need_nothing():
    """A mark is no way round the test: what a mark excuses is the smaller part of each page."""
    for page in RUN_PAGES:
        code = [block for block in blocks_of(page) if block.is_code]
        marked = [block for block in code if block.is_marked]
        assert len(marked) < len(code) / 2, f'{page}: {list(map(str, marked))}'


def test_lines_of_shell_are_read_as_a_shell_reads_them():
    """By hand."""
    text = "A=1 make x B='c d' && pip install y  # why\ncat > f <<'E'\npython z\nE\npython a \\\n  b > log | ls\n"
    assert command_lines(text) == [
        ['make', 'x', 'B=c d'],
        ['pip', 'install', 'y'],
        ['cat'],
        ['python', 'a', 'b'],
        ['ls'],
    ]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('vadlab train fgclip_ucf --resmue', 'unrecognized arguments: --resmue'),
        ('python tools/train.py configs/fgclip_ufc.py', 'no config configs/fgclip_ufc.py'),
        ('python tools/train.py configs/fgclip_ucf.py --cfg-options frames=3', 'frames'),
        ('python tools/infer.py fgclip_demo', 'the following arguments are required'),
        ('torchrun --nproc_per_node=4 tools/train.py configs/fgclip_ucf.py --launcher slrum', 'invalid choice'),
        ('python tools/trian.py x', 'no tools/trian.py'),
        ('vadlab trian x', 'no command vadlab trian'),
        ('make dmo', 'no make dmo'),
        ('make demo DTAA=x', 'no variable DTAA'),
        ('pip install "vadlab[onxn]"', 'no extra'),
        ('python -m pytest tests/gone.py', 'no '),
        ('frobnicate', 'unknown program frobnicate'),
    ],
)
def test_wrong_commands_are_found(text, message):
    (fault,) = faults(shell(text))
    assert message in fault


def test_right_commands_are_accepted():
    text = (
        'python tools/train.py CONFIG --resume\nvadlab infer zero_shot_clip_demo none video.mp4 --sampling 8\n'
        'vadlab list rtfm\nmake ped2 DATA=x DETECTOR=y\npip install "vadlab[onnx]"\n'
    )
    assert faults(shell(text)) == []


def test_names_that_are_not_there_are_found_in_python():
    (fault,) = faults(Block('README.md', 1, 'python', 'from vadlab.apis import load_modle\n'))
    assert 'vadlab.apis has no load_modle' in fault


def test_shown_output_is_compared_up_to_numbers():
    """By hand."""
    printed = 'a 1.5 s\nepoch_3.pth: 0.93, Arson\nend\n'
    assert lines_not_printed('a 22 s\n...\nepoch_12.pth: 0.5, Arson\n', printed) == []
    assert lines_not_printed('epoch_12.pth: ...\nend', printed) == []
    assert lines_not_printed('epoch_3.pth: 0.93, Fire', printed) == ['epoch_3.pth: 0.93, Fire']
    assert lines_not_printed('end\na 1 s', printed) == ['a 1 s']


@pytest.fixture(scope='session')
def folder_after(tmp_path_factory):
    """A folder as a page leaves it; a page that others continue is run once per process."""
    done = {}

    def make(page):
        if page not in done:
            before = RUN_PAGES[page]
            folder = tmp_path_factory.mktemp('page')
            if before:
                shutil.copytree(make(before), folder, dirs_exist_ok=True, symlinks=True)
            if page in IN_A_CLONE:
                copy_of_repository(folder)
            run_page(page, folder, tmp_path_factory.mktemp('programs'))
            done[page] = folder
        return done[page]

    return make


def own_method_is_listed(folder):
    name = 'configs/attention_mil_demo.py'
    for page in ('README.md', 'docs/config.md'):
        assert f'| `{name}` |' in (folder / page).read_text(encoding='utf-8')
    words = [sys.executable, 'tools/zoo.py', '--demos']
    env = {**os.environ, 'PYTHONPATH': str(folder)}
    assert name in subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.split()


AFTERWARDS = {'docs/tutorials/own_method.md': own_method_is_listed}


@pytest.mark.slow
@pytest.mark.parametrize('page', RUN_PAGES)
def test_page_runs_as_printed(page, folder_after):
    """From an empty folder, in order; what the page shows is printed."""
    folder = folder_after(page)
    assert folder.is_dir()
    AFTERWARDS.get(page, Path.exists)(folder)
