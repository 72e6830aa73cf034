from mmengine.hooks import Hook
from mmengine.runner import Runner

from vadlab.registry import HOOKS
from vadlab.utils.errors import ConfigError


@HOOKS.register_module()
class FitDensitiesHook(Hook):
    """Calls the model's ``fit`` after the pass over the training clips, before the checkpoint is saved."""

    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Refuse several processes: each would fit to its share of the clips, and the first one's would be saved.

        Raises:
            ConfigError: There are several.
        """
        if runner.world_size > 1:
            name = type(getattr(runner, 'bare_model', runner.model)).__name__
            raise ConfigError(f'{name} is fitted in one process. Start it without torchrun and --launcher.')

    def after_train_epoch(self, runner: Runner) -> None:
        """Fit."""
        model = getattr(runner, 'bare_model', runner.model)
        model.fit(seed=runner.seed or 0)
