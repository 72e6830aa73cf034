"""Small parts of a captioner with random weights."""

import torch

from vadlab.models.captioners.caption_decoder import CaptionDecoder, EncodedImages

WIDTH, PATCHES, VOCAB = 8, 9, 6  # two words and the four special ones


def encoded(images=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    grid = torch.randn(images, PATCHES, WIDTH, generator=draw)
    positions = torch.randn(PATCHES, WIDTH, generator=draw)
    return EncodedImages(grid, positions, torch.zeros(images, PATCHES, dtype=torch.long), grid)


def row(images, number):
    """Select one image."""
    return EncodedImages(
        images.grid[number : number + 1],
        images.positions,
        images.concepts[number : number + 1],
        images.visual[number : number + 1],
    )


def decoder(vocab_size=VOCAB, seed=0, **options):
    torch.manual_seed(seed)
    settings = dict(width=WIDTH, layers=2, heads=2, ffn_width=16, max_len=12) | options
    model = CaptionDecoder(vocab_size, **settings)
    torch.nn.init.normal_(model.classifier.weight)  # far from uniform, so that captions have a clear order
    return model.eval()
