"""Prepare frames and spectrograms: ``python tools/prepare_wildlife.py METADATA.csv VIDEOS --out data/processed``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadlab.apis.preparation.split_files import write_split_files
from vadlab.datasets.audio.log_mel import LogMelRecipe
from vadlab.datasets.formats.av_clip_metadata import (
    AVClipRecord,
    classes_of,
    describe_unseen,
    heads_of,
    read_metadata,
    unseen_labels,
)
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.many_files import Engine, add_engine_arguments
from vadlab.utils.option_checks import require_at_least, require_folder
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar
from vadlab.utils.required_files import no_file_advice, require_paths
from vadlab.utils.runtime import quiet_third_parties

if TYPE_CHECKING:
    from vadlab.apis.preparation.av_clip_preparation import PreparationReport


_USUAL_HEADS = ('species', 'behaviour')
_FRAMES, _SOUND = FrameRecipe, LogMelRecipe  # whose attributes are the defaults of their fields


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Make video_frames/ID.pt and mel_spectrograms/ID.npy of each clip, with recipe.json, '
        'manifest.jsonl and statistics.json. The same command continues an interrupted preparation.'
    )
    parser.add_argument(
        'metadata', type=Path, help='CSV with the columns clip_id, video, split and one per head; or a folder '
        'with train.csv, val.csv and test.csv'
    )  # fmt: skip
    parser.add_argument('videos', type=Path, help='folder of the videos')
    parser.add_argument('--out', required=True, type=Path, help='folder of the prepared clips, such as data/processed')
    parser.add_argument(
        '--metadata-out', type=Path, metavar='DIR', help='folder for train.csv, val.csv and test.csv (default: '
        'raw/metadata next to --out)'
    )  # fmt: skip
    parser.add_argument('--heads', nargs='+', metavar='COLUMN', help='label columns (default: species behaviour)')
    frames = parser.add_argument_group('pictures')
    frames.add_argument('--frames', type=int, default=_FRAMES.num_frames, help='frames per clip (default: %(default)s)')
    frames.add_argument('--fps', type=float, help='sample at this frame rate instead, at most --frames frames')
    frames.add_argument(
        '--size', type=int, nargs='+', default=[_FRAMES.height], metavar='N', help='height and width, or one number '
        'for both, in pixels (default: %(default)s)'
    )  # fmt: skip
    sound = parser.add_argument_group('sound')
    sound.add_argument(
        '--sample-rate', type=int, default=_SOUND.sample_rate, help='sample rate in Hz (default: %(default)s)'
    )
    sound.add_argument(
        '--window', type=int, default=_SOUND.window, help='window length in samples (default: %(default)s)'
    )
    sound.add_argument('--hop', type=int, default=_SOUND.hop, help='hop length in samples (default: %(default)s)')
    sound.add_argument('--fft', type=int, default=_SOUND.fft, help='FFT length in samples (default: %(default)s)')
    sound.add_argument('--bands', type=int, default=_SOUND.bands, help='number of mel bands (default: %(default)s)')
    sound.add_argument(
        '--silence', choices=['mask', 'keep'], default=_SOUND.silence, help='sound tracks of zeros: mask treats them '
        'as missing, keep encodes them as silence (default: %(default)s)'
    )  # fmt: skip
    parser.add_argument(
        '--workers',
        type=int,
        help='clips that are prepared at a time (default: one per core; with Ray, as many as the cluster has CPUs)',
    )
    add_engine_arguments(parser)
    parser.add_argument(
        '--max-bad-videos', type=int, default=0, help='exit status 2 if there are more bad clips (default: 0)'
    )
    parser.add_argument('--overwrite', action='store_true', help='remove prepared clips and prepare all again')
    parser.add_argument('--overwrite-metadata', action='store_true', help='replace CSVs in --metadata-out that differ')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    quiet_third_parties()
    if len(args.size) > 2:
        raise ConfigError(f'--size takes one or two numbers, not {len(args.size)}')
    require_at_least(1, args, 'workers')
    require_at_least(0, args, 'max_bad_videos')
    engine = Engine(args.engine, args.workers, args.ray_address)
    sound = LogMelRecipe(args.sample_rate, args.window, args.hop, args.fft, args.bands, silence=args.silence)
    records = read_metadata(args.metadata, args.heads or ())
    require_paths([args.videos], 'folder of videos', no_file_advice)
    heads = heads_of(records, args.heads, _USUAL_HEADS)
    folder = args.metadata_out or args.out.parent / 'raw' / 'metadata'
    require_folder(args.out, '--out')
    require_folder(folder, '--metadata-out')
    engine.require()

    from mmengine.logging import MMLogger

    from vadlab.apis.preparation.av_clip_preparation import AVClipPreparation

    MMLogger.get_instance('vadlab', logger_name='vadlab')
    frames = FrameRecipe(args.frames, args.fps, args.size[0], args.size[-1])
    preparation = AVClipPreparation(args.out, args.videos, frames, sound, engine=engine)
    files = write_split_files(records, folder, args.metadata, args.overwrite_metadata)
    with ProgressBar('clips', line_every_s=30) as progress:
        report = preparation.run(records, args.overwrite, progress)
    tell(args.out, report, records, heads, files, sound)
    if len(report.bad) > args.max_bad_videos:
        name, reason = next(iter(report.bad.items()))
        raise DataError(
            f'{len(report.bad)} of {len(records)} clips could not be used (first: {name}: {reason}); all others are '
            f'done. See {args.out / "bad_clips.json"}; --max-bad-videos {len(report.bad)} accepts them, and '
            'training and tests skip them.'
        )
    return 0


def tell(
    out: Path,
    report: PreparationReport,
    records: Sequence[AVClipRecord],
    heads: Sequence[str],
    files: Sequence[Path],
    recipe: LogMelRecipe,
) -> None:
    """Print a summary and warnings."""
    say(
        f'{out}: {len(report.done)} clips of {report.frames} frames in {report.seconds:.1f} s '
        f'({report.frames / max(report.seconds, 1e-9):.0f} frames/s); {len(report.skipped)} already done; '
        f'{len(report.bad)} skipped'
    )
    sounds = [clip.sound for clip in report.clips]
    silent = f', {sounds.count("silent")} with a silent track ({recipe.silence})' if 'silent' in sounds else ''
    say(f'sound: {sounds.count("track")} clips with sound{silent}, {sounds.count("none")} without a track')
    for note, count in Counter(note for clip in report.clips for note in clip.sound_notes).items():
        first = next(clip.clip_id for clip in report.clips if note in clip.sound_notes)
        say(f'  {count} clips (first: {first}): {note}')
    low = [clip for clip in report.clips if 0 < clip.file_rate < 2 * recipe.top_hz]
    if low:
        rate = min(clip.file_rate for clip in low)
        say(
            f'  {len(low)} clips are sampled at less than {2 * recipe.top_hz:g} Hz (the least: {rate} Hz, '
            f'{low[0].clip_id}): they are resampled, and bands above half of their rate are empty'
        )
    notes = [f'{clip.clip_id} {clip.note}' for clip in report.clips if clip.note]
    if notes:
        say(f'  {len(notes)} clips are cut at the end of their video (first: {notes[0]})')
    by_split = {split: [r for r in records if r.split == split] for split in dict.fromkeys(r.split for r in records)}
    say('clips: ' + ', '.join(f'{len(of)} {split}' for split, of in by_split.items()))
    if 'train' in by_split:
        for head in heads:
            classes = classes_of(by_split['train'], head, str(files[0]))
            say(f'{head}: {len(classes)} classes')
            for split, of in by_split.items():
                if unseen := unseen_labels(of, head, classes):
                    say(f'  warning: {split} has labels that are not in train: {describe_unseen(unseen, classes)}')
    say('metadata: ' + ', '.join(map(str, files)))


if __name__ == '__main__':
    run_cli(main)
