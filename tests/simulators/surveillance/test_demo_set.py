import json
import re
from collections import Counter

import av
import numpy as np
import pytest

from vadlab.datasets.ucf_crime_regions import UCFCrimeRegions
from vadlab.simulators.common.scene import SCENE_SEEDS
from vadlab.simulators.common.video_writer import VideoWriter
from vadlab.simulators.surveillance.captions import EMPTY
from vadlab.simulators.surveillance.demo_set import plan_demo_set
from vadlab.simulators.surveillance.story import STORIES
from vadlab.utils.errors import ConfigError

PLANS = plan_demo_set(24, 12, seed=3, min_frames=60, max_frames=90)


def test_plan_is_a_function_of_the_seed():
    assert plan_demo_set(24, 12, 3, 60, 90) == PLANS
    assert plan_demo_set(24, 12, 4, 60, 90) != PLANS


def test_splits_share_neither_scene_nor_name_nor_seed():
    train, test = ([p for p in PLANS if p.split == s] for s in ('train', 'test'))
    assert (len(train), len(test)) == (24, 12)
    for field in ('scene', 'name', 'seed'):
        assert not {getattr(p, field) for p in train} & {getattr(p, field) for p in test}
    for split, plans in (('train', train), ('test', test)):
        low, high = SCENE_SEEDS[split]
        assert all(low <= p.scene < high for p in plans)


def test_names_and_folders_are_those_of_ucf_crime():
    for plan in PLANS:
        if plan.kind == 'Normal':
            folder = {'train': 'Training', 'test': 'Testing'}[plan.split] + '_Normal_Videos_Anomaly'
            assert re.fullmatch(rf'Videos/{folder}/Normal_Videos_\d{{3}}_x264\.mp4', plan.path.as_posix())
        else:
            assert re.fullmatch(rf'Videos/{plan.kind}/{plan.kind}\d{{3}}_x264\.mp4', plan.path.as_posix())
    assert len({p.name for p in PLANS}) == len(PLANS)


def test_shares_of_classes_languages_and_long_videos():
    for story in STORIES:
        plans = plan_demo_set(240, 84, 0, story=story)
        assert sum(p.kind == 'Normal' for p in plans) == pytest.approx(0.4 * 324, abs=2)
        assert sum(p.chinese for p in plans) == pytest.approx(16, abs=2)
        assert sum(p.num_frames > 300 for p in plans) >= 6
        assert {p.kind for p in plans if p.split == 'test'} == set(STORIES[story].classes)


def test_records_hold_moving_keyframed_boxes_inside_the_event():
    moved = 0
    normal = []
    for plan in PLANS:
        record = plan.record()
        if plan.kind == 'Normal' and plan.split == 'train':
            normal.append(bool(record['bbox_info']))
        assert json.loads(json.dumps(record)) == record
        assert record['f_path'] == plan.path.as_posix()
        intervals = plan.episode().intervals() or [(0, plan.num_frames)]
        for region in record['bbox_info']:
            keyframes = region['keyframes']
            frames = [k['frame'] for k in keyframes]
            assert frames == sorted(set(frames))
            assert keyframes[0]['enabled']
            assert not keyframes[-1]['enabled']
            assert (frames[0], frames[-1]) == (region['start_frame'], region['end_frame'])
            for k in keyframes:
                assert any(a <= k['frame'] < b for a, b in intervals)
                x0, y0, x1, y1 = k['bbox']
                assert 0 <= x0 < x1 <= 1
                assert 0 <= y0 < y1 <= 1
            moved += keyframes[0]['bbox'] != keyframes[-2]['bbox']
    assert moved > 10
    assert np.mean(normal) > 0.8  # normal actors carry regions too


def test_regions_are_small():
    areas = [
        (k['bbox'][2] - k['bbox'][0]) * (k['bbox'][3] - k['bbox'][1])
        for plan in plan_demo_set(36, 0, 5, 60, 60)
        for region in plan.record()['bbox_info']
        for k in region['keyframes']
    ]
    assert 0.03 <= np.median(areas) <= 0.08


def test_english_regions_have_hard_negatives_and_chinese_ones_none():
    languages = set()
    for plan in plan_demo_set(20, 20, 1, 60, 60):
        for region in plan.record()['bbox_info']:
            if region['caption'].startswith(EMPTY):  # which has none
                continue
            languages.add(plan.chinese)
            assert region['flag_short_neg'] == (not plan.chinese)
            negatives = list(region.get('short_expr_negs', {}).values())
            assert region['caption'] not in negatives
            assert len(set(negatives)) == len(negatives)
    assert languages == {True, False}


