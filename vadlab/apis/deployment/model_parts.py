"""Which parts of a model are exported, with which inputs, and what its folder contains besides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from vadlab.apis.features.extraction import FeatureExtraction
from vadlab.apis.features.snippet_source import Snippet
from vadlab.apis.features.video_list import VideoItem
from vadlab.apis.inferencers.base_inferencer import only_warnings
from vadlab.apis.inferencers.caption_inferencer import image_pipeline, prepared
from vadlab.apis.inferencers.frame_sampling import is_random, steps_of_test
from vadlab.models.captioners.fsgr import FSGR
from vadlab.models.detectors.fgclip import FGCLIP
from vadlab.models.detectors.fgclip2 import FGCLIP2
from vadlab.models.detectors.snippet_detector import MOST_EXPORTED, SnippetDetector
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.registry import TOKENIZERS
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, VADLabError

from .export_graph import to_numpy
from .graphs import (
    CaptionEncoderGraph,
    CaptionStepGraph,
    ExtractorGraph,
    FrameGraph,
    Graph,
    SnippetGraph,
    TextGraph,
    VideoGraph,
    VisionGraph,
)
from .real_inputs import as_pixels, check_features, check_frames, check_images

#: Parts of each kind of model that onnxruntime runs; the folder keeps the other weights for use with torch.
REPLACED = {
    'frames': (
        'vision.', 'text.', 'visual_projection.', 'roi_projection.', 'text_projection.', 'text_filip_projection.',
    ),
    'snippets': ('',),
    'captions': ('vision.', 'visual_projection.', 'encoder.', 'decoder.'),
}  # fmt: skip
_QUEUES = ('queue_region.', 'queue_global.')


@dataclass
class Parts:
    """What an export writes.

    Attributes:
        kind (str): A kind of :data:`~vadlab.apis.deployment.exported_folder.KINDS`.
        graphs (list[Graph]): The parts.
        recipe (dict): See :class:`~vadlab.apis.deployment.exported_folder.Manifest`.
        arrays (dict[str, dict[str, np.ndarray]]): Contents of ``NAME.npz``, by name.
        classes (tuple[str, ...]): Class names.
        normal_class (str | None): The class that is not anomalous.
        phrases (tuple[str, ...]): Phrases of the prompts.
        templates (tuple[str, ...]): Their templates.
    """

    kind: str
    graphs: list[Graph]
    recipe: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    normal_class: str | None = None
    phrases: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()


def kind_of(model: nn.Module) -> str:
    """Kind of the export of a model.

    Raises:
        ConfigError: The model cannot be exported; the message says why.
    """
    name = type(model).__name__
    if isinstance(model, FGCLIP2):
        raise ConfigError(
            'FGCLIP2 cannot be exported yet: its frames keep their aspect ratio, so its position table is interpolated '
            'for each video. FGCLIP can be exported.'
        )
    if isinstance(model, FGCLIP):
        return 'frames'
    if isinstance(model, SnippetDetector):
        return 'snippets'
    if isinstance(model, FSGR):
        return 'captions'
    raise ConfigError(
        f'{name} cannot be exported. These can: FGCLIP, FSGR, and the methods on snippet features '
        '(docs/weakly_supervised.md).'
    )


def parts_of(
    model: Any, config: Config, files: Sequence[str | Path], meta: dict[str, Any], feature_config: str | None
) -> Parts:
    """The parts of a trained model, with real inputs.

    Args:
        model (nn.Module): The model, in evaluation mode, on the CPU.
        config (Config): Its experiment.
        files (Sequence): Videos or images for the check; without any, the test data of the config are used.
        meta (dict): ``meta`` of the checkpoint.
        feature_config (str | None): Config of the features instead of the one that the config names.

    Raises:
        ConfigError: The model cannot be exported, or there are no real inputs.
    """
    kind = kind_of(model)
    if kind == 'frames':
        parts = _frame_parts(model, config, files)
    elif kind == 'snippets':
        parts = _snippet_parts(model, config, files, feature_config)
    else:
        parts = _caption_parts(model, config, files)
    rest = {
        name: value for name, value in model.state_dict().items() if not name.startswith((*REPLACED[kind], *_QUEUES))
    }
    parts.arrays['state'] = to_numpy(rest)
    return parts


# ----------------------------------------------------------------------------------------------------------- frames


def _frame_parts(model: Any, config: Config, files: Sequence[str | Path]) -> Parts:
    head = model.score_head
    if head is None:
        raise ConfigError('FGCLIP: this config has no score_head, so it has no frame scores to export.')
    sample = next((step for step in steps_of_test(config) if step['type'] == 'SampleFrames'), None)
    if sample is not None and is_random(sample):
        raise ConfigError('The test pipeline samples frames at random (SampleFrames). Set mode=uniform for an export.')
    model.vision.chunk_size = None
    pixels = as_pixels(check_frames(config, files))
    frames = model.data_preprocessor({'inputs': [pixels], 'data_samples': None})['inputs'][0]
    encode = TOKENIZERS.build(model.tokenizer_cfg).encode
    tokens = [torch.tensor(encode(text, model.text.context_length)) for text in head.texts]
    has_long = model.text.long_context_length is not None
    text_inputs = padded_texts(tokens, False if has_long else None)
    few = padded_texts(sorted(tokens, key=len)[:1], True if has_long else None)
    with torch.no_grad(), steady_weights():
        prompts = model._encode_prompts()
        vision, frame = VisionGraph(model), FrameGraph(model)
        embeds, grid = vision(frames)
        summary = frame(embeds, grid, prompts)
    phrases = {'is_normal': head.is_normal, 'is_of_class': head.is_of_class}
    per_frame = {'embeds': embeds, 'grid': grid, 'prompts': prompts}
    per_video = {'summary': summary, 'prompts': prompts, **phrases}
    open_summary = {0: 't', 1: 'k'} if head.cells else {0: 't'}
    one_frame = {**per_frame, 'embeds': embeds[:1], 'grid': grid[:1]}
    one_row = {**per_video, 'summary': summary[:1]}
    graphs = [
        Graph('vision', vision, {'frames': frames}, ('embeds', 'grid'), {'frames': {0: 'n'}}, {'frames': frames[:1]}),
        Graph('text', TextGraph(model), text_inputs, ('embeds',), {'tokens': {0: 'k', 1: 'l'}, 'ends': {0: 'k'}}, few),
        Graph(
            'frame', frame, per_frame, ('summary',),
            {'embeds': {0: 'n'}, 'grid': {0: 'n'}, 'prompts': {0: 'k'}}, one_frame, False,
        ),
        Graph(
            'video', VideoGraph(model), per_video, ('logits', 'class_scores'),
            {'summary': open_summary, 'prompts': {0: 'k'}, 'is_normal': {0: 'k'}, 'is_of_class': {1: 'k'}},
            one_row, False,
        ),
    ]  # fmt: skip
    recipe = {
        'pipeline': _plain(steps_of_test(config)),
        'mean': model.data_preprocessor.mean.flatten().tolist(),
        'std': model.data_preprocessor.std.flatten().tolist(),
        'interpolation_between_frames': 'linear, of logits; constant before the first and after the last sampled frame',
        'score': 'sigmoid of the logit',
        'score_window': head.score_window,
        'cells': head.cells,
        'cell_level': head.cell_level,
        'video_reference': head.video_reference,
    }
    longest = max(map(len, tokens))
    ids = np.full((len(tokens), longest), -1, np.int64)
    for row, text in zip(ids, tokens, strict=True):
        row[: len(text)] = text.numpy()
    arrays = {'prompts': to_numpy({'prompts': prompts, **phrases}) | {'tokens': ids}}
    return Parts('frames', graphs, recipe, arrays, head.classes, head.normal_class, tuple(head.phrases), head.templates)


def padded_texts(tokens: Sequence[Tensor], is_long: bool | None = None) -> dict[str, Tensor]:
    """Inputs of the text graph.

    Args:
        tokens (Sequence[Tensor]): Token ids of k texts, int64, shape (l_k,) each.
        is_long (bool | None): Whether to use the long position table; None without one.
    """
    given = {
        'tokens': nn.utils.rnn.pad_sequence(list(tokens), batch_first=True),
        'ends': torch.tensor([len(text) - 1 for text in tokens]),
    }
    return given if is_long is None else {**given, 'is_long': torch.tensor(is_long)}


# --------------------------------------------------------------------------------------------------------- snippets


def _snippet_parts(model: Any, config: Config, files: Sequence[str | Path], feature_config: str | None) -> Parts:
    chunk = getattr(model, 'max_snippets', None)
    extraction, why = _extraction(config, feature_config)
    graphs = []
    if extraction is not None and files:
        videos = [extraction_features(extraction, str(path)) for path in files]
    else:
        videos = check_features(config)
    dim = videos[0].shape[2]
    inputs, smaller = _batches(videos, chunk)
    model.eval()
    with torch.no_grad():
        mask = torch.arange(inputs['features'].shape[2]) < inputs['lengths'][:, None]
        outputs = tuple(model.predict_snippets(inputs['features'], mask))
    dims = {0: 'b', 1: 'c'} if chunk else {0: 'b', 1: 'c', 2: 't'}
    open_dims = {'features': dims, 'lengths': {0: 'b'}}
    graphs.append(Graph('scores', SnippetGraph(model, outputs), inputs, outputs, open_dims, smaller))
    features: dict[str, Any] | None = None
    if extraction is not None:
        frames = _extractor_inputs(extraction, config, files)
        graphs.append(
            Graph('extractor', ExtractorGraph(extraction.model), {'frames': frames}, ('features',),
                  {'frames': {0: 'n'}}, {'frames': frames[:1]})
        )  # fmt: skip
        features = {
            **_plain(extraction.settings),
            'stride': extraction.plan.stride,
            'mean': extraction.model.mean.flatten().tolist(),
            'std': extraction.model.std.flatten().tolist(),
        }
    head = getattr(model, 'score_head', model)
    classes = tuple(getattr(head, 'classes', None) or config.get('classes') or ())
    path = feature_config or config.get('feature_config')
    recipe = {
        'feature_dim': dim,
        'snippet_len': model.snippet_len,
        'chunk': chunk,
        'most_snippets': MOST_EXPORTED,
        'features': features,
        'no_features': why,
        'sampled': f'snippet features of {path}',
        'score': 'probability, mean over crops; a snippet counts for its frames',
    }
    normal = getattr(head, 'normal_class', 'Normal')
    return Parts('snippets', graphs, recipe, {}, classes, normal)


def _batches(videos: Sequence[Tensor], chunk: int | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A padded batch of at least two videos and two crops, and a smaller one."""
    videos = list(videos)
    if len(videos) < 2:  # the batch is open, so that the check needs two rows
        videos.append(videos[0][:, : max(videos[0].shape[1] // 2, 1)])
    size = chunk or min(max(video.shape[1] for video in videos), MOST_EXPORTED)
    crops = max(videos[0].shape[0], 2)
    feats = torch.zeros(len(videos), crops, max(size, 2), videos[0].shape[2])
    lengths = torch.tensor([min(video.shape[1], size) for video in videos])
    for place, video, length in zip(feats, videos, lengths.tolist(), strict=True):
        repeated = video.repeat(-(-crops // video.shape[0]), 1, 1)[:crops]
        place[:, :length] = repeated[:, :length]
    # Of another length, so that a graph in which the length became a constant is found.
    longest = feats.shape[2]
    end = longest if chunk else min(int(lengths.min()), longest - 1)
    row = int(lengths.argmin())
    smaller = {
        'features': feats[row : row + 1, :1, :end].contiguous(),
        'lengths': lengths[row : row + 1].clamp_max(end),
    }
    return {'features': feats, 'lengths': lengths}, smaller


def _extraction(config: Config, feature_config: str | None) -> tuple[FeatureExtraction | None, str]:
    """The extractor of a method's features, or the reason why it is not in the folder."""
    if config.get('audio_dir'):
        return None, 'the method takes features of sound, which VADLab does not extract.'
    path = feature_config or config.get('feature_config')
    if not path:
        return None, 'the config does not say how its features are made (feature_config).'
    try:
        recipe = load_config(path, {})
        with only_warnings():
            extraction = FeatureExtraction(recipe, Path('.'), 'cpu', 32, 1)
    except (VADLabError, OSError) as error:
        return None, f'the extractor of {path} cannot be built: {error}'
    wanted = config.get('feature_dim')
    if wanted is not None and wanted != extraction.model.feature_dim:
        return None, f'{path} makes features of {extraction.model.feature_dim} channels, and the method takes {wanted}.'
    if extraction.model.takes_clips:
        return None, f'the extractor of {path} takes clips; only extractors of frames are exported.'
    if extraction.settings['precision'] != 'float32':
        return None, f'the features of {path} are computed in {extraction.settings["precision"]}.'
    if hasattr(extraction.model.vision, 'chunk_size'):
        extraction.model.vision.chunk_size = None
    return extraction, ''


def extraction_features(extraction: FeatureExtraction, path: str) -> Tensor:
    """Features of a video by torch, rounded as in files of features, float32, shape (c, t, d)."""
    items = extraction.source.snippets_of(VideoItem(path, path, 0))
    frames = [item.frames for item in items if isinstance(item, Snippet)]
    feats_scd = np.concatenate([extraction.encode(one[None]) for one in frames])
    return torch.from_numpy(feats_scd.astype(extraction.settings['dtype']).astype(np.float32).swapaxes(0, 1).copy())


def _extractor_inputs(extraction: FeatureExtraction, config: Config, files: Sequence[str | Path]) -> Tensor:
    """Normalised frames for the extractor: of a given video, or of a picture that a generator draws."""
    if files:
        item = VideoItem(str(files[0]), str(files[0]), 0)
        snippets = [one.frames for one in extraction.source.snippets_of(item) if isinstance(one, Snippet)][:4]
        views = extraction.crops(torch.from_numpy(np.stack(snippets))).flatten(0, 2)
    else:
        size = extraction.crops.size
        views = torch.randint(0, 256, (3, 3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    views = views if len(views) > 1 else views.repeat(2, 1, 1, 1)
    return extraction.model._pixels(views)


# --------------------------------------------------------------------------------------------------------- captions


def _caption_parts(model: Any, config: Config, files: Sequence[str | Path]) -> Parts:
    model.vision.chunk_size = None
    pipeline = image_pipeline(config)
    packed = [prepared(pipeline, source)['inputs'] for source in check_images(config, files)]
    images = model.data_preprocessor({'inputs': packed, 'data_samples': None})['inputs']
    encoder, step = CaptionEncoderGraph(model), CaptionStepGraph(model)
    with torch.no_grad():
        _, _, _, keys, values = encoder(images)
        words = torch.full((2 * len(images),), model.tokenizer.bos_id)
        layers, _, heads, _, channels = keys.shape
        past = torch.zeros(0, len(words), layers, 2, heads, channels)
        for _ in range(2):
            log_probs, past = step(words, past, keys, values)
            words = log_probs.argmax(1)
    inputs = {'words': words, 'past': past, 'keys': keys, 'values': values}
    smaller = {
        'words': torch.full((1,), model.tokenizer.bos_id),
        'past': past[:0, :1],
        'keys': keys[:, :1].contiguous(),
        'values': values[:, :1].contiguous(),
    }
    graphs = [
        Graph('encoder', encoder, {'images': images}, ('grid', 'concepts', 'visual', 'keys', 'values'),
              {'images': {0: 'b'}}, {'images': images[:1]}),
        Graph('step', step, inputs, ('log_probs', 'words_so_far'),
              {'words': {0: 'n'}, 'past': {0: 'l', 1: 'n'}, 'keys': {1: 'b'}, 'values': {1: 'b'}}, smaller),
    ]  # fmt: skip
    recipe = {
        'pipeline': _plain(steps_of_test(config)),
        'mean': model.data_preprocessor.mean.flatten().tolist(),
        'std': model.data_preprocessor.std.flatten().tolist(),
        'decoding': dict(model.decoding),
        'remove_repeats': model.remove_repeats,
        'words': list(model.tokenizer.words),
        'concepts': list(model.concepts),
    }
    return Parts('captions', graphs, recipe)


def _plain(value: Any) -> Any:
    """Config values as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
