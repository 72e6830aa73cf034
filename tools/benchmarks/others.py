"""Training steps of VadCLIP and FSGR on random weights and inputs, for tools/gpu_check.py."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import captions, vadclip


def build_vadclip(videos: int, tiny: bool) -> tuple[nn.Module, dict[str, Any]]:
    """VadCLIP and a batch of videos of UCF-Crime's lengths, half of them normal."""
    from vadlab.models.data_preprocessors.snippet_data_preprocessor import SnippetDataPreprocessor
    from vadlab.structures import VADDataSample

    size = 'tiny' if tiny else 'published'
    model = vadclip.build_ours(size)
    model.data_preprocessor = SnippetDataPreprocessor()
    half = vadclip.make_lengths((videos + 1) // 2, model.max_snippets, 'ucf-crime')
    lengths = (half + half)[:videos]
    feats = vadclip.make_features(lengths, vadclip.SIZES[size]['embed_dim'])
    samples = []
    for number, length in enumerate(lengths):
        label = 0 if number < len(half) else 1 + number % (len(vadclip.CLASSES) - 1)
        samples.append(VADDataSample(metainfo=dict(video_id=f'video{number}', num_snippets=length), gt_label=label))
    inputs = [video[None, :length] for video, length in zip(feats, lengths, strict=True)]
    return model, dict(inputs=inputs, data_samples=samples)


def build_fsgr(images: int, tiny: bool) -> tuple[nn.Module, dict[str, Any]]:
    """FSGR and a batch of images with one caption each, for the cross-entropy step."""
    from vadlab.models.captioners.fsgr import FSGR
    from vadlab.models.heads.codebook import save_codebook
    from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
    from vadlab.structures import CaptionDataSample

    chosen = captions.SIZES['tiny' if tiny else 'published']
    vision = chosen['vision']
    _, references = captions.make_captions(images, references=1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        vocabulary, codebook = Path(name) / 'vocab.json', Path(name) / 'codebook.safetensors'
        words = WordVocabulary.build([texts[0] for texts in references], min_count=1)
        words.save(vocabulary)
        save_codebook(codebook, [f'{i}' for i in range(80)], torch.randn(80, 64))
        model = FSGR(
            vision=dict(type='CLIPVisionTransformer', **vision),
            tokenizer=dict(type='WordVocabulary', vocab_file=str(vocabulary)),
            codebook=str(codebook),
            embed_dim=64,
            width=chosen['width'],
            encoder=dict(layers=chosen['layers']),
            decoder=dict(layers=chosen['layers']),
        )
    samples = []
    for number, texts in enumerate(references):
        tokens = torch.tensor(words.encode(texts[0]))
        samples.append(CaptionDataSample(metainfo=dict(image_id=number), gt_caption_tokens=tokens))
    size = vision['image_size']
    return model, dict(
        inputs=list(torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8)), data_samples=samples
    )
