import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from vadlab.models.checkpoints.clip_loading import load_clip_checkpoint
from vadlab.models.detectors.clip import CLIP
from vadlab.utils.errors import CheckpointError, ConfigError

TOOL = Path(__file__).parents[2] / 'tools/convert_checkpoint.py'
CONFIG = """seed = 0
model = dict(
    type='CLIP',
    embed_dim=6,
    vision=dict(type='CLIPVisionTransformer', image_size=16, patch_size=8, width=16, layers=2, heads=2),
    text=dict(type='CLIPTextTransformer', vocab_size=20, context_length=30, width=12, layers=1, heads=2,
              long_context_length=40))
"""


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('convert_checkpoint', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def trained(tmp_path):
    settings = {}
    exec(CONFIG, settings)
    torch.manual_seed(0)
    options = {k: v for k, v in settings['model'].items() if k != 'type'}
    state = CLIP(**options).state_dict()
    torch.save({'meta': {'cfg': CONFIG}, 'state_dict': state}, tmp_path / 'epoch_1.pth')
    return tmp_path / 'epoch_1.pth', state


def test_training_checkpoint_becomes_half_a_file_that_tells_its_architecture(main, trained, tmp_path, capsys):
    source, state = trained
    out = tmp_path / 'deep/small.safetensors'
    command = 'python tools/train.py x=1'
    main([str(source), str(out), '--half', '--no-long', '--note', f'command={command}', '--note', 'seed=0'])
    printed = capsys.readouterr().out
    assert 'image_size=16, patch_size=8, width=16, layers=2, heads=2' in printed
    with safe_open(out, 'pt') as file:
        header = file.metadata()
        assert file.get_tensor('vision.class_embedding').dtype == torch.float16
        assert file.get_tensor('logit_scale').dtype == torch.float32
    assert header['command'] == command
    assert header['seed'] == '0'
    assert header['source'] == 'epoch_1.pth'
    assert json.loads(header['arch'])['text']['hidden_act'] == 'quick_gelu'

    weights = load_clip_checkpoint(out)
    assert weights.arch['text'] == dict(
        vocab_size=20,
        context_length=30,
        long_context_length=None,
        width=12,
        layers=1,
        heads=2,
        mlp_ratio=4.0,
        hidden_act='quick_gelu',
    )
    read = weights.state_dict()
    assert set(state) - set(read) == {'text.positional_embedding_long'}
    for name, tensor in read.items():
        torch.testing.assert_close(tensor, state[name], rtol=1e-3, atol=1e-4)
    assert not list(out.parent.glob('*.tmp'))


def test_extras_of_fgclip_can_be_left_out(main, trained, tmp_path):
    source, state = trained
    state['roi_projection.weight'] = torch.ones(6, 16)
    torch.save({'meta': {'cfg': CONFIG}, 'state_dict': state}, source)
    main([str(source), str(tmp_path / 'all.safetensors')])
    assert 'roi_projection.weight' in load_clip_checkpoint(tmp_path / 'all.safetensors').extras
    main([str(source), str(tmp_path / 'plain.safetensors'), '--towers-only'])
    assert 'roi_projection.weight' not in load_clip_checkpoint(tmp_path / 'plain.safetensors').extras


def test_a_bare_state_dict_needs_heads_and_activation(main, trained, tmp_path, capsys):
    bare, out = tmp_path / 'bare.pth', str(tmp_path / 'out.safetensors')
    torch.save(trained[1], bare)
    with pytest.raises(
        CheckpointError, match='does not contain the heads and activation of its vision tower. Set --heads'
    ):
        main([str(bare), out])
    with pytest.raises(CheckpointError, match='3 heads do not divide the vision width of 16'):
        main([str(bare), out, '--heads', '3', '2', '--hidden-act', 'gelu'])
    main([str(bare), out, '--heads', '4', '2', '--hidden-act', 'gelu'])
    assert load_clip_checkpoint(out).arch['vision']['heads'] == 4
    main([out, str(tmp_path / 'again.safetensors'), '--heads', '2', '2'])
    assert f'{out} has vision heads=4; the option sets 2.' in capsys.readouterr().out
    assert load_clip_checkpoint(tmp_path / 'again.safetensors').arch['vision']['heads'] == 2


def test_an_existing_file_is_kept_unless_forced(main, trained, tmp_path):
    out = tmp_path / 'out.safetensors'
    out.write_text('precious')
    with pytest.raises(ConfigError, match='exists; give another name, or --force'):
        main([str(trained[0]), str(out)])
    assert out.read_text() == 'precious'
    main([str(trained[0]), str(out), '--force'])
    assert load_clip_checkpoint(out).arch['embed_dim'] == 6


def test_values_beyond_half_precision_are_refused_and_leave_nothing(main, trained, tmp_path):
    source, state = trained
    state['text_projection.weight'][0, 0] = 1e6
    torch.save({'meta': {'cfg': CONFIG}, 'state_dict': state}, source)
    with pytest.raises(CheckpointError, match=r'text_projection.weight has values that half precision cannot hold'):
        main([str(source), str(tmp_path / 'out.safetensors'), '--half'])
    assert not list(tmp_path.glob('out*'))


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (['out.pth'], CheckpointError, r'out\.pth: a CLIP is written as \.safetensors only'),
        (['out.safetensors', '--note', 'seed'], ConfigError, '--note seed: each must be KEY=TEXT'),
    ],
)
def test_bad_options_are_named(main, trained, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        main([str(trained[0]), str(tmp_path / options[0]), *options[1:]])


def test_the_command_ends_with_status_2_and_one_message(tmp_path):
    out = tmp_path / 'out.safetensors'
    done = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path / 'no.pt'), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith('error: No CLIP weights at')
    assert 'Traceback' not in done.stderr
    assert not out.exists()
