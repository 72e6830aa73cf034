"""Scores of videos: those of tools/test.py, whatever the batches, the threads and the parts of a file."""

import json
import os
import shutil
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from tests.datasets.turned_videos import TURNS, lopsided_picture, write_lopsided
from tests.tools.tiny_ucf import write_video
from vadlab.apis.inferencers.frame_reader import FrameReader
from vadlab.apis.inferencers.frame_sampling import FrameSampling
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.datasets.video import read_frames
from vadlab.structures.video_result import RunInfo, Thresholds, VideoResult, load_results
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError, DataError


@pytest.fixture(scope='module')
def inferencer(tiny):
    return VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling='test')


@pytest.fixture
def every(tiny):
    """Scores every 4th frame."""
    return VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling=4, thresholds=Thresholds(0.5, 0.5))


def by_name(results):
    return {result.name: result for result in results}


def test_scores_are_those_of_a_plain_loop_over_the_model(inferencer, videos):
    """The model's own ``predict`` on frames that are read and packed here."""
    from vadlab.structures import VADDataSample

    found = by_name(inferencer(videos))
    assert len(found) == 7
    for path in videos:
        inds = np.array([3, 9, 15, 21])  # the middles of four slots of 24 frames
        frames = torch.from_numpy(read_frames(str(path), inds, (32, 32))).permute(0, 3, 1, 2)
        sample = VADDataSample(metainfo=dict(video_id='a', total_frames=24, frame_inds=inds))
        data = inferencer.model.data_preprocessor(dict(inputs=[frames], data_samples=[sample]))
        with torch.no_grad():
            (wanted,) = inferencer.model(**data, mode='predict')
        result = found[path.name]
        np.testing.assert_allclose(result.scores, wanted.pred_scores, rtol=0, atol=1e-6)
        assert result.frame_inds.tolist() == inds.tolist()
        np.testing.assert_allclose(result.times, np.arange(24) / 30, atol=1e-3)
        assert (result.fps, result.size, result.path) == (30, (48, 64), str(path))
        # The probability of an anomaly is the sum over the abnormal classes.
        assert result.classes[0] == 'Normal'
        np.testing.assert_allclose(result.class_scores[:, 1:].sum(1), result.scores[inds], atol=1e-5)


def test_batches_and_threads_do_not_change_scores(tiny, videos):
    one = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling=4, workers=1, batch_size=1)
    many = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', sampling=4, workers=3, batch_size=5)
    first, second = by_name(one(videos)), by_name(many(videos))
    assert first.keys() == second.keys()
    for name, result in first.items():
        assert result.frame_inds.tolist() == [2, 6, 10, 14, 18, 22]
        np.testing.assert_allclose(result.scores, second[name].scores, rtol=0, atol=1e-6)


@pytest.mark.parametrize('workers', [1, 3])
def test_filled_batches_have_frames_of_several_videos(tiny, videos, tmp_path, monkeypatch, workers):
    """Videos of 1 to 60 frames, one of which ends in damage; every second frame is scored, as without filling."""
    lengths = {f'{count:02d}.mp4': count for count in (1, 3, 60, 6, 9, 24)}
    files = [write_video(tmp_path / name, count) for name, count in lengths.items()]
    damaged = write_video(tmp_path / 'damaged.mp4', 60)
    damaged.write_bytes(damaged.read_bytes()[:-3000])
    files = [*files[:3], damaged, *files[3:]]
    made = [
        VADInferencer(tiny / 'config.py', tiny / 'weights.pth', None, 2, None, workers, 7, fill_batches=fills)
        for fills in (False, True, True)
    ]
    sizes = []
    for inferencer in made:
        embed, seen = inferencer.scorer.embed_frames, []
        monkeypatch.setattr(
            inferencer.scorer,
            'embed_frames',
            lambda frames, embed=embed, seen=seen: seen.append(len(frames)) or embed(frames),
        )
        sizes.append(seen)
    plain, filled, again = (by_name(inferencer(files)) for inferencer in made)
    assert min(sizes[0]) == 1
    assert set(sizes[1][:-1]) == {7}
    assert sizes[1] == sizes[2]
    assert plain.keys() == filled.keys() == {*lengths, 'damaged.mp4'}
    assert filled['damaged.mp4'].error == plain['damaged.mp4'].error is not None
    for name, count in lengths.items():
        assert len(filled[name].scores) == count
        np.testing.assert_allclose(filled[name].scores, plain[name].scores, rtol=0, atol=1e-6)
        assert np.array_equal(filled[name].scores, again[name].scores)


