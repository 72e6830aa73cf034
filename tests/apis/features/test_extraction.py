import errno
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vadlab.apis.features import extraction as extraction_module
from vadlab.apis.features.extraction import FeatureExtraction
from vadlab.apis.features.feature_writer import crop_path, marker_path, remove_parts
from vadlab.apis.features.recipe import check_recipe
from vadlab.apis.features.video_list import VideoItem, find_videos, shard_of
from vadlab.datasets.video import index_video, read_frames
from vadlab.utils.errors import ConfigError, DataError

from ...datasets.turned_videos import TURNS, turn_mp4


def extract(config, folder, out, overwrite=False, **options):
    extraction = FeatureExtraction(config, out, **options)
    extraction.prepare(overwrite)
    return extraction, extraction.run(find_videos([folder]))


def features(out):
    return {p.relative_to(out).as_posix(): np.load(p) for p in sorted(Path(out).rglob('[!.]*.npy'))}


def test_features_equal_the_model_on_frames_read_one_by_one(tiny_config, video_folder, tmp_path):
    """The whole machine against: read the middle frames, scale, cut, normalise, encode, project."""
    extraction, report = extract(tiny_config(crops=10), video_folder, tmp_path / 'out')
    assert sorted(report.done) == ['Abuse/Abuse001_x264', 'Arson/Arson001_x264', 'Normal/Normal_Videos_001']
    assert (report.snippets, report.frames, report.bad) == (2 + 1 + 3, 106, {})
    found = features(tmp_path / 'out')
    assert len(found) == 30
    path = str(video_folder / 'Abuse/Abuse001_x264.mp4')
    frames = torch.from_numpy(read_frames(path, np.array([8, 24]), (40, 48), interpolation='bilinear'))
    model = extraction.model
    for k, (top, left) in enumerate([(4, 8), (0, 0), (0, 16), (8, 0), (8, 16)] * 2):
        cut = frames[:, top : top + 32, left : left + 32].permute(0, 3, 1, 2).float()
        cut = cut.flip(-1) if k >= 5 else cut
        with torch.no_grad():
            expected = model.visual_projection(model.vision((cut - model.mean) / model.std)[0])
        got = found[f'Abuse/Abuse001_x264__{k}.npy']
        assert got.dtype == np.float16
        np.testing.assert_allclose(got, expected.numpy(), atol=2e-3)
    assert json.loads((tmp_path / 'out/frames.json').read_text()) == {
        'Abuse001_x264': 40, 'Arson001_x264': 16, 'Normal_Videos_001': 50,
    }  # fmt: skip


def test_several_frames_are_averaged(tiny_config, video_folder, tmp_path):
    extract(tiny_config(frames='all'), video_folder, tmp_path / 'all')
    config = tiny_config(frames='all', snippet_len=1)
    extract(config, video_folder, tmp_path / 'each')
    every = np.load(tmp_path / 'each/Abuse/Abuse001_x264__0.npy').astype(np.float32)
    mean = np.load(tmp_path / 'all/Abuse/Abuse001_x264__0.npy')
    np.testing.assert_allclose(mean, [every[:16].mean(0), every[16:32].mean(0)], atol=3e-3)


@pytest.mark.parametrize('options', [dict(batch_size=1), dict(batch_size=7, workers=3), dict(batch_size=1000)])
def test_batches_and_threads_do_not_matter(tiny_config, video_folder, tmp_path, options):
    extract(tiny_config(crops=5), video_folder, tmp_path / 'one', batch_size=10, workers=1)
    extract(tiny_config(crops=5), video_folder, tmp_path / 'two', **options)
    one, two = features(tmp_path / 'one'), features(tmp_path / 'two')
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=2e-3)


def test_videos_of_different_shapes_with_a_short_side(tiny_config, tmp_path, write_coloured):
    write_coloured(tmp_path / 'v/wide.mp4', 32, 1, (48, 96))
    write_coloured(tmp_path / 'v/high.mp4', 32, 2, (96, 48))
    _, report = extract(tiny_config(resize=36), tmp_path / 'v', tmp_path / 'out')
    assert (len(report.done), report.snippets) == (2, 4)


