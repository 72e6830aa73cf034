"""A small FG-CLIP 2 with deterministic weights, in the layout that its authors release."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SIZES = dict(width=32, layers=2, heads=4, patch_size=16, num_patches=16, vocab_size=300)
VISION = dict(type='SigLIP2VisionTransformer', width=32, layers=2, heads=4, num_patches=16)
TEXT = dict(type='SigLIP2TextTransformer', width=32, layers=2, heads=4, vocab_size=300)
TEMPERATURES = dict(logit_scale=[3.0], logit_bias=[-5.0], logit_scale_finegraind=2.5, logit_scale_hardneg=2.0)
WORDS = (
    'a man in red runs on the street at night, two cars crash near a shop; 一名男子在街上打砸车辆，夜间，行人跑过商店。'
)


def numbers(shape, phase, scale=1.0):
    """A tensor of numbers without a pattern, the same on every machine."""
    count = torch.tensor(shape).prod().item()
    steps = torch.arange(count, dtype=torch.float64)
    return (scale * torch.sin(12.9898 * steps + 78.233 * phase + 0.7 * torch.sin(3.1 * steps))).float().reshape(shape)


def released_tensors():
    """Tensors by their names in a released file."""
    w, v = SIZES['width'], SIZES['vocab_size']
    shapes = {
        'text_model.embeddings.token_embedding.weight': (v, w),
        'text_model.embeddings.position_embedding.weight': (64, w),
        'text_model.embeddings.position_embedding_res.weight': (196, w),
        'text_model.embeddings.position_embedding_ori.weight': (196, w),
        'vision_model.embeddings.patch_embedding.weight': (w, 3 * SIZES['patch_size'] ** 2),
        'vision_model.embeddings.patch_embedding.bias': (w,),
        'vision_model.embeddings.position_embedding.weight': (SIZES['num_patches'], w),
    }
    layers = {'text_model.final_layer_norm': None, 'vision_model.post_layernorm': None}
    layers |= dict.fromkeys(['text_model.head', 'longtext_head', 'boxtext_head'], (w, w))
    for tower in ('text_model', 'vision_model'):
        for i in range(SIZES['layers']):
            block = f'{tower}.encoder.layers.{i}'
            layers |= {f'{block}.layer_norm{n}': None for n in (1, 2)}
            layers |= {f'{block}.self_attn.{n}_proj': (w, w) for n in ('q', 'k', 'v', 'out')}
            layers |= {f'{block}.mlp.fc1': (4 * w, w), f'{block}.mlp.fc2': (w, 4 * w)}
    for head in ('vision_model.head', 'dense_feature_head'):
        shapes |= {f'{head}.probe': (1, 1, w), f'{head}.attention.in_proj_weight': (3 * w, w)}
        shapes |= {f'{head}.attention.in_proj_bias': (3 * w,)}
        layers |= {f'{head}.attention.out_proj': (w, w), f'{head}.layernorm': None}
        layers |= {f'{head}.mlp.fc1': (4 * w, w), f'{head}.mlp.fc2': (w, 4 * w)}
    tensors = {name: numbers(shape, i, 0.3) for i, (name, shape) in enumerate(sorted(shapes.items()))}
    for i, (name, shape) in enumerate(sorted(layers.items())):
        tensors[f'{name}.weight'] = 1 + numbers((w,), i, 0.2) if shape is None else numbers(shape, i, 0.3)
        tensors[f'{name}.bias'] = numbers((w,) if shape is None else shape[:1], i + 0.5, 0.2)
    return tensors | {name: torch.tensor(value) for name, value in TEMPERATURES.items()}


def released_config():
    """The content of ``config.json``."""
    sizes = dict(
        hidden_size=SIZES['width'],
        intermediate_size=4 * SIZES['width'],
        num_hidden_layers=SIZES['layers'],
        num_attention_heads=SIZES['heads'],
        hidden_act='gelu_pytorch_tanh',
        layer_norm_eps=1e-6,
    )
    text = dict(vocab_size=SIZES['vocab_size'], max_position_embeddings=64, keep_len=20, longtext_len=196)
    vision = dict(patch_size=SIZES['patch_size'], num_patches=SIZES['num_patches'], num_channels=3)
    return dict(model_type='fgclip2', text_config=sizes | text, vision_config=sizes | vision)


def write_tokenizer(folder):
    """``tokenizer.json`` built like Gemma's: byte-pair encoding with bytes as fallback, an end id, no start id."""
    specials = ['<pad>', '<eos>', '<bos>', '<unk>']
    alphabet = [f'<0x{byte:02X}>' for byte in range(256)]
    vocab = {token: i for i, token in enumerate([*specials, *alphabet])}
    trained = Tokenizer(models.BPE(unk_token='<unk>'))
    trained.normalizer = normalizers.Replace(' ', '▁')
    trainer = trainers.BpeTrainer(vocab_size=SIZES['vocab_size'] - len(vocab), special_tokens=[], show_progress=False)
    trained.train_from_iterator([WORDS.lower()], trainer)
    learnt = json.loads(trained.to_str())['model']
    for token in sorted(learnt['vocab'], key=learnt['vocab'].get):
        vocab.setdefault(token, len(vocab))
    merges = [tuple(pair) for pair in learnt['merges']]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token='<unk>', fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(' ', '▁')
    tokenizer.pre_tokenizer = pre_tokenizers.Split(' ', 'merged_with_previous')
    tokenizer.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing('$A <eos>', '$A $B <eos>', [('<eos>', 1)])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    tokenizer.save(str(folder / 'tokenizer.json'))
    (folder / 'tokenizer_config.json').write_text(json.dumps(dict(pad_token='<pad>', eos_token='<eos>')))


