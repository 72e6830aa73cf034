"""A trial: features are extracted on a local Ray cluster whose nodes are killed at random moments.

By hand: ``python -m tests.faults.ray_nodes VIDEOS FOLDER --nodes 3 --every 15`` prints a line per event. The nodes are
processes of this machine; to kill one, SIGKILL is sent to its raylet and all of its workers. Other nodes join. At the
end the files are compared with those of one process.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADDRESS = '127.0.0.2'  # Ray replaces 127.0.0.1 by an outer address
_STORE = 80_000_000


class Nodes:
    """A Ray cluster of several nodes on this machine; its head has no CPUs, so it gets no work."""

    def __init__(self, nodes: int) -> None:
        from ray.cluster_utils import Cluster

        os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
        head = dict(num_cpus=0, object_store_memory=_STORE, node_ip_address=ADDRESS, include_dashboard=False)
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        self._nodes: list = []
        for _ in range(nodes):
            self.add()

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self) -> None:
        """Let a node of one CPU join."""
        node = self._cluster.add_node(num_cpus=1, object_store_memory=_STORE, node_ip_address=ADDRESS)
        self._nodes.append(node)

    def kill(self, which: int) -> int:
        """Send SIGKILL to all processes of a node, as if its machine lost power; return their number."""
        node = self._nodes.pop(which)
        count = _kill_tree(_raylet_of(node))
        self._cluster.remove_node(node, allow_graceful=False)
        return count

    def kill_head(self) -> None:
        """Kill the server that knows all nodes."""
        (server,) = self._cluster.head_node.all_processes['gcs_server']
        server.process.kill()

    def close(self) -> None:
        """End all processes."""
        import ray

        self._cluster.shutdown()
        ray.shutdown()


def _raylet_of(node) -> int:
    (raylet,) = node.all_processes['raylet']
    return raylet.process.pid


def _kill_tree(pid: int) -> int:
    """SIGKILL to a process and its descendants, the parent first, so that it starts no other; their number."""
    children = [int(child) for child in _read(f'/proc/{pid}/task/{pid}/children').split()]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return 1 + sum(_kill_tree(child) for child in children)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ''


def extract_command(videos: Path, out: Path, *options: str) -> list[str]:
    """The command of a user who extracts features with the small CLIP."""
    config = 'configs/features_clip_demo.py'
    return [sys.executable, 'tools/extract_features.py', config, str(videos), '--out', str(out), *options]


def start(command: list[str], log: Path) -> subprocess.Popen:
    """Start a command whose output goes to a file."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    with open(log, 'ab') as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)


def finished(out: Path) -> int:
    """Number of videos whose features are complete."""
    return sum(1 for _ in (out / '.videos').rglob('[!.]*.json'))


def content(out: Path) -> dict[str, bytes]:
    """All files of a folder of features, hidden ones too, without the versions and dates in the facts of the recipe."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob('*')) if path.is_file()}


def killing(nodes: Nodes, process: subprocess.Popen, out: Path, every_s: float, seed: int) -> Iterator[str]:
    """Kill nodes at random moments while a command runs, and let others join; yield a line per event."""
    generator = random.Random(seed)
    count, begin = len(nodes), time.monotonic()
    while process.poll() is None:
        wait_s = generator.expovariate(1 / every_s)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
        if process.poll() is not None:
            return
        clock = f'{time.monotonic() - begin:6.1f} s, {finished(out)} videos'
        if len(nodes) == count or (len(nodes) > 1 and generator.random() < 0.3):
            which = generator.randrange(len(nodes))
            yield f'{clock}: node {which} killed ({nodes.kill(which)} processes), {len(nodes)} left'
        else:
            nodes.add()
            yield f'{clock}: a node joins, {len(nodes)} there'


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser()
    parser.add_argument('videos', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--nodes', type=int, default=2)
    parser.add_argument('--every', type=float, default=15.0, help='seconds between events, on average')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--crops', default='1', help='crops per frame: more work per video')
    args = parser.parse_args()

    def tell(line: str) -> None:
        print(time.strftime('%H:%M:%S'), line, flush=True)

    args.folder.mkdir(parents=True, exist_ok=True)
    one, many = args.folder / 'one_process', args.folder / 'ray'
    if not (one / 'frames.json').is_file():
        begin = time.monotonic()
        status = start(
            extract_command(args.videos, one, '--workers', '1', '--crops', args.crops), args.folder / 'one.log'
        ).wait()
        tell(f'one process: exit status {status}, {finished(one)} videos, {time.monotonic() - begin:.0f} s')
    nodes = Nodes(args.nodes)
    tell(f'cluster at {nodes.address}: a head without CPUs, {len(nodes)} nodes of one CPU')
    try:
        begin, kills = time.monotonic(), 0
        command = extract_command(args.videos, many, '--engine', 'ray', '--ray-address', nodes.address)
        command += ['--crops', args.crops]
        process = start(command, args.folder / 'ray.log')
        for line in killing(nodes, process, many, args.every, args.seed):
            kills += 'killed' in line
            tell(line)
        tell(f'exit status {process.wait()}, {kills} nodes killed, {time.monotonic() - begin:.0f} s')
    finally:
        nodes.close()
    expected, found = content(one), content(many)
    differ = [name for name in expected if name in found and found[name] != expected[name]]
    lost, more = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    tell(f'{len(expected)} files of one process, {len(found)} of Ray')
    tell(f'lost: {lost or "none"}; added: {more or "none"}; other bytes: {differ or "none"}')
    tell((args.folder / 'ray.log').read_text().strip().splitlines()[-1])


if __name__ == '__main__':
    main()
