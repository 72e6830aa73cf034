"""Nodes of a Ray cluster are killed while features are extracted; the files are those of one process.

``tests/faults/ray_nodes.py`` runs the same by hand, and prints what happens.
"""

import subprocess
import sys
import time

import pytest

from tests.tools.tiny_ucf import write_video

pytest.importorskip('ray')

from .ray_nodes import ROOT, Nodes, content, extract_command, finished, killing, start


@pytest.fixture
def videos(tmp_path):
    for i in range(30):
        write_video(tmp_path / 'Videos' / ('Abuse', 'Normal')[i % 2] / f'v{i:02d}.mp4', 40 + 7 * (i % 5), seed=i)
    return tmp_path / 'Videos'


def waited(process, log):
    assert process.wait(timeout=600) == 0, log.read_text()


@pytest.mark.slow
def test_a_killed_node_and_a_lost_head_cost_nothing(videos, tmp_path):
    """A node is killed, another joins; then the head is killed: one message. Another cluster does the rest."""
    one, many, log = tmp_path / 'one', tmp_path / 'ray', tmp_path / 'log'
    waited(start(extract_command(videos, one), log), log)
    for is_last in (False, True):
        nodes = Nodes(2)
        try:
            command = extract_command(videos, many, '--engine', 'ray', '--ray-address', nodes.address)
            process = start(command, tmp_path / f'log{is_last}')
            before = finished(many)
            while finished(many) < before + 3 and process.poll() is None:
                time.sleep(0.02)
            nodes.kill(0)
            if is_last:
                nodes.add()
                waited(process, tmp_path / f'log{is_last}')
            else:
                nodes.kill_head()
                assert process.wait(timeout=600) in (0, 2)
        finally:
            nodes.close()
    said = (tmp_path / 'logFalse').read_text()
    assert 'has lost its head' in said or '30 videos' in said  # all were done before it was noticed
    assert 'Traceback' not in said
    assert content(many) == content(one)


@pytest.mark.thorough
def test_300_videos_on_nodes_that_are_killed_at_random(tmp_path):
    data, one, many, log = (tmp_path / name for name in ('data', 'one', 'ray', 'log'))
    tool = [sys.executable, 'tools/make_demo_data.py', '--out', str(data), '--train', '250', '--test', '50']
    subprocess.run(tool, cwd=ROOT, check=True, capture_output=True)
    waited(start(extract_command(data / 'Videos', one, '--crops', '5'), log), log)
    nodes = Nodes(3)
    try:
        command = [*extract_command(data / 'Videos', many, '--crops', '5'), '--engine', 'ray']
        process = start([*command, '--ray-address', nodes.address], log)
        events = list(killing(nodes, process, many, every_s=10, seed=0))
        waited(process, log)
    finally:
        nodes.close()
    assert sum('killed' in event for event in events) > 1
    assert content(many) == content(one)
