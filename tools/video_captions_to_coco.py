"""Convert captioned videos to captioned images: ``python tools/video_captions_to_coco.py ANN.json --out DIR``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vadlab.datasets.formats.keyframes import shown_spans
from vadlab.utils.atomic import write_bytes
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import write_json
from vadlab.utils.option_checks import require_file
from vadlab.utils.printable import say
from vadlab.utils.progress import ProgressBar
from vadlab.utils.required_files import require_paths
from vadlab.utils.runtime import quiet_third_parties

_JPEG_QUALITY = 95


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write frames of videos with captions and regions as images with captions: DIR/SPLIT.json in '
        "Karpathy's layout, and DIR/images/SPLIT/. An image's captions are the video's and those of the regions that "
        'the frame shows. Run it once for each split, with the annotations of that split.'
    )
    parser.add_argument('annotations', help='captions and regions, such as train.json')
    parser.add_argument('--data-root', default='', metavar='DIR', help='folder of the videos')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='output folder')
    parser.add_argument('--split', default='train', help='name of the split (default: train)')
    parser.add_argument('--frames', type=int, default=8, help='frames per video (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing DIR/SPLIT.json')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    if args.frames < 1:
        raise ConfigError(f'--frames {args.frames}: at least 1 is needed.')
    if not args.split.isidentifier():
        raise ConfigError(f'--split {args.split}: give a plain name, such as train, val or test.')
    target = args.out / f'{args.split}.json'
    require_file(target, '--out', overwrite=args.overwrite)
    require_paths([args.annotations], 'file')

    from mmengine.dataset import Compose

    from vadlab.datasets.transforms.probe_video import ProbeVideo
    from vadlab.datasets.transforms.sample_frames import SampleFrames
    from vadlab.datasets.ucf_crime_regions import UCFCrimeRegions
    from vadlab.datasets.video import read_frames

    quiet_third_parties()
    videos = UCFCrimeRegions(args.annotations, args.data_root)
    prepare = Compose([ProbeVideo(), SampleFrames(args.frames, min_region_frames=1)])
    folder = args.out / 'images' / args.split
    folder.mkdir(parents=True, exist_ok=True)
    records: list[dict] = []
    with ProgressBar('videos', len(videos)) as bar:
        for i in range(len(videos)):
            video = prepare(videos.get_data_info(i))
            frame_inds = np.unique(video['frame_inds'])  # for a short video, sampling may give one frame twice
            for index, frame in zip(frame_inds.tolist(), read_frames(video['video_path'], frame_inds), strict=True):
                name = f'{video["video_id"]}_{index:06d}.jpg'
                write_image(folder / name, frame)
                sentences = [{'raw': text} for text in captions_of(video, index)]
                records.append({'filepath': args.split, 'filename': name, 'split': args.split, 'sentences': sentences})
            bar.advance()
    write_json(target, {'dataset': Path(args.annotations).stem, 'images': records})
    captions = sum(len(image['sentences']) for image in records)
    say(f'{target}: {len(records)} images of {len(videos)} videos, {captions} captions')
    say(
        '  in a config: '
        f"data_root='{args.out}' image_dir='images' ann_file='{target.name}' train_splits=('{args.split}',)"
    )
    return 0


def captions_of(video: dict, frame: int) -> list[str]:
    """The captions of the video and of the regions that are visible in a frame, without duplicates."""
    shown = [
        region['caption']
        for region in video['regions']
        if any(start <= frame < end for start, end in shown_spans(region).tolist())
    ]
    return list(dict.fromkeys([video['caption'], *shown]))


def write_image(path: Path, frame: np.ndarray) -> None:
    """Write one RGB frame as JPEG, atomically."""
    import cv2

    _, code = cv2.imencode('.jpg', frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    write_bytes(path, code.tobytes())


if __name__ == '__main__':
    run_cli(main)
