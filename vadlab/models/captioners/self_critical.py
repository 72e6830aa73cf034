"""Self-critical training: a captioner is trained with the CIDEr-D of its own captions as reward."""

import hashlib
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from vadlab.registry import DATASETS, MODELS
from vadlab.structures import CaptionDataSample
from vadlab.text.cider import CIDErD
from vadlab.text.document_frequencies import DocumentFrequencies
from vadlab.utils.errors import ConfigError, DataError

from .decoding import PAD, beam_search
from .fsgr import FSGR


@MODELS.register_module()
class SelfCriticalFSGR(FSGR):
    """Self-critical FSGR, after cross-entropy training: raises the probability of captions with above-mean CIDEr-D.

    Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017, arXiv:1612.00563, with the beam's
    captions as samples and their mean reward as baseline, as Cornia et al., "Meshed-Memory Transformer", CVPR 2020,
    arXiv:1912.08226::

        image -> encode -+-> beam search, no gradients -> k captions -> reward r (CIDEr-D against the references)
                         |                                  |             |
                         +-> decoder, all words at once <---+             v
                                   |                              r - mean of the beam
                                   v                                      |
                         log-probability of each caption -----------------+-> loss_scst

    The search runs as in testing, without dropout; the gradient is that of the network in training mode. Captions are
    compared as token ids, with the end on both sides; otherwise, a sentence that stops in the middle would not be
    penalised. Everything else, including prediction, is inherited from :class:`FSGR`.

    Args:
        captions (dict): Config of the data set for the document frequencies of n-grams: the training images, with any
            ``rows``. It is read when the first loss is computed.
        num_captions (int): Captions k per image, >= 2.
        max_words (int): Maximum number of words of a caption, including the end.
        cache_dir (str | None): Folder to cache the document frequencies in; None counts them in every run.
        **options: Arguments of :class:`FSGR`.

    Raises:
        ConfigError: A number is out of its range.
    """

    needs_load_from = True  # captions of random weights get no reward

    def __init__(
        self,
        captions: dict,
        num_captions: int = 5,
        max_words: int = 20,
        cache_dir: str | None = None,
        **options,
    ) -> None:
        super().__init__(**options)
        if num_captions < 2:
            raise ConfigError(f'SelfCriticalFSGR: num_captions={num_captions}; a caption alone is its own baseline.')
        if not 1 <= max_words <= self.decoder.max_len:
            raise ConfigError(
                f'SelfCriticalFSGR: max_words={max_words}, but the decoder has {self.decoder.max_len} positions.'
            )
        self.captions = captions
        self.num_captions = num_captions
        self.max_words = max_words
        self.cache_dir = cache_dir
        self._frequencies: DocumentFrequencies | None = None

    @property
    def frequencies(self) -> DocumentFrequencies:
        """Document frequencies: number of training images with each n-gram of token ids."""
        if self._frequencies is None:
            self._frequencies = self._read_frequencies()
        return self._frequencies

    def loss(self, inputs: Tensor, data_samples: list[CaptionDataSample]) -> dict[str, Tensor]:
        """Generate captions and compute the self-critical loss.

        Returns:
            dict[str, Tensor]: loss_scst; and for the log ``reward``, the mean CIDEr-D of the most likely caption of
            each image, as in testing, and ``baseline``, the mean CIDEr-D of all captions.
        """
        references = [self._references(sample) for sample in data_samples]
        images = self.encode(inputs, data_samples)
        tokens_bkl = self.sample(images)
        rewards_bk = self.rewards(tokens_bkl, references).to(inputs.device)
        advantage_bk = rewards_bk - rewards_bk.mean(1, keepdim=True)
        start = tokens_bkl.new_full((*tokens_bkl.shape[:2], 1), self.tokenizer.bos_id)
        words_nl = torch.cat([start, tokens_bkl], dim=2).flatten(0, 1)
        log_probs_bk = self.log_probs(images, words_nl).sum(1).view_as(advantage_bk)
        return {
            'loss_scst': -(advantage_bk * log_probs_bk).mean(),
            'reward': rewards_bk[:, 0].mean(),
            'baseline': rewards_bk.mean(),
        }

    @torch.no_grad()
    def sample(self, images) -> Tensor:
        """Captions of each image's beam, generated without dropout, padded after their ends.

        Returns:
            Tensor: int64, shape (b, k, l), most likely first.
        """
        was_training = self.decoder.training
        self.decoder.eval()
        tokens_bkl = beam_search(self.decoder, images, self.num_captions, self.max_words, return_all=True).tokens
        self.decoder.train(was_training)
        return tokens_bkl[..., : int((tokens_bkl != PAD).sum(-1).max())]

    def rewards(self, tokens_bkl: Tensor, references: list[list[list[int]]]) -> Tensor:
        """CIDEr-D of captions against their references.

        Args:
            tokens_bkl (Tensor): Words and end of k captions per image, padded.
            references (list[list[list[int]]]): Words and end of the references of each image.

        Returns:
            Tensor: 0..10, float32, on the CPU, shape (b, k).
        """
        b, k, _ = tokens_bkl.shape
        candidates = [[word for word in row if word != PAD] for row in tokens_bkl.flatten(0, 1).tolist()]
        images = [image for image in range(b) for _ in range(k)]
        return torch.from_numpy(CIDErD(references, self.frequencies).score(candidates, images)).float().view(b, k)

    def _references(self, sample: CaptionDataSample) -> list[list[int]]:
        if not sample.get('gt_captions'):
            raise DataError(
                f'SelfCriticalFSGR: image {sample.get("image_id", "without id")} has no gt_captions for the reward. '
                'Train on images with all their captions: train_rows="images".'
            )
        return [self._words(caption) for caption in sample.gt_captions]

    def _words(self, caption: str) -> list[int]:
        return self.tokenizer.encode(caption, self.decoder.max_len + 1)[1:]

    def _read_frequencies(self) -> DocumentFrequencies:
        captions = DATASETS.build(self.captions).references()
        path = None
        if self.cache_dir is not None:
            digest = hashlib.sha256(repr((self.tokenizer.fingerprint, self.decoder.max_len, captions)).encode())
            path = Path(self.cache_dir) / f'document_frequencies_{digest.hexdigest()[:16]}.npz'
            if path.is_file():
                return DocumentFrequencies.load(path)
        found = DocumentFrequencies.from_references([[self._words(text) for text in texts] for texts in captions])
        logger = MMLogger.get_current_instance()
        logger.info(f'Rewards: n-grams weighted by the captions of {found.num_images:,} training images.')
        if path is not None:
            found.save(path)
        return found
