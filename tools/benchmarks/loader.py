"""Loading data against the training step that waits for it."""

from pathlib import Path

from .harness import Report


def run(cache_dir: Path, runs: int, videos: int, frames: int, video_frames: int, arch: str) -> Report:
    """To be wired."""
    return Report()