def test_only_a_gpu_fills_batches_by_itself(inferencer, monkeypatch):
    assert inferencer.fills_batches(None) is False
    assert inferencer.fills_batches(True) is True
    monkeypatch.setattr(inferencer, 'device', torch.device('cuda'))
    assert inferencer.fills_batches(None) is True
    assert inferencer.fills_batches(False) is False


def test_a_file_read_in_parts_has_the_frames_of_one_reader(tmp_path, monkeypatch):
    monkeypatch.setattr('vadlab.apis.inferencers.frame_reader._SHORTEST_PART', 1)
    path = str(write_video(tmp_path / 'long.mp4', frames=60))
    inds = np.arange(0, 60, 3)
    reader = FrameReader(lambda total: inds, (16, 16), workers=3, chunk=4)
    from vadlab.apis.inferencers.video_inputs import find_sources

    opened, *chunks = list(reader(find_sources(path)))
    assert opened.total_frames == 60
    assert sorted(chunk.start for chunk in chunks) == [0, 4, 8, 12, 16]
    frames = np.concatenate([chunk.frames for chunk in sorted(chunks, key=lambda chunk: chunk.start)])
    assert np.array_equal(frames, read_frames(path, inds, (16, 16)))
    monkeypatch.setattr(reader, 'chunk', 8)  # the end comes in pieces of 2
    opened, *chunks = list(reader(find_sources(path)))
    chunks.sort(key=lambda chunk: chunk.start)
    assert [(chunk.start, len(chunk.frames)) for chunk in chunks] == [(0, 8), (8, 8), (16, 2), (18, 2)]
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks]), frames)
    monkeypatch.setattr(reader, 'chunk', 4)
    parts = list(reader._split(opened))
    assert [(part.start, part.stop) for part in parts] == [(0, 8), (8, 12), (12, 20)]


def test_arrays_and_folders_of_frames_are_scored(every, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (9, 32, 32, 3), np.uint8)
    (tmp_path / 'frames').mkdir()
    for i, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / 'frames' / f'{i}.png'), frame[..., ::-1])
    found = by_name(every([frames, tmp_path / 'frames']))
    array, folder = found['array_0'], found['frames']
    np.testing.assert_allclose(array.scores, folder.scores, atol=1e-6)
    assert array.times.tolist() == folder.times.tolist() == (np.arange(9) / 25).tolist()


def test_a_folder_of_frames_with_another_rate_gets_other_times(tiny, tmp_path):
    (tmp_path / 'frames').mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / 'frames' / f'{i}.png'), np.full((32, 32, 3), 9 * i, np.uint8))
    out = tmp_path / 'out'
    for fps in (25.0, 5.0):
        (found,) = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', fps=fps)(tmp_path / 'frames', out=out)
        assert found.times.tolist() == (np.arange(4) / fps).tolist()
    stamp = os.stat(out / 'frames.json').st_mtime_ns
    (found,) = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', fps=5.0)(tmp_path / 'frames', out=out)
    assert os.stat(out / 'frames.json').st_mtime_ns == stamp


def test_auto_sampling_is_that_of_the_test_or_every_16th_frame(tiny):
    sampling = FrameSampling(load_config(tiny / 'config.py'))
    assert sampling(24).tolist() == [3, 9, 15, 21]
    assert sampling(80).tolist() == [8, 24, 40, 56, 72]
    assert FrameSampling(load_config(tiny / 'config.py'), 'test')(80).tolist() == [10, 30, 50, 70]
    assert FrameSampling(load_config(tiny / 'config.py'), 5)(3).tolist() == [2]
    for wrong in (0, -1, 'all', True):
        with pytest.raises(ConfigError, match='give auto, test, or N for every Nth frame'):
            FrameSampling(load_config(tiny / 'config.py'), wrong)


