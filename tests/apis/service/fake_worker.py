"""A process like the worker, without a model: what it does with a video follows from the video's name."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from vadlab.apis.service.child_process import ParentChannel
from vadlab.utils.json_file import write_json

EVENT = {'start': 2, 'end': 9, 'peak': 4, 'start_s': 0.1, 'end_s': 0.4, 'peak_s': 0.2, 'score': 0.9, 'label': 'Fire'}


def score(request, log, channel):
    name, out = request['name'], Path(request['out'])
    with open(log, 'a') as file:
        file.write(f'{out.parent.name}\n')
    out.mkdir(parents=True, exist_ok=True)
    if name.startswith('early') and len(Path(log).read_text().split()) < 3:
        os._exit(1)
    channel.tell(progress={'stage': 'scoring', 'share': None})
    if name.startswith('crash'):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith('hang'):
        time.sleep(60)
    if name.startswith('grow'):
        kept = []
        while True:
            kept.append(bytearray(b'x' * 2**20))
            time.sleep(0.002)
    if name.startswith('half'):  # half of the video, until a test lets it go on
        channel.tell(progress={'stage': 'scoring', 'share': 0.5})
        while not Path(f'{log}.go').exists():
            time.sleep(0.02)
    if name.startswith('bad') or Path(request['video']).read_bytes().count(b'stsz\0\0\0\0\0\0\0\1'):
        outcome = {'error': {'code': 'unreadable', 'message': f'{name}: damaged'}}
    else:
        print('a library prints to standard output')
        (out / 'report' / 'pages').mkdir(parents=True)
        (out / 'report' / 'entries').mkdir()
        (out / 'report' / 'pages' / 'a.html').write_text('<p>page</p>')
        (out / 'report' / 'entries' / 'a.json').write_text('{}')
        (out / 'report' / 'secret.html').symlink_to('/etc/hostname')
        write_json(out / 'result.json', {'name': name, 'events': [EVENT]})
        write_json(out / 'frames.json', {'times_s': [0.0], 'scores': [0.5]})
        summary = {'events': 1, 'event_s': 0.3, 'highest_score': 0.9, 'labels': ['Fire']}
        outcome = {'summary': summary, 'page': 'pages/a.html'}
    write_json(out / 'outcome.json', outcome)
    return outcome


if __name__ == '__main__':
    channel = ParentChannel()
    settings = json.loads(sys.argv[1])
    if settings.get('refuses'):
        channel.tell(refused=settings['refuses'])
        sys.exit(2)
    ready = {'model': 'Fake', 'checkpoint': 'a.pth', 'frames': 'all', 'threshold': 0.5, 'is_calibrated': True}
    channel.tell(ready=ready)
    channel.serve(lambda request: score(request, settings['log'], channel))
