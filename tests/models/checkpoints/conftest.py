"""Random CLIP models in the formats of other libraries, with these libraries as oracle."""

import pytest
import torch
from torch import nn

START, END = 98, 99
TEXTS = [torch.tensor(ids) for ids in ([START, 5, 6, 7, END], [START, 11, END], [START, *range(1, 40), END])]

TINY = dict(
    text=dict(
        hidden_size=16,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=100,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=0,
    ),
    vision=dict(
        hidden_size=24,
        intermediate_size=72,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=24,
        patch_size=8,
    ),
)


def randomise(model, seed=0, std=0.15):
    """Draw random biases and norms as well, so that errors in them are visible."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim:
                noise = torch.randn(parameter.shape, generator=generator) * std
                norm = name.endswith('.weight') and parameter.ndim == 1
                parameter.copy_(noise + 1 if norm else noise)
    return model.eval()


def transformers_clip(text=None, vision=None, embed_dim=12, **options):
    transformers = pytest.importorskip('transformers')
    config = transformers.CLIPConfig(
        text_config=TINY['text'] | (text or {}),
        vision_config=TINY['vision'] | (vision or {}),
        projection_dim=embed_dim,
        **options,
    )
    return randomise(transformers.CLIPModel(config))


class OpenAIBlock(nn.Module):
    """A block with OpenAI's names, based on torch's multi-head attention."""

    def __init__(self, width, heads, causal):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Module()
        self.mlp.c_fc = nn.Linear(width, 4 * width)
        self.mlp.c_proj = nn.Linear(4 * width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.causal = causal

    def forward(self, x):
        y = self.ln_1(x)
        mask = torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).triu(1) if self.causal else None
        x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
        hidden = self.mlp.c_fc(self.ln_2(x))
        return x + self.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))


def _openai_tower(width, layers, causal):
    tower = nn.Module()
    tower.resblocks = nn.Sequential(*(OpenAIBlock(width, width // 64, causal) for _ in range(layers)))
    return tower


class OpenAIClip(nn.Module):
    """OpenAI's tensor names and constants; 64 channels per head, as all of OpenAI's models have."""

    def __init__(self):
        super().__init__()
        self.visual = nn.Module()
        self.visual.conv1 = nn.Conv2d(3, 128, 8, 8, bias=False)
        self.visual.class_embedding = nn.Parameter(torch.zeros(128))
        self.visual.positional_embedding = nn.Parameter(torch.zeros(10, 128))
        self.visual.ln_pre = nn.LayerNorm(128)
        self.visual.transformer = _openai_tower(128, 2, causal=False)
        self.visual.ln_post = nn.LayerNorm(128)
        self.visual.proj = nn.Parameter(torch.zeros(128, 12))
        self.transformer = _openai_tower(64, 2, causal=True)
        self.token_embedding = nn.Embedding(100, 64)
        self.positional_embedding = nn.Parameter(torch.zeros(77, 64))
        self.ln_final = nn.LayerNorm(64)
        self.text_projection = nn.Parameter(torch.zeros(64, 12))
        self.logit_scale = nn.Parameter(torch.tensor(3.5))
        for name, value in (('input_resolution', 24), ('context_length', 77), ('vocab_size', 100)):
            self.register_buffer(name, torch.tensor(value))

    def encode_image(self, frames):
        v = self.visual
        patches = v.conv1(frames).flatten(2).transpose(1, 2)
        x = torch.cat([v.class_embedding.expand(len(frames), 1, -1), patches], 1) + v.positional_embedding
        return v.ln_post(v.transformer.resblocks(v.ln_pre(x))[:, 0]) @ v.proj

    def encode_text(self, ids):
        x = self.transformer.resblocks(self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]])
        ends = ids.argmax(1)  # as OpenAI does: the end id is the highest id
        return self.ln_final(x)[torch.arange(len(ids)), ends] @ self.text_projection

    def forward(self, frames, ids):
        return self.encode_image(frames), self.encode_text(ids)


@pytest.fixture
def frames():
    return torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def texts():
    return TEXTS


@pytest.fixture
def make_transformers_clip():
    return transformers_clip


@pytest.fixture
def openai_clip():
    return randomise(OpenAIClip())
