"""Zero-shot anomaly scores: frames are compared with descriptions of normal and abnormal scenes.

Shape suffixes: b videos, t frames, e embedding channels, k prompts (one phrase of one class), m templates.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.datasets.video.sampled_frames import interpolated
from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

# Descriptions of the classes of UCF-Crime and the demo.
PHRASES = {
    'Normal': ['people going about their day', 'an ordinary scene where nothing happens'],
    'Abuse': ['a person abusing another'],
    'Arrest': ['police arresting a person'],
    'Arson': ['a person setting fire to something'],
    'Assault': ['a person attacking another'],
    'Burglary': ['a burglar breaking into a building'],
    'Explosion': ['an explosion'],
    'Fighting': ['people fighting'],
    'RoadAccidents': ['a road accident'],
    'Robbery': ['a person being robbed'],
    'Shooting': ['a person shooting a gun'],
    'Shoplifting': ['a person shoplifting'],
    'Stealing': ['a person stealing something'],
    'Vandalism': ['a person damaging property'],
}
TEMPLATES = ('{}', 'a surveillance video of {}', 'a video frame showing {}')


@MODELS.register_module()
class PromptScoringHead(nn.Module):
    """Zero-shot anomaly score: compares how well abnormal and normal prompts match a frame.

    Radford et al., 2021, arXiv:2103.00020, section 3.1.4 for the ensemble: the embeddings of a phrase are averaged over
    templates. Several phrases of a class are not averaged, because a normal street and a normal shop look different;
    the log-sum-exp selects the best match.

    ``logit = logsumexp(logits of abnormal prompts) - logsumexp(logits of normal prompts)``, score = sigmoid(logit).

    Args:
        classes (Sequence[str]): Class names.
        prompts (Mapping[str, Sequence[str]] | None): Phrases of each class. Other classes use the built-in phrases of
            UCF-Crime, or the class name in words.
        templates (Sequence[str]): Sentences with one ``{}`` for the phrase.
        normal_class (str): The class that is not anomalous.
        score_window (int): Length of the moving average over the embeddings of sampled frames, odd; 1 for no average.
        cells (int): For models with dense features: number of best cells by which a frame is scored; 0 to score whole
            frames. An event of a few percent of the frame hardly changes the embedding of the whole. A cell is a mean
            of 2 x 2 neighbouring patches. Cells are compared with abnormal prompts only, since most cells are normal:
            ``logit = logsumexp over abnormal prompts of (scale * (cosine - video_reference * usual - cell_level))``,
            where ``cosine`` is the mean over the best cells.
        cell_level (float): Value of ``cosine - video_reference * usual`` at which the logit of a prompt is 0, -1..1.
        video_reference (float): With cells, the share of what is usual in a video that is subtracted, 0..1. ``usual``
            is the lower quartile of ``cosine`` over the video's sampled frames, separately per prompt. Places and
            cameras differ more from each other than calm from anomalous frames do, so this makes scores of different
            videos comparable. It needs the whole video, of which at least a quarter is normal.

    Raises:
        ConfigError: ``normal_class`` or a class of ``prompts`` is unknown, there is no abnormal class, a class has no
            phrase, a template has no ``{}``, ``score_window`` is even, ``cells`` is negative or combined with a
            ``score_window``, ``cell_level`` or ``video_reference`` is out of its range, or there is a
            ``video_reference`` without cells.
    """

    def __init__(
        self,
        classes: Sequence[str],
        prompts: Mapping[str, Sequence[str]] | None = None,
        templates: Sequence[str] = TEMPLATES,
        normal_class: str = 'Normal',
        score_window: int = 1,
        cells: int = 0,
        cell_level: float = 0.0,
        video_reference: float = 0.0,
    ) -> None:
        super().__init__()
        prompts = dict(prompts or {})
        for name in [normal_class, *prompts]:
            if name not in classes:
                raise ConfigError(f'PromptScoringHead: no class {name!r}. {nearest(name, list(classes))}')
        if len(classes) < 2:
            raise ConfigError(f'PromptScoringHead: needs an abnormal class in addition to {normal_class!r}.')
        if not templates or any(template.count('{}') != 1 for template in templates):
            raise ConfigError(f'PromptScoringHead: each template holds one {{}} for the phrase; got {list(templates)}.')
        if score_window < 1 or score_window % 2 == 0:
            raise ConfigError(f'PromptScoringHead: score_window must be odd and positive, got {score_window}.')
        if cells < 0:
            raise ConfigError(f'PromptScoringHead: cells must be 0 (frames only) or more, got {cells}.')
        if cells and score_window > 1:
            raise ConfigError('PromptScoringHead: score_window averages whole frames, so it cannot be set with cells.')
        if not -1 <= cell_level <= 1:
            raise ConfigError(f'PromptScoringHead: cell_level is a cosine similarity, -1..1; got {cell_level}.')
        if not 0 <= video_reference <= 1:
            raise ConfigError(f'PromptScoringHead: video_reference is a share, 0..1; got {video_reference}.')
        if video_reference and not cells:
            raise ConfigError('PromptScoringHead: video_reference is for scores of cells; set cells, too.')
        self.cells, self.cell_level, self.video_reference = cells, cell_level, video_reference
        self.classes = tuple(classes)
        self.normal_class = normal_class
        self.templates = tuple(templates)
        self.score_window = score_window
        self.phrases: list[str] = []
        class_of_phrase: list[int] = []
        built_in = {name.lower(): phrases for name, phrases in PHRASES.items()}
        for index, name in enumerate(classes):
            own = prompts.get(name, built_in.get(name.lower(), [in_words(name)]))
            if isinstance(own, str) or not own:
                raise ConfigError(f'PromptScoringHead: prompts[{name!r}] must be a list of phrases, got {own!r}.')
            self.phrases += own
            class_of_phrase += [index] * len(own)
        owners = torch.tensor(class_of_phrase)
        self.register_buffer('is_normal', owners == list(classes).index(normal_class), persistent=False)
        self.register_buffer('is_of_class', owners == torch.arange(len(classes))[:, None], persistent=False)

    @property
    def normal_phrases(self) -> list[str]:
        """Phrases of the class that is not anomalous."""
        return [phrase for phrase, is_normal in zip(self.phrases, self.is_normal.tolist(), strict=True) if is_normal]

    def phrases_of(self, name: str) -> list[str]:
        """Phrases of a class."""
        owns = self.is_of_class[self.classes.index(name)].tolist()
        return [phrase for phrase, is_own in zip(self.phrases, owns, strict=True) if is_own]

    def with_prompts(self, prompts: Sequence[str], negatives: Sequence[str] | None = None) -> 'PromptScoringHead':
        """A head with prompts instead of classes: one class per prompt, with the same templates and window.

        Args:
            prompts (Sequence[str]): What is looked for, in words: ``a person lying on the floor``.
            negatives (Sequence[str] | None): What counts as normal, in words; None keeps the phrases of the normal
                class.

        Raises:
            ConfigError: There is no prompt, one is empty or there twice, or a prompt is also a negative one.
        """
        prompts, others = checked_prompts(prompts, negatives, self.normal_phrases, self.normal_class)
        phrases = {self.normal_class: others, **{text: [text] for text in prompts}}
        head = PromptScoringHead(
            [self.normal_class, *prompts],
            phrases,
            self.templates,
            self.normal_class,
            self.score_window,
            self.cells,
            self.cell_level,
            self.video_reference,
        )
        return head.to(self.is_normal.device)

    @property
    def texts(self) -> list[str]:
        """All phrases in all templates, k * m texts, phrase by phrase."""
        return [template.format(phrase) for phrase in self.phrases for template in self.templates]

    def ensemble(self, text_embeds: Tensor) -> Tensor:
        """Average the templates of each phrase.

        Args:
            text_embeds (Tensor): L2-normalised embeddings of :attr:`texts`, shape (k * m, e).

        Returns:
            Tensor: L2-normalised, shape (k, e).
        """
        return F.normalize(text_embeds.unflatten(0, (len(self.phrases), -1)).mean(dim=1), dim=-1)

    def forward(
        self, frame_embeds: Tensor, prompt_embeds: Tensor, logit_scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Logits and class probabilities of frames; sigmoid(logit) is the sum over the abnormal classes.

        Args:
            frame_embeds (Tensor): L2-normalised frames in order of time, shape (b, t, e).
            prompt_embeds (Tensor): Output of :meth:`ensemble`, shape (k, e).
            logit_scale (Tensor | float): Factor of the cosine similarities, > 0.

        Returns:
            tuple[Tensor, Tensor]: Logits, above 0 if abnormal prompts match better, unbounded, float32, shape (b, t);
            and probabilities in the order of the classes, sum 1, float32, shape (b, t, classes).
        """
        frames_bte = frame_embeds.float()
        if self.score_window > 1:
            means_bet = F.avg_pool1d(
                frames_bte.mT, self.score_window, stride=1, padding=self.score_window // 2, count_include_pad=False
            )
            frames_bte = F.normalize(means_bet.mT, dim=-1)
        logits_btk = logit_scale * frames_bte @ prompt_embeds.float().T
        abnormal = logits_btk.masked_fill(self.is_normal, float('-inf')).logsumexp(dim=-1)
        normal = logits_btk.masked_fill(~self.is_normal, float('-inf')).logsumexp(dim=-1)
        shares_btk = logits_btk.softmax(dim=-1)
        return abnormal - normal, shares_btk @ self.is_of_class.T.to(shares_btk.dtype)

    def of_cells(self, dense_tdhw: Tensor, projection: nn.Module, prompt_embeds: Tensor) -> Tensor:
        """Cosine similarities of the best cells of frames with each phrase.

        Args:
            dense_tdhw (Tensor): Dense features of frames, shape (t, d, h, w), h and w > 1.
            projection (nn.Module): From d to e channels, without a bias.
            prompt_embeds (Tensor): Output of :meth:`ensemble`, shape (k, e).

        Returns:
            Tensor: -1..1, float32, shape (t, k).
        """
        cells_tcd = F.avg_pool2d(dense_tdhw, 2, stride=1).flatten(2).transpose(1, 2)
        cells_tce = F.normalize(projection(cells_tcd).float(), dim=-1)
        cosines_tck = cells_tce @ prompt_embeds.float().T
        return cosines_tck.topk(min(self.cells, cosines_tck.shape[1]), dim=1).values.mean(dim=1)

    def score_cells(self, cosines_tk: Tensor, logit_scale: Tensor | float) -> tuple[Tensor, Tensor]:
        """Logits and class probabilities of all sampled frames of a video.

        Args:
            cosines_tk (Tensor): Output of :meth:`of_cells`, shape (t, k).
            logit_scale (Tensor | float): Factor of the cosine similarities of regions, > 0.

        Returns:
            tuple[Tensor, Tensor]: As of :meth:`forward`, shapes (t,) and (t, classes); the normal class has logit 0.
        """
        level_tk = torch.full_like(cosines_tk[:1], self.cell_level)
        if self.video_reference:
            level_tk = level_tk + self.video_reference * _lower_quartile(cosines_tk)
        abnormal_tk = (logit_scale * (cosines_tk - level_tk)).masked_fill(self.is_normal, float('-inf'))
        logit_t = abnormal_tk.logsumexp(dim=-1)
        scores_tc = logit_t.sigmoid()[:, None] * abnormal_tk.softmax(dim=-1) @ self.is_of_class.T.to(abnormal_tk.dtype)
        scores_tc[:, self.classes.index(self.normal_class)] = (-logit_t).sigmoid()
        return logit_t, scores_tc


