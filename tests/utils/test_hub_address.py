import argparse

import pytest

from vadlab.utils.errors import ConfigError
from vadlab.utils.hub_address import HubAddress, is_address, parse_address
from vadlab.utils.model_arguments import add_model_arguments, parse_model_arguments

DIGEST = 'ab' * 32


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('hf://lab/rtfm', HubAddress('lab/rtfm')),
        ('hf:/lab/rtfm', HubAddress('lab/rtfm')),  # as pathlib writes it
        ('hf://lab/rtfm@v1.0', HubAddress('lab/rtfm', revision='v1.0')),
        ('hf://lab/rtfm@refs/pr/3/a.pth', HubAddress('lab/rtfm', revision='refs/pr/3', file='a.pth')),
        ('hf://lab/rtfm@new%2Flr', HubAddress('lab/rtfm', revision='new/lr')),
        ('hf://lab/rtfm/sub/a b.pth', HubAddress('lab/rtfm', file='sub/a b.pth')),
        ('hf://datasets/lab/feats', HubAddress('lab/feats', is_dataset=True)),
        (f'hf://lab/rtfm#sha256={DIGEST.upper()}', HubAddress('lab/rtfm', sha256=DIGEST)),
    ],
)
def test_parts_of_an_address(text, expected):
    assert is_address(text)
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    'text',
    [
        'hf://', 'hf://lab', 'hf://lab/', 'hf:///lab/x', 'hf://lab/x/', 'hf://lab//x', 'hf://../etc/passwd',
        'hf://lab/..', 'hf://lab/x/../../y', 'hf://lab/x/./y', 'hf://lab/x/a\\b', 'hf://lab/x/a\0b', 'hf://lab/x@',
        'hf://lab/x@a b', 'hf://la b/x', 'hf://lab/x#sha256=12', 'hf://lab/x#md5=ab', 'hf://lab--x/y',
        'hf://-lab/x', f'hf://{"a" * 200}/x', 'hf://lab/x\n',
    ],
)  # fmt: skip
def test_malformed_addresses(text):
    with pytest.raises(ConfigError, match='is not an address of the Hugging Face hub. Write hf://USER/NAME'):
        parse_address(text)


def test_an_address_is_written_as_it_is_read():
    for text in ('hf://lab/x', 'hf://datasets/lab/x@v1/a.npy'):
        assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    'text', ['https://huggingface.co/lab/rtfm', 'huggingface.co/lab/rtfm/blob/main/config.json', 'HF://lab/rtfm']
)
def test_a_page_of_the_hub_as_config_is_answered_with_its_address(text, capsys):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser, 'a checkpoint')
    with pytest.raises(SystemExit):
        parse_model_arguments(parser, [text])
    assert f'{text} is not an address of a model. Write hf://lab/rtfm\n' in capsys.readouterr().err
