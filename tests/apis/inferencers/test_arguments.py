"""Wrong arguments in notebooks are one ConfigError each, before a model is built; those of NumPy and torch pass."""

import numpy as np
import pytest
import torch

from vadlab.apis import load_model, score_video
from vadlab.apis.inferencers.caption_inferencer import CaptionInferencer
from vadlab.apis.inferencers.caption_inputs import find_inputs, read_inputs
from vadlab.apis.inferencers.clip_inferencer import ClipInferencer
from vadlab.structures.video_result import Thresholds
from vadlab.utils.errors import ConfigError, DataError


@pytest.fixture(scope='module')
def model(tiny):
    return load_model(
        str(tiny / 'config.py'), tiny / 'weights.pth', torch.device('cpu'), batch_size=np.int64(4), fps=np.float32(25)
    )


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(fps='25'), "VADInferencer: fps must be a number > 0, not '25'"),
        (dict(fps=None), 'fps must be a number > 0, not None'),
        (dict(fps=0), 'fps must be > 0, not 0'),
        (dict(fps=1e6), 'fps must be below 1,000,000'),
        (dict(workers='2'), "workers must be a whole number >= 1, not '2'"),
        (dict(batch_size=2.5), r'batch_size must be a whole number >= 1, not 2\.5'),
        (dict(batch_size=0), 'batch_size must be >= 1, not 0'),
        (dict(device=3), 'device must be a string or None, not 3'),
        (dict(device='gpu'), "The device 'gpu' cannot be used here"),
        (dict(device='cuda:99'), "The device 'cuda:99' cannot be used here"),
        (dict(sampling=None), 'sampling must be a whole number or a string, not None'),
        (dict(thresholds=0.5), r'thresholds must be an object of Thresholds or None, not 0\.5'),
        (dict(thresholds=dict(high=0.5, low=0.5)), 'thresholds must be an object of Thresholds or None'),
        (dict(config={}), 'config must be an object of Config or a string, not {}'),
        (dict(config=None), 'config must be an object of Config or a string, not None'),
        (dict(checkpoint=3), 'checkpoint must be a string or None, not 3'),
        (dict(thresold=0.5), "VADInferencer takes no option 'thresold'.*thresholds"),
    ],
)
def test_arguments_of_a_detector(tiny, given, message):
    with pytest.raises(ConfigError, match=message):
        load_model(**{'config': tiny / 'config.py', 'checkpoint': tiny / 'weights.pth', **given})


@pytest.mark.parametrize('kind', [CaptionInferencer, ClipInferencer])
def test_arguments_of_other_inferencers(kind):
    for given, message in (('2', "batch_size must be a whole number >= 1, not '2'"), (0, 'batch_size must be >= 1')):
        with pytest.raises(ConfigError, match=f'{kind.__name__}: {message}'):
            kind('config.py', None, batch_size=given)
    with pytest.raises(ConfigError, match="ClipInferencer: clip_s must be a number > 0 or None, not '2'"):
        ClipInferencer('config.py', None, clip_s='2')


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(prompts='a fire'), 'lists of texts, not one text'),
        (dict(prompts=3), 'lists of texts, not 3'),
        (dict(prompts={'a fire': 1}), 'lists of texts, not {'),
        (dict(prompts=[3]), '3 is not a text'),
        (dict(out=3), 'out must be the path of a folder, not 3'),
        (dict(engine='ray'), "engine must be an object of Engine, not 'ray'"),
        (dict(boxes=True, captioner='x'), "captioner must be an object of BoxCaptioner, not 'x'"),
    ],
)
def test_arguments_of_a_call(model, videos, given, message):
    with pytest.raises(ConfigError, match=message):
        list(model(str(videos[0]), **given))


def test_arguments_of_other_calls(model, videos):
    with pytest.raises(ConfigError, match="takes the model that load_model returns, not 'config.py'"):
        score_video('config.py', videos[0])
    with pytest.raises(ConfigError, match=r"one prompt, a text, not \['a'\]"):
        model.heat_maps(videos[0], [0], ['a'])
    for inds in ('0', 0, [0.5]):
        with pytest.raises(ConfigError, match='frame_inds are the numbers of frames'):
            model.heat_maps(videos[0], inds, 'a')
    with pytest.raises(ConfigError, match="every_s must be a number, not '2'"):
        list(read_inputs([videos[0]], every_s='2'))
    with pytest.raises(ConfigError, match=r'num_frames must be a whole number, not 2\.5'):
        list(read_inputs([videos[0]], num_frames=2.5))
    for sources in (3, [3], None):
        with pytest.raises(DataError, match='are a list of paths, not'):
            find_inputs(sources)
    assert find_inputs(str(videos[0])) == find_inputs([videos[0]])


def test_thresholds_are_numbers(model):
    for given in (dict(high='0.5', low=0.4), dict(high=0.5, low=None), dict(high=0.5, low=0.4, gap_s=True)):
        with pytest.raises(ConfigError, match='Thresholds: .* must be a number, not'):
            Thresholds(**given)
    with pytest.raises(ConfigError, match="there is no 'hgh'. Known: high, low, min_s, gap_s"):
        model.use_thresholds({'hgh': 0.5})