def test_taken_up_where_it_was(tiny_config, video_folder, tmp_path, monkeypatch):
    """Stopped in the middle, it leaves whole files only, and the second run makes what is missing and nothing else."""
    out = tmp_path / 'out'
    extract(tiny_config(), video_folder, tmp_path / 'reference')
    extraction = FeatureExtraction(tiny_config(), out, batch_size=1, workers=1)
    extraction.prepare()
    encode, calls = extraction.encode, []

    def killed(frames):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(frames)

    monkeypatch.setattr(extraction, 'encode', killed)
    with pytest.raises(KeyboardInterrupt):
        extraction.run(find_videos([video_folder]))
    assert list(features(out)) == ['Abuse/Abuse001_x264__0.npy']
    _, report = extract(tiny_config(), video_folder, out)
    assert (report.skipped, len(report.done)) == (['Abuse/Abuse001_x264'], 2)
    _, report = extract(tiny_config(), video_folder, out)
    assert (len(report.skipped), report.done) == (3, [])
    for name, reference in features(tmp_path / 'reference').items():
        np.testing.assert_allclose(features(out)[name], reference, atol=2e-3)


def test_on_a_full_disk_no_temporary_file_is_left(tiny_config, video_folder, tmp_path, monkeypatch):
    def full(path, target):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('vadlab.apis.features.feature_writer.os.replace', full)
    with pytest.raises(OSError, match='No space left'):
        FeatureExtraction(tiny_config(), tmp_path / 'out').run(find_videos([video_folder]))
    assert not list((tmp_path / 'out').rglob('.*.part'))


def test_half_written_files_and_changed_videos_are_made_anew(tiny_config, video_folder, tmp_path, write_coloured):
    out = tmp_path / 'out'
    extract(tiny_config(crops=5), video_folder, out)
    cut = out / 'Abuse/Abuse001_x264__3.npy'
    cut.write_bytes(cut.read_bytes()[:-2])
    marker_path(out, 'Arson/Arson001_x264').write_text('{')
    write_coloured(video_folder / 'Normal/Normal_Videos_001.avi', 70, 9, codec='mpeg4')
    _, report = extract(tiny_config(crops=5), video_folder, out)
    assert sorted(report.done) == ['Abuse/Abuse001_x264', 'Arson/Arson001_x264', 'Normal/Normal_Videos_001']
    assert len(np.load(cut)) == 2
    assert len(np.load(out / 'Normal/Normal_Videos_001__0.npy')) == 4


def test_bad_videos_are_left_out(tiny_config, video_folder, tmp_path, write_coloured):
    (video_folder / 'Abuse/empty.mp4').write_bytes(b'')
    (video_folder / 'Abuse/text.mp4').write_text('no video at all\n' * 50)
    damaged = write_coloured(video_folder / 'Abuse/damaged.mp4', 120, 4)
    content = bytearray(damaged.read_bytes())
    middle = content.find(b'mdat') + len(content) // 2
    content[middle : middle + 1500] = np.random.default_rng(0).integers(0, 256, 1500, np.uint8).tobytes()
    damaged.write_bytes(content)
    _, report = extract(tiny_config(frames='all'), video_folder, tmp_path / 'out', batch_size=16)
    assert len(report.done) == 3
    assert set(report.bad) >= {'Abuse/empty', 'Abuse/text'}
    assert 'empty (zero bytes)' in report.bad['Abuse/empty']
    made = {name.rsplit('__')[0] for name in features(tmp_path / 'out')}
    assert made == set(report.done)
    assert set(report.bad) == {'Abuse/empty', 'Abuse/text', 'Abuse/damaged'}
    assert not list((tmp_path / 'out').rglob('.*.part'))


