"""Warn if a model is used with features of another recipe."""

from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.config import config_differences


@HOOKS.register_module()
class FeatureRecipeHook(Hook):
    """Saves the recipe of the training features in checkpoints, and compares it with the recipe of other features.

    Two backbones may give features of the same width. A model trained with one of them accepts features of the other,
    but its scores are meaningless. A difference is a warning, not an error, since crops or library versions may differ.
    Features without a ``recipe.json`` and checkpoints without a recipe are not compared.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Save the recipe of the training features in ``meta``."""
        recipe = _recipe_of(runner.train_dataloader)
        if recipe is not None:
            checkpoint['meta']['feature_recipe'] = recipe

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Read the recipe of the features that the weights were trained on."""
        self._loaded = (checkpoint.get('meta') or {}).get('feature_recipe')

    def before_train(self, runner: Any) -> None:
        """Compare the training features with those of the loaded checkpoint and with those of the validation."""
        recipe = _recipe_of(runner.train_dataloader)
        _tell(runner, 'that the checkpoint was trained on', self._loaded, 'training', recipe)
        if runner.val_loop is not None:
            _tell(runner, 'of the training', recipe, 'validation', _recipe_of(runner.val_dataloader))

    def before_test(self, runner: Any) -> None:
        """Compare the test features with those of the checkpoint."""
        _tell(runner, 'that the checkpoint was trained on', self._loaded, 'test', _recipe_of(runner.test_dataloader))


def _recipe_of(loader: Any) -> dict[str, Any] | None:
    dataset = getattr(loader, 'dataset', None)
    while dataset is not None and not hasattr(dataset, 'feature_recipe'):  # unwrap RepeatDataset and the like
        dataset = getattr(dataset, 'dataset', None)
    return None if dataset is None else dataset.feature_recipe


def _tell(runner: Any, of: str, known: dict[str, Any] | None, where: str, found: dict[str, Any] | None) -> None:
    if known is None or found is None:
        return
    differences = config_differences(known, found)
    if differences:
        more = f'; {len(differences) - 8} more' if len(differences) > 8 else ''
        runner.logger.warning(
            f'The {where} features and those {of} were made by different recipes: {"; ".join(differences[:8])}{more}. '
            'If the backbone or its weights differ, the scores mean nothing: use features of one recipe '
            '(tools/extract_features.py), or the checkpoint that was trained on these.'
        )
