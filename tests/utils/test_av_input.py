"""A file with a tag that is not UTF-8, which ``av.open`` of PyAV 17 and 18 refuses."""

import importlib

import av
import numpy as np
import pytest

from vadlab.datasets.video import index_video
from vadlab.utils import av_input
from vadlab.utils.av_input import is_written_here


@pytest.fixture
def damaged_tag(tmp_path):
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        out.metadata['title'] = 'XXXX'
        for grey in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8))))
        out.mux(stream.encode())
    content = path.read_bytes()
    assert content.count(b'XXXX') == 1
    path.write_bytes(content.replace(b'XXXX', b'\xff\xfe\xe9X'))
    return path


def test_a_tag_that_is_not_text_is_no_reason_to_refuse_a_file(damaged_tag):
    with av_input.open_input(damaged_tag) as container:
        assert container.metadata['title'].endswith('X')
        assert sum(1 for _ in container.decode(video=0)) == 3
    assert len(index_video(str(damaged_tag), remember=False).frame_times) == 3
    assert not is_written_here(damaged_tag)  # --save-video asks this of a file that is in its way


@pytest.mark.parametrize(
    ('version', 'options'), [('17.1.0', True), ('18.1.0', True), ('19.0.2', False), ('20.0', False)]
)
def test_each_pyav_gets_only_options_that_it_has(monkeypatch, version, options):
    """By hand: ``metadata_errors`` was removed in 19."""
    given = []
    monkeypatch.setattr(av, '__version__', version)
    monkeypatch.setattr(av, 'open', lambda path, **named: given.append((path, named)))
    importlib.reload(av_input).open_input('a.mp4', timeout=1)
    monkeypatch.undo()
    importlib.reload(av_input)
    assert given == [('a.mp4', {'timeout': 1, **({'metadata_errors': 'replace'} if options else {})})]
