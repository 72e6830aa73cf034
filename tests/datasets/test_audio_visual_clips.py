import copy
import json
import pickle

import numpy as np
import pytest
import torch

from vadlab.apis.preparation.av_clip_preparation import AVClipPreparation
from vadlab.apis.preparation.split_files import write_split_files
from vadlab.datasets.audio.audio_reader import CHANNELS_CANCEL
from vadlab.datasets.audio.log_mel import LogMelRecipe
from vadlab.datasets.audio_visual_clips import AudioVisualClips
from vadlab.datasets.formats.av_clip_metadata import read_metadata
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
from vadlab.datasets.formats.prepared_av_clips import frames_path, mel_path
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

from .wildlife_clips import METADATA, tone, write_clip, write_set

pytest.importorskip('librosa')

FRAMES, SOUND = FrameRecipe(num_frames=4, height=24, width=32), LogMelRecipe(bands=16)
PIPELINE = [dict(type='LoadClip'), dict(type='PackAudioVisualInputs')]


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    folder = write_set(tmp_path_factory.mktemp('set'))
    records = read_metadata(folder / 'metadata.csv')
    AVClipPreparation(folder / 'processed', folder / 'videos', FRAMES, SOUND).run(records)
    write_split_files(records, folder / 'raw/metadata', folder / 'metadata.csv')
    return folder


def clips(folder, split='train', **options):
    common = dict(train_ann_file='raw/metadata/train.csv', pipeline=PIPELINE, video_dir='videos')
    return AudioVisualClips(f'raw/metadata/{split}.csv', str(folder), **{**common, **options})


def with_metadata(prepared, folder, old, new):
    """The prepared set, with another text in its metadata."""
    text = METADATA.replace(old, new)
    assert text != METADATA
    (folder / 'metadata.csv').write_text(text)
    for name in ('processed', 'videos'):
        (folder / name).symlink_to(prepared / name)
    write_split_files(read_metadata(folder / 'metadata.csv'), folder / 'raw/metadata', folder / 'metadata.csv')
    return folder


def test_samples_of_prepared_clips(prepared):
    data = clips(prepared)
    assert data.classes == {'species': ['fox', 'red deer'], 'behaviour': ['grazing', 'running']}
    deer, fox = data[0], data[1]
    assert deer['inputs']['video'].shape == (4, 3, 24, 32)
    assert deer['inputs']['video'].dtype == torch.uint8
    assert deer['inputs']['audio'].dtype == torch.float32
    np.testing.assert_array_equal(deer['inputs']['audio'][0], np.load(mel_path(prepared / 'processed', 'deer1')))
    assert fox['inputs']['audio'] is None
    sample = deer['data_samples']
    assert (sample.clip_id, sample.has_audio, sample.fps, sample.num_frames) == ('deer1', True, 10.0, 20)
    assert sample.frame_inds.tolist() == [2, 7, 12, 17]
    assert {head: label.tolist() for head, label in sample.gt_labels.items()} == {'species': 1, 'behaviour': 0}
    assert sample.gt_labels['species'].dtype == torch.int64
    assert sample.num_classes == {'species': 2, 'behaviour': 2}
    assert not fox['data_samples'].has_audio
    assert 'audio_hop' not in fox['data_samples']


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_clips_straight_from_videos_equal_prepared_ones(prepared, split):
    options = dict(frame_recipe=vars(FRAMES), sound_recipe=vars(SOUND))
    one, other = clips(prepared, split), clips(prepared, split, source='videos', **options)
    assert len(one) == len(other) == {'train': 3, 'val': 1, 'test': 1}[split]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a['inputs']['video'], b['inputs']['video'])
        assert (a['inputs']['audio'] is None) == (b['inputs']['audio'] is None)
        if a['inputs']['audio'] is not None:
            np.testing.assert_array_equal(a['inputs']['audio'], b['inputs']['audio'])
        one_sample, other_sample = a['data_samples'], b['data_samples']
        for key in ('clip_id', 'fps', 'num_frames', 'has_audio', 'start'):
            assert one_sample.get(key) == other_sample.get(key)
        np.testing.assert_allclose(one_sample.times, other_sample.times, atol=1e-6)


