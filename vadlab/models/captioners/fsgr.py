"""FSGR image captioning, in the order of computation.

Shape suffixes: b images, p patches of an image, g channels of the vision tower, e of CLIP's joint space, c concepts of
the codebook, d width of encoder and decoder, n captions, l words of a caption, v vocabulary.
"""

import hashlib
import json
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import Tensor, nn

from vadlab.registry import MODELS, TOKENIZERS
from vadlab.structures import CaptionDataSample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from ..backbones.stored_patches import StoredPatches
from ..checkpoints.clip_loading import init_vision_from_clip
from ..checkpoints.concept_prompts import encode_texts
from ..heads.codebook import load_codebook
from ..layers.logit_scale import MAX_LOGIT_SCALE, new_logit_scale
from .caption_decoder import EncodedImages
from .decoding import Captions, check_decoding, search, words_of

_SAME_EMBEDDING = 1e-3  # tolerance between machines for embeddings of the same text tower


@MODELS.register_module()
class FSGR(BaseModel):
    """Captions images with a transformer over CLIP's patches, each tagged with its nearest concept.

    "Fully Semantic Gap Recovery for End-to-End Image Captioning" (github.com/gjc0824/FSGR), on CLIP (Radford et al.,
    2021, arXiv:2103.00020), MaskCLIP (Zhou et al., 2022, arXiv:2112.01071) and SCLIP (Wang et al., 2024,
    arXiv:2312.01597).

    ::

        image -> vision -+- patches (b,p,g) ---------------------------------+
                         +- CLS -> visual_projection -> global (b,e) --------+-> encoder.embed -> visual grid (b,p,d)
                         |                                 |                                        |       |
                         |                                 | the 20 nearest                         |   loss_concept
                         |                                 v of the codebook                        v
                         +- aligned -> visual_projection ->  head -> text grid (b,p,e) ---------> encoder
                                          (b,p,e)             +----> concept of each patch          |
                                                                                                    v
        caption so far --------------------------------------------------------------------------> decoder
                                                                                                    |
                                                                 loss_caption, or a search <- next word (v)

    ``loss_concept`` pulls patches of the visual grid with the same concept together. Two differences from the public
    code: aligned patches come from correlative attention (see ``vision``), which that code computes but does not use;
    each sublayer has one residual and one norm, while that code's attention has two of each.

    Args:
        vision (dict): Config of the vision tower, :class:`CLIPVisionTransformer`.
        tokenizer (dict): Config of the captions' vocabulary, :class:`WordVocabulary`.
        codebook (str): File of concepts, see :func:`~vadlab.models.heads.codebook.load_codebook`.
        embed_dim (int): Channels e of CLIP's joint space; must equal the codebook's.
        width (int): Channels d.
        head (dict | None): Config of the head that assigns concepts to patches; :class:`MaskCLIPHead` by default.
        encoder (dict | None): Config of the encoder; :class:`GridEncoder` by default; sizes are set automatically.
        decoder (dict | None): Config of the decoder; :class:`CaptionDecoder` by default; sizes are set automatically.
        loss_concept (dict | None): Config of the loss on patches of a concept, :class:`SupervisedContrastiveLoss`; None
            for no such loss.
        decoding (dict | None): Search: ``method`` (beam, greedy, nucleus) and the arguments of that function of
            :mod:`~vadlab.models.captioners.decoding`; by default beam search with 5 beams and at most 20 words.
        remove_repeats (bool): Remove words that equal the word before them.
        word_init (str | None): ``clip``: word embeddings start from the text encoder of ``pretrained`` (``width`` must
            be ``embed_dim``), centred and scaled to the length of random embeddings. None: random.
        pretrained (str | None): CLIP weights to start training from: a path or Hugging Face id that
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint` reads.
        data_preprocessor (dict | None): CaptionDataPreprocessor by default.

    Raises:
        ConfigError: Arguments contradict each other.
        DataError: The codebook's width differs from ``embed_dim``.
    """

    needs_training = True

    def __init__(
        self,
        vision: dict,
        tokenizer: dict,
        codebook: str,
        embed_dim: int = 512,
        width: int = 512,
        head: dict | None = None,
        encoder: dict | None = None,
        decoder: dict | None = None,
        loss_concept: dict | None = None,
        decoding: dict | None = None,
        remove_repeats: bool = True,
        word_init: str | None = None,
        pretrained: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):  # MMEngine's registry may not find VADLab's
            data_preprocessor = MODELS.build(data_preprocessor or dict(type='CaptionDataPreprocessor'))
        super().__init__(data_preprocessor=data_preprocessor)
        if word_init not in (None, 'clip'):
            raise ConfigError(f"FSGR: word_init={word_init!r} is neither None nor 'clip'.")
        if word_init == 'clip' and width != embed_dim:
            raise ConfigError(f"FSGR: word_init='clip' needs width={width} to be embed_dim={embed_dim}.")
        self.tokenizer = TOKENIZERS.build(tokenizer)
        self.concepts, codebook_ce = load_codebook(codebook, embed_dim)
        self.register_buffer('codebook', codebook_ce)
        self.register_buffer('codebook_fingerprint', torch.tensor(_fingerprint(self.concepts)))
        self.register_buffer('vocabulary_fingerprint', torch.tensor(self.tokenizer.fingerprint))

        self.vision = MODELS.build(vision)
        self.stored_patches = StoredPatches(self.vision, self.data_preprocessor)
        self.visual_projection = nn.Linear(self.vision.width, embed_dim, bias=False)
        nn.init.normal_(self.visual_projection.weight, std=self.vision.width**-0.5)
        self.logit_scale = new_logit_scale(MAX_LOGIT_SCALE)
        for frozen in (self.visual_projection.weight, self.logit_scale):  # the codebook lies in this joint space
            frozen.requires_grad_(False)
        self.head = MODELS.build(dict(type='MaskCLIPHead') | (head or {}))

        sizes = dict(grid_size=self.vision.grid_size, in_channels=self.vision.width, embed_dim=embed_dim, width=width)
        self.encoder = MODELS.build(dict(type='GridEncoder') | sizes | (encoder or {}))
        sizes = dict(vocab_size=self.tokenizer.vocab_size, width=width)
        self.decoder = MODELS.build(dict(type='CaptionDecoder') | sizes | (decoder or {}))

        self.loss_concept = None if loss_concept is None else MODELS.build(loss_concept)
        self.decoding = check_decoding(decoding or {})
        if self.decoding['max_len'] > self.decoder.max_len:
            raise ConfigError(
                f'FSGR: decoding.max_len={self.decoding["max_len"]} is more than the decoder has positions '
                f'(decoder.max_len={self.decoder.max_len}).'
            )
        self.remove_repeats = remove_repeats
        self.word_init = word_init
        self.pretrained = pretrained

    # ------------------------------------------------------------------------------------------------ life of a model

    def init_weights(self) -> None:
        """Load ``pretrained`` into the vision tower and, with ``word_init``, the word embeddings; the Runner calls it.

        Raises:
            CheckpointError: The weights do not fit the tower of the config.
            ConfigError: ``word_init`` is set without ``pretrained``.
        """
        if self.is_init:
            return
        self._is_init = True  # layers are already initialised; MMEngine's pass would log every parameter
        if self.pretrained is not None:
            init_vision_from_clip(self, self.pretrained)
        if self.word_init == 'clip':
            if self.pretrained is None:
                raise ConfigError(
                    "FSGR: word_init='clip' needs pretrained=, the CLIP whose text encoder reads the words."
                )
            self._init_words()
        parts = []
        for name, part in self.named_children():
            total = sum(p.numel() for p in part.parameters())
            if total:
                parts.append(f'{name} {sum(p.numel() for p in part.parameters() if p.requires_grad):,} of {total:,}')
        MMLogger.get_current_instance().info(f'Trainable parameters: {", ".join(parts)}.')

    @torch.no_grad()
    def _init_words(self) -> None:
        words = self.tokenizer.words[4:]  # CLIP has no word for <pad>, <unk>, <bos>, <eos>
        embeds_ve = encode_texts(words, self.pretrained)
        # The mean is removed: it is the largest part of a CLIP embedding and does not distinguish words.
        embeds_ve = F.normalize(embeds_ve - embeds_ve.mean(0), dim=-1) * embeds_ve.shape[1] ** 0.5
        self.decoder.word_embedding.weight[4:] = embeds_ve.to(self.decoder.word_embedding.weight)
        MMLogger.get_current_instance().info(f'Word embeddings of {len(words)} words start from {self.pretrained}.')

    def check_checkpoint(self, state_dict: Mapping[str, Tensor], name: str) -> None:
        """Check that weights were trained with the same vocabulary and codebook, for a clear message.

        Args:
            state_dict (Mapping[str, Tensor]): The file's weights.
            name (str): Name of the file.

        Raises:
            CheckpointError: The weights were trained with another vocabulary or codebook.
        """
        saved = state_dict.get('vocabulary_fingerprint')
        if saved is not None and int(saved) != self.tokenizer.fingerprint:
            rows = state_dict.get('decoder.word_embedding.weight')
            raise CheckpointError(
                f'{name} was trained with another vocabulary'
                f'{f" ({len(rows):,} words)" if rows is not None else ""} than {self.tokenizer.source} '
                f'({self.tokenizer.vocab_size:,} words): word ids would have other meanings. Set vocab_file to '
                'the one it was trained with.'
            )
        saved, codebook_ce = state_dict.get('codebook_fingerprint'), state_dict.get('codebook')
        if saved is None or codebook_ce is None:
            return
        advice = 'Set codebook to the one it was trained with.'
        if int(saved) != int(self.codebook_fingerprint):
            raise CheckpointError(
                f'{name} was trained with another codebook ({len(codebook_ce):,} concepts) than this one '
                f'({len(self.concepts):,}: {", ".join(self.concepts[:3])}, ...). {advice}'
            )
        if codebook_ce.shape != self.codebook.shape or not torch.allclose(
            codebook_ce.to(self.codebook), self.codebook, atol=_SAME_EMBEDDING
        ):
            raise CheckpointError(
                f'{name} was trained with a codebook of the same {len(self.concepts):,} names, but of another text '
                f'tower or other templates. {advice}'
            )

    # -------------------------------------------------------------------------------------------------------- forward

    def forward(
        self, inputs: Tensor, data_samples: list[CaptionDataSample] | None = None, mode: str = 'tensor'
    ) -> EncodedImages | dict[str, Tensor] | list[CaptionDataSample]:
        """Encode, compute the losses, or predict.

        Args:
            inputs (Tensor): Normalised images, shape (b, 3, height, width), or stored patches, shape (b, tokens, g).
            data_samples (list[CaptionDataSample] | None): One per image; not needed for ``tensor``.
            mode (str): ``tensor``, ``loss`` or ``predict``.

        Returns:
            EncodedImages | dict | list: ``tensor``: output of :meth:`encode`. ``loss``: loss_caption and, if
            configured, loss_concept. ``predict``: the data samples with their ``pred_*`` fields, on the CPU.
        """
        if mode == 'tensor':
            return self.encode(inputs, data_samples)
        if mode not in ('loss', 'predict'):
            raise ValueError(f'FSGR: mode={mode!r} is not one of tensor, loss, predict.')
        if data_samples is None or len(data_samples) != len(inputs):
            raise ValueError(f'FSGR: mode={mode!r} needs one data sample for each of {len(inputs)} images.')
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    def encode(self, inputs: Tensor, data_samples: list[CaptionDataSample] | None = None) -> EncodedImages:
        """Encode images for the decoder.

        Args:
            inputs (Tensor): See :meth:`forward`.
            data_samples (list[CaptionDataSample] | None): Used to check that stored patches belong to the backbone.
        """
        if inputs.ndim == 3 and data_samples is not None:
            self.stored_patches.check(data_samples)
        seen = self.vision.forward_patches(inputs)
        patches_bpg = _unit(seen.patches)
        global_be = _unit(self.visual_projection(seen.cls))
        aligned_bpe = _unit(self.visual_projection(seen.aligned))

        named = self.head(aligned_bpe, global_be, self.codebook, self.logit_scale.exp())
        visual_bpd = self.encoder.embed(patches_bpg, global_be)
        grid_bpd = self.encoder(visual_bpd, named.text_grid)
        return EncodedImages(grid_bpd, self.encoder.positions, named.concepts, visual_bpd)

    # ----------------------------------------------------------------------------------------------------------- loss

    def loss(self, inputs: Tensor, data_samples: list[CaptionDataSample]) -> dict[str, Tensor]:
        """Loss terms of a batch; see :meth:`forward`."""
        of_images = [self._checked_captions(sample) for sample in data_samples]
        if len({len(captions) for captions in of_images}) > 1:
            raise DataError('FSGR: the images of a batch have different numbers of captions in gt_caption_tokens.')
        captions = [tokens for of_image in of_images for tokens in of_image]
        images = self.encode(inputs, data_samples)
        tokens_nl = nn.utils.rnn.pad_sequence(captions, batch_first=True, padding_value=self.tokenizer.pad_id)
        num_words = sum(len(tokens) - 1 for tokens in captions)
        losses = {'loss_caption': -self.log_probs(images, tokens_nl.to(inputs.device)).sum() / num_words}
        if self.loss_concept is not None:
            visual_d, concepts = images.visual.flatten(0, 1), images.concepts.flatten()
            losses['loss_concept'] = self.loss_concept(_unit(visual_d), concepts)
        return losses

    def log_probs(self, images: EncodedImages, tokens_nl: Tensor) -> Tensor:
        """Log-probability of each word of captions, with gradients.

        Args:
            images (EncodedImages): b encoded images.
            tokens_nl (Tensor): Captions from start to end, padded, int64, shape (n, l); the same number per image,
                those of the first image first.

        Returns:
            Tensor: Log-probabilities of the words after the start, end included; 0 at padding; float32, shape
            (n, l - 1).
        """
        targets_nl = tokens_nl[:, 1:]
        is_word_nl = targets_nl != self.tokenizer.pad_id
        log_probs_nlv = self.decoder(tokens_nl[:, :-1], images, is_word_nl)
        return log_probs_nlv.gather(2, targets_nl[..., None])[..., 0].masked_fill(~is_word_nl, 0)

    def _checked_captions(self, sample: CaptionDataSample) -> list[Tensor]:
        """Checked tokens of captions, on the CPU; on a GPU an invalid id would break the CUDA context."""
        name = f'image {sample.get("image_id", "without id")}'
        if 'gt_caption_tokens' not in sample:
            raise DataError(
                f'FSGR: {name} has no gt_caption_tokens. Train on pairs, COCOCaptions(rows="pairs"), with '
                'TokenizeWords in the pipeline; or on images, with num_captions of TokenizeWords.'
            )
        captions = []
        for tokens in sample.gt_caption_tokens.cpu().view(-1, sample.gt_caption_tokens.shape[-1]):
            tokens = tokens[: int((tokens != self.tokenizer.pad_id).sum())]
            if len(tokens) < 2 or len(tokens) - 1 > self.decoder.max_len:
                raise DataError(
                    f'FSGR: a caption of {name} has {len(tokens)} tokens, start and end included; the decoder takes 2 '
                    f"to {self.decoder.max_len + 1}. Cut captions with TokenizeWords' max_len."
                )
            if not 0 <= int(tokens.min()) <= int(tokens.max()) < self.tokenizer.vocab_size:
                raise DataError(
                    f'FSGR: a caption of {name} has the word id {int(tokens.max())}, but the vocabulary '
                    f'{self.tokenizer.source} has {self.tokenizer.vocab_size} words. Give the pipeline and the model '
                    'the same vocab_file.'
                )
            captions.append(tokens)
        return captions

    # -------------------------------------------------------------------------------------------------------- predict

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: list[CaptionDataSample]) -> list[CaptionDataSample]:
        """Write predicted captions to the samples; see :meth:`forward`."""
        images = self.encode(inputs, data_samples)
        return self.write(data_samples, search(self.decoder, images, self.decoding), images)

    def write(
        self, data_samples: list[CaptionDataSample], found: Captions, images: EncodedImages
    ) -> list[CaptionDataSample]:
        """Write the captions of a search to the data samples."""
        for sample, tokens, score, concepts_p in zip(
            data_samples, found.tokens.tolist(), found.scores.tolist(), images.concepts.cpu(), strict=True
        ):
            words = words_of(tokens, self.remove_repeats)
            sample.pred_tokens = torch.tensor(words, dtype=torch.long)
            sample.pred_caption = self.tokenizer.decode(words)
            sample.pred_score = score
            sample.pred_concepts = concepts_p
        return data_samples


# --------------------------------------------------------------------------------------------------------------- parts


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=-1)


def _fingerprint(names: list[str]) -> int:
    """63-bit hash of the list of names."""
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8], 'big') >> 1