def test_blank_features_are_those_of_black_frames(tiny_config, video_folder, tmp_path):
    extraction, report = extract(tiny_config(blank=True), video_folder, tmp_path / 'out')
    assert report.snippets == 6
    black = extraction.encode(np.zeros((1, 1, 40, 48, 3), np.uint8))[0]
    for feats in features(tmp_path / 'out').values():
        np.testing.assert_allclose(feats, np.repeat(black, len(feats), 0), atol=2e-3)


def test_shards_together_are_the_whole(tiny_config, video_folder, tmp_path):
    out = tmp_path / 'out'
    videos = find_videos([video_folder])
    for i in range(2):
        extraction = FeatureExtraction(tiny_config(), out)
        extraction.prepare()
        extraction.run(shard_of(videos, (i, 2)))
    assert len(features(out)) == 3
    assert len(json.loads((out / 'frames.json').read_text())) == 3


def test_frame_counts_have_the_videos_that_another_process_finishes_meanwhile(
    tiny_config, video_folder, tmp_path, monkeypatch
):
    out = tmp_path / 'out'
    videos = find_videos([video_folder])
    shards = [FeatureExtraction(tiny_config(), out) for _ in range(2)]
    shards[0].prepare()
    known = extraction_module.all_markers

    def then_the_other_shard_ends(folder):
        notes = known(folder)
        monkeypatch.setattr(extraction_module, 'all_markers', known)
        shards[1].run(shard_of(videos, (1, 2)))
        return notes

    monkeypatch.setattr(extraction_module, 'all_markers', then_the_other_shard_ends)
    shards[0].run(shard_of(videos, (0, 2)))
    assert len(json.loads((out / 'frames.json').read_text())) == 3


def test_the_end_of_a_run_leaves_what_another_run_is_writing(tiny_config, video_folder, tmp_path):
    out = tmp_path / 'out'
    videos = find_videos([video_folder])
    slow, quick = (FeatureExtraction(tiny_config(), out, batch_size=1, workers=1) for _ in range(2))
    slow.prepare()
    encode, others = slow.encode, []

    def while_the_other_runs(frames):
        if not others:
            path = crop_path(out, videos[0].name, 0)
            path.with_name(f'.{path.name}.{quick.run_id}-1.part').touch()  # of a worker that was killed
            others.append(quick.run(videos))
            remove_parts(out, [video.name for video in videos], 1, quick.run_id)  # as after a run with workers
        return encode(frames)

    slow.encode = while_the_other_runs
    assert slow.run(videos).done == others[0].done == [video.name for video in videos]
    alone = FeatureExtraction(tiny_config(), tmp_path / 'alone', batch_size=1, workers=1)
    alone.prepare()
    alone.run(videos)
    for name, feats in features(tmp_path / 'alone').items():
        np.testing.assert_array_equal(feats, features(out)[name])
    assert not list(out.rglob('.*.part'))


def test_parts_that_nobody_has_written_to_for_a_day_are_removed(tmp_path):
    for name, age_s in (('new', 0), ('old', 100_000)):
        part = tmp_path / f'.{name}__0.npy.cafe-1.part'
        part.touch()
        os.utime(part, (time.time() - age_s,) * 2)
    remove_parts(tmp_path, ['new', 'old'], 1, 'beef')
    assert [path.name for path in tmp_path.iterdir()] == ['.new__0.npy.cafe-1.part']


def test_of_two_recipes_that_are_written_at_once_one_is_refused(tmp_path, monkeypatch):
    exists = Path.exists

    def then_another_process_writes(path):
        monkeypatch.setattr(Path, 'exists', exists)
        check_recipe(tmp_path, {'stride': 16}, {})
        return False

    monkeypatch.setattr(Path, 'exists', then_another_process_writes)
    with pytest.raises(DataError, match='another recipe .stride: 16 -> 8'):
        check_recipe(tmp_path, {'stride': 8}, {})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(crops=5), 'crops: 1 -> 5'),
        (dict(resize=(44, 48)), r'resize.0: 40 -> 44'),
        (dict(tail='pad'), "tail: 'drop' -> 'pad'"),
        (dict(normalize=True), 'model.normalize: False -> True'),
        (dict(embed_dim=None), 'model.embed_dim: 8 -> None'),
    ],
)
def test_recipes_do_not_mix(tiny_config, video_folder, tmp_path, change, message):
    extract(tiny_config(), video_folder, tmp_path)
    with pytest.raises(DataError, match=message):
        FeatureExtraction(tiny_config(**change), tmp_path).prepare()


