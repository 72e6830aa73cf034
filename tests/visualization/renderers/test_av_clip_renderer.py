from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from vadlab.evaluation.metrics.classification_metric import ClassificationMetric
from vadlab.registry import HOOKS
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.errors import ConfigError

CLASSES = {'species': ['fox', 'hare <b>'], 'calls': ['bark', 'drum', 'growl']}


def sample(number):
    clip = AudioVisualDataSample(
        metainfo=dict(clip_id=f'clip{number}', duration=2.0, times=np.arange(4) / 2, audio_start=0.0, audio_hop=0.01)
    )
    clip.gt_labels = {'species': torch.tensor(number % 2), 'calls': torch.tensor([1.0, 0.0, 0.0])}
    clip.pred_scores = {'species': torch.tensor([0.9, 0.1]), 'calls': torch.tensor([0.8, 0.6, 0.1])}
    return clip


class Model(torch.nn.Module):
    collect_attention = False

    def predict(self, samples):
        if self.collect_attention:
            for clip in samples:
                clip.pred_attention = {'video': torch.ones(2) / 2, 'audio': torch.ones(2, 3) / 6}
        return samples


def run(hook, count=4):
    model, metric = Model(), ClassificationMetric()
    metric.dataset_meta = {'classes': CLASSES}
    dataset = type('Dataset', (), {'metainfo': {'classes': CLASSES}, '__len__': lambda self: count})()
    runner = SimpleNamespace(
        logger=MMLogger.get_current_instance(),
        model=model,
        test_dataloader=SimpleNamespace(dataset=dataset),
        test_evaluator=SimpleNamespace(metrics=[metric]),
        world_size=1,
        rank=0,
    )
    hook.before_test(runner)
    for start in range(0, count, 2):
        samples = model.predict([sample(start), sample(start + 1)])
        inputs = {
            'video': [torch.zeros(4, 3, 8, 8, dtype=torch.uint8)] * 2,
            'audio': [None, torch.rand(1, 16, 50)],
        }
        metric.process({}, [clip.to_dict() for clip in samples])
        hook.after_test_iter(runner, start // 2, {'inputs': inputs}, samples)
    metric.evaluate(count)
    hook.after_test_epoch(runner)
    return model, runner


def test_heads_then_clips_with_mistakes_first(tmp_path):
    hook = HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path / 'show')))
    model, _ = run(hook)
    assert not model.collect_attention
    show = tmp_path / 'show'
    names = {path.relative_to(show).as_posix() for path in show.rglob('*') if path.is_file()}
    assert names == {
        'index.html', 'assets/report.css', 'clip0.png', 'clip1.png', 'clip2.png', 'clip3.png',
        *(f'heads/{what}_{head}.png' for what in ('confusion', 'classes') for head in ('species', 'calls')),
    }  # fmt: skip
    page = (tmp_path / 'show/index.html').read_text()
    places = [page.index(f'{name}.png') for name in ('confusion_species', 'clip1', 'clip3', 'clip0', 'clip2')]
    assert places == sorted(places)
    assert 'species: top-1 0.500 of 4 clips' in page
    assert 'truly hare &lt;b&gt;' in page
    assert '1 of 3 classes have tested clips.' in page


def test_only_chosen_clips(tmp_path):
    run(HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path), samples=['clip2'])))
    assert [path.name for path in tmp_path.glob('clip?.png')] == ['clip2.png']
    run(HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path / 'few'), max_samples=2)))
    assert sorted(path.name for path in (tmp_path / 'few').glob('clip?.png')) == ['clip0.png', 'clip3.png']
    with pytest.raises(ConfigError, match='max_samples is 0'):
        HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path), max_samples=0))
