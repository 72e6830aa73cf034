"""A plain implementation of VadCLIP as published: the reference of the benchmark.

Wu et al., AAAI 2024, arXiv:2308.11681. One dense attention mask over all positions, adjacency and top-k snippets per
video in a Python loop, prompts of 77 positions filled one by one, every layer computed in full.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainGELU(nn.Module):
    """``x * sigmoid(1.702 x)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def plain_mlp(width: int) -> nn.Sequential:
    """Two layers with a four times wider hidden layer."""
    return nn.Sequential(nn.Linear(width, 4 * width), PlainGELU(), nn.Linear(4 * width, width))


class PlainBlock(nn.Module):
    """Pre-norm transformer block on tokens first, batch second."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = plain_mlp(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.norm2(x))


class PlainGraphLayer(nn.Module):
    """``graph @ (x weight) + residual``."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_dim, out_dim))
        self.residual = nn.Conv1d(in_dim, out_dim, 5, padding=2) if in_dim != out_dim else None

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        mixed = graph.matmul(x.matmul(self.weight))
        if self.residual is None:
            return mixed + x
        return mixed + self.residual(x.permute(0, 2, 1)).permute(0, 2, 1)


class PlainTextTower(nn.Module):
    """CLIP's text tower on embedded tokens, all of its positions."""

    def __init__(self, vocab_size: int, width: int, layers: int, heads: int, embed_dim: int, positions: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positions = nn.Parameter(torch.empty(positions, width))
        self.blocks = nn.ModuleList(PlainBlock(width, heads) for _ in range(layers))
        self.final_norm = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.empty(width, embed_dim))
        self.register_buffer('mask', torch.full((positions, positions), -math.inf).triu(1))

    def forward(self, embeds: Tensor, ends: Tensor) -> Tensor:
        x = (embeds + self.positions).permute(1, 0, 2)
        for block in self.blocks:
            x = block(x, self.mask)
        x = self.final_norm(x.permute(1, 0, 2))
        return x[torch.arange(len(x)), ends] @ self.projection


