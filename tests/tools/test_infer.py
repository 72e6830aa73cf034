import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vadlab.apis.inferencers.caption_inferencer import CaptionInferencer
from vadlab.apis.inferencers.caption_inputs import CaptionInput
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import CheckpointError, ConfigError, MissingFileError
from vadlab.utils.folder_lock import lock_folder
from vadlab.utils.many_files import Engine

from .tiny_ucf import write_video


@pytest.fixture
def infer(load_tool):
    return load_tool('infer').main


@pytest.fixture
def checkpoint(captions_file, tmp_path):
    """Random weights of the toy captioner, as a file."""
    torch.manual_seed(0)
    model = MODELS.build(load_config(captions_file).model)
    torch.nn.init.normal_(model.decoder.classifier.weight)  # so that it writes more than an end
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
    return tmp_path / 'weights.pth'


def test_images_folders_and_videos_are_described(infer, captions_file, checkpoint, tmp_path, capsys):
    folder = tmp_path / 'data' / 'images' / 'test'
    video = write_video(tmp_path / 'clip.mp4')
    one = tmp_path / 'data' / 'images' / 'val' / '0.png'
    out = tmp_path / 'out'
    inputs = [str(folder), str(one), str(video)]
    command = [str(captions_file), str(checkpoint), *inputs, '--frames', '2', '--out', str(out)]
    assert infer(command) == 0
    printed = capsys.readouterr().out
    records = json.loads((out / 'captions.json').read_text())
    names = [record['name'] for record in records]
    assert names[:4] == ['0.png', '1.png', '2.png', '0.png']
    assert [name.split(' at ')[0] for name in names[4:]] == ['clip.mp4', 'clip.mp4']
    for record in records:
        assert f'{record["name"]}: {record["caption"]}\n' in printed
        assert sum(record['concepts'].values()) == pytest.approx(1, abs=1e-3)
        assert set(record['concepts']) <= {'red', 'green', 'blue'}
        assert record['log_prob'] <= 0
    assert {'frame', 'time_s'} <= set(records[-1])
    page = (out / 'index.html').read_text()
    assert page.count('<article') == 6
    assert len(list(out.glob('*.png'))) == 6  # though two images have one name


def test_folder_into_which_another_process_writes(infer, captions_file, checkpoint, tmp_path):
    image, out = tmp_path / 'data' / 'images' / 'test' / '0.png', tmp_path / 'out'
    with lock_folder(out, '--out'), pytest.raises(ConfigError, match=f'^--out {out}: another process writes there'):
        infer([str(captions_file), str(checkpoint), str(image), '--out', str(out)])
    assert not list(out.iterdir())


def test_without_out_nothing_is_written(infer, captions_file, checkpoint, tmp_path, monkeypatch, capsys):
    image = tmp_path / 'data' / 'images' / 'test' / '0.png'
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path / 'empty')
    assert infer([str(captions_file), str(checkpoint), str(image)]) == 0
    assert capsys.readouterr().out.startswith('0.png: ')
    assert not list((tmp_path / 'empty').iterdir())


def test_what_is_described_is_what_a_test_predicts(infer, test, captions_file, checkpoint, tmp_path):
    """The same pixels, by another way: the caption and its score are those of tools/test.py."""
    out = tmp_path / 'out'
    folder = tmp_path / 'data' / 'images' / 'test'
    assert infer([str(captions_file), str(checkpoint), str(folder), '--out', str(out), '--no-pictures']) == 0
    described = {r['path']: (r['caption'], r['log_prob']) for r in json.loads((out / 'captions.json').read_text())}
    assert not list(out.glob('*.png'))
    report = tmp_path / 'metrics.json'
    work_dir = ['--work-dir', str(tmp_path / 'work')]
    assert test([str(captions_file), str(checkpoint), '--out', str(report), *work_dir]) == 0
    tested = json.loads((tmp_path / 'metrics.captions.json').read_text())
    assert len(tested) == len(described) == 3
    for record in tested:
        caption, log_prob = described[str(folder / f'{record["image_id"] - 200}.png')]
        assert record['caption'] == caption
        assert record['log_prob'] == pytest.approx(log_prob, abs=2e-4)


