"""What the service answers, for OpenAPI."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

JOB_ID = '0f8fad5bd9cb469fa165708f7e5a1c2d'


class ErrorBody(BaseModel):
    """Why something failed."""

    code: str = Field(description='short word for programs', examples=['too_large'])
    message: str = Field(
        description='what is wrong and how to fix it, for people',
        examples=['The video is larger than 2 GiB, the limit of this service.'],
    )


class ErrorAnswer(BaseModel):
    """The answer to a request that failed."""

    error: ErrorBody


class Summary(BaseModel):
    """The result in short."""

    events: int = Field(description='number of anomalous events', examples=[2])
    event_s: float = Field(description='their total length in seconds', examples=[7.4])
    highest_score: float | None = Field(description='highest score of a frame', examples=[0.913])
    labels: list[str] = Field(description='classes or prompts of the events, at most 20', examples=[['Fighting']])


class Links(BaseModel):
    """Where the parts of a job are."""

    job: str = Field(examples=[f'/api/videos/{JOB_ID}'])
    result: str | None = Field(description='null until the job is done', examples=[f'/api/videos/{JOB_ID}/result'])
    frames: str | None = Field(description='null until the job is done', examples=[f'/api/videos/{JOB_ID}/frames'])
    report: str | None = Field(
        description='page for people; null until the job is done', examples=[f'/reports/{JOB_ID}/pages/clip.mp4.html']
    )


class JobAnswer(BaseModel):
    """A posted video on its way to a result."""

    id: str = Field(examples=[JOB_ID])
    name: str = Field(description='name of the video as it was posted, without folders', examples=['clip.mp4'])
    state: Literal['waiting', 'running', 'done', 'failed'] = Field(
        description='waiting and running are followed by done or failed; these two are final', examples=['running']
    )
    stage: Literal['scoring', 'report'] | None = Field(description='of a running job', examples=['scoring'])
    progress: float | None = Field(
        description='share of the video that is scored, 0 to 1; null where the method does not tell it', examples=[0.4]
    )
    ahead: int | None = Field(description='number of jobs before a waiting one', examples=[None])
    bytes: int = Field(description='size of the video', examples=[1_250_000])
    duration_s: float = Field(description='length of the video in seconds', examples=[33.4])
    created: str = Field(description='time of acceptance, UTC', examples=['2026-11-30T08:15:02Z'])
    started: str | None = Field(examples=['2026-11-30T08:15:03Z'])
    ended: str | None = Field(examples=[None])
    error: ErrorBody | None = Field(description='why the job failed', examples=[None])
    summary: Summary | None = Field(description='of a job that is done', examples=[None])
    links: Links


class JobList(BaseModel):
    """Jobs, newest first."""

    videos: list[JobAnswer]
    pending: int = Field(description='number of jobs that wait or run', examples=[1])


class Event(BaseModel):
    """One anomalous stretch."""

    start: int = Field(description='first frame, from 0', examples=[51])
    end: int = Field(description='frame after the last one', examples=[120])
    peak: int = Field(description='frame with the highest score', examples=[54])
    start_s: float = Field(examples=[1.7])
    end_s: float = Field(examples=[4.0])
    peak_s: float = Field(examples=[1.8])
    score: float = Field(description='score at the peak', examples=[0.822])
    label: str | None = Field(description='class or prompt', examples=['Explosion'])
    reason: str = Field(description='what raised the score', examples=['Explosion 0.76 (median of the video 0.34)'])


class ThresholdsAnswer(BaseModel):
    """An event reaches ``high``, and does not fall below ``low``."""

    high: float = Field(examples=[0.7844])
    low: float = Field(examples=[0.6655])
    min_s: float = Field(examples=[0.0])
    gap_s: float = Field(examples=[1.0])
    source: str = Field(examples=['calibrated on 0.29 hours of 160 videos without anomalies'])
    false_alarms_per_hour: float | None = Field(examples=[17.3])


class Box(BaseModel):
    """A box of an event."""

    frame: int = Field(examples=[54])
    xyxy: list[float] = Field(description='left, top, right, bottom in pixels', examples=[[10.0, 20.0, 60.5, 90.0]])
    score: float = Field(examples=[0.8])
    label: str = Field(examples=['person'])
    track: int = Field(description='the same number for all boxes of an object; -1 without a track', examples=[0])


class ResultAnswer(BaseModel):
    """The result of a video."""

    name: str = Field(examples=['clip.mp4'])
    fps: float = Field(description='mean frame rate', examples=[30.0])
    width: int = Field(examples=[320])
    height: int = Field(examples=[240])
    frames: int = Field(description='number of frames', examples=[177])
    duration_s: float = Field(examples=[5.9])
    highest_score: float | None = Field(examples=[0.822])
    threshold: ThresholdsAnswer | None
    events: list[Event]
    classes: list[str] = Field(examples=[['Normal', 'Arson', 'Explosion']])
    boxes: list[Box] = Field(description='boxes of events, if the service was started with --boxes; at most 20,000')


class FramesAnswer(BaseModel):
    """The score of every frame."""

    times_s: list[float] = Field(description='presentation time of each frame', examples=[[0.0, 0.0333, 0.0667]])
    scores: list[float] = Field(
        description='score of each frame, higher is more anomalous', examples=[[0.21, 0.22, 0.8]]
    )


class Limits(BaseModel):
    """What is taken."""

    max_bytes: int = Field(examples=[2_147_483_648])
    max_duration_s: float = Field(examples=[14_400.0])
    max_waiting: int = Field(description='most jobs that wait, run or are uploaded', examples=[100])
    kinds: str = Field(examples=['MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG-PS, WMV, FLV or OGV'])


class Info(BaseModel):
    """What scores, and the limits."""

    version: str = Field(description='of VADLab', examples=['0.1.0'])
    model: dict[str, Any] = Field(
        description='model, config, checkpoint, device, frames, prompts, threshold, is_calibrated, '
        'false_alarms_per_hour',
        examples=[{'model': 'FGCLIP', 'config': 'fgclip_demo.py', 'checkpoint': 'epoch_12.pth', 'device': 'cpu'}],
    )
    problem: str = Field(description='why no video is scored at the moment; empty if all is well', examples=[''])
    limits: Limits
    has_cameras: bool = Field(description='whether the wall page has cameras', examples=[False])
    has_token: bool = Field(description='whether the service needs a token', examples=[False])


class Health(BaseModel):
    """Sign of life."""

    status: Literal['ok', 'not scoring'] = Field(examples=['ok'])


def utc(seconds: float | None) -> str | None:
    """A time in seconds since 1970 as ISO 8601 in UTC.

    >>> utc(0.0)
    '1970-01-01T00:00:00Z'
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')
