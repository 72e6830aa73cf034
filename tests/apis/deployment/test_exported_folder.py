import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from vadlab.apis.deployment import run_exported
from vadlab.apis.deployment.export_model import copy_runtime
from vadlab.apis.deployment.exported_detector import ExportedDetector
from vadlab.apis.deployment.exported_folder import ExportedFolder, Manifest, is_exported, read_manifest, sha256_of
from vadlab.apis.deployment.exported_scorers import SnippetScores
from vadlab.apis.deployment.run_exported import SCRIPT
from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError, MissingFileError


def write_scores(path, size):
    """A network whose scores are the mean over crops of the first channel, plus the length of the video."""
    dims = ['b', 'c', size or 't', 'd']
    node = [
        helper.make_node('ReduceMean', ['features', 'one'], ['mean'], keepdims=0),
        helper.make_node('Gather', ['mean', 'zero'], ['first'], axis=2),
        helper.make_node('Cast', ['lengths'], ['number'], to=TensorProto.FLOAT),
        helper.make_node('Unsqueeze', ['number', 'one'], ['column']),
        helper.make_node('Add', ['first', 'column'], ['scores']),
    ]
    graph = helper.make_graph(
        node,
        'scores',
        [
            helper.make_tensor_value_info('features', TensorProto.FLOAT, dims),
            helper.make_tensor_value_info('lengths', TensorProto.INT64, ['b']),
        ],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['b', size or 't'])],
        [
            helper.make_tensor('one', TensorProto.INT64, [1], [1]),
            helper.make_tensor('zero', TensorProto.INT64, [], [0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=10)
    onnx.save(model, path)


RECIPE = dict(feature_dim=2, chunk=None, most_snippets=6, features=None, no_features='it has none.', sampled='s')


def write_folder(folder, size=None, **changes):
    """A folder of a method on snippet features, with a network made by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(folder / 'scores.onnx', size)
    settings = dict(
        kind='snippets', model='MILRanking', config='c.py', checkpoint='w.pth', weights='abc', precision='float32',
        opset=20, graphs={'scores': 'scores.onnx'}, files={'scores.onnx': sha256_of(folder / 'scores.onnx')},
        classes=('Normal', 'Fighting'), normal_class='Normal', prompts=None, negatives=None, phrases=(), templates=(),
        recipe={**RECIPE, 'chunk': size}, differences={}, tolerance=1e-4,
    )  # fmt: skip
    Manifest(**{**settings, **changes}).save(folder)
    return folder


def change_manifest(folder, **changes):
    path = folder / 'manifest.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_manifest_comes_back_as_it_was_written(tmp_path):
    folder = write_folder(tmp_path / 'a', metrics={'int8': {'frame/auc': 0.5}})
    found = ExportedFolder(folder).manifest
    assert (found.classes, found.normal_class, found.metrics) == (
        ('Normal', 'Fighting'), 'Normal', {'int8': {'frame/auc': 0.5}},
    )  # fmt: skip
    assert is_exported(folder)
    assert not is_exported(tmp_path)


def test_scores_of_whole_videos_by_hand(tmp_path):
    scores = SnippetScores(ExportedFolder(write_folder(tmp_path / 'a')))
    feats = np.zeros((2, 3, 2), np.float32)
    feats[:, :, 0] = [[1, 2, 3], [3, 4, 5]]
    assert scores(feats)['scores'].tolist() == [2 + 3, 3 + 3, 4 + 3]  # mean over crops, plus the length 3


@pytest.mark.parametrize('length', [1, 4, 5, 11])
def test_scores_in_chunks_by_hand(tmp_path, length):
    scores = SnippetScores(ExportedFolder(write_folder(tmp_path / 'a', 4)))
    feats = np.arange(length, dtype=np.float32)[None, :, None].repeat(2, 2)
    lengths = [min(length - 4 * (i // 4), 4) for i in range(length)]  # of the chunk of each snippet
    assert scores(feats)['scores'].tolist() == [i + n for i, n in enumerate(lengths)]


def test_videos_and_features_of_other_sizes_are_refused(tmp_path):
    scores = SnippetScores(ExportedFolder(write_folder(tmp_path / 'a')))
    with pytest.raises(DataError, match='7 snippets: an exported MILRanking scores at most 6 at once'):
        scores(np.zeros((1, 7, 2), np.float32))
    with pytest.raises(DataError, match='features of 3 channels; it takes 2'):
        scores(np.zeros((1, 2, 3), np.float32))


def test_folder_of_another_version_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'a')
    change_manifest(folder, version=3, vadlab='9.0')
    with pytest.raises(DataError, match=r'exported by VADLab 9.0 in format 3; this VADLab .* reads format 2. Export'):
        ExportedFolder(folder)


def test_damaged_network_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'a')
    content = bytearray((folder / 'scores.onnx').read_bytes())
    content[len(content) // 2] ^= 1
    (folder / 'scores.onnx').write_bytes(content)
    with pytest.raises(DataError, match='scores.onnx is damaged: it is not the file that was exported'):
        ExportedFolder(folder)


def test_missing_network_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'a')
    (folder / 'scores.onnx').unlink()
    with pytest.raises(MissingFileError, match='a is incomplete: there is no scores.onnx'):
        ExportedFolder(folder)


def test_network_that_onnxruntime_cannot_load_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'a')
    (folder / 'scores.onnx').write_bytes(b'no network')
    replace(read_manifest(folder), files={'scores.onnx': sha256_of(folder / 'scores.onnx')}).save(folder)
    with pytest.raises(DataError, match='scores.onnx is not an ONNX model that onnxruntime can load'):
        ExportedFolder(folder).graph('scores').session  # noqa: B018 - a property


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'format': 'x'}, 'is not the manifest of an exported model'),
        ({'kind': 'x'}, "kind is 'x', not one of frames, snippets, captions"),
        ({'classes': 3}, 'classes is 3, not a list'),
        ({'files': {'../a.onnx': ''}}, "'../a.onnx' is not a file of the folder"),
        ({'graphs': {'scores': 'other.onnx'}}, "the file 'other.onnx' of the graph 'scores' has no checksum"),
        ({'graphs': {}}, "there is no graph 'scores'"),
        ({'precision': 'float16'}, "precision is 'float16', not one of float32, int8"),
        ({'checksum': None}, 'checksum is null, not a text'),
        ({'recipe': None}, 'manifest.json is damaged: recipe'),
        ({'recipe': {**RECIPE, 'feature_dim': '2'}}, "recipe.feature_dim is '2', not a whole number"),
        ({'recipe': {**RECIPE, 'feature_dim': 0}}, 'feature_dim of the recipe is 0'),
        ({'recipe': {**RECIPE, 'chunk': -1}}, 'chunk of the recipe is -1'),
        ({'kind': 'frames', 'recipe': {}}, "manifest.json is damaged: recipe has no 'pipeline'"),
        ({'kind': 'frames', 'recipe': {'pipeline': [], 'mean': [1], 'std': [1, 1, 1]}}, 'mean of the recipe has 1'),
    ],
)
def test_damaged_manifest_is_refused(tmp_path, changes, message):
    folder = write_folder(tmp_path / 'a')
    change_manifest(folder, **changes)
    with pytest.raises(DataError, match=message):
        ExportedFolder(folder)


@pytest.mark.parametrize(
    'changes',
    [
        {'classes': ['Normal', 'Fire']},
        {'classes': ['Normal']},
        {'normal_class': None},
        {'recipe': {**RECIPE, 'feature_dim': 3}},
        {'recipe': {**RECIPE, 'chunk': 4}},
        {'weights': 'of another model'},
        {'precision': 'int8'},
        {'unknown': 1},
    ],
)
def test_a_manifest_that_was_edited_is_refused(tmp_path, changes):
    folder = write_folder(tmp_path / 'a')
    change_manifest(folder)  # other spaces
    assert read_manifest(folder).classes == ('Normal', 'Fighting')
    change_manifest(folder, **changes)
    with pytest.raises(DataError, match=r'manifest.json was changed after the export: .* Export the model again'):
        ExportedFolder(folder)


def test_an_exchanged_file_is_refused_also_with_its_new_checksum(tmp_path):
    folder = write_folder(tmp_path / 'a')
    write_scores(folder / 'scores.onnx', 4)
    with pytest.raises(DataError, match='scores.onnx is damaged: it is not the file that was exported'):
        ExportedFolder(folder)
    change_manifest(folder, files={'scores.onnx': sha256_of(folder / 'scores.onnx')})
    with pytest.raises(DataError, match='was changed after the export'):
        ExportedFolder(folder)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r'is not an exported model: it has no manifest.json. Write one: python'):
        ExportedFolder(tmp_path)
    with pytest.raises(DataError, match="has no graph 'vision': it was exported from a MILRanking"):
        ExportedFolder(write_folder(tmp_path / 'a')).graph('vision')


def test_folders_without_an_extractor_or_of_a_captioner_score_no_videos(tmp_path):
    with pytest.raises(ConfigError, match='a scores no videos: there is no extractor in the folder: it has none'):
        ExportedDetector(write_folder(tmp_path / 'a'))
    with pytest.raises(ConfigError, match=r'b scores no videos: an exported FSGR captions images, and the search'):
        ExportedDetector(
            write_folder(
                tmp_path / 'b', kind='captions', model='FSGR', graphs=dict.fromkeys(('encoder', 'step'), 'scores.onnx')
            )
        )


def test_run_py_tells_at_its_start_that_it_does_not_caption(tmp_path):
    """Before its images are looked at: they are no videos."""
    graphs = dict.fromkeys(('encoder', 'step'), 'scores.onnx')
    folder = write_folder(tmp_path / 'b', kind='captions', model='FSGR', graphs=graphs)
    (folder / 'scores.onnx').unlink()  # before networks are looked at, too
    message = f'run.py scores no videos: an exported FSGR captions images.*infer.py CONFIG {folder} IMAGES --backend'
    with pytest.raises(ConfigError, match=message):
        run_exported.main(folder, [str(tmp_path / 'a.png')])
    with pytest.raises(ConfigError, match='run.py scores no videos: there is no extractor in the folder: it has none'):
        run_exported.main(write_folder(tmp_path / 'a'), ['a.mp4'])


def test_missing_onnxruntime_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    exported = ExportedFolder(write_folder(tmp_path / 'a'))
    with pytest.raises(MissingDependencyError, match=r'needs onnxruntime: pip install "vadlab\[onnx\]"'):
        exported.graph('scores').session  # noqa: B018 - a property


def test_missing_package_of_the_export_is_named_with_its_command(monkeypatch):
    from vadlab.apis.deployment.export_graph import check_packages

    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(MissingDependencyError, match=r'An export needs onnxscript: pip install "vadlab\[onnx\]"'):
        check_packages()


def test_run_py_alone_names_the_missing_folder(tmp_path):
    (tmp_path / 'run.py').write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, '-I', str(tmp_path / 'run.py'), 'a.mp4'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert 'is incomplete: there is no folder vadlab' in done.stderr
    assert 'Traceback' not in done.stderr


def test_copied_code_runs_without_vadlab_and_without_torch(tmp_path):
    copy_runtime(tmp_path / 'a')
    refuse = (
        'import sys\n'
        'class Refuse:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        '        if name.partition(".")[0] in ("torch", "mmengine", "mmcv", "mmdet", "scipy", "PIL"):\n'
        '            raise ImportError(name)\n'
        'sys.meta_path.insert(0, Refuse())\n'
        f'sys.path[0] = {str(tmp_path / "a")!r}\n'
        'import vadlab.apis.deployment.run_exported as run\n'
        'assert run.__file__.startswith(sys.path[0]), run.__file__\n'
        'run.main("nothing", ["--help"])\n'
    )
    done = subprocess.run([sys.executable, '-I', '-c', refuse], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'Score videos with an exported model' in done.stdout
    assert not (tmp_path / 'a' / 'vadlab' / 'models').exists()
    shutil.rmtree(tmp_path / 'a')
