"""What the documents say is there, is there; and their worked example works."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from tests.doc_blocks import copy_of_repository, pages
from vadlab.utils.config import load_config, parse_cfg_options

ROOT = Path(__file__).parents[1]
DOCUMENTS = pages()

# First comment of a code block that stands for a file.
BLOCK = re.compile(r'```(?:python|yaml)\n# ([\w./-]+\.(?:py|yml))\n(.*?)```', re.DOTALL)
REPOSITORY_PATH = re.compile(
    r'(?<![\w./-])((?:configs|tools|vadlab|docs|tests|requirements)/[\w./<>{},-]*[\w/]|setup\.py|Makefile|LICENSE)'
)


def read(document):
    return (ROOT / document).read_text(encoding='utf-8')


def worked_example(document):
    """The files that a document writes, by path."""
    return dict(BLOCK.findall(read(document)))


def made_by_examples():
    """Paths of the files that any document writes."""
    return {path.removeprefix('my_project/') for document in DOCUMENTS for path in worked_example(document)}


@pytest.mark.parametrize('document', DOCUMENTS)
def test_files_that_a_document_names_exist(document):
    made_by_example = made_by_examples()
    named = {path for path in REPOSITORY_PATH.findall(read(document)) if not set('<{') & set(path)}
    missing = sorted(path for path in named if path not in made_by_example and not (ROOT / path).exists())
    assert not missing, f'{document} names files that are not there: {missing}'


@pytest.mark.parametrize('document', DOCUMENTS)
def test_make_targets_that_a_document_names_exist(document):
    targets = set(re.findall(r'^([a-z0-9]+):', read('Makefile'), re.MULTILINE))
    named = set(re.findall(r'(?:^|`)make ([a-z0-9]+)', read(document), re.MULTILINE))
    assert named <= targets, f'{document}: no make {named - targets}'


def test_the_start_without_a_compiler_installs_all_that_its_commands_need():
    """The environment of the tests has CLIP's vocabulary; one without it gives a message with this command."""
    from vadlab.models.tokenizers import clip_tokenizer

    source = Path(clip_tokenizer.__file__).read_text(encoding='utf-8')
    (command,) = set(re.findall(r'pip install --no-deps \w+', source))
    assert any(
        command in block and 'pip install .' in block
        for block in re.findall(r'```sh\n(.*?)```', read('docs/start.md'), re.DOTALL)
    )


def test_the_config_for_the_authors_weights_of_fgclip_has_their_size():
    """ViT-B/16 of 224 pixels, as their paper and model card say; the config itself is a ViT-B/32."""
    (options,) = re.findall(r'--cfg-options (pretrained=qihoo360/fg-clip-base [^`]+)`', read('docs/from_authors.md'))
    vision = load_config(str(ROOT / 'configs/fgclip_ucf.py'), parse_cfg_options(options.split())).model.vision
    assert (vision.patch_size, vision.image_size, vision.width, vision.layers) == (16, 224, 768, 12)


def test_every_make_target_has_one_line_of_help():
    result = subprocess.run(
        ['make', '--no-print-directory', 'help'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (phony,) = re.findall(r'^\.PHONY: (.*)$', read('Makefile'), re.MULTILINE)
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert [line[1] for line in lines] == phony.split()
    assert all(len(line) == 3 for line in lines)


def test_site_has_every_page():
    listed = re.findall(r'^([\w/]+)$', read('docs/index.md'), re.MULTILINE)
    assert len(listed) == len(set(listed))
    inside = {page.removeprefix('docs/').removesuffix('.md') for page in DOCUMENTS if page.startswith('docs/')}
    assert set(listed) == {*inside, 'reference/modules'} - {'index'}


def test_forms_for_issues_are_complete_and_ask_for_the_installation():
    forms = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / '.github/ISSUE_TEMPLATE').glob('*.yml')}
    forms.pop('config')
    assert set(forms) == {'fault', 'number', 'proposal'}
    for form in forms.values():
        assert form['name']
        assert form['description']
        assert len({part['id'] for part in form['body']}) == len(form['body'])
        assert all(part['attributes']['label'] for part in form['body'])
    for name in ('fault', 'number'):
        assert 'vadlab doctor' in str(forms[name]['body'])