def test_prompts_of_the_call_replace_the_classes_until_the_next_call(inferencer, videos):
    (before,) = inferencer(videos[0])
    (found,) = inferencer(videos[0], prompts=['a fire', 'a person lying on the floor'], negatives=['a quiet room'])
    assert found.classes == ('Normal', 'a fire', 'a person lying on the floor')
    assert found.class_scores.shape == (4, 3)
    np.testing.assert_allclose(found.class_scores.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(1 - found.class_scores[:, 0], found.scores[found.frame_inds], atol=1e-5)
    (again,) = inferencer(videos[0])
    assert again.classes == before.classes
    assert np.array_equal(again.scores, before.scores)


def test_prompts_that_were_the_classes_phrases_give_the_same_scores(inferencer, videos):
    """The same phrases as classes of their own: their sum is the same probability."""
    head = inferencer.model._own_head
    phrases = [p for p, n in zip(head.phrases, head.is_normal.tolist(), strict=True) if not n]
    (plain,), (prompted,) = inferencer(videos[0]), inferencer(videos[0], prompts=phrases)
    np.testing.assert_allclose(plain.scores, prompted.scores, atol=1e-6)


@pytest.mark.parametrize(
    ('how', 'message'),
    [
        (dict(prompts=['word ' * 90]), 'has 9[0-9] tokens, and the text tower takes 24'),
        (dict(prompts=['a', 'a']), "'a' is given twice"),
        (dict(prompts=['a'], negatives=['a']), "'a' is given twice"),
        (dict(prompts=[]), 'give at least one'),
        (dict(prompts=[' ']), 'no empty ones'),
        (dict(prompts=['Normal']), 'give it as a negative'),
        (dict(prompts='a fire'), 'lists of texts'),
        (dict(negatives=['a']), 'negatives need prompts'),
    ],
)
def test_prompts_that_cannot_be_used_are_an_error(inferencer, videos, how, message):
    with pytest.raises(ConfigError, match=message):
        list(inferencer(videos[0], **how))


def test_events_name_their_class_and_thresholds(every, videos):
    (result,) = every(videos[0])
    every.thresholds = Thresholds(high=float(np.sort(result.scores)[-3]), low=float(np.sort(result.scores)[-12]))
    (found,) = every(videos[0])
    assert len(found.events) >= 1
    assert found.threshold == every.thresholds
    for event in found.events:
        assert event.label in found.classes[1:]
        assert event.reason.startswith(f'at the peak {event.label}')
        assert found.scores[event.peak] == event.score


def test_a_killed_run_goes_on_and_other_runs_are_refused(every, videos, tmp_path):
    folder = shutil.copytree(videos[0].parent, tmp_path / 'videos')
    out = tmp_path / 'out'
    stream = every(folder, out=out)
    next(stream)
    next(stream)
    stream.close()  # killed
    kept = sorted(result.name for result in load_results(out))
    assert len(kept) == 2
    stamps = {name: os.stat(out / f'{name}.json').st_mtime_ns for name in kept}
    assert len(list(every(folder, out=out))) == 7
    assert {name: os.stat(out / f'{name}.json').st_mtime_ns for name in kept} == stamps
    assert RunInfo.load(out).model == 'FGCLIP'
    os.utime(folder / kept[0], ns=(2**61, 2**61))  # changed after it was scored
    list(every(folder, out=out))
    assert os.stat(out / f'{kept[0]}.json').st_mtime_ns > stamps[kept[0]]
    with pytest.raises(ConfigError, match="results of another run: its prompts: none; now: 'a fire'. Choose"):
        list(every(folder, prompts=['a fire'], out=out))
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'letter.doc').touch()
    with pytest.raises(ConfigError, match='is not empty'):
        list(every(folder, out=tmp_path / 'mine'))


def test_results_of_other_settings_are_not_taken_for_those_of_this_run(every, tiny, videos, tmp_path):
    """Oracle: the scores with the other settings differ."""
    (before,) = every(videos[0], out=tmp_path)
    config = load_config(tiny / 'config.py', {'model.score_head.score_window': 3})
    other = VADInferencer(config, tiny / 'weights.pth', sampling=4, thresholds=Thresholds(0.5, 0.5))
    (result,) = other(videos[0])
    assert not np.array_equal(result.scores, before.scores)
    with pytest.raises(ConfigError, match='results of other settings of the config'):
        list(other(videos[0], out=tmp_path))
    (again,) = every(videos[0], out=tmp_path)
    np.testing.assert_array_equal(again.scores, before.scores)


