import pytest

from vadlab.apis.sweeps.search_space import Choice, Range, check_params, parse_params
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError


@pytest.fixture(scope='module')
def config():
    return load_config('mil_demo')


@pytest.mark.parametrize(
    ('word', 'expected'),
    [
        ('lr=1e-5:1e-3:log', Range('lr', 1e-5, 1e-3, None, True, False)),
        ('lr=0.1:0.5', Range('lr', 0.1, 0.5)),
        ('lr=1:2', Range('lr', 1, 2)),  # lr is 0.01 in the config, so any number between
        ('batch_size=8:64', Range('batch_size', 8, 64, None, False, True)),
        ('batch_size=8:63:8', Range('batch_size', 8, 56, 8, False, True)),  # the last value that steps reach
        ('max_snippets=8:512:log', Range('max_snippets', 8, 512, None, True, True)),
        ('model.x=0:0.5:0.1', Range('model.x', 0, 0.5, 0.1)),
        ('lr=-1:1', Range('lr', -1, 1)),
        ('resample=uniform,rounded_segment_mean', Choice('resample', ('uniform', 'rounded_segment_mean'))),
        ('model.hidden_dims=[8,4],[16, 8]', Choice('model.hidden_dims', ('[8,4]', '[16, 8]'))),
        ("smoothing=None,'a:b'", Choice('smoothing', ('None', "'a:b'"))),
    ],
)
def test_forms_of_values(config, word, expected):
    assert parse_params([word], config) == [expected]


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['lr'], 'takes NAME=VALUES'),
        (['lr='], 'takes NAME=VALUES'),
        (['lr =1:2'], 'no spaces around'),
        (['lr=0.1'], r'0\.1 is one value\. A fixed value belongs to --cfg-options lr=0\.1'),
        (['lr=0.1,'], 'is one value'),
        (['lr=[1,2]'], 'is one value'),
        (['lr=1,2', 'lr=3,4'], '--param lr is given twice'),
        (['lr=0.1,0.2,0.1'], 'a choice is given twice'),
        (['lr=a:b'], r'a:b is not a range.*LOW:HIGH:log'),
        (['lr=1:nan'], 'is not a range'),
        (['lr=1:2:0.1:log'], 'is not a range'),
        (['lr=2:1'], 'must be less'),
        (['lr=0:1:log'], 'above 0'),
        (['lr=0.0:1.0:2.0'], 'fit into the range'),
        (['lr=0.0:1.0:-0.1'], 'fit into the range'),
    ],
)
def test_refused_forms(config, words, message):
    with pytest.raises(ConfigError, match=message):
        parse_params(words, config)


def test_values_are_written_as_cfg_options_reads_them(config):
    whole, number, choice = parse_params(['batch_size=8:64', 'lr=1e-5:1e-3:log', 'amp=None,x'], config)
    assert (whole.text(8), number.text(0.1 + 0.2), choice.text('None')) == ('8', '0.30000000000000004', 'None')
    assert whole.describe() == 'whole number from 8 to 64'
    assert number.describe() == 'number from 1e-05 to 0.001, logarithmic'
    assert choice.describe() == 'one of None, x'


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('larning_rate=1e-5:1e-3', r'--param larning_rate \(tried 1e-05\): no such key'),
        ('model.drpout=0,1', r'(?s)--param model.drpout \(tried 0\).*Did you mean .dropout'),
        ('optim_wrapper.optimiser.lr=1,2', r"there|has no 'optimiser'. Did you mean 'optimizer'"),
        ('batch_size=0:64', r'(?s)--param batch_size \(tried 0\).*batch_size must be >= 1'),
        ('lr=0.1,fast', r"--param lr \(tried fast\): lr is 0\.01 in the config and cannot be 'fast'"),
        ('num_workers=0,1', 'num_workers is set by --param and by --cfg-options'),
    ],
)
def test_config_takes_every_limit(config, word, message):
    with pytest.raises(ConfigError, match=message):
        check_params('mil_demo', parse_params([word], config), ['num_workers=0'])


def test_limits_that_the_config_takes(config):
    params = parse_params(['lr=1e-5:1e-3:log', 'model.dropout=0,0.6', 'train_pipeline.1.max_snippets=8,16'], config)
    check_params('mil_demo', params, ['num_workers=0'])