def test_options_that_the_troubleshooting_recommends_exist():
    named = re.findall(r'`--cfg-options ([^`]+)`', read('docs/troubleshooting.md'))
    assert named
    for words in named:
        load_config(ROOT / 'configs/fgclip_ucf.py', parse_cfg_options(words.split()))


def write_video(path, moving_from):
    """40 frames of grey, with noise from frame ``moving_from`` on."""
    rng = np.random.default_rng(0)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for index in range(40):
            pixels = np.full((48, 64, 3), 90, np.uint8)
            if index >= moving_from:
                pixels[::4, ::4] = rng.integers(0, 255, (12, 16, 1))
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def write_data(folder):
    """Two videos and their annotation: one moves from frame 20 on, which is annotated, one never."""
    folder.mkdir()
    write_video(folder / 'Fighting001_x264.mp4', moving_from=20)
    write_video(folder / 'Normal_Videos001_x264.mp4', moving_from=40)
    keyframes = [{'frame': f, 'bbox': [0.0, 0.0, 1.0, 1.0], 'enabled': True} for f in (20, 39)]
    region = {'caption': 'noise', 'start_frame': 20, 'end_frame': 39, 'keyframes': keyframes}
    records = [
        {'f_path': 'Fighting001_x264.mp4', 'global_caption': 'The picture begins to flicker.', 'bbox_info': [region]},
        {'f_path': 'Normal_Videos001_x264.mp4', 'global_caption': 'A grey wall.', 'bbox_info': []},
    ]
    (folder / 'train.json').write_text(json.dumps(records))


def write_features(folder):
    """Features of two anomalous and two normal videos of six snippets, whose first channel tells anomalous ones.

    It says a little of the whole video, too: a linear score that starts with the wrong sign would never look there.
    """
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ('Fighting001_x264', 'Fighting002_x264', 'Normal_Videos001_x264', 'Normal_Videos002_x264'):
        feats = rng.normal(0, 0.1, (6, 8))
        if name.startswith('Fighting'):
            feats[:, 0] += 1
            feats[2:4, 0] += 4
        np.save(folder / f'{name}__0.npy', feats.astype(np.float16))
    names = sorted(path.name for path in folder.glob('*.npy'))
    (folder / 'train.txt').write_text('\n'.join(names))
    lines = [f'{n.split("__")[0]}  Fighting  32  64  -1  -1' for n in names if n.startswith('Fighting')]
    (folder / 'truth.txt').write_text('\n'.join(lines))


VIDEO_OPTIONS = [
    'data_root=clips', 'ann_file=train.json', 'val_ann_file=train.json', 'test_ann_file=train.json',
    'temporal_ann_file=None', 'num_workers=0', 'image_size=32', 'max_epochs=1', 'batch_size=2',
]  # fmt: skip
FEATURE_OPTIONS = [
    'data_root=clips', 'feature_dir=', 'ann_file=train.txt', 'test_ann_file=train.txt', 'temporal_ann_file=truth.txt',
    'frames_file=None', 'feature_dim=8', 'num_workers=0', 'max_epochs=30', 'batch_size=2', 'checkpoint_interval=30',
]  # fmt: skip


EXAMPLES = [
    ('CONTRIBUTING.md', write_data, VIDEO_OPTIONS, 'epoch_1.pth'),
    ('docs/tutorials/own_method.md', write_features, FEATURE_OPTIONS, 'epoch_30.pth'),
]
INDEX = 'configs/model-index.yml'


def command(folder, *words, path):
    """Run Python in a folder, with these folders on its path; what it prints."""
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, path)), 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def write_method(document, folder):
    """A copy of the repository with the files of a worked example in it; the example's files by kind."""
    copy_of_repository(folder)
    example = {path: text for path, text in worked_example(document).items() if (ROOT / path).parent.is_dir()}
    kinds = {path.split('/')[0] if path != INDEX else 'index': path for path in example}
    assert set(kinds) == {'vadlab', 'configs', 'tests', 'index'}
    assert len(example) == 4
    for path, text in example.items():
        with (folder / path).open('a', encoding='utf-8') as file:
            file.write(f'\n{text}' if path == INDEX else text)
    return kinds