def _lower_quartile(values_tk: Tensor) -> Tensor:
    """Lower quartile over frames, between two values by linear interpolation, shape (1, k)."""
    if not torch.compiler.is_exporting():
        return values_tk.quantile(0.25, dim=0, keepdim=True)
    sorted_tk = values_tk.sort(dim=0).values  # a graph has no quantile, and its number of frames is open
    last = torch.ones_like(values_tk[:, 0], dtype=torch.long).sum() - 1
    below = last // 4
    low_1k, high_1k = (sorted_tk.index_select(0, place[None]) for place in (below, torch.minimum(below + 1, last)))
    return low_1k + (last % 4) / 4 * (high_1k - low_1k)


def checked_prompts(
    prompts: Sequence[str], negatives: Sequence[str] | None, own: Sequence[str], normal_class: str
) -> tuple[list[str], list[str]]:
    """What is looked for, and what counts as normal.

    Args:
        prompts (Sequence[str]): What is looked for, in words.
        negatives (Sequence[str] | None): What counts as normal, in words; None for ``own``.
        own (Sequence[str]): Phrases of the normal class of the config.
        normal_class (str): Name of that class.

    Raises:
        ConfigError: There is no prompt, one is empty or there twice, or a prompt is also a negative one.
    """
    prompts, others = list(prompts), list(own if negatives is None else negatives)
    if not prompts or not others or not all(text.strip() for text in [*prompts, *others]):
        raise ConfigError('Prompts: give at least one prompt, and no empty ones.')
    # Case and blanks do not make another prompt.
    same = [' '.join(text.lower().split()) for text in [*prompts, *others]]
    twice = next((text for text, key in zip(prompts, same, strict=False) if same.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(f'Prompts: {twice!r} is given twice. Each prompt is a class, so give it once.')
    if normal_class in prompts:
        raise ConfigError(f'Prompts: {normal_class!r} is the class that is not anomalous; give it as a negative.')
    return prompts, others


def tokenize_prompts(head: PromptScoringHead, encode: Callable[[str, int], list[int]], limit: int) -> list[Tensor]:
    """Token ids of all texts of a head that was given prompts, each int64, shape (l,).

    Args:
        head (PromptScoringHead): The head.
        encode (Callable): Takes a text and a largest number of ids.
        limit (int): Tokens that the text tower takes, start and end included.

    Raises:
        ConfigError: A prompt has more tokens in one of the templates; the message names it.
    """
    tokens = [torch.tensor(encode(text, sys.maxsize)) for text in head.texts]
    for text, ids in zip(head.texts, tokens, strict=True):
        if len(ids) > limit:
            raise ConfigError(
                f'Prompts: {text[:80]!r}... has {len(ids)} tokens, and the text tower takes {limit}. Use fewer words.'
            )
    return tokens


def in_words(name: str) -> str:
    """Convert a class name to a phrase.

    >>> in_words('RoadAccidents'), in_words('pick_pocketing')
    ('road accidents', 'pick pocketing')
    """
    return re.sub(r'(?<=[a-z])(?=[A-Z])|_', ' ', name).lower()


def to_every_frame(values: Tensor, frame_inds: np.ndarray, total_frames: int) -> Tensor:
    """Interpolate values of sampled frames linearly to all frames; constant before the first and after the last.

    Args:
        values (Tensor): Value of each sampled frame, shape (t,).
        frame_inds (np.ndarray): Indices of the sampled frames, ascending, 0-based, shape (t,); values of repeated
            indices are averaged.
        total_frames (int): Number of frames of the video.

    Returns:
        Tensor: float32 on the CPU, shape (total_frames,).
    """
    return torch.from_numpy(interpolated(values.detach().cpu().double().numpy(), frame_inds, total_frames))
