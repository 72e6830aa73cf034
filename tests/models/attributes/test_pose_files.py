import numpy as np
import pytest

from tests.models.detectors.test_attribute_detector import SPEED, detector, sample, write_walk
from tests.utils.test_npy_list import as_list
from vadlab.models.attributes.pose_files import PoseFiles
from vadlab.utils.errors import DataError

FRAMES = 12
RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Two training clips and a test clip with the poses of four numbers of zero to two people in each frame."""
    root = tmp_path_factory.mktemp('poses')
    for name in ('train/a', 'train/b', 'test/a'):
        write_walk(root / name, lambda i: 1 + i % 2, count=FRAMES)
    for split, count in (('train', 2), ('test', 1)):
        poses = [RNG.normal(size=(i % 3, 4)) for i in range(count * FRAMES)]
        if split == 'test':
            poses[7] = np.array([[90.0, 0, 0, 0]])  # as in no training clip
        np.save(root / f'{split}.npy', as_list(poses), allow_pickle=True)
    return root


def model(root, **options):
    attribute = dict(
        type='PoseFiles', data_root=str(root), train=f'{root}/train.npy', test=f'{root}/test.npy', keypoints=2
    )
    pose = dict(attribute=attribute, density=dict(type='NearestNeighbourDensity'))
    return detector(attributes=dict(speed=SPEED, pose=pose), combine='attributes', **options)


def test_a_pose_raises_the_score_of_its_frame_and_has_no_box(root, tmp_path):
    fitted = model(root, cache_dir=str(tmp_path))
    for name in 'ab':
        fitted([], [sample(f'{root}/train/{name}')], mode='loss')
    fitted.fit()
    (found,) = fitted([], [sample(f'{root}/test/a')], mode='predict')
    assert found.pred_raw_logits.argmax() == 7
    alone = detector(combine='attributes')
    for name in 'ab':
        alone([], [sample(f'{root}/train/{name}')], mode='loss')
    alone.fit()
    (plain,) = alone([], [sample(f'{root}/test/a')], mode='predict')
    more = (found.pred_raw_logits - plain.pred_raw_logits).numpy()
    assert more[7] > 10 * np.delete(more, 7).max()
    np.testing.assert_allclose(more[::3], more[0], atol=1e-6)  # frames without poses: the lowest training score
    assert found.pred_detections.boxes_xyxy.isfinite().all()
    assert len(found.pred_detections.scores) == len(plain.pred_detections.scores)
    restored = model(root)
    state = fitted.state_dict()
    restored.check_checkpoint(state, 'a.pth')
    restored.load_state_dict(state)
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())
    (again,) = restored([], [sample(f'{root}/test/a')], mode='predict')
    assert again.pred_raw_logits.tolist() == found.pred_raw_logits.tolist()


def test_files_that_do_not_fit_the_clips(root, tmp_path):
    def poses(**files):
        files = {split: f'{root}/{split}.npy' for split in ('train', 'test')} | files
        return PoseFiles(str(root), keypoints=2, **files)

    with pytest.raises(DataError, match='train.npy has poses of 24 frames, but the 1 test clips of .* have 12'):
        poses(test=f'{root}/train.npy').more_objects(f'{root}/test/a')
    with pytest.raises(DataError, match='is no clip of'):
        poses().more_objects(f'{root}/test/b')
    np.save(tmp_path / 'a.npy', as_list([np.ones((1, 6))] * FRAMES), allow_pickle=True)
    with pytest.raises(DataError, match=r'frame 0 has an array of shape \(1, 6\); wanted \(people, 4\)'):
        poses(test=str(tmp_path / 'a.npy')).more_objects(f'{root}/test/a')
    np.save(tmp_path / 'a.npy', as_list([np.full((1, 4), np.nan)] * FRAMES), allow_pickle=True)
    with pytest.raises(DataError, match='poses with NaN'):
        poses(test=str(tmp_path / 'a.npy')).more_objects(f'{root}/test/a')
    frames, vectors = poses().more_objects(f'{root}/test/a')
    assert frames.tolist() == [f for f in range(FRAMES) for _ in range(1 if f == 7 else f % 3)]
    assert vectors.shape == (len(frames), 4)
