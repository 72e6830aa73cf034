"""B is derived from A by each known cause, and the comparison has to name it."""

import numpy as np
import pytest

from vadlab.apis.features.comparison import FeatureSet, compare_features, linear_cka
from vadlab.apis.features.crops import CropViews
from vadlab.utils.errors import DataError, MissingFileError

LENGTHS = {'Abuse001_x264': 30, 'Arson002_x264': 41, 'Normal_Videos_003_x264': 25}


def make_features(crops=1, dim=32, seed=0, lengths=LENGTHS):
    """Videos whose snippets change slowly, with a common direction as CLIP's features have; crops look alike."""
    generator = np.random.default_rng(seed)
    common = 3 * generator.standard_normal(dim)
    sets = {}
    for name, length in lengths.items():
        steps = generator.standard_normal((length, dim))
        walk = 0.6 * np.cumsum(steps, 0) / np.sqrt(np.arange(1, length + 1))[:, None] + 0.8 * steps
        own = 0.5 * generator.standard_normal((crops, length, dim))
        sets[name] = (common + walk + own).astype(np.float32)
    return sets


def write(folder, sets, dtype=np.float16):
    for name, feats in sets.items():
        for k, crop in enumerate(feats):
            path = folder / name[:5] / f'{name}__{k}.npy'
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, crop.astype(dtype))
    return FeatureSet.scan(folder)


@pytest.fixture
def compare(tmp_path):
    def run(a, b, **options):
        return compare_features(write(tmp_path / 'a', a), write(tmp_path / 'b', b), **options)

    return run


def changed(sets, function):
    return {name: function(feats) for name, feats in sets.items()}


def test_the_same(compare):
    result = compare(make_features(10), make_features(10))
    assert result.is_same
    assert result.facts['cosine_percentiles']['5'] > 0.999
    assert len(result.cosines) == 10 * sum(LENGTHS.values())
    assert np.median(result.chance) < 0.95


def test_rounding_is_no_difference(tmp_path):
    a = write(tmp_path / 'a', make_features(), np.float32)
    result = compare_features(a, write(tmp_path / 'b', make_features()))
    assert result.is_same
    assert result.facts['dtypes'] == {'float32:float16': 3}


@pytest.mark.parametrize('lag', [-2, -1, 1, 3])
def test_offset(compare, lag):
    a = make_features()
    b = changed(a, lambda f: f[:, -lag:] if lag < 0 else np.concatenate([f[:, :1].repeat(lag, 1), f], 1))
    result = compare(a, b)
    assert result.facts['lag'] == lag
    assert any(f'B is {abs(lag)} snippets {"late" if lag > 0 else "early"}' in line for line in result.findings)
    assert np.median(result.cosines) > 0.999


@pytest.mark.parametrize('order', ['torchvision', 'i3d_resnet'])
def test_order_of_the_crops(compare, order):
    ours = CropViews(1, 10, 'centre_first').names
    theirs = CropViews(1, 10, order).names
    a = make_features(10)
    result = compare(a, changed(a, lambda f: f[[ours.index(name) for name in theirs]]))
    assert len(result.findings) == 1
    assert f'A counts them as centre_first, B as {order}' in result.findings[0]
    assert np.median(result.cosines) > 0.999


def test_mirrored_crops_first(compare):
    a = make_features(10)
    result = compare(a, changed(a, lambda f: np.concatenate([f[5:], f[:5]])))
    assert 'the mirrored ones come first in one set' in result.findings[0]


def test_one_crop_of_ten(compare):
    a = make_features(10)
    result = compare(a, changed(a, lambda f: f[7:8]))
    assert '10 crops in A and 1 in B' in result.findings[0]
    assert result.facts['crop_permutation'] == [(7, 0)]
    assert len(result.findings) == 1


def test_length_one(compare):
    a = make_features()
    result = compare(a, changed(a, lambda f: f / np.linalg.norm(f, axis=-1, keepdims=True)))
    assert result.findings == ['B is scaled to length 1, the other is not: divide by the norm, or leave it out.']
    assert result.facts['unit_length_b']


def test_factor(compare):
    result = compare(make_features(), changed(make_features(), lambda f: 100 * f))
    assert result.findings == ['B is 100 times as long as A: a constant factor.']


@pytest.mark.parametrize('whole', [2, 4])
def test_stride(compare, whole):
    a = make_features(lengths={name: 8 * length for name, length in LENGTHS.items()})
    result = compare(a, changed(a, lambda f: f[:, ::whole]))
    assert result.findings[0].startswith(f'A has {whole} snippets for one of B')
    assert np.median(result.cosines) > 0.999
    assert len(result.findings) == 1


def test_finer_stride_of_b(compare):
    a = make_features(lengths={name: 8 * length for name, length in LENGTHS.items()})
    result = compare(changed(a, lambda f: f[:, ::2]), a)
    assert result.findings[0].startswith('B has 2 snippets for one of A')


