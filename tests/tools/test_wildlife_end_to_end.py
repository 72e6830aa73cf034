"""From clips to pictures, by the commands of the documentation, small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vadlab.simulators.wildlife.wildlife_set import NEEDS_BOTH, plan_wildlife_set
from vadlab.utils.errors import CheckpointError, ConfigError, MissingFileError

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs/mbt_wildlife_demo.py')


@pytest.fixture(scope='module')
def trained(load_tool, train, tmp_path_factory):
    """Six clips to train on, each of another species and behaviour; a model that has seen them once."""
    root = tmp_path_factory.mktemp('wildlife')
    plan = plan_wildlife_set(36, 36, 36, seed=1)
    chosen = [clip for clip in plan if clip.number % 7 == 0]
    assert {clip.species for clip in chosen} >= set(NEEDS_BOTH['species'])
    for clip in chosen:
        clip.write(root / 'videos')
    (root / 'metadata.csv').write_text(load_tool('make_wildlife_data').metadata(chosen))
    (root / 'needs_both.json').write_text(json.dumps(NEEDS_BOTH))
    prepare = ['--out', str(root / 'processed'), '--size', '32', '--frames', '8', '--bands', '32', '--workers', '1']
    load_tool('prepare_wildlife').main([str(root / 'metadata.csv'), str(root / 'videos'), *prepare])
    options = [
        f'data_root={root}', 'image_size=32', 'num_frames=4', 'fusion_width=32', 'batch_size=6', 'max_epochs=1',
        'val_interval=1', 'tensorboard=False', 'save_best=None',
    ]  # fmt: skip
    assert train([CONFIG, '--work-dir', str(root / 'run'), '--cfg-options', *options]) == 0
    return root, str(root / 'run/epoch_1.pth'), options


def test_clips_with_and_without_sound_are_tested_and_drawn(trained, test):
    root, checkpoint, options = trained
    out, show = root / 'test/metrics.json', root / 'test/show'
    arguments = ['--work-dir', str(root / 'test'), '--out', str(out), '--show-dir', str(show)]
    assert test([CONFIG, checkpoint, *arguments, '--cfg-options', *options]) == 0
    report = json.loads(out.read_text())
    keys = {f'{head}/{name}' for head in ('species', 'behaviour', 'mean') for name in ('top1', 'macro_f1', 'map')}
    assert set(report['metrics']) == keys == set(report['protocol'])
    assert all(0 <= value <= 1 for value in report['metrics'].values())
    with np.load(out.with_suffix('.npz')) as scores:
        assert scores['species'].shape == (len(scores['clip_id']), 6)
        np.testing.assert_allclose(scores['behaviour'].sum(axis=1), 1, rtol=1e-5)
        drawn = {f'{name}.png' for name in scores['clip_id']}
    heads = {f'heads/{kind}_{head}.png' for kind in ('confusion', 'classes') for head in ('species', 'behaviour')}
    files = {path.relative_to(show).as_posix() for path in show.rglob('*') if path.is_file()}
    assert files == {'index.html', 'assets/report.css', *heads, *drawn}


def test_each_modality_alone_and_both_in_one_table(trained, load_tool, capsys):
    root, checkpoint, options = trained
    out = root / 'ablation'
    arguments = ['--out', str(out), '--subset', str(root / 'needs_both.json'), '--cfg-options', *options]
    assert load_tool('ablate_modalities').main([CONFIG, checkpoint, CONFIG, checkpoint, *arguments]) == 0
    rows = json.loads((out / 'results.json').read_text())['rows']
    assert len(rows) == 8  # of two models, two heads, all classes and the subset
    assert {tuple(row['top1']) for row in rows} == {('video', 'audio', 'video and audio')}
    assert rows[0]['top1'] == rows[4]['top1']
    assert (rows[0]['method'], rows[4]['method']) == ('mbt_wildlife_demo 1', 'mbt_wildlife_demo 2')
    assert rows[1]['clips'] < rows[0]['clips']
    assert '| needs both |' in (out / 'table.md').read_text()
    assert '| needs both |' in capsys.readouterr().out
    names = {path.name for path in out.glob('*.png')}
    assert names == {f'mbt_wildlife_demo_{n}{s}.png' for n in (1, 2) for s in ('', '_species', '_behaviour')}


def test_mistakes_of_the_ablation_are_named(trained, load_tool, tmp_path):
    _, checkpoint, options = trained
    ablate = load_tool('ablate_modalities').main
    with pytest.raises(ConfigError, match='Each config needs a checkpoint after it'):
        ablate([CONFIG, '--out', str(tmp_path)])
    with pytest.raises(MissingFileError, match=r'none\.json: there is no such file'):
        ablate([CONFIG, checkpoint, '--out', str(tmp_path / 'new'), '--subset', 'none.json'])
    with pytest.raises((CheckpointError, MissingFileError), match=r'none\.pth'):
        ablate([CONFIG, 'none.pth', '--out', str(tmp_path / 'new/out')])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match='uses video: there is nothing to leave out'):
        ablate([CONFIG, checkpoint, '--out', str(tmp_path), '--cfg-options', *options, 'modalities=video'])


@pytest.mark.slow
def test_two_ranks_over_gloo(trained, tmp_path):
    _, _, options = trained
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = [str(ROOT / 'tools/train.py'), CONFIG, '--work-dir', str(tmp_path), '--launcher', 'pytorch']
    done = subprocess.run(
        [*launch, *command, '--cfg-options', *options, 'batch_size=3'],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'epoch_1.pth').exists()