def test_a_video_has_as_many_frames_as_planned_and_is_not_made_twice(tmp_path):
    plan = PLANS[-1]
    assert plan.write(tmp_path)
    with av.open(str(tmp_path / plan.path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (320, 240, 15)
        assert stream.codec_context.name == 'h264'
        decoded = [frame.to_ndarray(format='rgb24') for frame in container.decode(stream)]
    assert len(decoded) == plan.num_frames
    drawn = plan.episode().render(30)[0].astype(float)
    assert np.abs(decoded[30] - drawn).mean() < 12  # compression, half-resolution colour
    assert not plan.write(tmp_path)
    assert not list(tmp_path.rglob('*.part'))


def test_the_data_set_class_reads_it_and_agrees_on_the_intervals(tmp_path):
    chosen = [p for p in PLANS if p.split == 'test'][-4:] + [next(p for p in PLANS if p.split == 'test')]
    for plan in chosen:
        path = tmp_path / plan.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / 'test.json').write_text(json.dumps([p.record() for p in chosen], ensure_ascii=False))
    (tmp_path / 'times.txt').write_text('\n'.join(p.temporal_line() for p in chosen) + '\n')
    dataset = UCFCrimeRegions('test.json', str(tmp_path), temporal_ann_file='times.txt')
    by_name = {p.name: p for p in chosen}
    for i in range(len(chosen)):
        info = dataset.get_data_info(i)
        plan = by_name[info['video_id']]
        assert dataset.metainfo['classes'][info['label']] == plan.kind
        assert [tuple(row) for row in info['intervals'].tolist()] == plan.episode().intervals()
        assert len(info['regions']) == len(plan.record()['bbox_info'])


@pytest.mark.parametrize(('sizes', 'match'), [((0, 0), 'needs videos'), ((-1, 3), 'train=-1')])
def test_a_set_without_videos_is_refused(sizes, match):
    with pytest.raises(ConfigError, match=match):
        plan_demo_set(*sizes, seed=0)


def test_a_set_can_have_some_of_the_classes():
    plans = plan_demo_set(20, 10, 3, 60, 90, classes=('Normal', 'Arson', 'Robbery'))
    assert Counter(plan.kind for plan in plans) == {'Normal': 12, 'Arson': 9, 'Robbery': 9}
    with pytest.raises(ConfigError, match="'motion' has no class 'Arson'; known: Normal, Chase"):
        plan_demo_set(24, 12, 3, story='motion', classes=('Arson',))
    with pytest.raises(ConfigError, match='needs an anomalous class; known: Arson'):
        plan_demo_set(24, 12, 3, classes=('Normal',))


def test_training_videos_have_regions_of_what_is_normal_and_test_videos_of_events_only():
    for plan in plan_demo_set(30, 30, 7, 60, 60):
        record, phrases = plan.record(), plan.episode().phrases(np.random.default_rng(0))
        empty = [r for r in record['bbox_info'] if r['caption'].startswith(EMPTY)]
        if plan.split == 'test':
            assert not empty
            assert bool(record['bbox_info']) == (plan.kind != 'Normal')
            assert len(record['bbox_info']) <= len(phrases) - len(plan.episode().bystanders)
            continue
        assert len(record['bbox_info']) - len(empty) >= 1
        for region in empty:
            start, end, box = region['start_frame'], region['end_frame'], region['keyframes'][0]['bbox']
            for frame in range(start, end + 1, 5):
                for x0, y0, x1, y1 in plan.episode().render(frame)[1].values():
                    inside = min(box[2], x1) - max(box[0], x0) > 0.01 and min(box[3], y1) - max(box[1], y0) > 0.01
                    assert not inside, (plan, frame)


def test_unknown_story_is_named():
    with pytest.raises(ConfigError, match="no story 'drama'; known: events, motion"):
        plan_demo_set(1, 1, 0, story='drama')


def test_lengths_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match='60 <= min_frames <= max_frames'):
        plan_demo_set(1, 1, 0, 100, 80)


def test_a_video_that_fails_halfway_leaves_nothing(tmp_path):
    path = tmp_path / 'a.mp4'

    def fail():
        with VideoWriter(path, 30) as writer:
            writer.add(np.zeros((48, 64, 3), np.uint8))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_frame_outside_the_with_block_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match='belongs inside'):
        VideoWriter(tmp_path / 'a.mp4', 30).add(np.zeros((48, 64, 3), np.uint8))
