"""The small CLIP is pre-trained on everyday scenes: no word of an anomaly is in its captions."""

import re

import numpy as np

from vadlab.datasets.ucf_crime_regions import UCF_CRIME_CLASSES
from vadlab.simulators.common.scene import Scene, scene_seed
from vadlab.simulators.surveillance.episode import Episode
from vadlab.simulators.surveillance.story import STORIES
from vadlab.simulators.surveillance.synthetic_frames import SyntheticFrames
from vadlab.simulators.surveillance.vocabulary import everyday_vocabulary
from vadlab.simulators.surveillance.wording import Namer

# Beginnings of words for anomalous events, and of their synonyms.
FORBIDDEN = (
    *(
        'abus',
        'accident',
        'aim',
        'anomal',
        'abnormal',
        'argu',
        'arm(?!s)',
        'arrest',
        'arson',
        'assault',
        'attack',
        'bat$',
    ),
    *('batter', 'beat', 'blast', 'blaz', 'bleed', 'blood', 'bomb', 'brawl', 'break', 'broke', 'bully', 'burg', 'burn'),
    *(
        'chas',
        'collid',
        'collision',
        'combust',
        'crash',
        'crime',
        'crimin',
        'crush',
        'damag',
        'danger',
        'dead',
        'debris',
    ),
    *(
        'destr',
        'devast',
        'duel',
        'emergency',
        'explo',
        'fall',
        'fell',
        'fight',
        'fire',
        'flam',
        'flee',
        'fought',
        'gang',
    ),
    *('graffiti', 'grappl', 'gun', 'harm', 'hijack', 'hit', 'hold', 'hostage', 'hurt', 'ignit', 'incident', 'injur'),
    *(
        'intru',
        'kick',
        'kidnap',
        'kill',
        'knife',
        'knock',
        'loot',
        'mask',
        'mug',
        'murder',
        'panic',
        'pistol',
        'police',
    ),
    *('punch', 'rifle', 'riot', 'rob', 'rubble', 'scream', 'shatter', 'shoot', 'shoplift', 'shot', 'slap', 'smash'),
    *(
        'smoke',
        'smok',
        'spray',
        'stab',
        'steal',
        'stole',
        'strik',
        'struck',
        'surrender',
        'suspicious',
        'theft',
        'thief',
    ),
    *(
        'threat',
        'torch',
        'trespass',
        'unusual',
        'vandal',
        'victim',
        'violen',
        'weapon',
        'wound',
        'wreck',
        'wrestl',
        'wrong',
    ),
)
ALLOWED = {'holding'}  # an umbrella


def test_no_word_of_an_anomaly_is_in_the_whole_vocabulary():
    words = everyday_vocabulary() - ALLOWED
    assert {word for word in words for stem in FORBIDDEN if re.match(stem, word)} == set()
    names = {word for kind in UCF_CRIME_CLASSES[1:] for word in re.findall('[A-Z][a-z]+', kind)} - {'Road'}
    assert not {name.lower() for name in names} & words


def test_the_vocabulary_is_whole():
    """Oracle: thousands of captions that were drawn at random hold no other word."""
    drawn = set()
    for split in ('train', 'val'):
        dataset = SyntheticFrames(8000, split=split, chinese=0.0)
        for number in range(500):
            episode = Episode(Scene.make(scene_seed(split, number % 8)), 'Normal', dataset.seed + number, num_frames=60)
            rng = np.random.default_rng(number)
            drawn |= {episode.frame_caption(0, rng) for _ in range(4)}
            drawn |= {phrase.clause() for _ in range(3) for phrase in episode.phrases(rng).values()}
    assert len(drawn) > 3000
    words = {word for text in drawn for word in re.findall('[a-z]+', text.lower())}
    assert words <= everyday_vocabulary()
    assert len(words) > 0.9 * len(everyday_vocabulary())


def test_the_forbidden_words_are_those_of_the_events():
    """Each event's own captions are caught: the list is not too short."""
    for kind, event in STORIES['events'].events.items():
        for seed in range(30):
            rng = np.random.default_rng(seed)
            told = event(Scene.make(0, ('street',)), rng).tell(Namer(rng))
            assert any(re.match(stem, word) for word in re.findall('[a-z]+', told) for stem in FORBIDDEN), (kind, told)
