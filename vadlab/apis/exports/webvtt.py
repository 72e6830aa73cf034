"""Events as subtitles (WebVTT), which players show over the video."""

from pathlib import Path

from vadlab.structures.video_result import VideoResult
from vadlab.utils.atomic import write_text


def webvtt_of(result: VideoResult) -> str:
    """The events of a video as WebVTT: times from the first frame; class, score and reason as text."""
    start = float(result.times[0]) if len(result.times) else 0.0
    cues = ['WEBVTT\n']
    for number, event in enumerate(result.events, 1):
        end_s = max(event.end_s, event.start_s + 0.001)  # a cue must not be empty
        text = f'{event.label or "Anomaly"}, score {event.score:.3f}'
        lines = [text, event.reason] if event.reason else [text]
        shown = '\n'.join(_escaped(line) for line in lines)
        cues.append(f'{number}\n{_time(event.start_s - start)} --> {_time(end_s - start)}\n{shown}\n')
    return '\n'.join(cues)


def write_webvtt(result: VideoResult, folder: Path) -> Path:
    """Write ``NAME.vtt`` below a folder; return its path."""
    path = folder / f'{result.name}.vtt'
    write_text(path, webvtt_of(result))
    return path


def _time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return (
        f'{milliseconds // 3_600_000:02d}:{milliseconds // 60_000 % 60:02d}:'
        f'{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}'
    )


def _escaped(text: str) -> str:
    return ' '.join(text.split()).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
