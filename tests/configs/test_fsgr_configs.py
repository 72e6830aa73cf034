"""Learning rates that the captioner's configs give by epoch."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from vadlab.utils.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'


def rates(name, **options):
    """Learning rate of each epoch."""
    config = load_config(CONFIGS / name, options)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=config.optim_wrapper.optimizer.lr)
    schedulers = [PARAM_SCHEDULERS.build({**dict(s), 'optimizer': optimizer}) for s in config.param_scheduler]
    found = []
    for _ in range(config.train_cfg.max_epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_cross_entropy_rates_are_the_table_of_fsgr():
    table = [0.25, 0.5, 0.75, 1, 1, 1, *[0.2] * 6, *[0.04] * 28]
    assert rates('fsgr_coco.py') == pytest.approx([2e-4 * share for share in table])


@pytest.mark.parametrize('done', [15, 28, 32])
def test_self_critical_rates_are_counted_from_the_start_of_cross_entropy(done):
    table = [*[1] * 28, *[0.2] * 3, *[0.04] * 3, *[0.008] * 6]
    expected = [1e-5 * share for share in table[done:]]
    assert rates('fsgr_coco_scst.py', stage1_epochs=done) == pytest.approx(expected)


@pytest.mark.parametrize('name', ['fsgr_coco.py', 'fsgr_coco_scst.py'])
def test_backbone_learns_at_a_tenth(name):
    wrapper = load_config(CONFIGS / name).optim_wrapper
    groups = wrapper.paramwise_cfg.groups
    assert groups.vision.lr == pytest.approx(0.1 * groups.captioner.lr)
    assert groups.captioner.lr == wrapper.optimizer.lr


@pytest.mark.parametrize('stem', ['fsgr_coco', 'fsgr_demo'])
def test_both_stages_train_the_same_network_on_the_same_images(stem):
    first, second = (load_config(CONFIGS / f'{stem}{stage}.py') for stage in ('', '_scst'))
    own = {'type', 'captions', 'num_captions', 'max_words', 'cache_dir', 'pretrained', 'word_init'}
    models = [{k: v for k, v in config.model.to_dict().items() if k not in own} for config in (first, second)]
    assert models[0] == models[1]
    data, theirs = (config.train_dataloader.dataset for config in (first, second))
    for key in ('data_root', 'image_dir', 'ann_file', 'splits', 'id_file'):
        assert data[key] == theirs[key] == second.model.captions[key]
    assert theirs.rows == 'images'