def write_movie(path, frames=8, size=(64, 48), codec='libx264', pix_fmt='yuv420p', times=None, options=None):
    random = np.random.default_rng(0)
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(random.integers(0, 255, (size[1], size[0], 3), np.uint8), format='rgb24')
            frame.pts, frame.time_base = (times[i] if times else i), Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_one_bad_file_among_many_has_its_reason(every, tmp_path):
    write_movie(tmp_path / 'good.mp4')
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video' * 100)
    (tmp_path / 'cut.mkv').write_bytes(write_movie(tmp_path / 'whole.mkv', 30).read_bytes()[:20000])
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as out:
        stream = out.add_stream('aac', rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    found = by_name(every(tmp_path, out=tmp_path / 'out'))
    errors = {name: result.error for name, result in found.items()}
    assert errors.pop('good.mp4') is None
    assert errors.pop('whole.mkv') is None
    assert 'zero bytes' in errors.pop('empty.mp4')
    assert 'not a video' in errors.pop('text.mp4')
    assert 'no video stream' in errors.pop('sound.mp4')
    assert 'cut short' in errors.pop('cut.mkv')
    assert errors == {}
    written = json.loads((tmp_path / 'out' / 'sound.mp4.json').read_text())
    assert written['error'] == found['sound.mp4'].error
    assert VideoResult.load(tmp_path / 'out' / 'good.mp4.json').error is None


def test_unusual_files_are_scored(every, tmp_path):
    write_movie(tmp_path / 'one.mp4', frames=1)
    write_movie(tmp_path / 'odd.mkv', size=(63, 47), codec='ffv1', pix_fmt='yuv444p')
    write_movie(tmp_path / 'ten_bit.mp4', pix_fmt='yuv420p10le')
    write_movie(tmp_path / 'interlaced.mp4', options={'x264-params': 'tff=1'})
    irregular = [0, 1, 5, 6, 7, 30, 31, 60]
    write_movie(tmp_path / 'variable.mkv', times=irregular)
    found = by_name(every(tmp_path))
    assert {name: result.error for name, result in found.items()} == dict.fromkeys(found)
    assert len(found) == 5
    assert found['one.mp4'].scores.shape == (1,)
    assert found['odd.mkv'].size == (47, 63)
    np.testing.assert_allclose(found['variable.mkv'].times, np.array(irregular) / 30, atol=2e-3)
    mean = 30 * (len(irregular) - 1) / (irregular[-1] - irregular[0])
    assert found['variable.mkv'].fps == pytest.approx(mean, rel=0.011)


def test_a_rotated_video_is_scored_upright(every, tmp_path):
    """The scores are those of its pictures turned by hand, as an array."""
    matrix, turn = TURNS['rot90']
    picture = lopsided_picture()
    (result,) = every(write_lopsided(tmp_path / 'turned.mp4', matrix=matrix))
    height, width = picture.shape[:2]
    assert result.size == (width, height)
    stored = read_frames(str(write_lopsided(tmp_path / 'upright.mp4')), np.arange(6))
    found = by_name(every([np.stack([turn(frame) for frame in stored]), stored]))
    seen, upright, wrong = (np.log(r.class_scores) for r in (result, found['array_0'], found['array_1']))
    assert np.abs(seen - upright).max() < np.abs(seen - wrong).max() / 5


def test_a_video_of_which_only_a_part_can_be_decoded_is_an_error(every, tmp_path):
    path = write_movie(tmp_path / 'a.mp4', 60)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    (result,) = every(path)
    assert result.error is None or 'damaged' in result.error


def test_values_out_of_range_are_an_error(tiny):
    with pytest.raises(ConfigError, match='workers must be >= 1, not 0'):
        VADInferencer(tiny / 'config.py', tiny / 'weights.pth', workers=0)
    with pytest.raises(ConfigError, match='its weights would be random'):
        VADInferencer(tiny / 'config.py', None)


def test_a_config_without_frame_scores_says_so(tiny, videos):
    config = load_config(tiny / 'config.py', {'model.score_head': None})
    silent = VADInferencer(config, tiny / 'weights.pth')
    with pytest.raises(ConfigError, match='no score_head'):
        list(silent(videos[0]))


def test_results_do_not_hold_videos_that_are_none(every, tmp_path):
    with pytest.raises(DataError, match='No videos under'):
        list(every(tmp_path))


def test_other_thresholds_need_no_new_scores(every, videos, tmp_path, monkeypatch):
    first = by_name(every(videos, out=tmp_path))
    middle = float(np.median(np.concatenate([result.scores for result in first.values()])))
    monkeypatch.setattr(every, 'thresholds', Thresholds(middle, middle))
    wanted = by_name(every(videos))

    def never(sources):
        assert not sources
        return iter(())

    monkeypatch.setattr(every, 'scorer', never)
    for name, result in by_name(every(videos, out=tmp_path)).items():
        assert result.events == wanted[name].events
        assert VideoResult.load(tmp_path / f'{name}.json').threshold == every.thresholds


@pytest.mark.parametrize('device', ['cuda:99', 'gpu'])
def test_a_device_that_is_not_here_is_an_error(tiny, device):
    with pytest.raises(ConfigError, match=f"'{device}' cannot be used here"):
        VADInferencer(tiny / 'config.py', tiny / 'weights.pth', device=device)


@pytest.mark.parametrize(
    ('prompts', 'negatives'), [(['a dog', 'A  Dog '], None), (['a dog'], ['a DOG'])], ids=['prompts', 'negative']
)
def test_prompts_that_differ_in_case_or_blanks_only_are_given_twice(every, prompts, negatives):
    with pytest.raises(ConfigError, match="'a dog' is given twice"):
        every.use_prompts(prompts, negatives)