def test_other_weights_are_another_recipe(tiny_config, video_folder, tmp_path):
    out = tmp_path / 'out'
    extract(tiny_config(), video_folder, out)
    FeatureExtraction(tiny_config(), out, seed=0).prepare()
    with pytest.raises(DataError, match='weights_sha256'):
        FeatureExtraction(tiny_config(), out, seed=1).prepare()
    before = features(out)
    _, report = extract(tiny_config(), video_folder, out, overwrite=True, seed=1)
    assert len(report.done) == 3
    assert not np.allclose(before['Abuse/Abuse001_x264__0.npy'], features(out)['Abuse/Abuse001_x264__0.npy'], atol=0.1)


def test_overwriting_removes_only_what_it_made(tiny_config, video_folder, tmp_path):
    out = tmp_path / 'out'
    extract(tiny_config(crops=5), video_folder, out)
    (out / 'mine.txt').write_text('kept')
    (video_folder / 'Abuse/Abuse001_x264.mp4').unlink()
    extract(tiny_config(crops=1), video_folder, out, overwrite=True)
    assert list(features(out)) == ['Arson/Arson001_x264__0.npy', 'Normal/Normal_Videos_001__0.npy']
    assert (out / 'mine.txt').read_text() == 'kept'


def test_features_without_a_recipe_are_not_joined(tmp_path):
    np.save(tmp_path / 'a__0.npy', np.zeros((2, 2)))
    with pytest.raises(DataError, match=r'without a recipe\.json'):
        check_recipe(tmp_path, {'a': 1}, {})


def test_library_versions_may_differ(tmp_path):
    assert check_recipe(tmp_path, {'a': (1, 2)}, {'versions': {'av': '1'}}) == []
    assert check_recipe(tmp_path, {'a': (1, 2)}, {'versions': {'av': '2'}}) == ["versions.av: '1' -> '2'"]
    (tmp_path / 'recipe.json').write_text('{"recipe"')
    with pytest.raises(DataError, match='is not valid JSON'):
        check_recipe(tmp_path, {'a': (1, 2)}, {})


def test_config_of_a_method_is_told_from_one_of_features(tiny_config, tmp_path):
    config = tiny_config()
    config.train_dataloader = dict(batch_size=1)
    with pytest.raises(ConfigError, match='trains or tests a method. Features are extracted by a config of their own'):
        FeatureExtraction(config, tmp_path)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(crop=3), "no setting 'crop'"),
        (dict(precision='half'), "precision='half' is not one of float32"),
        (dict(dtype='int8'), "dtype='int8' is neither"),
        (dict(resizer='pil'), "resizer='pil' is not one of"),
        (dict(interpolation='nearest'), "interpolation='nearest' is not one of"),
        (dict(resize=20), 'resize=20 is smaller than crop_size=32'),
    ],
)
def test_wrong_settings(tiny_config, tmp_path, settings, message):
    config = tiny_config()
    config.features.update(settings)
    with pytest.raises(ConfigError, match=message):
        FeatureExtraction(config, tmp_path)


def test_progress_reaches_every_video_once(tiny_config, video_folder, tmp_path):
    (video_folder / 'Abuse/empty.mp4').write_bytes(b'')
    shares: dict[str, float] = {}

    def tell(video, share):
        shares[video.name] = shares.get(video.name, 0) + share

    for _ in range(2):
        shares.clear()
        extraction = FeatureExtraction(tiny_config(), tmp_path / 'out')
        extraction.prepare()
        extraction.run(find_videos([video_folder]), tell)
        assert shares == pytest.approx(dict.fromkeys(shares, 1.0))
        assert len(shares) == 4