def test_what_cannot_be_read_is_told_and_the_rest_described(infer, captions_file, checkpoint, tmp_path, capsys):
    folder = tmp_path / 'data' / 'images' / 'test'
    (folder / '1.png').write_text('no image')
    out = tmp_path / 'out'
    assert infer([str(captions_file), str(checkpoint), str(folder), '--out', str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.err.count('\n') == 1
    assert '1.png is not an image, or is damaged' in printed.err
    records = json.loads((out / 'captions.json').read_text())
    assert [('caption' in r, 'error' in r) for r in records] == [(True, False), (True, False), (False, True)]


def test_filled_batches_have_frames_of_several_videos(infer, captions_file, checkpoint, tmp_path, monkeypatch):
    videos = [str(write_video(tmp_path / f'{name}.mp4')) for name in 'abc']
    (tmp_path / 'c0.mp4').write_text('text')
    image = str(tmp_path / 'data' / 'images' / 'test' / '0.png')
    found, sizes = [], []
    call = CaptionInferencer.__call__

    def count(self, inputs):
        step = self.model.test_step
        self.model.test_step = lambda data: sizes.append(len(data['inputs'])) or step(data)
        yield from call(self, inputs)
        self.model.test_step = step

    monkeypatch.setattr(CaptionInferencer, '__call__', count)
    for option in ('--no-fill-batches', '--fill-batches'):
        command = [str(captions_file), str(checkpoint), *videos, str(tmp_path / 'c0.mp4'), image, '--frames', '2']
        assert infer([*command, '--batch-size', '4', '--no-pictures', option, '--out', str(tmp_path / option)]) == 2
        found.append(json.loads((tmp_path / option / 'captions.json').read_text()))
    assert sizes == [2, 2, 2, 1, 4, 2, 1]  # the damaged file is before the image
    assert [record['name'] for record in found[0]] == [record['name'] for record in found[1]]
    for plain, filled in zip(*found, strict=True):
        assert plain.get('error') == filled.get('error')
        assert plain.get('log_prob', 0) == pytest.approx(filled.get('log_prob', 0), abs=2e-4)


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(infer, captions_file, checkpoint, tmp_path):
    """Images in batches of three, and videos, short and in parts; an image and a video are damaged."""
    folder = tmp_path / 'data' / 'images' / 'test'
    (folder / '1.png').write_text('no image')
    videos = [write_video(tmp_path / f'{name}.mp4', frames) for name, frames in (('a', 24), ('b', 250), ('c', 350))]
    content = bytearray(videos[1].read_bytes())
    start = 2 * len(content) // 3
    content[start : start + 9000] = bytes(9000)
    videos[1].write_bytes(content)
    command = [str(captions_file), str(checkpoint), str(folder), *map(str, videos)]
    command += ['--every', '0.04', '--batch-size', '3', '--no-pictures', '--out']
    for name, options in (('one', []), ('two', ['--jobs', '2'])):
        assert infer([*command, str(tmp_path / name), *options]) == 2
    text = (tmp_path / 'one' / 'captions.json').read_text()
    assert (tmp_path / 'two' / 'captions.json').read_text() == text
    counts = Counter(Path(one['path']).stem for one in json.loads(text) if 'caption' in one)
    assert (counts['a'], counts['b'], counts['c']) == (20, 128, 292)  # b in batches of 3, decoded by 32
    assert [Path(one['path']).name for one in json.loads(text) if 'error' in one] == ['1.png', 'b.mp4']


class CrashingInferencer(CaptionInferencer):
    """Ends its process at one image, as a decoder that crashes."""

    def describe(self, files, every_s, num_frames):
        if any(file.name == '1.png' for file in files):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().describe(files, every_s, num_frames)


@pytest.mark.slow
def test_an_image_that_ends_its_process_costs_itself_and_not_its_batch(captions_file, checkpoint, tmp_path):
    inferencer = CrashingInferencer(captions_file, checkpoint, batch_size=2)
    found = list(inferencer.files([tmp_path / 'data' / 'images' / 'test'], engine=Engine(workers=2)))
    errors = [one.error for one in found if isinstance(one, CaptionInput)]
    assert [one.source.name for one in found if not isinstance(one, CaptionInput)] == ['0.png', '2.png']
    assert len(errors) == 1
    assert '1.png: the process that worked on it was killed (SIGKILL)' in errors[0]


def test_mistakes_end_before_a_model_is_built(infer, captions_file, tiny_file, checkpoint, tmp_path):
    image = str(tmp_path / 'data' / 'images' / 'test' / '0.png')
    with pytest.raises(MissingFileError, match='There is no image, video or folder gone'):
        infer([str(captions_file), str(checkpoint), 'gone'])
    with pytest.raises(ConfigError, match='must be at least 0.001'):
        infer([str(captions_file), str(checkpoint), image, '--every', '0'])
    with pytest.raises(CheckpointError, match=r'another model than the config describes \(FGCLIP\)'):
        infer([str(tiny_file), str(checkpoint), image])
    with pytest.raises(ConfigError, match='--prompt is not an option for a captioner'):
        infer([str(captions_file), str(checkpoint), image, '--prompt', 'a fire'])
    with pytest.raises(ConfigError, match='with --jobs or --engine each video has batches of its own'):
        infer([str(captions_file), str(checkpoint), image, '--fill-batches', '--jobs', '2'])
    with pytest.raises(ConfigError, match='FSGR is a trained method. Give a checkpoint'):
        infer([str(captions_file), 'none', image])


def test_a_checkpoint_of_another_vocabulary_is_refused(infer, captions_file, checkpoint, tmp_path):
    image = str(tmp_path / 'data' / 'images' / 'test' / '0.png')
    vocabulary = tmp_path / 'data' / 'vocab.json'
    content = json.loads(vocabulary.read_text())
    content['words'][-1] = 'other'
    vocabulary.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match='was trained with another vocabulary'):
        infer([str(captions_file), str(checkpoint), image])


def test_pictures_of_a_test_show_captions_and_references(test, captions_file, checkpoint, tmp_path):
    show = tmp_path / 'show'
    command = [str(captions_file), str(checkpoint), '--work-dir', str(tmp_path / 'work'), '--show-dir', str(show)]
    assert test(command) == 0
    assert len(list(show.glob('*.png'))) == 3
    page = (show / 'index.html').read_text()
    assert page.count('<article') == 3
    assert 'A blue picture.' in page
    shutil.rmtree(show)


def test_grey_and_tall_images_are_described(infer, captions_file, checkpoint, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'grey.png'), np.full((70, 20), 90, np.uint8))
    assert infer([str(captions_file), str(checkpoint), str(tmp_path / 'grey.png')]) == 0
    assert capsys.readouterr().out.startswith('grey.png: ')


def test_names_of_any_bytes_are_written_escaped_and_printed_harmlessly(
    infer, captions_file, checkpoint, tmp_path, capsys
):
    source = tmp_path / 'data' / 'images' / 'test' / '0.png'
    folder = tmp_path / 'odd'
    folder.mkdir()
    names = [os.fsdecode(b'cam\xe9ra.png'), 'a\x1b[31m.png', 'b $x$ <i>.png', r'c\d.png']
    for name in names:
        shutil.copy(source, folder / name)
    out = tmp_path / 'out'
    assert infer([str(captions_file), str(checkpoint), str(folder), '--out', str(out)]) == 0
    printed = capsys.readouterr().out
    assert '\x1b' not in printed
    assert r'cam\udce9ra.png: ' in printed
    assert r'a\x1b[31m.png: ' in printed
    records = json.loads((out / 'captions.json').read_text(encoding='utf-8'))
    assert [record['name'] for record in records] == sorted(names)
    assert len(list(out.glob('*.png'))) == len(names)
    assert 'b $x$ &lt;i&gt;.png' in (out / 'index.html').read_text(encoding='utf-8')
