import json

import cv2
import numpy as np
import pytest
import torch

from tests.datasets.one_class_sets import write_frames
from vadlab.checkpoints.checkpoint_io import load_weights
from vadlab.models.detectors.attribute_detector import AttributeDetector, frame_scores
from vadlab.models.detectors.clip_objects import ClipObjects, correlation, residual
from vadlab.structures import VADDataSample
from vadlab.structures.normal_example import NormalExample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

HEIGHT, WIDTH = 64, 96
SPEED = dict(attribute=dict(type='Speed'), density=dict(type='GaussianMixtureDensity', components=2))


def background(seed=0):
    noise = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (80 + 60 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def write_walk(folder, speeds, count=30, cut=None):
    """A textured block that moves right at each frame's speed, in pixels; from ``cut`` on in another scene."""
    folder.mkdir(parents=True)
    block = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (16, 10)).astype(np.uint8), (0, 0), 1)
    x = 2.0
    for i in range(count):
        scene = background(7 if cut is not None and i >= cut else 0)
        speed = speeds(i)
        x = 2.0 if x + speed > WIDTH - 14 else x + speed
        left = round(x)
        scene[30:46, left : left + 10] = block
        cv2.imwrite(str(folder / f'{i:03d}.png'), scene)
    return str(folder)


def sample(path, name=None):
    return VADDataSample(metainfo=dict(video_id=name or path.split('/')[-1], video_path=path))


def detector(**options):
    defaults = dict(
        objects=dict(type='MotionBlobs', min_speed=0.8, min_area=20),
        flow=dict(type='DISFlow'),
        attributes=dict(speed=SPEED),
        min_objects=10,
        smoothing='none',
        top_objects=1,
    )
    return AttributeDetector(**{**defaults, **options})


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp('clips')
    walks = [write_walk(root / f'walk{i}', lambda i: 1 + i % 2) for i in range(2)]
    run = write_walk(root / 'run', lambda i: 5 if 12 <= i < 20 else 1 + i % 2)
    return walks, run


@pytest.fixture(scope='module')
def fitted(clips):
    walks, _ = clips
    model = detector()
    for path in walks:
        terms = model([], [sample(path)], mode='loss')
    assert terms['loss'].item() == 0
    assert 0.5 < terms['objects'] < 3
    model.fit()
    return model.eval()


def test_frames_in_which_the_block_runs_score_highest(fitted, clips):
    (found,) = fitted([], [sample(clips[1])], mode='predict')
    scores = found.pred_raw_logits.numpy()
    assert scores.shape == found.pred_scores.shape == (30,)
    running = np.zeros(30, bool)
    running[12:20] = True
    assert np.median(scores[running]) > scores[~running].max() > 0
    assert found.pred_scores.min() >= 0
    assert found.pred_scores.max() <= 1
    assert (found.pred_scores[12:20] > 0.5).sum() >= 5
    # The frame's score is its object's, and the object says why.
    objects = found.pred_detections
    assert set(objects.labels) == {'object'}
    top = int(objects.scores.argmax())
    assert objects.scores[top] == pytest.approx(scores.max(), rel=1e-6)
    assert objects.reasons[top].startswith('speed: ')
    assert 'heights/frame' in objects.reasons[top]
    assert 'nearest normal: clip walk' in objects.reasons[top]


def test_state_restores_the_scores(fitted, clips):
    restored = detector()
    state = fitted.state_dict()
    restored.check_checkpoint(state, 'a.pth')
    restored.load_state_dict(state)
    one, other = (model([], [sample(clips[1])], mode='predict')[0] for model in (fitted, restored))
    assert torch.equal(one.pred_raw_logits, other.pred_raw_logits)
    assert one.pred_detections.reasons == other.pred_detections.reasons
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    with pytest.raises(CheckpointError, match='was saved before the fit'):
        detector().check_checkpoint(detector().state_dict(), 'a.pth')


def test_before_the_fit(clips):
    with pytest.raises(ConfigError, match='is not fitted. Fit it to normal clips first: python tools/train.py'):
        detector()([], [sample(clips[1])], mode='predict')
    with pytest.raises(DataError, match='0 objects in 0 frames of 0 training clips; at least 10'):
        detector().fit()