def write_released(folder, tensors=None, config=None, shards=2, tokenizer=True):
    """Write the folder: ``config.json``, the weights in shards with an index (or in one file), the tokenizer."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = released_tensors() if tensors is None else tensors
    (folder / 'config.json').write_text(json.dumps(released_config() if config is None else config))
    if shards == 1:
        save_file(tensors, folder / 'model.safetensors', metadata={'format': 'pt'})
    else:
        names = sorted(tensors)
        files = [f'model-{i + 1:05d}-of-{shards:05d}.safetensors' for i in range(shards)]
        for i, file in enumerate(files):
            save_file({n: tensors[n] for n in names[i::shards]}, folder / file, metadata={'format': 'pt'})
        index = dict(metadata={}, weight_map={n: files[k % shards] for k, n in enumerate(names)})
        (folder / 'model.safetensors.index.json').write_text(json.dumps(index))
    if tokenizer:
        write_tokenizer(folder)
    return folder


def token_ids(count, phase, last=1):
    """Token ids of a text, the last one the end id."""
    ids = (numbers((count - 1,), phase).abs() * 290 + 4).long().clamp(max=SIZES['vocab_size'] - 1)
    return torch.cat([ids, torch.tensor([last])])


def parity_batch():
    """Three images of different sizes with eleven regions, two of them with ten hard negatives each."""
    grids = [(2, 3), (4, 4), (3, 2)]
    regions = [4, 4, 3]
    hard = [{3}, {1}, set()]
    boxes = []
    for i, count in enumerate(regions):
        corner = numbers((count, 2), 50 + i).abs() * 0.5
        boxes.append(torch.cat([corner, corner + 0.2 + 0.25 * numbers((count, 2), 60 + i).abs()], dim=1))
    return dict(
        grids=grids,
        images=[numbers((3, 16 * h, 16 * w), 40 + i) for i, (h, w) in enumerate(grids)],
        captions=[token_ids(n, 70 + n) for n in (10, 70, 5)],
        boxes=boxes,
        texts=[[token_ids(4 + r, 80 + 10 * i + r) for r in range(count)] for i, count in enumerate(regions)],
        negatives=[
            [[token_ids(6, 120 + 100 * i + 10 * r + k) for k in range(10 if r in hard[i] else 0)] for r in range(count)]
            for i, count in enumerate(regions)
        ],
    )
