import pytest

from vadlab.utils import errors


@pytest.mark.parametrize(
    ('name', 'builtin'),
    [
        ('ConfigError', ValueError),
        ('DataError', ValueError),
        ('MissingFileError', FileNotFoundError),
        ('CheckpointError', ValueError),
        ('MissingDependencyError', ImportError),
        ('TrainingError', RuntimeError),
    ],
)
def test_each_error_is_ours_and_a_built_in_one(name, builtin):
    error = getattr(errors, name)('what, where, how to mend it')
    assert isinstance(error, errors.VADLabError)
    assert isinstance(error, builtin)
    assert str(error) == 'what, where, how to mend it'