def test_classes_of_every_split_are_those_of_training(prepared):
    for split in ('val', 'test'):
        assert clips(prepared, split).classes == clips(prepared).classes
    assert clips(prepared, 'val')[0]['data_samples'].gt_labels['species'].item() == 1


def test_several_labels_become_ones(prepared, tmp_path):
    folder = with_metadata(prepared, tmp_path, 'red deer,grazing,,', 'red deer,grazing;running,,')
    data = clips(folder, multi_label=['behaviour'])
    first = data[0]['data_samples'].gt_labels
    assert first['behaviour'].tolist() == [1.0, 1.0]
    assert first['behaviour'].dtype == torch.float32
    assert first['species'].item() == 1
    with pytest.raises(DataError, match='1 clips have several labels of behaviour .deer1: grazing;running'):
        len(clips(folder))


def test_a_head_without_a_label(prepared, tmp_path):
    folder = with_metadata(prepared, tmp_path, 'fox,running,,\nfox2', 'fox,,,\nfox2')
    with pytest.raises(DataError, match='1 clips have no behaviour .fox1'):
        len(clips(folder, heads=('species', 'behaviour')))
    assert clips(folder, multi_label=True)[1]['data_samples'].gt_labels['behaviour'].sum() == 0


def test_a_label_that_training_lacks(prepared, tmp_path):
    folder = with_metadata(prepared, tmp_path, 'three.mp4,val,red deer', 'three.mp4,val,red dear')
    with pytest.raises(
        DataError, match=r"labels that are not in train: 'red dear' of 1 clips \(a misspelling of 'red deer'"
    ):
        len(clips(folder, 'val'))
    with pytest.raises(DataError, match='no clip is left'):
        len(clips(folder, 'val', unseen_labels='drop'))
    several = clips(folder, 'val', unseen_labels='drop', multi_label=True)
    assert several[0]['data_samples'].gt_labels['species'].tolist() == [0.0, 0.0]
    assert 'red dear' in several.notes[0]


def test_a_clip_in_two_splits(prepared, tmp_path):
    folder = with_metadata(prepared, tmp_path, 'fox3', 'fox9')
    path = folder / 'raw/metadata/val.csv'
    path.write_text(path.read_text().replace('deer2', 'deer1'))
    with pytest.raises(DataError, match=r'1 clips are listed twice \(deer1 in val and train\)'):
        len(clips(folder, 'val'))


def test_a_column_that_lacks(prepared):
    with pytest.raises(DataError, match="no column 'behavior'. Did you mean 'behaviour'"):
        len(clips(prepared, heads=['species', 'behavior']))


def test_metadata_and_prepared_files_that_are_not_there(prepared, tmp_path):
    with pytest.raises(MissingFileError, match='ann_file raw/metadata/vla.csv not found'):
        len(clips(prepared, 'vla'))
    with pytest.raises(MissingFileError, match='processed_dir elsewhere not found'):
        len(clips(prepared, processed_dir='elsewhere'))
    folder = with_metadata(prepared, tmp_path, 'fox1', 'fox8')
    with pytest.raises(MissingFileError, match='1 clips are not prepared .fox8.*prepare_wildlife.py'):
        len(clips(folder))
    with pytest.raises(MissingFileError, match='contains no prepared clips'):
        len(clips(prepared, processed_dir='videos'))


def test_a_part_that_was_prepared_otherwise(prepared, tmp_path):
    folder = with_metadata(prepared, tmp_path, '0.5,1.5', '0.5,1.2')
    with pytest.raises(DataError, match='1 clips were prepared from another video or part than .* .fox2'):
        len(clips(folder))


@pytest.fixture
def own(tmp_path):
    """A prepared set to break."""
    folder = write_set(tmp_path)
    records = read_metadata(folder / 'metadata.csv')
    AVClipPreparation(folder / 'processed', folder / 'videos', FRAMES, SOUND).run(records)
    write_split_files(records, folder / 'raw/metadata', folder / 'metadata.csv')
    return folder


def test_half_written_files_are_found_before_training(own):
    path = frames_path(own / 'processed', 'fox1')
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(DataError, match=r'1 files are not as they were made .*fox1.pt has \d+ bytes, but had'):
        len(clips(own))
    path.unlink()
    with pytest.raises(DataError, match='fox1.pt is gone'):
        len(clips(own))


