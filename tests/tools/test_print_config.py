from pathlib import Path

import pytest

from vadlab.utils.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').glob('*.py'))


@pytest.fixture
def main(load_tool):
    """``main`` of tools/print_config.py."""
    return load_tool('print_config').main


@pytest.mark.parametrize('config', CONFIGS)
def test_no_shipped_config_has_an_unknown_option(main, config, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main([config]) == 0
    assert capsys.readouterr().out


def test_misspelled_options_at_any_depth_are_named_below_the_config(main, capsys):
    options = ['model.vision.layer=8', 'train_dataloader.dataset.pipeline.0.backnd=pyav', 'num_frames=16']
    with pytest.raises(ConfigError) as caught:
        main([str(ROOT / 'configs/fgclip_ucf.py'), '--cfg-options', *options])
    lines = str(caught.value).splitlines()
    assert lines[0].endswith('2 settings cannot be used.')
    assert "model.vision.layer: CLIPVisionTransformer takes no option 'layer'. Did you mean 'layers'" in lines[1]
    assert lines[2].strip().startswith('train_dataloader.dataset.pipeline.0.backnd: ProbeVideo takes no option')
    assert 'num_frames=16' in capsys.readouterr().out


def test_variables_alone(main, capsys):
    assert main([str(ROOT / 'configs/fgclip_ucf.py'), '--variables', '--cfg-options', 'num_frames=16']) == 0
    printed = capsys.readouterr().out.splitlines()
    assert 'num_frames = 16' in printed
    assert not any(line.startswith('model') for line in printed)
