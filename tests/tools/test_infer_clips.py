"""tools/infer.py on clips with pictures and sound."""

import json

import numpy as np
import pytest
import torch

from tests.datasets.wildlife_clips import tone, write_clip
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError
from vadlab.utils.folder_lock import lock_folder
from vadlab.utils.setup_env import register_all_modules

from .tiny_methods import ROOT

CONFIG = """
_base_ = ['{root}/configs/mbt_wildlife_demo.py']
data_root = '{data}'
source = 'videos'
image_size = 16
num_frames = 4
tensorboard = False
data_preprocessor = dict(_delete_=True, type='AudioVisualDataPreprocessor', audio_mean=-40.0, audio_std=20.0)
"""


def model_of(config):
    return {**config.model, 'data_preprocessor': config.data_preprocessor}


@pytest.fixture
def experiment(tmp_path):
    """A recogniser of random weights, and three clips, one without sound."""
    data = tmp_path / 'data'
    for i in range(3):
        write_clip(data / 'raw' / 'videos' / f'c{i}.mp4', 20 + i, None if i == 2 else tone(2.0, hz=400.0 * (i + 1)))
    (data / 'raw' / 'metadata').mkdir()
    rows = [f'c{i},c{i}.mp4,{{split}},{["fox", "owl", "fox"][i]},{["eats", "eats", "runs"][i]}' for i in range(3)]
    for split in ('train', 'val', 'test'):
        text = '\n'.join(['clip_id,video,split,species,behaviour', *(row.format(split=split) for row in rows)])
        if split != 'train':
            text = text.replace('c0,', 'd0,').replace('c1,', 'd1,').replace('c2,', 'd2,')
        (data / 'raw' / 'metadata' / f'{split}.csv').write_text(text + '\n')
    config = tmp_path / 'clips.py'
    config.write_text(CONFIG.format(root=ROOT, data=data))
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(model_of(load_config(config)))
    for head in model.heads.values():
        torch.nn.init.normal_(head.linear.weight)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
    return config, tmp_path / 'weights.pth', data / 'raw' / 'videos'


def test_probabilities_are_those_of_the_data_set_and_the_model(load_tool, experiment, tmp_path, capsys):
    """The same clips through the data set of the config and a plain call of the model."""
    from mmengine.dataset import pseudo_collate

    from vadlab.checkpoints.checkpoint_io import read_checkpoint
    from vadlab.registry import DATASETS

    config_file, weights, videos = experiment
    out = tmp_path / 'out'
    assert load_tool('infer').main([str(config_file), str(weights), str(videos), '--out', str(out)]) == 0
    printed = capsys.readouterr().out
    records = {record['name']: record for record in json.loads((out / 'clips.json').read_text())}
    assert [records[f'c{i}.mp4']['has_audio'] for i in range(3)] == [True, True, False]
    config = load_config(config_file, {'val_ann_file': 'raw/metadata/train.csv'})
    dataset = DATASETS.build({**config.val_dataloader.dataset, 'split': 'train'})
    model = MODELS.build(model_of(config)).eval()
    model.load_state_dict(read_checkpoint(weights)['state_dict'])
    for i in range(3):
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[i]]))
        record = records[f'{sample.clip_id}.mp4']
        assert list(record['scores']) == ['species', 'behaviour']
        assert list(record['scores']['species']) == ['fox', 'owl']
        for head, scores in record['scores'].items():
            np.testing.assert_allclose(list(scores.values()), sample.pred_scores[head].numpy(), atol=1e-4)
    assert 'c2.mp4  0:00.0 to 0:02.2 (no sound): species ' in printed


