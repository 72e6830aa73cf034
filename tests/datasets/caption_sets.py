"""Small sets of images with captions, in both layouts."""

import json

import cv2
import numpy as np

CAPTIONS = {
    7: ['A red car.', 'A car on a street!', 'The red car is parked.', 'A parked car.', 'red car'],
    9: ['A man walks.', 'A walking man', 'There is a man.', 'A man.', 'One man.'],
    4: ['Two dogs', 'Two black dogs', 'dogs', 'A pair of dogs', 'Dogs playing'],
}


def write_image(path, shape=(24, 32), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    assert cv2.imwrite(str(path), image)
    return path


def karpathy(root, splits=('train', 'restval', 'test')):
    """dataset.json with one image a split."""
    images = []
    for (image_id, captions), split in zip(CAPTIONS.items(), splits, strict=True):
        folder = 'train2014' if split == 'train' else 'val2014'
        name = f'COCO_{folder}_{image_id:012d}.jpg'
        write_image(root / 'images' / folder / name, seed=image_id)
        sentences = [{'raw': caption, 'sentid': 10 * image_id + k} for k, caption in enumerate(captions)]
        images.append(
            {'filepath': folder, 'filename': name, 'cocoid': image_id, 'split': split, 'sentences': sentences}
        )
    path = root / 'dataset.json'
    path.write_text(json.dumps({'images': images, 'dataset': 'coco'}))
    return path


def coco(root, image_ids=(7, 9, 4), part='train2014'):
    """captions_PART.json; annotation ids are ten times the image's and then counted."""
    images, annotations = [], []
    for image_id in image_ids:
        name = f'COCO_{part}_{image_id:012d}.jpg'
        write_image(root / 'images' / part / name, seed=image_id)
        images.append({'id': image_id, 'file_name': name})
        for k, caption in enumerate(CAPTIONS[image_id]):
            annotations.append({'id': 10 * image_id + k, 'image_id': image_id, 'caption': caption})
    path = root / f'captions_{part}.json'
    path.write_text(json.dumps({'images': images, 'annotations': annotations}))
    return path
