from mmengine.hooks import Hook
from mmengine.runner import Runner

from vadlab.registry import HOOKS


@HOOKS.register_module()
class FitDensitiesHook(Hook):
    """Calls the model's ``fit`` after the pass over the training clips, before the checkpoint is saved."""

    priority = 'ABOVE_NORMAL'

    def after_train_epoch(self, runner: Runner) -> None:
        """Fit."""
        model = getattr(runner, 'bare_model', runner.model)
        model.fit(seed=runner.seed or 0)