class PlainVadCLIP(nn.Module):
    """The network and its losses.

    Args:
        ours: VADLab's ``VadCLIP``, whose sizes, prompts and weights are copied.
        prefix: Number of learned vectors before a class name.
        postfix: Number of learned vectors after it.
    """

    def __init__(self, ours: Any, prefix: int = 10, postfix: int = 10) -> None:
        super().__init__()
        adapter, tower = ours.adapter, ours.text
        width = ours.classifier.in_features
        self.length, self.prefix, self.postfix = adapter.length, prefix, postfix
        self.words = [row[row >= 0] for row in ours.prompt_ids.cpu()]
        self.separation_weight = ours.separation_weight
        self.positions = nn.Embedding(self.length, width)
        self.blocks = nn.ModuleList(PlainBlock(width, block.heads) for block in adapter.blocks)
        self.similar1, self.near1 = (PlainGraphLayer(width, width // 2) for _ in range(2))
        self.similar2, self.near2 = (PlainGraphLayer(width // 2, width // 2) for _ in range(2))
        self.act = PlainGELU()
        self.linear = nn.Linear(width, width)
        self.text_mlp, self.binary_mlp = plain_mlp(width), plain_mlp(width)
        self.classifier = nn.Linear(width, 1)
        self.prompt_vectors = nn.Embedding(tower.context_length, tower.width)
        self.text = PlainTextTower(
            tower.vocab_size, tower.width, len(tower.blocks), tower.heads, width, tower.context_length
        )
        self.text.requires_grad_(False)
        mask = torch.full((self.length, self.length), -math.inf)
        for start in range(0, self.length, adapter.window):
            mask[start : start + adapter.window, start : start + adapter.window] = 0
        self.register_buffer('mask', mask)
        self._take_weights(ours)

    @torch.no_grad()
    def _take_weights(self, ours: Any) -> None:
        def copy_block(block: PlainBlock, source: Any) -> None:
            block.norm1.load_state_dict(source.norm1.state_dict())
            block.norm2.load_state_dict(source.norm2.state_dict())
            block.attention.in_proj_weight.copy_(source.qkv.weight)
            block.attention.in_proj_bias.copy_(source.qkv.bias)
            block.attention.out_proj.load_state_dict(source.out.state_dict())
            copy_mlp(block.mlp, source)

        def copy_mlp(mlp: nn.Sequential, source: Any) -> None:
            mlp[0].load_state_dict(source.fc1.state_dict())
            mlp[2].load_state_dict(source.fc2.state_dict())

        adapter = ours.adapter
        self.positions.weight.copy_(adapter.positional_embedding)
        for pair in zip(self.blocks, adapter.blocks, strict=True):
            copy_block(*pair)
        for name in ('similar1', 'similar2', 'near1', 'near2'):
            layer, source = getattr(self, name), getattr(adapter, name)
            layer.weight.copy_(source.weight.weight.T)
            if layer.residual is not None:
                layer.residual.load_state_dict(source.residual.state_dict())
        self.linear.load_state_dict(adapter.linear.state_dict())
        self.classifier.load_state_dict(ours.classifier.state_dict())
        copy_mlp(self.text_mlp, ours.text_mlp)
        copy_mlp(self.binary_mlp, ours.binary_mlp)
        self.prompt_vectors.weight.copy_(ours.prompt_embedding)
        self.text.token_embedding.load_state_dict(ours.text.token_embedding.state_dict())
        self.text.positions.copy_(ours.text.positional_embedding)
        for pair in zip(self.text.blocks, ours.text.blocks, strict=True):
            copy_block(*pair)
        self.text.final_norm.load_state_dict(ours.text.final_norm.state_dict())
        self.text.projection.copy_(ours.text_projection.weight.T)

    def similarity(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Adjacency by feature similarity, one video after the other."""
        norms = x.norm(dim=2, keepdim=True)
        cosines = x.matmul(x.permute(0, 2, 1)) / (norms.matmul(norms.permute(0, 2, 1)) + 1e-20)
        graph = torch.zeros_like(cosines)
        for i in range(len(x)):
            n = lengths[i]
            graph[i, :n, :n] = F.threshold(cosines[i, :n, :n], 0.7, 0).softmax(1)
        return graph

    def nearness(self, batch: int) -> Tensor:
        """Adjacency by distance in time, computed for every batch and video."""
        places = torch.arange(self.length, dtype=torch.float32)
        return torch.exp(-(places[:, None] - places).abs() / math.e).unsqueeze(0).repeat(batch, 1, 1)

    def encode_prompts(self) -> Tensor:
        """Encode class names between learned vectors, with all positions of the tower."""
        positions = len(self.text.positions)
        embeds = self.prompt_vectors(torch.arange(positions)).unsqueeze(0).repeat(len(self.words), 1, 1)
        ends = torch.zeros(len(self.words), dtype=torch.long)
        for i, ids in enumerate(self.words):
            words = self.text.token_embedding(F.pad(ids, (0, positions - len(ids))))
            last = len(ids) - 1
            embeds[i, 0] = words[0]
            embeds[i, self.prefix + 1 : self.prefix + last] = words[1:last]
            ends[i] = self.prefix + last + self.postfix
            embeds[i, ends[i]] = words[last]
        return self.text(embeds, ends)

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Texts, binary logits (B, T, 1) and class logits (B, T, K)."""
        places = torch.arange(self.length).unsqueeze(0).expand(len(feats), -1)
        x = feats.permute(1, 0, 2) + self.positions(places).permute(1, 0, 2)
        for block in self.blocks:
            x = block(x, self.mask)
        x = x.permute(1, 0, 2)
        similar, near = self.similarity(x, lengths), self.nearness(len(x))
        h_similar, h_near = self.act(self.similar1(x, similar)), self.act(self.near1(x, near))
        h_similar, h_near = self.act(self.similar2(h_similar, similar)), self.act(self.near2(h_near, near))
        x = self.linear(torch.cat([h_similar, h_near], 2))
        binary = self.classifier(x + self.binary_mlp(x))
        texts = self.encode_prompts()
        video = binary.permute(0, 2, 1) @ x
        video = video / video.norm(dim=-1, keepdim=True)
        own = texts.unsqueeze(0) + video.expand(-1, len(texts), -1)
        own = own + self.text_mlp(own)
        x, own = x / x.norm(dim=-1, keepdim=True), own / own.norm(dim=-1, keepdim=True)
        return texts, binary, x @ own.permute(0, 2, 1) / 0.07

    def loss(self, feats: Tensor, lengths: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """All three losses; ``targets`` are multi-hot, shape (B, K)."""
        texts, binary, logits = self(feats, lengths)
        scores = torch.sigmoid(binary).squeeze(-1)
        best_scores, best_logits = torch.zeros(0), torch.zeros(0)
        for i in range(len(feats)):
            n = lengths[i]
            k = int(n / 16 + 1)
            best_scores = torch.cat([best_scores, scores[i, :n].topk(k)[0].mean().view(1)])
            best_logits = torch.cat([best_logits, logits[i, :n].topk(k, dim=0)[0].mean(0, keepdim=True)])
        targets = targets / targets.sum(1, keepdim=True)
        apart = torch.zeros(1)
        normal = texts[0] / texts[0].norm(dim=-1, keepdim=True)
        for j in range(1, len(texts)):
            apart = apart + (normal @ (texts[j] / texts[j].norm(dim=-1, keepdim=True))).abs()
        return {
            'loss_binary': F.binary_cross_entropy(best_scores, (targets[:, 0] == 0).float()),
            'loss_align': -(targets * F.log_softmax(best_logits, dim=1)).sum(1).mean(),
            'loss_separation': (apart / (len(texts) - 1) * self.separation_weight)[0],
        }
