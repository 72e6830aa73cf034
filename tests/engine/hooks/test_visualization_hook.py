from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import BaseDataElement

from vadlab.registry import HOOKS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError


def batch(ids):
    samples = []
    for i, video_id in enumerate(ids):
        sample = VADDataSample(metainfo=dict(video_id=video_id, fps=10.0, frame_inds=np.array([0, 3]), class_name=None))
        sample.pred_scores = torch.full((4,), 0.2 * (i + 1))
        sample.gt_caption = f'caption <{i}>'
        samples.append(sample)
    return {'inputs': [torch.zeros(2, 3, 8, 8, dtype=torch.uint8) for _ in ids]}, samples


def run(hook, ids):
    runner = SimpleNamespace(
        logger=MMLogger.get_current_instance(),
        model=torch.nn.Identity(),
        test_dataloader=SimpleNamespace(dataset=ids),
        test_evaluator=SimpleNamespace(metrics=[]),
        world_size=1,
        rank=0,
    )
    hook.before_test(runner)
    hook.after_test_iter(runner, 0, *batch(ids))
    hook.after_test_epoch(runner)


def test_one_picture_per_video_and_a_page(tmp_path):
    hook = HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path / 'show'), renderer=dict(num_tiles=1)))
    run(hook, ['a', 'b', 'c'])
    assert {path.name for path in (tmp_path / 'show').iterdir()} == {'a.png', 'b.png', 'c.png', 'index.html', 'assets'}
    page = (tmp_path / 'show' / 'index.html').read_text(encoding='utf-8')
    assert page.index('c.png') < page.index('b.png') < page.index('a.png')
    assert 'caption &lt;2&gt;' in page


def test_no_more_pictures_than_asked_for(tmp_path):
    hook = HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path), max_samples=1))
    run(hook, ['a', 'b'])
    assert {path.name for path in tmp_path.iterdir()} == {'a.png', 'index.html', 'assets'}
    with pytest.raises(ConfigError, match='max_samples is 0'):
        HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path), max_samples=0))


def test_a_sample_of_a_class_without_renderer_is_named(tmp_path):
    hook = HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path)))
    runner = SimpleNamespace(model=torch.nn.Identity(), test_dataloader=SimpleNamespace(dataset=['a']))
    hook.before_test(runner)
    with pytest.raises(ConfigError, match="no renderer called 'BaseDataElement'"):
        hook.after_test_iter(runner, 0, {'inputs': [0]}, [BaseDataElement(metainfo=dict(video_id='a'))])


def test_an_unknown_option_of_the_renderer_is_named(tmp_path):
    hook = HOOKS.build(dict(type='VisualizationHook', show_dir=str(tmp_path), renderer=dict(num_tile=1)))
    with pytest.raises(ConfigError, match="VideoRenderer takes no option 'num_tile'.*num_tiles"):
        run(hook, ['a'])
