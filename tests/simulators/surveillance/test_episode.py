import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vadlab.simulators.common.palette import COLOURS
from vadlab.simulators.common.scene import PAINTERS, Scene
from vadlab.simulators.surveillance.captions import PLACES
from vadlab.simulators.surveillance.episode import Episode, scene_kinds
from vadlab.simulators.surveillance.story import STORIES
from vadlab.utils.errors import ConfigError

STORY_OF = {kind: story for story in STORIES for kind in STORIES[story].events}
EVENT_CLASSES = tuple(STORY_OF)
CLASSES = ('Normal', *EVENT_CLASSES)


def make(kind, seed=0, scene=0, num_frames=120):
    return Episode(Scene.make(scene, scene_kinds(kind)), kind, seed, num_frames, story=STORY_OF.get(kind, 'events'))


@pytest.mark.parametrize('kind', CLASSES)
def test_frames_do_not_depend_on_the_order_in_which_they_are_drawn(kind):
    forward, backward = make(kind), make(kind)
    frames = (0, 17, 60, 119)
    one = [forward.render(f) for f in frames]
    two = [backward.render(f) for f in reversed(frames)][::-1]
    for (image, boxes), (image2, boxes2) in zip(one, two, strict=True):
        assert np.array_equal(image, image2)
        assert boxes == boxes2


@pytest.mark.parametrize('kind', EVENT_CLASSES)
def test_intervals_equal_progress_frame_by_frame(kind):
    for seed in range(12):
        episode = make(kind, seed)
        shown = np.array([episode.progress(f) is not None for f in range(episode.num_frames)])
        marked = np.zeros(episode.num_frames, bool)
        for start, end in episode.intervals():
            assert 0 <= start < end <= episode.num_frames
            marked[start:end] = True
        assert np.array_equal(shown, marked)
        assert 0.3 < marked.mean() < 0.6


def test_normal_video_has_no_interval():
    episode = make('Normal')
    assert episode.intervals() == []
    assert episode.progress(5) is None


def test_position_alone_scores_half():
    """The best guess without pixels is the share of training videos that are anomalous at that place."""
    scene = Scene.make(0)
    labels = np.zeros((3000, 60))
    for seed, row in enumerate(labels):
        for start, end in Episode(scene, 'Robbery', seed, 60).intervals():
            row[start:end] = 1
    prior = np.broadcast_to(labels[:1500].mean(0), (1500, 60))
    assert roc_auc_score(labels[1500:].ravel(), prior.ravel()) == pytest.approx(0.5, abs=0.02)
    # Each place is anomalous with the same probability; 0.01 is the standard error of a share.
    assert abs(labels.mean(0) - labels.mean()).max() < 0.04