def test_no_object_in_the_whole_training_set(clips):
    model = detector(objects=dict(type='MotionBlobs', min_speed=90.0))
    model([], [sample(clips[0][0])], mode='loss')
    with pytest.raises(DataError, match=r'0 objects in 30 frames of 1 training.*lower min_speed or min_area of Mot'):
        model.fit()


def test_one_short_clip_is_fitted_with_a_warning(tmp_path, caplog):
    path = write_walk(tmp_path / 'short', lambda i: 2, count=10)
    model = detector(min_objects=3)
    model([], [sample(path)], mode='loss')
    model.fit()
    (found,) = model([], [sample(path)], mode='predict')
    assert torch.isfinite(found.pred_raw_logits).all()


def test_a_training_clip_with_anomalous_frames_is_refused(clips):
    marked = sample(clips[0][0])
    marked.gt_intervals = torch.tensor([[0, 3]])
    with pytest.raises(DataError, match='walk0 has anomalous frames; training clips must be normal'):
        detector()([], [marked], mode='loss')


def test_a_cut_is_found_and_is_no_speed(fitted, tmp_path):
    path = write_walk(tmp_path / 'cut', lambda i: 1 + i % 2, cut=15)
    (found,) = fitted([], [sample(path)], mode='predict')
    assert found.cuts.tolist() == [15]
    scores = found.pred_raw_logits
    assert scores[15] <= scores[:15].max() * 1.5 + 0.5
    blind = detector(cut_threshold=-1.0, cut_residual=float('inf'))
    assert len(blind.stream.extract(path).cuts) == 0


def test_threads_and_cache_do_not_change_the_objects(clips, tmp_path):
    plain = detector().stream.read(clips[1])
    threaded = detector(threads=2, cache_dir=str(tmp_path))
    made = threaded.stream.read(clips[1])
    (file,) = tmp_path.rglob('*.npz')
    again = threaded.stream.read(clips[1])
    for one in (made, again):
        assert one.frame_inds.tolist() == plain.frame_inds.tolist()
        np.testing.assert_array_equal(one.boxes_xyxy, plain.boxes_xyxy)
        np.testing.assert_array_equal(one.measured['speed'], plain.measured['speed'])
    # Another recipe has other files, weights and densities have not.
    detector(cache_dir=str(tmp_path), flow=dict(type='FarnebackFlow')).stream.read(clips[1])
    assert len(list(tmp_path.rglob('*.npz'))) == 2
    detector(cache_dir=str(tmp_path), attributes=dict(speed={**SPEED, 'weight': 2})).stream.read(clips[1])
    assert len(list(tmp_path.rglob('*.npz'))) == 2
    file.write_bytes(b'cut short')
    assert threaded.stream.read(clips[1]).frame_inds.tolist() == plain.frame_inds.tolist()


def test_a_thread_that_fails_raises_here(tmp_path):
    write_frames(tmp_path / 'a', 5)
    (tmp_path / 'a' / '003.jpg').write_bytes(b'broken')
    with pytest.raises(DataError, match='003.jpg is not an image'):
        detector(threads=2).stream.extract(str(tmp_path / 'a'))


