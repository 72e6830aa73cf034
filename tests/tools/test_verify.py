import json
import shutil

import pytest

from vadlab.apis import VerificationReport, video_check
from vadlab.apis.checks import CheckContext
from vadlab.apis.checks.video_checks import look_at_videos
from vadlab.utils.errors import ConfigError, MissingFileError
from vadlab.utils.many_files import Engine


@pytest.fixture
def verify(load_tool, tiny_file, tmp_path, monkeypatch):
    """Runs tools/verify.py on the tiny experiment; returns its status and its findings as (level, check, message)."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    main = load_tool('verify').main

    def run(*options, flags=('--no-smoke',)):
        report = tmp_path / 'report.json'
        arguments = ['--workers', '1', '--json', str(report), *flags]
        status = main([str(tiny_file), *arguments, *(['--cfg-options', *options] if options else [])])
        findings = [(f['level'], f['check'], f['message']) for f in json.loads(report.read_text())['findings']]
        return status, findings

    return run


def messages(findings, level):
    return [f'{check}: {message}' for found, check, message in findings if found == level]


def one(findings, level, text):
    found = [m for m in messages(findings, level) if text in m]
    assert found, f'{text!r} not among {messages(findings, level)}'


def edit(path, change):
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))


def test_good_experiment_passes(verify, capsys):
    status, findings = verify(flags=())
    assert status == 0, messages(findings, 'failure')
    passes = '\n'.join(messages(findings, 'pass'))
    for check in (
        'versions',
        'mmcv ops',
        'disk',
        'model',
        'train annotations',
        'splits',
        'train captions',
        'sanity check',
    ):
        assert f'{check}: ' in passes
    assert 'train videos: 4 videos decode, 96 frames' in passes
    assert 'passes' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('name', 'content'), [('truncated', None), ('text', b'no video at all'), ('empty', b'')], ids=lambda x: str(x)[:9]
)
def test_damaged_video_fails_and_is_named(verify, tiny_data, name, content):
    path = tiny_data / 'Videos' / 'Arson001.mp4'
    path.write_bytes(path.read_bytes()[:900] if content is None else content)
    status, findings = verify()
    assert status == 2
    one(findings, 'failure', 'train videos: Arson001: ')
    status, findings = verify('max_bad_videos=1')
    assert status == 0
    one(findings, 'warning', '1 damaged videos, max_bad_videos is 1')


def test_missing_videos_fail_and_are_named(verify, tiny_data):
    (tiny_data / 'Videos' / 'Arson001.mp4').unlink()
    (tiny_data / 'Videos' / 'Arson002.mp4').unlink()
    status, findings = verify(flags=())
    assert status == 2
    one(findings, 'failure', 'train annotations: UCFCrimeRegions: 1 of 4 videos not found')
    one(findings, 'failure', 'val annotations: UCFCrimeRegions: 1 of 3 videos not found')  # all of it at once
    one(findings, 'warning', 'sanity check: left out, since there are failures')


def test_missing_and_damaged_videos_share_the_limit(verify, tiny_data):
    (tiny_data / 'Videos' / 'Arson001.mp4').unlink()
    status, findings = verify('max_bad_videos=1')
    assert status == 0
    one(findings, 'warning', 'train annotations: 1 videos are missing and left out, of at most 1 bad ones: Arson001')
    (tiny_data / 'Videos' / 'Fighting001.mp4').write_bytes(b'')
    status, findings = verify('max_bad_videos=1')
    assert status == 2
    one(findings, 'failure', 'train videos: 1 damaged and 1 missing videos, max_bad_videos is 1')


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (['data_root=/nowhere'], 'train annotations: data_root: there is no folder /nowhere'),
        (['caption_type=longest'], "train annotations: There is no caption_type 'longest'"),
        (['pretrained=/nowhere.safetensors'], 'weights: '),
    ],
)
def test_options_that_fail(verify, options, text):
    status, findings = verify(*options)
    assert status == 2
    one(findings, 'failure', text)


def test_misspelled_key_and_missing_config_end_at_once(load_tool, tiny_file, tmp_path):
    main = load_tool('verify').main
    with pytest.raises(ConfigError, match="Did you mean 'num_frames'"):
        main([str(tiny_file), '--cfg-options', 'num_frame=3'])
    with pytest.raises(ConfigError, match=r"model\.vision\.layer: CLIPVisionTransformer takes no option 'layer'"):
        main([str(tiny_file), '--cfg-options', 'model.vision.layer=3'])
    with pytest.raises(MissingFileError, match='not found'):
        main([str(tmp_path / 'no.py')])


def test_missing_vocabulary_fails(verify, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr('importlib.util.find_spec', lambda n, *a: None if n == 'open_clip' else find(n, *a))
    status, findings = verify()
    assert status == 2
    one(findings, 'failure', 'pip install --no-deps open_clip_torch')


def test_anomalous_videos_without_regions_are_told_by_every_tool(verify, train, tiny_data, tiny_file, capsys):
    edit(tiny_data / 'train.json', lambda records: records[0].update(bbox_info=[]))
    wanted = '1 of 3 anomalous videos have no anomalous frame (first: Fighting001)'
    one(verify()[1], 'warning', f'train annotations: {wanted}')
    capsys.readouterr()
    train([str(tiny_file), '--dry-run'])
    assert wanted in capsys.readouterr().out


def test_what_can_be_mended_is_listed(verify, tiny_data):
    def spoil(records):
        keyframes = records[0]['bbox_info'][0]['keyframes']
        keyframes[0]['bbox'] = [-0.2, 0.2, 0.4, 1.3]
        keyframes.append({'frame': 10, 'bbox': [0.6, 0.2, 0.4, 0.3], 'enabled': True})
        keyframes.append({'frame': 12, 'bbox': [0.6, 0.2, 0.6, 0.3], 'enabled': True})
        records[1]['bbox_info'][0]['end_frame'] = 400
        for keyframe in records[2]['bbox_info'][0]['keyframes']:
            keyframe['bbox'] = [0.5, 0.5, 0.51, 0.51]

    edit(tiny_data / 'train.json', spoil)
    status, findings = verify()
    assert status == 0, messages(findings, 'failure')
    one(findings, 'warning', '1 boxes clipped, 1 inverted boxes removed, 1 empty boxes removed')
    one(findings, 'warning', 'train videos: 1 regions end after the end of their video and are clipped: Arson001')
    one(findings, 'warning', 'train boxes: 17 of ')
    one(findings, 'warning', 'nothing is left of Vandalism001 region 0')


def test_overlapping_splits_are_named(verify):
    status, findings = verify('val_ann_file=train.json')
    assert status == 0
    one(findings, 'warning', 'splits: 4 videos are in train and in val: Fighting001')


def test_captions_that_do_not_fit(verify, tiny_data):
    edit(tiny_data / 'train.json', lambda records: records[0].update(global_caption='very ' * 300))
    _, findings = verify()
    one(findings, 'pass', 'longest 302 tokens, 2 over 24')  # that of a Chinese region has 25
    one(findings, 'warning', '1 captions are cut at 32 tokens: Fighting001')


def test_token_ids_beyond_the_vocabulary_fail(verify):
    status, findings = verify('model.text.vocab_size=1000')
    assert status == 2
    one(findings, 'failure', 'token ids beyond the vocabulary of 1000')


def test_batch_without_negatives_fails(verify):
    status, findings = verify('batch_size=1', 'model.queue=None', flags=())
    assert status == 2
    one(findings, 'failure', 'sanity check: ')


def test_second_look_reads_the_cache(verify, tiny_data, monkeypatch):
    looked = []
    index = video_check.index_video
    monkeypatch.setattr(video_check, 'index_video', lambda path: looked.append(path) or index(path))
    verify()
    assert len(looked) == 7
    verify()
    assert len(looked) == 7
    shutil.copyfile(tiny_data / 'Videos' / 'Arson002.mp4', tiny_data / 'Videos' / 'Arson001.mp4')  # a changed file
    verify()
    assert len(looked) == 8
    verify(flags=('--no-smoke', '--no-cache'))
    assert len(looked) == 15


@pytest.mark.slow
def test_workers_find_the_same(tiny_data):
    paths = sorted(str(p) for p in (tiny_data / 'Videos').glob('*.mp4'))
    one_by_one = {p: video_check.check_video(p, 4, 'auto', None) for p in paths}

    context = CheckContext(None, None, VerificationReport(), Engine(workers=2), 4, None, lambda done, total: None)
    assert look_at_videos(paths, 'auto', context) == one_by_one