@pytest.mark.parametrize('kind', EVENT_CLASSES)
def test_event_adds_roles_and_takes_none_of_the_people_away(kind):
    episode = make(kind, 3)
    during = (episode.onset + episode.duration // 2) % episode.num_frames
    roles = set(episode.render(during)[1]) - set(episode.bystanders)
    assert roles
    assert roles <= set(episode.phrases(np.random.default_rng(0)))
    after = (episode.onset + episode.duration + 5) % episode.num_frames
    assert episode.progress(after) is None
    assert set(episode.render(after)[1]) <= set(episode.bystanders)


def test_boxes_are_inside_the_picture():
    for kind in CLASSES:
        for frame in range(0, 120, 13):
            for box in make(kind, 8).render(frame)[1].values():
                assert 0 <= box[0] < box[2] <= 1
                assert 0 <= box[1] < box[3] <= 1


def test_camera_shake_moves_picture_and_boxes_alike():
    for seed in range(30):
        episode = make('Arson', seed)
        if episode.conditions.shake:
            break
    frame = next(f for f in range(120) if episode.conditions.offset(f) != (0, 0) and episode.progress(f) is not None)
    dx, dy = episode.conditions.offset(frame)
    shaken, boxes = episode._stage(frame).shoot()
    episode.conditions = replace(episode.conditions, shake=0.0)
    still, fixed = episode._stage(frame).shoot()
    for role, box in fixed.items():
        assert boxes[role] == pytest.approx((box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy))
    moved = shaken[10 + dy : 230 + dy, 10 + dx : 310 + dx].astype(int)
    assert np.abs(moved - still[10:230, 10:310]).mean() < 0.6 * np.abs(shaken.astype(int) - still).mean() + 6


def test_accidents_need_a_place_with_cars():
    park = Scene.make(0, ('park',))
    with pytest.raises(ConfigError, match='RoadAccidents cannot happen in a park'):
        Episode(park, 'RoadAccidents', 0)


def test_unknown_class_and_too_short_video_are_named():
    with pytest.raises(ConfigError, match="no class 'Burglary'"):
        Episode(Scene.make(0), 'Burglary', 0)
    with pytest.raises(ConfigError, match="no class 'Arson'; known: Normal, Chase"):
        Episode(Scene.make(0), 'Arson', 0, story='motion')
    with pytest.raises(ConfigError, match="no story 'drama'"):
        Episode(Scene.make(0), 'Normal', 0, story='drama')
    with pytest.raises(ConfigError, match='at least 60 frames, not 20'):
        Episode(Scene.make(0), 'Arson', 0, num_frames=20)


def test_every_scene_has_words_for_its_place():
    assert set(PLACES) == set(PAINTERS)


def test_captions_tell_scene_and_event_of_the_frame():
    rng = np.random.default_rng(0)
    words = {
        'Arson': 'fire|flame|burn|arson|light',
        'Explosion': 'explo|fireball|blast',
        'Fighting': 'fight|punch|kick|hit|brawl|grapple',
        'Chase': 'chas|runs away',
        'Fall': 'fall',
        'LeftBehind': 'leaves|left behind|walks away',
        'Trespass': 'trespass|nobody goes|crosses the line',
        'WrongWay': 'wrong way|against the traffic',
        'RoadAccidents': 'crash|collide|collision|accident|hits|knocked|runs over',
        'Robbery': 'rob|gun|holds up',
        'Vandalism': 'graffiti|vandal|spray|smash|break|damaging',
    }
    for kind, pattern in words.items():
        for seed in range(8):
            episode = make(kind, seed, scene=seed)
            during, after = episode.onset, (episode.onset + episode.duration) % episode.num_frames
            caption = episode.frame_caption(during, rng)
            assert re.search(pattern, caption, re.IGNORECASE), caption
            assert any(place in caption.lower() for place in PLACES[episode.scene.kind][0])
            assert not re.search(
                r'\b(fights?|fighting|explosion|robs?|robbery|arson|crash)\b', episode.frame_caption(after, rng)
            )


def test_captions_are_many():
    rng = np.random.default_rng(0)
    captions = {make(kind, seed, seed).video_caption(rng) for kind in CLASSES for seed in range(20)}
    assert len(captions) > 100


def test_chinese_captions_hold_no_english():
    rng = np.random.default_rng(0)
    for kind in CLASSES:
        for seed in range(6):
            episode = make(kind, seed, seed)
            phrases = episode.phrases(rng, True).values()
            texts = [episode.video_caption(rng, True), *(phrase.clause() for phrase in phrases)]
            assert not any(re.search('[A-Za-z{}]', text) for text in texts), texts


def test_no_colour_is_told_of_what_a_monochrome_camera_shows():
    rng = np.random.default_rng(0)
    scene = next(s for s in map(Scene.make, range(100)) if s.camera.grey and s.outdoor)
    for kind in CLASSES:
        for seed in range(5):
            episode = Episode(scene, kind, seed, story=STORY_OF.get(kind, 'events'))
            phrases = episode.phrases(rng).values()
            text = ' '.join([episode.video_caption(rng), *(phrase.clause() for phrase in phrases)])
            text = text.replace('white steam', 'steam')  # is white without colours, too
            assert not set(re.findall('[a-z]+', text)) & set(COLOURS), text