def test_memory_does_not_follow_the_video(tiny_config, tmp_path, write_coloured):
    """Frames that wait are bounded: a source whose consumer sleeps decodes no further than its limit."""
    path = write_coloured(tmp_path / 'long.mp4', 400, 1)
    extraction = FeatureExtraction(tiny_config(frames='all', snippet_len=1), tmp_path / 'out', workers=1)
    source = extraction.source
    source.max_bytes = 5 * 3 * 48 * 48 * 4 // 3
    handed = []
    snippets_of = source.snippets_of

    def counted(video):
        for item in snippets_of(video):
            handed.append(1)
            yield item

    source.snippets_of = counted
    stream = source([VideoItem(str(path), 'long', os.path.getsize(path))])
    next(stream)
    import time

    for _ in range(40):
        time.sleep(0.05)
        if len(handed) > 5:
            break
    time.sleep(0.3)
    assert 3 <= len(handed) <= 8
    stream.close()
    assert index_video(str(path)).total_frames == 400


def test_turned_videos_are_read_as_shown_and_features_of_before_are_made_again(tiny_config, tmp_path, write_coloured):
    """Features from before pictures were turned lie beside notes that do not tell how they were shown."""
    for name in ('a', 'b'):
        write_coloured(tmp_path / f'videos/{name}.mp4', 40, 1)
    config = tiny_config(resize=40)
    _, report = extract(config, tmp_path / 'videos', tmp_path / 'out')
    assert sorted(report.done) == ['a', 'b']
    stored = features(tmp_path / 'out')
    turn_mp4(tmp_path / 'videos/a.mp4', TURNS['rot90'][0])
    for name in ('a', 'b'):
        note = json.loads(marker_path(tmp_path / 'out', name).read_text())
        assert note.pop('as_shown')
        marker_path(tmp_path / 'out', name).write_text(json.dumps(note))
    extraction, report = extract(config, tmp_path / 'videos', tmp_path / 'out')
    assert (report.done, report.skipped) == (['a'], ['b'])
    shown = features(tmp_path / 'out')
    np.testing.assert_array_equal(shown['b__0.npy'], stored['b__0.npy'])
    assert np.abs(shown['a__0.npy'] - stored['a__0.npy']).max() > 0.01
    frames = read_frames(str(tmp_path / 'videos/a.mp4'), np.array([8, 24]), (53, 40), interpolation='bilinear')
    np.testing.assert_allclose(shown['a__0.npy'], extraction.encode(frames[:, None])[:, 0], atol=2e-3)
    assert extract(config, tmp_path / 'videos', tmp_path / 'out')[1].done == []


def test_folders_of_frames_give_the_features_of_their_video(tiny_config, tmp_path, write_coloured):
    """As Ped2 and Avenue are handed on: a folder of images per clip, beside folders of masks."""
    path = write_coloured(tmp_path / 'videos/01.mp4', 20, 1)
    for number, frame in enumerate(read_frames(str(path), np.arange(20))):
        for folder in ('01', '02', '01_gt'):
            (tmp_path / 'frames' / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / f'frames/{folder}/{number}.png'), frame[..., ::-1])
    assert [(v.name, v.size > 1000) for v in find_videos([tmp_path / 'frames'])] == [('01', True), ('02', True)]
    assert [v.name for v in find_videos([tmp_path / 'frames/01'])] == ['01']
    assert [v.name for v in find_videos([tmp_path])] == ['videos/01']  # images beside videos are no videos
    config = tiny_config(resizer='opencv')
    extract(config, tmp_path / 'videos', tmp_path / 'of_video')
    _, report = extract(config, tmp_path / 'frames', tmp_path / 'of_frames')
    assert (sorted(report.done), report.frames, report.bad) == (['01', '02'], 40, {})
    expected, found = features(tmp_path / 'of_video'), features(tmp_path / 'of_frames')
    np.testing.assert_array_equal(found['01__0.npy'], expected['01__0.npy'])
    assert extract(config, tmp_path / 'frames', tmp_path / 'of_frames')[1].skipped == ['01', '02']