def test_large_videos_are_measured_smaller_and_boxes_are_in_their_pixels(clips):
    slow = dict(type='MotionBlobs', min_speed=0.3, min_area=8)  # pixels are twice as large
    full, half = (detector(objects=slow, max_side=side).stream.extract(clips[0][0]) for side in (None, WIDTH // 2))
    assert half.size == full.size == (HEIGHT, WIDTH)
    assert half.boxes_xyxy[:, 2].max() > WIDTH / 2


def test_frame_scores_by_hand():
    objects, frames = np.array([1.0, 5, 2, 4]), np.array([0, 0, 0, 2])
    assert frame_scores(objects, frames, 3, 1, 0.5).tolist() == [5, 0.5, 4]
    assert frame_scores(objects, frames, 3, 2, 0.5).tolist() == [7, 1, 4.5]
    assert frame_scores(np.zeros(0), np.zeros(0, int), 2, 2, 0.0).tolist() == [0, 0]


def test_correlation_of_flat_pictures():
    flat, other = np.full((4, 4), 7), np.arange(16).reshape(4, 4)
    assert [correlation(flat, flat + 9), correlation(flat, other), correlation(other, 3 * other)] == pytest.approx(
        [1, 0, 1]
    )


def test_a_frame_between_two_cuts_has_no_speed(tmp_path):
    folder = tmp_path / 'flash'
    write_walk(folder, lambda i: 1, count=6)
    cv2.imwrite(str(folder / '003.png'), background(9))
    found = detector().stream.extract(str(folder))
    assert found.cuts.tolist() == [3, 4]
    assert isinstance(found, ClipObjects)
    assert not (found.frame_inds == 3).any()


def test_options():
    with pytest.raises(ConfigError, match='attributes is empty'):
        detector(attributes={})
    with pytest.raises(ConfigError, match=r"attributes.speed takes attribute, density and weight, not \['attribute'\]"):
        detector(attributes=dict(speed=dict(attribute=dict(type='Speed'))))
    with pytest.raises(ConfigError, match='weight must be > 0'):
        detector(attributes=dict(speed={**SPEED, 'weight': 0}))
    with pytest.raises(ConfigError, match='threads must be 1 or 2'):
        detector(threads=8)
    assert json.dumps(detector().weights) == '{"speed": 1.0}'


def test_sanity_check_of_a_first_clip_without_objects_scores_zero_and_the_whole_set_is_fitted(clips, tmp_path):
    walks, run = clips
    model = detector()
    model([], [sample(write_walk(tmp_path / 'still', lambda i: 0))], mode='loss')
    (checked,) = model([], [sample(run)], mode='predict')
    assert not model.is_fitted
    assert checked.pred_scores.tolist() == checked.pred_logits.tolist() == [0.0] * 30
    assert not any(checked.pred_detections.reasons)
    for path in walks:
        model([], [sample(path)], mode='loss')
    model.fit()
    assert model([], [sample(run)], mode='predict')[0].pred_scores.max() > 0.5


def write_changed(folder, change, first=15):
    """A walk whose frames are changed from one on, such as mirrored: the layout stays similar."""
    path = write_walk(folder, lambda i: 1 + i % 2)
    for i in range(first, 30):
        name = f'{path}/{i:03d}.png'
        cv2.imwrite(name, change(cv2.imread(name)))
    return path


@pytest.mark.parametrize('change', ['mirror', 'dark', 'bright'])
def test_a_cut_to_a_similar_scene_and_a_jump_of_the_lights_are_found_and_are_no_speed(fitted, tmp_path, change):
    changes = {
        'mirror': lambda picture: picture[:, ::-1],
        'dark': lambda picture: (0.3 * picture).astype(np.uint8),
        'bright': lambda picture: np.clip(1.6 * picture, 0, 255).astype(np.uint8),
    }
    path = write_changed(tmp_path / 'a', changes[change])
    # Thumbnails alone miss it, the mirrored scene with this threshold.
    blind = detector(cut_threshold=-1.0, cut_residual=float('inf')).stream.extract(path)
    speeds = blind.measured['speed'][:, 0]
    if change == 'mirror':
        assert speeds[blind.frame_inds == 15].max() > 1.5 * speeds[blind.frame_inds < 15].max()
    found = detector(cut_threshold=-1.0).stream.extract(path)
    assert found.cuts.tolist() == [15]
    assert found.measured['speed'][:, 0].max() < 1.5 * speeds[blind.frame_inds < 15].max()
    (scored,) = fitted([], [sample(path)], mode='predict')
    assert scored.pred_raw_logits[15] <= scored.pred_raw_logits[:15].max() * 1.5 + 0.5


def test_residual_by_hand():
    picture = background()
    still = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    assert residual(picture, picture, still) == 0
    moved, motion = np.roll(picture, 3, axis=1), still + np.array([3, 0], np.float32)
    assert residual(picture, moved, motion) < 0.1 * residual(picture, moved, still)
    darker = (picture // 2).astype(np.uint8)
    a, b = (part[:60].astype(float) for part in (picture, darker))  # divided into 6 x 6 parts of 10 x 16 pixels
    parts = ((a - b) ** 2).reshape(6, 10, 6, 16).mean(axis=(1, 3))
    expected = np.median(parts) / ((a.var() + b.var()) / 2)
    assert residual(picture[:60], darker[:60], still[:60]) == pytest.approx(expected, rel=1e-4)
    assert residual(np.full((8, 8), 5, np.uint8), np.full((8, 8), 7, np.uint8), still[:8, :8]) == 4


def test_noise_without_a_scene_and_an_object_that_appears_are_no_cuts(tmp_path):
    random = np.random.default_rng(0)
    for name in ('noise', 'object'):
        (tmp_path / name).mkdir()
    for i in range(20):
        noise = random.normal(100, 4, (HEIGHT, WIDTH))
        cv2.imwrite(str(tmp_path / 'noise' / f'{i:03d}.png'), noise.clip(0, 255).astype(np.uint8))
        scene = background()
        if i >= 10:
            scene[20:44, 30:54] = 255 - scene[20:44, 30:54]
        cv2.imwrite(str(tmp_path / 'object' / f'{i:03d}.png'), scene)
    # That there is nothing but noise is only clear after some frames.
    assert set(detector().stream.extract(str(tmp_path / 'noise')).cuts.tolist()) <= {1, 2}
    assert detector().stream.extract(str(tmp_path / 'object')).cuts.tolist() == []


def test_flow_of_nan_and_infinity_is_no_motion(fitted, clips):
    model = detector()
    model.check_checkpoint(fitted.state_dict(), 'a.pth')
    model.load_state_dict(fitted.state_dict())

    class Broken(torch.nn.Module):
        def flow(self, before, after):
            out = np.full((*before.shape, 2), np.nan, np.float32)
            out[::2] = np.inf
            return out

    model.stream.flow = Broken()
    (found,) = model([], [sample(clips[1])], mode='predict')
    assert found.pred_raw_logits.isfinite().all()
    assert len(found.pred_detections.scores) == 0


def test_clips_of_two_sizes_are_fitted_together(clips, tmp_path):
    walks, run = clips
    wide = tmp_path / 'wide'
    wide.mkdir()
    for i in range(30):
        picture = cv2.imread(f'{walks[0]}/{i:03d}.png')
        cv2.imwrite(str(wide / f'{i:03d}.png'), cv2.copyMakeBorder(picture, 0, 0, 0, 40, cv2.BORDER_REFLECT))
    model = detector()
    for path in (*walks, str(wide)):
        model([], [sample(path)], mode='loss')
    model.fit()
    assert model([], [sample(run)], mode='predict')[0].pred_scores[12:20].max() > 0.5


def test_checkpoint_of_other_attributes_is_named_by_them(fitted):
    kind = dict(attribute=dict(type='Kind'), density=dict(type='ClassRarity'))
    with pytest.raises(CheckpointError, match=r'other attributes \(speed\) than the config has \(kind, speed\)'):
        load_weights(detector(attributes=dict(speed=SPEED, kind=kind)), fitted.state_dict(), 'a.pth')
    near = dict(attribute=dict(type='Speed'), density=dict(type='NearestNeighbourDensity'))
    with pytest.raises(CheckpointError, match='missing 2: densities.speed.vectors, densities.speed.clips; un') as error:
        load_weights(detector(attributes=dict(speed=near)), fitted.state_dict(), 'a.pth')
    assert 'of another shape' not in str(error.value)


def test_nearest_example_says_where_it_is(fitted, clips):
    (found,) = fitted([], [sample(clips[1])], mode='predict')
    objects = found.pred_detections
    top = int(objects.scores.argmax())
    example = NormalExample.from_json(objects.examples[top])
    assert example.path in clips[0]
    assert example.clip == example.path.split('/')[-1]
    assert example.text() in objects.reasons[top]
    stream = fitted.stream.extract(example.path)
    assert list(example.box) in stream.boxes_xyxy[stream.frame_inds == example.frame].tolist()
    assert [bool(text) for text in objects.examples] == [bool(text) for text in objects.reasons]
    assert NormalExample.from_json(example.to_json()) == example
    for damage in ('', '[]', '{"clip": "a", "path": "", "frame": 1, "box": [1, 2]}'):
        with pytest.raises(DataError, match='is no normal example'):
            NormalExample.from_json(damage)
