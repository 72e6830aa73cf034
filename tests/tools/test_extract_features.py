import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.folder_lock import lock_folder

ROOT = Path(__file__).parents[2]
OPTIONS = [
    'pretrained=None', 'image_size=32', 'patch_size=16', 'width=16', 'layers=1', 'heads=2', 'embed_dim=8',
    'resize=40,48',
]  # fmt: skip
CONFIG = str(ROOT / 'configs' / 'features_clip_vit_b16.py')


@pytest.fixture(scope='module')
def main(load_tool):
    return load_tool('extract_features').main


@pytest.fixture
def videos(tiny, tmp_path):
    for i, name in enumerate(('Abuse/Abuse001', 'Abuse/Abuse002', 'Normal/Normal001')):
        tiny.write_video(tmp_path / 'Videos' / f'{name}.mp4', 20 + 16 * i, seed=i)
    return tmp_path / 'Videos'


def arguments(videos, out, *more, options=()):
    return [CONFIG, str(videos), '--out', str(out), '--workers', '1', *more, '--cfg-options', *OPTIONS, *options]


def found(out):
    return sorted(p.relative_to(out).as_posix() for p in out.rglob('[!.]*.npy'))


def test_public_naming_recipe_and_frame_counts(main, videos, tmp_path, capsys):
    out = tmp_path / 'out'
    assert main(arguments(videos, out, '--crops', '5')) == 0
    assert found(out) == sorted(
        f'{name}__{k}.npy' for name in ('Abuse/Abuse001', 'Abuse/Abuse002', 'Normal/Normal001') for k in range(5)
    )
    assert np.load(out / 'Normal/Normal001__4.npy').shape == (3, 8)
    assert json.loads((out / 'frames.json').read_text()) == {'Abuse001': 20, 'Abuse002': 36, 'Normal001': 52}
    recipe = json.loads((out / 'recipe.json').read_text())
    assert recipe['recipe']['crop_names'] == ['centre', 'top_left', 'top_right', 'bottom_left', 'bottom_right']
    assert recipe['facts']['pretrained'] is None
    assert 'torch' in recipe['facts']['versions']
    assert '3 videos, 6 snippets of 108 frames' in capsys.readouterr().out
    assert main(arguments(videos, out, '--crops', '5')) == 0
    assert '3 already done' in capsys.readouterr().out


def test_nothing_is_removed_while_another_process_extracts_into_the_folder(main, videos, tmp_path):
    out = tmp_path / 'out'
    with (
        lock_folder(out, '--out', is_shared=True),  # as a run of another shard holds it
        pytest.raises(ConfigError, match='another process writes there'),
    ):
        main(arguments(videos, out, '--overwrite'))
    with lock_folder(out, '--out'), pytest.raises(ConfigError, match='another process writes there'):
        main(arguments(videos, out))
    with lock_folder(out, '--out', is_shared=True):
        assert main(arguments(videos, out, '--shard', '1/2')) == 0


def test_shards_and_torchrun(main, videos, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    assert main(arguments(videos, out, '--shard', '1/2')) == 0
    assert found(out) == ['Abuse/Abuse002__0.npy']
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert main(arguments(videos, out)) == 0
    assert len(found(out)) == 3
    with pytest.raises(ConfigError, match='--overwrite with several shards'):
        main(arguments(videos, out, '--overwrite'))


def test_bad_videos_of_a_process_of_torchrun_are_an_error_when_all_processes_are_done(
    main, videos, tmp_path, monkeypatch
):
    (videos / 'Abuse/empty.mp4').touch()
    done = []
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    monkeypatch.setattr('torch.distributed.init_process_group', lambda backend, timeout: done.append(backend))
    monkeypatch.setattr('torch.distributed.barrier', lambda: done.append(len(found(tmp_path / 'out'))))
    with pytest.raises(DataError, match='1 of 4 videos could not be used'):
        main(arguments(videos, tmp_path / 'out'))
    assert done == ['gloo', 3]
    with pytest.raises(DataError, match='1 of 2 videos could not be used'):
        main(arguments(videos, tmp_path / 'out', '--shard', '0/2'))
    assert done == ['gloo', 3]


def test_bad_videos_are_reported_and_the_rest_is_done(main, videos, tmp_path, capsys):
    (videos / 'Abuse' / 'empty.mp4').write_bytes(b'')
    out = tmp_path / 'out'
    with pytest.raises(DataError, match=r'1 of 4 videos could not be used.*all others are done.*--max-bad-videos 1'):
        main(arguments(videos, out))
    assert len(found(out)) == 3
    (bad,) = json.loads((out / 'bad_videos.json').read_text())
    assert bad['video'] == 'Abuse/empty'
    assert 'zero bytes' in bad['reason']
    assert main(arguments(videos, out, '--max-bad-videos', '1')) == 0
    (videos / 'Abuse' / 'empty.mp4').unlink()
    assert main(arguments(videos, out)) == 0
    assert not (out / 'bad_videos.json').exists()


def test_mistakes(main, videos, tmp_path):
    with pytest.raises(ConfigError, match='has no settings of features'):
        main([str(ROOT / 'configs/fgclip_demo.py'), str(videos), '--out', str(tmp_path / 'out')])
    with pytest.raises(MissingFileError, match='There is no video'):
        main(arguments(tmp_path / 'gone', tmp_path / 'out'))
    out = tmp_path / 'out'
    main(arguments(videos, out))
    with pytest.raises(DataError, match=r'another recipe .*--overwrite'):
        main(arguments(videos, out, '--blank'))
    assert main(arguments(videos, out, '--blank', '--overwrite')) == 0
    assert len({tuple(row) for name in found(out) for row in np.load(out / name).tolist()}) == 1


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(tiny, tmp_path):
    """kill -9 while it runs, ten videos: whole files only, and in the end the same as without."""
    for i in range(10):
        tiny.write_video(tmp_path / 'Videos' / f'v{i}.mp4', 160, seed=i)
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    # One frame a batch, so that it takes long enough to be killed.
    command = [sys.executable, str(ROOT / 'tools/extract_features.py')]
    command += arguments(tmp_path / 'Videos', tmp_path / 'out', '--batch-size', '1', options=['frames=all', 'layers=4'])
    process = subprocess.Popen(command, env=env, cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(found(tmp_path / 'out')) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = found(tmp_path / 'out')
    assert 3 <= len(there) < 10
    for name in there:
        assert np.load(tmp_path / 'out' / name).shape == (10, 8)
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f'{len(there)} already done' in done.stdout or f'{len(there) - 1} already done' in done.stdout
    command[command.index(str(tmp_path / 'out'))] = str(tmp_path / 'fresh')
    subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True)
    assert len(found(tmp_path / 'fresh')) == 10
    for name in found(tmp_path / 'fresh'):
        np.testing.assert_allclose(np.load(tmp_path / 'out' / name), np.load(tmp_path / 'fresh' / name), atol=2e-3)