def test_filled_batches_have_clips_of_several_videos(load_tool, experiment, tmp_path, monkeypatch):
    """Sounds differ in length. The order stays, and a file that is not a video is reported."""
    from vadlab.models.recognizers import AudioVisualRecognizer

    config, weights, videos = experiment
    (videos / 'c1b.mp4').write_text('text')
    found, sizes = [], []
    predict = AudioVisualRecognizer.predict
    monkeypatch.setattr(
        AudioVisualRecognizer,
        'predict',
        lambda self, inputs, samples: sizes.append(len(samples)) or predict(self, inputs, samples),
    )
    for option in ('--no-fill-batches', '--fill-batches'):
        out = tmp_path / option
        command = [str(config), str(weights), str(videos), str(videos), '--clip-s', '0.9', '--batch-size', '4']
        assert load_tool('infer').main([*command, option, '--out', str(out)]) == 2
        found.append(json.loads((out / 'clips.json').read_text()))
    plain, filled = found
    assert sizes == [2, 2, 2, 4, 2]  # the damaged file is between
    assert [(clip['name'], clip.get('start_s')) for clip in plain] == [
        (clip['name'], clip.get('start_s')) for clip in filled
    ]
    for first, second in zip(plain, filled, strict=True):
        assert first.get('error') == second.get('error')
        for head, scores in first.get('scores', {}).items():
            np.testing.assert_allclose(list(scores.values()), list(second['scores'][head].values()), atol=1e-5)


def test_a_long_video_is_cut_into_clips(load_tool, experiment, tmp_path, capsys):
    config, weights, _ = experiment
    write_clip(tmp_path / 'long.mp4', 53)
    (tmp_path / 'bad.mp4').write_text('text')
    files = [str(tmp_path / 'long.mp4'), str(tmp_path / 'bad.mp4')]
    assert load_tool('infer').main([str(config), str(weights), *files, '--clip-s', '1']) == 2
    printed = capsys.readouterr()
    spans = [line.split('  ')[1].split(' (')[0] for line in printed.out.splitlines()]
    assert spans == ['0:00.0 to 0:01.0', '0:01.0 to 0:02.0', '0:02.0 to 0:03.0', '0:03.0 to 0:04.0', '0:04.0 to 0:05.3']
    assert 'not recognised: ' in printed.err


def clips_file(load_tool, experiment, out, *options):
    config, weights, videos = experiment
    command = [str(config), str(weights), str(videos), '--clip-s', '0.5', '--out', str(out), *options]
    assert load_tool('infer').main(command) == 2
    return (out / 'clips.json').read_bytes()


def test_clips_are_in_the_order_of_videos_and_time_and_a_bad_one_costs_itself(load_tool, experiment, tmp_path):
    (experiment[2] / 'c1b.mp4').write_text('text')
    content = clips_file(load_tool, experiment, tmp_path / 'a', '--workers', '3')
    assert clips_file(load_tool, experiment, tmp_path / 'b', '--workers', '1') == content
    names = [record['name'] for record in json.loads(content)]
    assert names == sorted(names)
    assert set(names) == {'c0.mp4', 'c1.mp4', 'c1b.mp4', 'c2.mp4'}
    starts = [record['start_s'] for record in json.loads(content) if record['name'] == 'c0.mp4']
    assert starts == sorted(starts)
    assert len(starts) > 2


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(load_tool, experiment, tmp_path):
    (experiment[2] / 'c1b.mp4').write_text('text')
    content = clips_file(load_tool, experiment, tmp_path / 'one')
    assert clips_file(load_tool, experiment, tmp_path / 'two', '--jobs', '2') == content


def test_folder_into_which_another_process_writes(load_tool, experiment, tmp_path):
    config, weights, videos = experiment
    out = tmp_path / 'out'
    with lock_folder(out, '--out'), pytest.raises(ConfigError, match=f'^--out {out}: another process writes there'):
        load_tool('infer').main([str(config), str(weights), str(videos), '--out', str(out)])
    assert not list(out.iterdir())


def test_options_of_other_tasks_and_a_missing_checkpoint_are_errors(load_tool, experiment):
    config, weights, videos = experiment
    with pytest.raises(ConfigError, match='--prompt is not an option for a recogniser'):
        load_tool('infer').main([str(config), str(weights), str(videos), '--prompt', 'a fox'])
    with pytest.raises(ConfigError, match='clip_s must be > 0, not -1'):
        load_tool('infer').main([str(config), str(weights), str(videos), '--clip-s', '-1'])
    with pytest.raises(ConfigError, match='its weights would be random'):
        load_tool('infer').main([str(config), 'none', str(videos)])
