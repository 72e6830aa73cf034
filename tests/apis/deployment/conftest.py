"""Exported models, written once per session: an export takes seconds."""

import copy
from types import SimpleNamespace

import pytest
import torch

from tests.tools.tiny_methods import write_experiment
from vadlab.apis.deployment.export_model import export_model
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules


@pytest.fixture(scope='session')
def exported_method(tmp_path_factory):
    """A function that exports a tiny method with random weights, once: config, checkpoint, folder, printed lines."""
    made = {}

    def get(name, int8=False):
        key = name, int8
        if key not in made:
            folder = tmp_path_factory.mktemp(f'{name}_{int8}')
            register_all_modules()
            path = write_experiment(name, folder, None)
            config = load_config(path, {})
            torch.manual_seed(0)
            model = MODELS.build(copy.deepcopy(config.model))
            with torch.no_grad():
                for value in model.parameters():  # norms and biases that an export could lose
                    if value.ndim < 2:
                        value.add_(0.1 * torch.randn_like(value))
            checkpoint = folder / 'weights.pth'
            torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
            lines = []
            manifest = export_model(config, checkpoint, folder / 'exported', int8, tell=lines.append)
            made[key] = SimpleNamespace(
                config=path, checkpoint=checkpoint, folder=folder / 'exported', manifest=manifest, lines=lines
            )
        return made[key]

    return get
