"""AudioVisualRecognizer under the Runner: what training leaves behind, and who can read it."""

import json

import pytest

from vadlab.checkpoints.checkpoint_io import read_checkpoint
from vadlab.utils.errors import CheckpointError


def metrics_of(test, config, checkpoint, folder, *options):
    out = folder / 'metrics.json'
    test([str(config), str(checkpoint), '--out', str(out), '--work-dir', str(folder / 't'), *options])
    return json.loads(out.read_text())['metrics']


def test_learns_species_from_pictures_and_behaviour_from_sound(train, test, clips_file, tmp_path):
    work = tmp_path / 'w'
    train([str(clips_file), '--work-dir', str(work), '--cfg-options', 'max_epochs=4'])
    found = metrics_of(test, clips_file, work / 'epoch_4.pth', tmp_path)
    assert found['species/top1'] == 1
    assert found['behaviour/top1'] > 0.75  # two of nine clips are silent
    alone = metrics_of(test, clips_file, work / 'epoch_4.pth', tmp_path, '--cfg-options', 'modalities=video')
    assert alone['species/top1'] == 1
    assert alone['behaviour/top1'] < 0.8


def test_run_without_its_weights(train, test, clips_file, tmp_path):
    lacking = ['--cfg-options', f'pretrained_video={tmp_path / "none"}', 'max_epochs=1']
    with pytest.raises(CheckpointError, match="no local folder or file.*missing_weights='fall_back'"):
        train([str(clips_file), '--work-dir', str(tmp_path / 'a'), *lacking])
    work = tmp_path / 'b'
    train([str(clips_file), '--work-dir', str(work), *lacking, 'missing_weights=fall_back'])
    checkpoint = work / 'epoch_1.pth'
    assert set(read_checkpoint(checkpoint)['state_dict']['_extra_state']['fallbacks']) == {'video'}
    (log,) = work.glob('*/*.log')
    assert 'The video encoder FALLS BACK from VideoMAE to Simple3DCNN' in log.read_text()
    # With and without the weights, with and without leave to fall back: the checkpoint says what it is.
    without = metrics_of(test, clips_file, checkpoint, tmp_path, *lacking)
    assert metrics_of(test, clips_file, checkpoint, tmp_path) == without
    assert metrics_of(test, clips_file, checkpoint, tmp_path, *lacking, 'missing_weights=fall_back') == without
    with pytest.raises(CheckpointError, match='change the config so that it builds the same components'):
        train([str(clips_file), '--work-dir', str(tmp_path / 'c'), '--cfg-options', f'load_from={checkpoint}'])


def test_distilled_student_is_tested_by_its_plain_config(train, test, clips_file, tmp_path):
    work = tmp_path / 'teacher'
    train([str(clips_file), '--work-dir', str(work), '--cfg-options', 'max_epochs=4'])
    plain = tmp_path / 'toyplain.py'
    plain.write_text(f"_base_ = ['{clips_file}']\nfusion_width = 32\nmodel = dict(fusion=dict(heads=2))\n")
    distilled = tmp_path / 'toydistilled.py'
    distilled.write_text(
        f"_base_ = ['{plain}']\nmodel = dict(type='DistilledRecognizer', feature_weight=1.0, teacher_width=64, "
        f"teacher=dict(config='{clips_file}', checkpoint='{work / 'epoch_4.pth'}'))\n"
    )
    student = tmp_path / 'student'
    train([str(distilled), '--work-dir', str(student), '--cfg-options', 'max_epochs=3'])
    train([str(distilled), '--work-dir', str(student), '--resume', '--cfg-options', 'max_epochs=4'])
    scores = [metrics_of(test, config, student / 'epoch_4.pth', tmp_path) for config in (plain, distilled)]
    assert scores[0] == scores[1]
    assert scores[0]['species/top1'] == 1
    logged = (student / 'scalars.json').read_text() if (student / 'scalars.json').is_file() else ''
    names = logged or '\n'.join(path.read_text() for path in student.glob('*/vis_data/*.json'))
    for name in ('loss_species', 'loss_species_teacher', 'loss_behaviour_teacher', 'loss_feature'):
        assert f'"{name}"' in names
