"""Uploads from many clients at once while the service is killed; and what must be true afterwards."""

import collections
import json
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from dataclasses import dataclass, field

from vadlab.apis.service.client import ServiceClient, ServiceRefusedError

from . import hostile_files

MAX_BYTES = 200_000


@dataclass
class Load:
    """What was sent and what came of it.

    Attributes:
        accepted: Job of each upload that was taken, by number.
        refused: Code of each upload that was not, by number.
        kills: Times the service was killed.
    """

    accepted: dict = field(default_factory=dict)
    refused: dict = field(default_factory=dict)
    ends: collections.Counter = field(default_factory=collections.Counter)
    kills: int = 0
    seconds: float = 0.0


def write_uploads(folder, video, count, oversized=5):
    """Files to upload: a tenth is damaged in several ways, ``oversized`` are over the limit, the others are good."""
    folder.mkdir()
    content = video.read_bytes()
    kinds = ['large'] * oversized + ['damaged'] * (count // 10)
    kinds += ['good'] * (count - len(kinds))
    random.Random(0).shuffle(kinds)
    files = []
    for number, kind in enumerate(kinds):
        path = folder / f'{number:03d}.mp4'
        if kind == 'large':
            path.write_bytes(content + bytes(MAX_BYTES))
        elif kind == 'good':
            path.write_bytes(content)
        elif number % 3 == 0:
            path.write_bytes(content[: len(content) // 2])
        elif number % 3 == 1:
            hostile_files.write_with_claimed_samples(path, video, 10**6)
        else:
            path.write_bytes(random.Random(number).randbytes(5000))
        files.append((path, kind))
    return files


def free_port():
    """A port of this machine that nothing uses now."""
    with socket.create_server(('127.0.0.1', 0)) as found:
        return found.getsockname()[1]


def run_load(command, port, files, kills, seed=0, pause_s=(0.5, 3.0)):
    """Send all files at once, kill the service ``kills`` times, and wait until every accepted job has ended.

    Args:
        command (list): Starts the service.
        port (int): Where it listens.
        files (list): From :func:`write_uploads`.
        kills (int): How often it is killed with SIGKILL.
        seed (int): Of the times of the kills.
        pause_s (tuple): Shortest and longest time between the answer of a started service and its kill.
    """
    load, lock, began = Load(), threading.Lock(), time.monotonic()
    client = ServiceClient(f'http://127.0.0.1:{port}', timeout_s=120, patience_s=900)

    def send(number, path):
        try:
            job = client.post(path)
            with lock:
                load.accepted[number] = job['id']
        except ServiceRefusedError as error:
            with lock:
                load.refused[number] = error.code

    threads = [threading.Thread(target=send, args=(number, path)) for number, (path, _) in enumerate(files)]
    rng, process = random.Random(seed), subprocess.Popen(command)
    try:
        for thread in threads:
            thread.start()
        for _ in range(kills):
            client.info()  # it answers
            time.sleep(rng.uniform(*pause_s))
            process.send_signal(signal.SIGKILL)
            process.wait()
            load.kills += 1
            process = subprocess.Popen(command)
        for thread in threads:
            thread.join()
        for job_id in load.accepted.values():
            try:
                client.wait(job_id)
                load.ends['done'] += 1
            except ServiceRefusedError as error:
                load.ends[error.code] += 1
    finally:
        process.terminate()
        process.wait()
        load.seconds = time.monotonic() - began
    return load


def check_load(load, files, folder):
    """Every accepted job ended with a result or a named error, none twice, none is lost.

    Args:
        load (Load): What came of it.
        files (list): What was sent.
        folder (Path): Folder of the service.
    """
    kinds = {number: kind for number, (_, kind) in enumerate(files)}
    assert len(load.accepted) + len(load.refused) == len(files)
    assert len(set(load.accepted.values())) == len(load.accepted)
    assert {kinds[number] for number, code in load.refused.items() if code == 'too_large'} == {'large'}
    assert all(kinds[number] != 'good' for number in load.refused)
    assert all(kinds[number] != 'large' for number in load.accepted)
    with sqlite3.connect(folder / 'jobs.sqlite') as base:
        rows = base.execute('SELECT id, name, state, error_code, tries FROM jobs').fetchall()
    base.close()
    assert sorted(row[0] for row in rows) == sorted(load.accepted.values())  # none is lost, none is there twice
    assert len({row[1] for row in rows}) == len(rows)  # each file is one job
    for job_id, name, state, code, tries in rows:
        results = sorted(path.name for path in (folder / 'jobs' / job_id).iterdir())
        assert results == [f'try-{tries}'] or (state == 'failed' and not results)
        kind = kinds[int(name[:3])]
        if state == 'done':
            assert json.loads((folder / 'jobs' / job_id / results[0] / 'result.json').read_text())['name'] == name
            assert kind == 'good'
        else:
            assert state == 'failed'
            assert code in ('unreadable', 'interrupted')
            assert kind == 'damaged' or code == 'interrupted'
    assert list((folder / 'incoming').iterdir()) == []
    assert {path.name for path in (folder / 'jobs').iterdir()} == set(load.accepted.values())
