import logging

from vadlab.engine.hooks import FeatureRecipeHook


def test_validation_features_are_compared_with_those_of_the_training(caplog):
    class Loader:
        def __init__(self, recipe):
            self.dataset = type('Wrapper', (), {'dataset': type('Data', (), {'feature_recipe': recipe})()})()

    class Runner:
        train_dataloader, val_dataloader = Loader({'stride': 16}), Loader({'stride': 8})
        val_loop = True
        logger = logging.getLogger('recipes')

    FeatureRecipeHook().before_train(Runner())
    assert 'The validation features and those of the training were made by different recipes: stride: 16 -> 8' in (
        caplog.text
    )
