"""Whole models through export and onnxruntime, compared with the same models in torch."""

import json
import subprocess
import sys

import av
import numpy as np
import pytest
import torch

from tests.tools.tiny_methods import ENTRIES
from tools import export, infer, watch
from tools import test as test_tool
from vadlab.apis.deployment.exported_detector import ExportedDetector
from vadlab.apis.deployment.exported_folder import ExportedFolder
from vadlab.apis.deployment.onnx_backend import build_exported
from vadlab.apis.inferencers.caption_inferencer import CaptionInferencer
from vadlab.apis.inferencers.caption_inputs import read_inputs
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.apis.live.camera_reader import LiveFrame
from vadlab.apis.live.stream_scorer import FrameStream
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.structures.camera_state import load_events
from vadlab.structures.video_result import Thresholds, VideoResult
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, MissingFileError

SNIPPETS = sorted(
    name for name, entry in ENTRIES.items()
    if entry['task'].startswith('weakly') and entry['class'] != 'MULDE'
)  # fmt: skip
SAME = 1e-5  # of probabilities


def videos_of(made):
    return sorted(map(str, (made.config.parent / 'data' / 'Videos').rglob('*.mp4')))[:3]


@pytest.fixture(scope='module')
def fgclip(exported_method):
    """The exported model, its videos, and their scores by torch."""
    made = exported_method('fgclip')
    inferencer = VADInferencer(made.config, made.checkpoint)
    made.videos = videos_of(made)
    scores = np.concatenate([result.scores for result in inferencer(made.videos)])
    middle = float(scores.min() + scores.max()) / 2  # so that there are events
    made.thresholds = inferencer.thresholds = Thresholds(middle, middle)
    made.torch = {result.name: result for result in inferencer(made.videos, boxes=True)}
    return made


def assert_same(results, references):
    assert [r.name for r in sorted(results, key=lambda r: r.name)] == sorted(references)
    for result in results:
        reference = references[result.name]
        np.testing.assert_allclose(result.scores, reference.scores, atol=SAME)
        np.testing.assert_allclose(result.class_scores, reference.class_scores, atol=SAME)
        np.testing.assert_array_equal(result.times, reference.times)
        np.testing.assert_array_equal(result.frame_inds, reference.frame_inds)
        assert result.classes == reference.classes
        assert [(e.start, e.end, e.label) for e in result.events] == [
            (e.start, e.end, e.label) for e in reference.events
        ]


@pytest.mark.slow
def test_detector_without_torch_equals_torch(fgclip):
    detector = ExportedDetector(fgclip.folder, thresholds=fgclip.thresholds)
    assert_same(list(detector(fgclip.videos)), fgclip.torch)
    assert any(result.events for result in fgclip.torch.values())