@pytest.mark.parametrize(('share', 'rule'), [(15, 'floor(N/16) against ceil(N/16)'), (1, 'floor((N-1)/16) against')])
def test_rule_of_the_last_snippet(compare, share, rule):
    a = make_features(lengths={f'v{i:02}': 20 for i in range(16)})
    b = {name: f if i >= share else np.concatenate([f, f[:, -1:]], 1) for i, (name, f) in enumerate(a.items())}
    result = compare(a, b)
    assert f'{share} of 16 videos have one snippet more in B' in result.findings[0]
    assert rule in result.findings[0]
    assert len(result.findings) == 1


def test_lengths_without_a_rule(compare):
    a = make_features()
    b = {name: f[:, : f.shape[1] - 2 * i] for i, (name, f) in enumerate(a.items())}
    assert 'differ in length without a common rule' in compare(a, b).findings[0]


def test_other_pixels(compare):
    """BGR, another crop or normalisation: the features move, and stay recognisable."""
    generator = np.random.default_rng(1)
    a = make_features()
    result = compare(a, changed(a, lambda f: f + 0.6 * generator.standard_normal(f.shape)))
    assert 'The same weights on other pixels' in result.findings[0]
    assert len(result.findings) == 1


def test_other_weights(compare):
    """A rotation keeps what is alike, and no channel."""
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((32, 32)))[0]
    a = make_features()
    result = compare(a, changed(a, lambda f: 2 * f @ rotation))
    assert len(result.findings) == 1
    assert 'seen by other weights' in result.findings[-1]
    assert result.facts['linear_cka'] > 0.99


def test_nothing_in_common(compare):
    result = compare(make_features(seed=0), make_features(seed=9))
    assert any('Nothing in common' in line for line in result.findings)
    assert abs(result.facts['linear_cka']) < 0.4


def test_other_channels(compare):
    result = compare(make_features(dim=512), make_features(dim=768))
    assert result.findings[0].startswith('512 channels against 768: another backbone or layer (512: CLIP ViT-B')
    assert not len(result.cosines)


def test_zeros_and_overflow(compare):
    a = make_features()
    padded = changed(a, lambda f: np.concatenate([f[:, :-5], 0 * f[:, :5]], 1))
    padded['Abuse001_x264'][0, 0, 0] = 1e6
    with np.errstate(over='ignore', invalid='ignore'):
        findings = compare(a, padded).findings
    assert any('of the snippets are all zeros' in line for line in findings)
    assert any('B: 1 videos hold NaN or infinity' in line for line in findings)


def test_a_few_broken_snippets(compare):
    a = make_features(lengths={'a': 200})
    b = changed(a, np.copy)
    b['a'][0, :15] = np.random.default_rng(3).standard_normal((15, 32))
    (finding,) = compare(a, b).findings
    assert 'Most snippets agree, but 5 %' in finding


def test_names(compare, tmp_path):
    a, b = make_features(), make_features()
    del a['Abuse001_x264'], b['Arson002_x264']
    result = compare(a, b)
    assert '1 videos are only in A (such as Arson002_x264)' in result.findings[0]
    assert '1 videos are only in B (such as Abuse001_x264)' in result.findings[1]
    with pytest.raises(DataError, match='no video in common'):
        compare_features(write(tmp_path / 'c', {'x': a['Arson002_x264']}), write(tmp_path / 'd', make_features()))


def test_all_crops_in_one_file(tmp_path):
    """RTFM's layout, (T, 10, D) in NAME_i3d.npy, against a file a crop."""
    sets = make_features(10)
    a = write(tmp_path / 'a', sets)
    (tmp_path / 'b').mkdir()
    for name, feats in sets.items():
        np.save(tmp_path / 'b' / f'{name}_i3d.npy', feats.transpose(1, 0, 2).astype(np.float16))
    result = compare_features(a, FeatureSet.scan(tmp_path / 'b'))
    assert result.is_same
    assert result.facts['crops'] == {'10:10': 3}


def test_two_files(tmp_path):
    feats = make_features()['Abuse001_x264'][0]
    np.save(tmp_path / 'one.npy', feats)
    np.save(tmp_path / 'other.npy', feats)
    assert compare_features(FeatureSet.scan(tmp_path / 'one.npy'), FeatureSet.scan(tmp_path / 'other.npy')).is_same
    with pytest.raises(MissingFileError, match='no folder or file'):
        FeatureSet.scan(tmp_path / 'gone')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MissingFileError, match=r'no \.npy file below'):
        FeatureSet.scan(tmp_path / 'empty')


def test_cka_of_rotated_and_of_unrelated_numbers():
    generator = np.random.default_rng(0)
    a = generator.standard_normal((60, 200))
    rotation = np.linalg.qr(generator.standard_normal((200, 200)))[0]
    assert linear_cka(a, 3 * a @ rotation) == pytest.approx(1.0)
    assert abs(linear_cka(a, generator.standard_normal((60, 200)))) < 0.05
    assert np.isnan(linear_cka(a[:3], a[:3]))
    assert np.isnan(linear_cka(a, np.ones((60, 2))))
