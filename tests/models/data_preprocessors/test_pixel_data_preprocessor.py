import pytest
from mmengine.registry import init_default_scope

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


@pytest.mark.parametrize(
    'kind',
    ['VADDataPreprocessor', 'CaptionDataPreprocessor', 'SnippetDataPreprocessor', 'AudioVisualDataPreprocessor'],
)
def test_a_pipeline_that_does_not_pack_is_one_message(kind):
    init_default_scope('vadlab')
    preprocessor = MODELS.build(dict(type=kind))
    with pytest.raises(ConfigError, match='A batch has no inputs, only label, video_id: the pipeline .* must end with'):
        preprocessor({'video_id': ['a'], 'label': [0]})