def train_and_test(folder, tools, config, options, checkpoint, path):
    """Train a worked example and test what came out."""
    work, scored = folder / 'run', folder / 'run' / 'metrics.json'
    command(folder, tools / 'train.py', config, '--work-dir', work, '--cfg-options', *options, path=path)
    out = ['--out', scored, '--cfg-options', *options]
    command(folder, tools / 'test.py', config, work / checkpoint, *out, path=path)
    assert json.loads(scored.read_text())['metrics']['frame/auc'] > 0.95


@pytest.mark.parametrize(('document', 'write', 'options', 'checkpoint'), EXAMPLES)
def test_worked_example_trains_tests_and_passes_its_own_test(tmp_path, document, write, options, checkpoint):
    """Do what the document says, in a copy of the repository."""
    kinds = write_method(document, tmp_path)
    write(tmp_path / 'clips')
    command(tmp_path, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', kinds['tests'], path=[tmp_path])
    train_and_test(tmp_path, tmp_path / 'tools', kinds['configs'], options, checkpoint, [tmp_path])


@pytest.mark.slow
def test_worked_example_is_found_by_the_tables_and_by_the_tests_of_every_method(tmp_path):
    """The tutorial's example is: tests/test_doc_blocks.py runs its page, which does the same."""
    kinds = write_method('CONTRIBUTING.md', tmp_path)
    name = Path(kinds['configs']).stem
    command(tmp_path, 'tools/zoo.py', path=[tmp_path])
    assert f'| `configs/{name}.py` |' in (tmp_path / 'README.md').read_text(encoding='utf-8')
    assert f'| `configs/{name}.py` |' in (tmp_path / 'docs/config.md').read_text(encoding='utf-8')
    assert f'configs/{name}.py' not in command(tmp_path, 'tools/zoo.py', '--demos', path=[tmp_path]).split()
    tests = [f'tests/{part}' for part in ('tools/test_validation_equals_test.py', 'tools/test_zoo.py', 'configs')]
    words = f'{name.removesuffix("_demo")} or every_method or zoo'
    found = command(tmp_path, '-m', 'pytest', '-v', '-p', 'no:cacheprovider', *tests, '-k', words, path=[tmp_path])
    assert f'test_validation_equals_test[{name.removesuffix("_demo")}] PASSED' in found
    assert f'test_every_part_can_be_built[{name}] PASSED' in found


def test_worked_example_works_in_a_repository_of_its_own(tmp_path):
    """Do what CONTRIBUTING.md says of a folder outside the clone."""
    example, project = worked_example('CONTRIBUTING.md'), tmp_path / 'my_project'
    inside, name = 'vadlab/models/detectors/frame_difference.py', 'my_methods.frame_difference'
    files = {
        'my_methods/frame_difference.py': example[inside],
        'configs/frame_difference.py': example['my_project/configs/frame_difference.py'],
        'tests/test_frame_difference.py': example['tests/models/detectors/test_frame_difference.py'].replace(
            inside.removesuffix('.py').replace('/', '.'), name
        ),
    }
    for path, text in files.items():
        (project / path).parent.mkdir(parents=True)
        (project / path).write_text(text)
    write_data(project / 'clips')
    path = [project, ROOT]
    command(project, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests', path=path)
    train_and_test(project, ROOT / 'tools', 'configs/frame_difference.py', VIDEO_OPTIONS, 'epoch_1.pth', path)


def test_config_in_a_repository_of_its_own_differs_by_its_bases_and_its_import():
    example = worked_example('CONTRIBUTING.md')
    inside, outside = (
        example[path] for path in ('configs/frame_difference_ucf.py', 'my_project/configs/frame_difference.py')
    )
    lines = [line for line in outside.splitlines() if not line.startswith('custom_imports')]
    assert [line.replace('vadlab::', './') for line in lines] == inside.splitlines()[1:]
