"""Small one-class data sets in the layouts of the public ones."""

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.datasets.conftest import HEIGHT, WIDTH
from tests.datasets.wildlife_clips import write_clip

SIZE = (24, 32)  # height and width


def frame(number, x=None):
    """A noisy grey frame, with a white square of 6 pixels at x."""
    picture = np.random.default_rng(number).integers(90, 110, (*SIZE, 3)).astype(np.uint8)
    if x is not None:
        picture[9:15, x : x + 6] = 255
    return picture


def write_frames(folder, count, form='{:03d}.jpg', first=1):
    folder.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / form.format(i + first)), frame(i))


def write_masks(folder, flags, suffix='bmp'):
    folder.mkdir(parents=True)
    for i, flag in enumerate(flags, start=1):
        mask = np.zeros(SIZE, np.uint8)
        mask[2:5, 3:7] = 255 * flag
        Image.fromarray(mask).save(folder / f'{i:03d}.{suffix}')


def write_ucsd(root, truth=(0, 1, 1, 0)):
    write_frames(root / 'Train' / 'Train001', 5, '{:03d}.tif')
    for i in (1, 2):
        write_frames(root / 'Test' / f'Test{i:03d}', len(truth), '{:03d}.tif')
        write_masks(root / 'Test' / f'Test{i:03d}_gt', truth)
    (root / 'Test' / 'UCSDped2.m').write_text(
        'TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [2:3];\nTestVideoFile{end+1}.gt_frame = [1, 3:4];\n'
    )
    return root


def write_mnad(root, counts=(4, 3)):
    for i, count in enumerate(counts, start=1):
        write_frames(root / 'training' / 'frames' / f'{i:02d}', 5, first=0)
        write_frames(root / 'testing' / 'frames' / f'{i:02d}', count, first=0)
    cells = np.empty((1, len(counts)), object)
    for i in range(len(counts)):
        cells[0, i] = np.array([[2], [3]], np.uint8)
    savemat(root / 'ped2.mat', {'gt': cells})
    labels = np.zeros(sum(counts), np.int8)
    labels[-1] = 1
    np.save(root / 'frame_labels_ped2.npy', labels[None])
    return root


def write_avenue(root, count=4):
    for name in ('training_videos', 'testing_videos'):
        (root / name).mkdir(parents=True)
        write_clip(root / name / '01.avi', count, None)
    folder = root / 'ground_truth_demo' / 'testing_label_mask'
    folder.mkdir(parents=True)
    cells = np.empty((1, count), object)
    for i in range(count):
        cells[0, i] = np.zeros((HEIGHT, WIDTH), np.uint8)
        cells[0, i][3, 4] = i == 1
    savemat(folder / '1_label.mat', {'volLabel': cells})
    return root