@pytest.mark.slow
def test_script_of_the_folder_equals_torch_where_torch_cannot_be_imported(fgclip, tmp_path):
    high = repr(fgclip.thresholds.high)
    code = (
        'import runpy, sys\n'
        'class Refuse:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        '        if name.partition(".")[0] in ("torch", "mmengine", "mmcv", "scipy", "PIL"): raise ImportError(name)\n'
        'sys.meta_path.insert(0, Refuse())\n'
        f'sys.argv = ["run.py", *{fgclip.videos!r}, "--out", {str(tmp_path / "out")!r}, "--threshold", {high!r}]\n'
        f'runpy.run_path({str(fgclip.folder / "run.py")!r}, run_name="__main__")\n'
    )
    done = subprocess.run([sys.executable, '-I', '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = [VideoResult.load(tmp_path / 'out' / f'{name}.json') for name in fgclip.torch]
    assert_same(results, fgclip.torch)
    assert json.loads((tmp_path / 'out' / 'run.json').read_text())['weights'] == fgclip.manifest.weights


@pytest.mark.slow
def test_inferencer_with_onnxruntime_equals_torch(fgclip):
    inferencer = VADInferencer(fgclip.config, fgclip.folder, thresholds=fgclip.thresholds, backend='onnxruntime')
    results = list(inferencer(fgclip.videos, boxes=True))
    assert_same(results, fgclip.torch)
    for result in results:
        np.testing.assert_allclose(result.boxes.boxes_xyxy, fgclip.torch[result.name].boxes.boxes_xyxy, atol=1e-3)
    asked = list(inferencer(fgclip.videos[:1], prompts=['a person lying on the floor']))
    reference = VADInferencer(fgclip.config, fgclip.checkpoint)
    (wanted,) = reference(fgclip.videos[:1], prompts=['a person lying on the floor'])
    np.testing.assert_allclose(asked[0].scores, wanted.scores, atol=SAME)


@pytest.mark.slow
def test_live_scores_of_the_folder_equal_those_of_torch(fgclip, tmp_path, capsys):
    """Frame by frame, with different pasts; then through the command."""
    streams = [
        FrameStream(VADInferencer(fgclip.config, fgclip.checkpoint)),
        FrameStream(VADInferencer(fgclip.config, fgclip.folder, backend='onnxruntime')),
    ]
    with av.open(fgclip.videos[0]) as container:
        decoded = [frame for frame, _ in zip(container.decode(video=0), range(12), strict=False)]
    live = [LiveFrame((one,), i, i / 2, i / 2, 0.0, (one.height, one.width)) for i, one in enumerate(decoded)]
    found = []
    for stream in streams:
        with torch.inference_mode(), steady_weights():
            found.append([score for one in live for _, score in stream([('door', one)], lambda: 0.0)])
    by_torch, by_onnx = found
    assert len(by_torch) == len(by_onnx) > 5
    np.testing.assert_allclose([one.score for one in by_onnx], [one.score for one in by_torch], atol=SAME)
    assert [one.label for one in by_onnx] == [one.label for one in by_torch]
    assert len({one.score for one in by_torch}) > 1

    command = [str(fgclip.config), str(fgclip.folder), '--source', f'door={fgclip.videos[0]}', '--out', str(tmp_path)]
    assert watch.main([*command, '--backend', 'onnxruntime', '--threshold', '0', '0']) == 0
    assert 'door: ended (the file is over)' in capsys.readouterr().out
    assert load_events(tmp_path / 'door')[0][0].note == 'cut: the source ended'
    with pytest.raises(MissingFileError, match='is an exported model, not a checkpoint. Add --backend onnxruntime'):
        watch.main(command)
    with pytest.raises(ConfigError, match="onnxruntime runs on the CPU here, not on 'cuda'"):
        watch.main([*command, '--backend', 'onnxruntime', '--device', 'cuda'])


@pytest.mark.slow
def test_metrics_of_test_py_equal_those_of_torch(fgclip, tmp_path):
    for name, weights, more in (
        ('torch', fgclip.checkpoint, []), ('onnx', fgclip.folder, ['--backend', 'onnxruntime']),
    ):  # fmt: skip
        out = ['--out', str(tmp_path / f'{name}.json'), '--work-dir', str(tmp_path / name)]
        assert test_tool.main([str(fgclip.config), str(weights), *out, *more]) == 0
    one, other = (json.loads((tmp_path / f'{name}.json').read_text())['metrics'] for name in ('torch', 'onnx'))
    assert one.keys() == other.keys()
    assert 'frame/auc' in one
    for name, value in one.items():
        assert other[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
def test_int8_folder_is_tested_and_its_change_is_printed(fgclip, tmp_path, capsys):
    out = tmp_path / 'int8'
    args = [str(fgclip.config), str(fgclip.checkpoint), '--out', str(out), '--int8', '--work-dir', str(tmp_path / 'w')]
    assert export.main(args) == 0
    printed = capsys.readouterr().out
    assert 'onnxruntime int8' in printed
    assert 'frame/auc' in printed
    manifest = ExportedFolder(out).manifest
    assert manifest.metrics['torch'].keys() == manifest.metrics['int8'].keys()
    assert 1e-5 < manifest.differences['vision.embeds'] < 0.2
    assert manifest.weights.startswith('int8 of ')


@pytest.mark.slow
def test_difference_above_the_tolerance_writes_nothing(fgclip, tmp_path, monkeypatch):
    monkeypatch.setattr('vadlab.apis.deployment.export_graph.TOLERANCE', 1e-12)
    with pytest.raises(ConfigError, match=r'differ by .* Nothing was written'):
        export.main([str(fgclip.config), str(fgclip.checkpoint), '--out', str(tmp_path / 'new')])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_folder_in_place_of_a_checkpoint_needs_the_backend_and_its_own_config(fgclip, exported_method):
    with pytest.raises(MissingFileError, match='is an exported model, not a checkpoint. Add --backend onnxruntime'):
        infer.main([str(fgclip.config), str(fgclip.folder), fgclip.videos[0]])
    with pytest.raises(MissingFileError, match='--backend onnxruntime takes a folder that tools/export.py wrote'):
        infer.main([str(fgclip.config), str(fgclip.checkpoint), fgclip.videos[0], '--backend', 'onnxruntime'])
    with pytest.raises(ConfigError, match='is an exported FGCLIP, and the config describes a MILRanking'):
        VADInferencer(exported_method('mil').config, fgclip.folder, backend='onnxruntime')


@pytest.mark.slow
@pytest.mark.parametrize('name', SNIPPETS)
def test_snippet_method_equals_torch_for_any_length_and_crops(exported_method, name):
    made = exported_method(name)
    config = load_config(made.config, {})
    reference = VADInferencer(made.config, made.checkpoint).model
    exported = build_exported(config, ExportedFolder(made.folder))
    torch.manual_seed(1)
    dim = made.manifest.recipe['feature_dim']
    lengths = [1, 5, 300]
    feats = torch.zeros(3, 2, 300, dim)
    mask = torch.zeros(3, 300, dtype=torch.bool)
    for row, length in enumerate(lengths):
        feats[row, :, :length] = torch.randn(2, length, dim)
        mask[row, :length] = True
    with torch.no_grad(), steady_weights():
        wanted = reference.predict_snippets(feats, mask)
    found = exported.predict_snippets(feats, mask)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        scale = max(float(value[mask].abs().max()), 1.0)
        np.testing.assert_allclose(found[key][mask].numpy(), value[mask].numpy(), atol=SAME * scale)


@pytest.mark.slow
def test_captions_equal_those_of_torch(exported_method):
    made = exported_method('fsgr')
    images = [one for one in read_inputs([made.config.parent / 'data']) if one.error is None][:6]
    wanted = list(CaptionInferencer(made.config, made.checkpoint)(images))
    found = list(CaptionInferencer(made.config, made.folder, backend='onnxruntime')(images))
    assert [one.caption for one in found] == [one.caption for one in wanted]
    assert any(one.caption for one in wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        np.testing.assert_array_equal(one.concepts, other.concepts)


@pytest.mark.parametrize(('name', 'why'), [('fgclip2', 'FGCLIP2 cannot be exported yet'), ('mnad', 'MNAD cannot be')])
def test_models_that_cannot_be_exported_are_refused_with_the_reason(name, why):
    from vadlab.apis.deployment.model_parts import kind_of
    from vadlab.registry import MODELS
    from vadlab.utils.setup_env import register_all_modules

    register_all_modules()
    kind = MODELS.get({'fgclip2': 'FGCLIP2', 'mnad': 'MNAD'}[name])
    with pytest.raises(ConfigError, match=why):
        kind_of(kind.__new__(kind))
