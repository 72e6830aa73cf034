"""Pictures of one colour whose captions tell it, in Karpathy's layout, and a captioner small enough for them."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from vadlab.models.heads.codebook import save_codebook
from vadlab.models.tokenizers.word_vocabulary import WordVocabulary

ROOT = Path(__file__).parents[2]
COLOURS = {'red': (200, 30, 30), 'green': (30, 200, 30), 'blue': (30, 30, 200)}
SPLITS = {'train': 12, 'val': 3, 'test': 3}
CONFIG = """
_base_ = ['{root}/configs/{base}.py']
data_root = '{data}'
ann_file = 'captions.json'
train_splits = ('train',)
vocab_file = '{data}/vocab.json'
codebook = '{data}/codebook.safetensors'
pretrained = None
word_init = None
image_size = 32
batch_size = 6
num_workers = 0
max_epochs = 1
max_words = 8
max_len = 12
amp_dtype = None
tensorboard = False
model = dict(
    vision=dict(width=16, layers=2, heads=2, frozen=False, adapters=None, prompts=None),
    embed_dim=8,
    width=16,
    encoder=dict(layers=1, heads=2, ffn_width=16),
    decoder=dict(layers=1, heads=2, ffn_width=16),
)
{more}"""


def config_text(data, base='fsgr_coco', more=''):
    """The toy experiment on ``data``, as the file of a config that builds on one of ours."""
    return CONFIG.format(root=ROOT, data=data, base=base, more=more)


def write_data(folder, dim=8):
    """Pictures, captions, vocabulary and codebook."""
    images = []
    for split, count in SPLITS.items():
        (folder / 'images' / split).mkdir(parents=True)
        for number in range(count):
            colour, rgb = list(COLOURS.items())[number % 3]
            picture = np.full((40, 48, 3), rgb[::-1], np.uint8)
            cv2.imwrite(str(folder / 'images' / split / f'{number}.png'), picture)
            sentences = [{'raw': f'A {colour} picture.'}, {'raw': f'This picture is {colour}.'}]
            image_id = 100 * list(SPLITS).index(split) + number
            image = dict(filepath=split, filename=f'{number}.png', split=split, cocoid=image_id, sentences=sentences)
            images.append(image)
    (folder / 'captions.json').write_text(json.dumps({'images': images}))
    words = WordVocabulary.build([s['raw'] for image in images for s in image['sentences']], min_count=1)
    words.save(folder / 'vocab.json')
    draw = torch.Generator().manual_seed(0)
    save_codebook(folder / 'codebook.safetensors', list(COLOURS), torch.randn(3, dim, generator=draw))
    return folder
