"""Results as lines of text."""

from vadlab.structures.video_result import Thresholds, VideoResult
from vadlab.utils.printable import one_line


def event_lines(result: VideoResult) -> list[str]:
    """Lines with the events of a video."""
    count = len(result.events)
    lines = [
        f'{one_line(result.name)}  {clock(result.duration_s)}, highest score {result.scores.max():.3f}, '
        f'{count or "no"} event{"" if count == 1 else "s"}'
    ]
    for event in result.events:
        label = f'  {event.label}' if event.label else ''
        span = f'{clock(event.start_s)} to {clock(event.end_s)}'
        lines.append(f'  {span}  peak {clock(event.peak_s)}  {event.score:.3f}{label}')
        if event.reason:
            lines.append(f'      {event.reason}')
    if result.events and result.boxes is not None:
        found = len(result.boxes.scores)
        lines.append(
            f'  boxes: {found or "none found"}' + (f' on {len(set(result.boxes.frame_inds))} frames' if found else '')
        )
    return lines


def thresholds_line(chosen: Thresholds) -> str:
    """The thresholds, and where they come from.

    >>> thresholds_line(Thresholds(0.75, 0.5, gap_s=1.0, source='given'))
    'events: score >= 0.75, from and to 0.5, gaps up to 1 s; given'
    """
    text = f'events: score >= {chosen.high:.4g}, from and to {chosen.low:.4g}'
    text += f', at least {chosen.min_s:g} s' if chosen.min_s else ''
    text += f', gaps up to {chosen.gap_s:g} s' if chosen.gap_s else ''
    return f'{text}; {chosen.source}'


def clock(seconds: float) -> str:
    """Time as ``m:ss.s`` or ``h:mm:ss.s``.

    >>> clock(3.25), clock(59.96), clock(3725.0)
    ('0:03.2', '1:00.0', '1:02:05.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f'{hours}:{minutes:02d}' if hours else f'{minutes}'
    return f'{head}:{rest // 10:02d}.{rest % 10}'