def test_frames_of_another_size_are_named_when_they_are_read(own):
    data = clips(own)
    assert len(data) == 3
    torch.save(torch.zeros(4, 3, 12, 12, dtype=torch.uint8), frames_path(own / 'processed', 'fox1'))
    with pytest.raises(
        DataError, match=r'fox1.pt: holds torch.uint8 of shape \(4, 3, 12, 12\); wanted .*\(4, 3, 24, 32\)'
    ):
        data[1]
    torch.save({'frames': 1}, frames_path(own / 'processed', 'fox1'))
    with pytest.raises(DataError, match='holds dict; wanted'):
        data[1]
    frames_path(own / 'processed', 'fox1').write_bytes(pickle.dumps(print))
    with pytest.raises(DataError, match='cannot be read'):
        data[1]
    np.save(mel_path(own / 'processed', 'deer1'), np.zeros((3, 3)))
    with pytest.raises(DataError, match=r'deer1.npy: holds float64 of shape \(3, 3\); wanted float32'):
        data[0]


def test_frames_are_held_to_the_image_size_of_the_config(prepared):
    assert len(clips(prepared, image_size=(24, 32))) == 3
    with pytest.raises(DataError, match='holds frames of 24x32 pixels, but image_size is 224x224'):
        len(clips(prepared, image_size=224))


def test_clips_that_could_not_be_prepared_are_left_out_and_told(own):
    (own / 'videos/a/two.mp4').write_bytes(b'')
    AVClipPreparation(own / 'processed', own / 'videos', FRAMES, SOUND).run(read_metadata(own / 'metadata.csv'))
    data = clips(own)
    assert [data.get_data_info(i)['clip_id'] for i in range(len(data))] == ['deer1', 'fox2']
    assert '1 clips could not be prepared and are left out (first: fox1:' in data.notes[0]


def test_videos_that_are_not_there(prepared):
    with pytest.raises(MissingFileError, match='video_dir nowhere not found'):
        len(clips(prepared, source='videos', video_dir='nowhere'))
    with pytest.raises(MissingFileError, match='3 videos do not exist'):
        len(clips(prepared, source='videos', video_dir='raw'))


def test_one_file_for_all_splits(prepared):
    data = AudioVisualClips('metadata.csv', str(prepared), pipeline=PIPELINE, split='val')
    assert [s['data_samples'].clip_id for s in data] == ['deer2']
    with pytest.raises(DataError, match="has no clip of the split 'vla'"):
        len(AudioVisualClips('metadata.csv', str(prepared), split='vla'))


def test_workers_get_it_whole(prepared):
    data = copy.deepcopy(pickle.loads(pickle.dumps(clips(prepared, source='videos', image_size=16))))
    assert data[0]['inputs']['video'].shape == (32, 3, 16, 16)


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(source='disk'), "source is 'disk'; choose one of processed, videos"),
        (dict(heads=()), 'heads must be names of columns'),
        (dict(heads=('a', 'a')), 'each once'),
        (dict(multi_label=['sex']), "multi_label names 'sex'"),
        (dict(unseen_labels='ignore'), 'choose error or drop'),
    ],
)
def test_options_that_cannot_be(options, match):
    with pytest.raises(ConfigError, match=match):
        AudioVisualClips('a.csv', lazy_init=True, **options)


def test_clips_that_were_read_otherwise_are_told(own):
    path = own / 'processed/recipe.json'
    recipe = json.loads(path.read_text())
    recipe['recipe']['read_as'] = 'as stored'
    path.write_text(json.dumps(recipe))
    data = clips(own)
    data.full_init()
    assert any('prepared by another version of VADLab' in note for note in data.notes)


def test_sound_that_cancels_is_the_same_from_videos_and_is_told_once(own, log_lines, monkeypatch):
    monkeypatch.setattr('vadlab.datasets.transforms.load_clip._warned', set())
    left = tone(2.0)
    write_clip(own / 'videos/a/one.mp4', 20, np.stack([left, -left], axis=1))
    data = clips(own, source='videos', frame_recipe=vars(FRAMES), sound_recipe=vars(SOUND))
    index = next(i for i in range(len(data)) if data.get_data_info(i)['clip_id'] == 'deer1')
    for _ in range(2):
        assert data[index]['inputs']['audio'].max() > 0
    assert sum(CHANNELS_CANCEL in line for line in log_lines) == 1
