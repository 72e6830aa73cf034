"""The configs of PEL4VAD say what its authors' configs.py says (commit eeb31f4)."""

from pathlib import Path

import pytest

from vadlab.utils.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
AUTHORS = {
    'ucf': (9, 0.6, 0.2, True, 9, 0.09, 1.0, 'forward_window(7)', 'frame/auc'),
    'xd': (9, 0.06, 0.02, False, 3, 0.05, 1.0, 'fixed_blocks(8)', 'frame/ap'),
    'shanghaitech': (5, 0.08, 0.1, True, 3, 0.2, 9.0, 'forward_window(3)', 'frame/auc'),
}


@pytest.mark.parametrize('name', AUTHORS)
def test_settings_are_the_authors(name):
    config = load_config(CONFIGS / f'pel4vad_{name}.py')
    model = config.model
    found = (
        model.window, model.decay, model.offset, model.norm_context, model.kernel_size, model.temperature,
        model.align_weight, config.test_evaluator[0].smoothing, config.default_hooks.checkpoint.save_best,
    )  # fmt: skip
    assert found == AUTHORS[name]
    assert model.feature_dim == 1024
    assert model.train_on_padding is True
    assert (config.optim_wrapper.optimizer.type, config.optim_wrapper.optimizer.lr) == ('Adam', 5e-4)
    assert (config.train_cfg.max_epochs, config.param_scheduler.T_max) == (50, 60)
    loader = config.train_dataloader
    assert (loader.batch_size, loader.dataset.crops, 'batch_sampler' in loader) == (128, 'separate', False)
    resample = next(step for step in loader.dataset.pipeline if step.type == 'ResampleSnippets')
    assert (resample.max_snippets, resample.mode) == (200, 'pick')
    assert config.test_evaluator[0].ap_mode == 'trapezoid'


def test_rows_of_the_authors_xd_prompts_have_their_classes():
    # The rows of xd-prompt.npy: nonviolence, abuse, accident, explosion, fighting, riot, shooting.
    model = load_config(CONFIGS / 'pel4vad_xd.py').model
    assert model.prompt_classes == ('A', 'B5', 'B6', 'G', 'B1', 'B4', 'B2')
    assert sorted(model.prompt_classes) == sorted(model.classes)


@pytest.mark.parametrize('name', ['ucf_crime', 'xd_violence', 'shanghaitech'])
def test_concepts_are_there_for_every_class(name):
    from vadlab.models.checkpoints.concept_prompts import read_concepts

    method = {'ucf_crime': 'ucf', 'xd_violence': 'xd'}.get(name, name)
    classes = load_config(CONFIGS / f'pel4vad_{method}.py').model.classes
    assert set(read_concepts(CONFIGS / 'concepts' / f'{name}.json')) == set(classes)
