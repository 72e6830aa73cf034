import re
from pathlib import Path

import pytest

from vadlab.apis.planning import Rates, Work, breaks_first, make_plan, table_of
from vadlab.utils.errors import ConfigError

PAGE = Path(__file__).parents[2] / 'docs/planning.md'


@pytest.fixture(scope='module')
def main(load_tool):
    return load_tool('plan').main


def test_tables_of_the_page_are_what_the_commands_print(main, capsys):
    blocks = re.findall(
        r'```sh\npython tools/plan.py ([^\n]*)\n```\n\n```text\n(.*?)\n```', PAGE.read_text(encoding='utf-8'), re.DOTALL
    )
    assert len(blocks) == 2
    for options, shown in blocks:
        capsys.readouterr()
        assert main(options.split()) == 0
        assert capsys.readouterr().out.strip() == shown, f'update docs/planning.md: python tools/plan.py {options}'


def test_rates_of_the_page_are_those_of_the_code():
    page, rates = PAGE.read_text(encoding='utf-8'), Rates()
    for text in (
        f'{rates.decode_fps:,g} frames per second',
        f'{rates.model_fps:g} pictures per second',
        f'{rates.start_ms:g} ms per file; {rates.start_kb:g} KB of memory per file',
        f'{rates.eval_s:g} s per million frames; {rates.eval_bytes:g} bytes of memory per frame',
        f'{Work().gb_per_hour:g} GB per hour',
    ):
        assert text in page, text


def test_a_plan_by_hand():
    work = Work(
        videos=10,
        hours=2,
        gb_per_hour=9,
        fps=20,
        crops=5,
        channels=100,
        nodes=2,
        cores=3,
        gbit=8,
        epochs=4,
        test_share=0.5,
    )
    steps = make_plan(work, Rates(decode_fps=100, model_fps=10, start_ms=36, start_kb=20, eval_s=18, eval_bytes=2))
    # 144,000 frames; 45,000 pictures of 9,000 snippets; 9 MB of features; 2 GB/s of network for both machines.
    expected = [
        (18 / 2 / 3600, 0, '18 GB, network'),
        (0.4 / 6, 0.4, '144,000 frames'),
        (1.25 / 6, 1.25, '45,000 pictures, 9 MB disk'),
        (50 * 36e-3 / 3600, 50 * 36e-3 / 3600, '50 files, 1 MB RAM'),
        (36e6 / 2e9 / 3600, 0, '36 MB, network'),
        (0.072 * 18 / 3600, 0.072 * 18 / 3600, '72,000 frames, 0.144 MB RAM'),
    ]
    for step, (hours, of_one, note) in zip(steps, expected, strict=True):
        assert step.hours == pytest.approx(hours)
        assert step.core_hours == pytest.approx(of_one)
        assert step.note == note
    assert breaks_first(steps) == []
    assert table_of(steps)[0][1:3] == ('9 s', '-')


def test_gpus_have_their_own_rate_and_the_worst_step_comes_first():
    steps = make_plan(Work(videos=10**6, hours=10**5, gpus=2, nodes=4), Rates(model_fps=5000))
    pictures = 10**5 * 3600 * 30 / 16 * 10
    assert steps[2].name == 'embed 10 crops on GPUs'
    assert steps[2].hours == pytest.approx(pictures / 5000 / 8 / 3600)
    worst = breaks_first(steps)
    assert worst[0].startswith('start of a training')
    assert sorted((step.load for step in steps if step.load > 1), reverse=True)[0] == steps[3].load


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--nodes', '0'], 'nodes is 0'),
        (['--hours', '-1'], 'hours is -1'),
        (['--hours', 'inf'], 'hours is inf'),
        (['--test-share', '2'], 'test_share is 2'),
        (['--decode-fps', '0'], 'decode_fps is 0'),
        (['--decode-fps', 'nan'], 'decode_fps is nan'),
        (['--model-fps', '0'], 'model_fps is 0'),
        (['--gpus', '1', '--model-fps', '-3'], 'model_fps is -3'),
    ],
)
def test_numbers_that_make_no_plan_are_refused(main, options, message):
    with pytest.raises(ConfigError, match=message):
        main(options)


def test_gpus_need_a_rate(main, capsys):
    with pytest.raises(SystemExit):
        main(['--gpus', '1'])
    assert '--gpus needs --model-fps' in capsys.readouterr().err
