# Shapes: b clips, v views of a clip that are classified separately, c channels of the student's feature, k classes.
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from vadlab.checkpoints.checkpoint_io import load_weights, read_checkpoint
from vadlab.registry import MODELS
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.config import load_config
from vadlab.utils.errors import CheckpointError, ConfigError

from .audio_visual_recognizer import AudioVisualRecognizer


@MODELS.register_module()
class DistilledRecognizer(AudioVisualRecognizer):
    """An :class:`AudioVisualRecognizer` that is trained on labels and distilled from a larger, trained teacher.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, section 2: the student is
    trained to match the teacher's softened probabilities. The loss is multiplied by the temperature squared, which
    keeps the scale of its gradients. With multi-label heads, each class is softened separately. Optionally, as in
    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv:1412.6550, a projection of the student's fused
    feature is trained to match the teacher's, by the mean squared error.

    Teacher and student get the same clips: the same frames at the same size, including mixed clips. A checkpoint has
    the student's weights under the names of the plain model. So it loads in the student's plain config, and testing
    needs no teacher.

    Args:
        teacher (Mapping[str, str]): ``config`` and ``checkpoint`` of the trained teacher, both paths.
        temperature (float): Divisor of the logits of teacher and student, > 0.
        logit_weight (float): Weight of the distillation term in the loss, 0..1; labels have the rest.
        feature_weight (float): Factor of the feature term; 0 turns it off.
        teacher_width (int): Channels of the teacher's fused feature.
        **student (Any): Arguments of :class:`AudioVisualRecognizer`.

    Raises:
        ConfigError: ``teacher`` does not have a config and a checkpoint, or a number is out of its range.
    """

    def __init__(
        self,
        teacher: Mapping[str, str],
        temperature: float = 2.0,
        logit_weight: float = 0.5,
        feature_weight: float = 0.0,
        teacher_width: int = 512,
        **student: Any,
    ) -> None:
        super().__init__(**student)
        if set(teacher) != {'config', 'checkpoint'}:
            raise ConfigError(f'DistilledRecognizer: teacher={dict(teacher)} must name a config and a checkpoint.')
        if temperature <= 0 or not 0 <= logit_weight <= 1 or feature_weight < 0:
            raise ConfigError(
                f'DistilledRecognizer: {temperature=} must be > 0, {logit_weight=} in 0..1, {feature_weight=} >= 0.'
            )
        self.temperature = temperature
        self.logit_weight = logit_weight
        self.feature_weight = feature_weight
        self.projection = _Projection(self.fusion.width, teacher_width) if feature_weight else None
        self._source = dict(teacher)
        self._teacher: list[AudioVisualRecognizer] = []  # a list keeps it out of this module's state and of checkpoints

    def init_weights(self) -> None:
        """Also load the teacher, so that its errors appear before training."""
        super().init_weights()
        self.teacher()

    def get_extra_state(self) -> dict[str, Any]:
        """State saved with the student's weights; includes the projection, which only training needs."""
        projection = {} if self.projection is None else dict(self.projection.named_parameters())
        return {**super().get_extra_state(), 'projection': {name: p.detach() for name, p in projection.items()}}

    @torch.no_grad()
    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore replaced encoders and, if saved, the projection."""
        super().set_extra_state(state)
        saved = state.get('projection') or {}
        for name, parameter in self.projection.named_parameters() if self.projection is not None and saved else ():
            parameter.copy_(saved[name])

    def teacher(self) -> AudioVisualRecognizer:
        """The frozen teacher; loaded at the first access.

        Raises:
            CheckpointError: The teacher has other classes, or its checkpoint does not fit its config.
            ConfigError: The teacher has another normalisation, or its width is not ``teacher_width``.
        """
        if not self._teacher:
            self._teacher.append(self._load_teacher())
        return self._teacher[0].to(next(self.parameters()).device)

    def _load_teacher(self) -> AudioVisualRecognizer:
        config, checkpoint = self._source['config'], self._source['checkpoint']
        teacher = MODELS.build(load_config(config).model)
        load_weights(teacher, read_checkpoint(checkpoint)['state_dict'], checkpoint)
        for name, head in self.heads.items():
            theirs = teacher.heads[name].classes if name in teacher.heads else None
            if theirs != head.classes:
                raise CheckpointError(
                    f'The teacher {checkpoint} has other classes of {name} than the student: {_shorten(theirs)} '
                    f'against {_shorten(head.classes)}. Both must be trained with the same metadata.'
                )
        own = dict(self.data_preprocessor.named_buffers())
        for name, buffer in teacher.data_preprocessor.named_buffers():
            if name in own and not torch.allclose(own[name].cpu(), buffer, equal_nan=True):
                raise ConfigError(
                    f'The teacher {config} has another normalisation than the student: data_preprocessor.{name}.'
                )
        if self.projection is not None and self.projection.out_features != teacher.fusion.width:
            raise ConfigError(
                f"DistilledRecognizer: the teacher's feature has {teacher.fusion.width} channels; set teacher_width."
            )
        size = sum(p.numel() for p in teacher.parameters()), sum(p.numel() for p in self.parameters())
        MMLogger.get_current_instance().info(
            f'Teacher: {checkpoint}, {size[0]:,} parameters; student: {size[1]:,} ({size[1] / size[0]:.1%}).'
        )
        return teacher.requires_grad_(False).eval()

    # ----------------------------------------------------------------------------------------------------------- loss

    def loss(self, inputs: Mapping[str, Tensor], data_samples: list[AudioVisualDataSample]) -> dict[str, Tensor]:
        """Loss terms: labels, ``loss_NAME``; the teacher's probabilities, ``loss_NAME_teacher``; and features."""
        feats, shares = self.fuse(inputs)
        logits = self.classify(feats)
        teacher = self.teacher()
        with torch.no_grad():
            their_feats, their_shares = teacher.fuse(inputs)
            their_logits = teacher.classify(their_feats)
        losses = self.label_losses(logits, shares, data_samples)
        for name, head in self.heads.items():
            losses[f'loss_{name}'] = (1 - self.logit_weight) * losses[f'loss_{name}']
            softened = teacher.heads[name].scores(their_logits[name].float() / self.temperature, their_shares)
            apart = distillation_loss(logits[name], softened, self.temperature, head.multi_label, shares)
            losses[f'loss_{name}_teacher'] = self.logit_weight * head.loss_weight * apart
        if self.projection is not None:
            projected = self.projection(_one_view(feats, shares)).float()
            apart = F.mse_loss(projected, _one_view(their_feats, their_shares).float())
            losses['loss_feature'] = self.feature_weight * apart
        return losses


def distillation_loss(
    logits: Tensor, softened_bk: Tensor, temperature: float, multi_label: bool = False, shares: Tensor | None = None
) -> Tensor:
    """Mean Kullback-Leibler divergence of softened predictions from a teacher's, times the temperature squared.

    Args:
        logits (Tensor): The student's logits, shape (b, k), or for several views (b, v, k).
        softened_bk (Tensor): The teacher's probabilities at the same temperature, shape (b, k).
        temperature (float): Temperature, > 0.
        multi_label (bool): Treat classes as independent; the divergence is the mean over classes.
        shares (Tensor | None): Weight of each view, shape (b, v).

    Returns:
        Tensor: float32, scalar, >= 0.
    """
    logits = logits.float() / temperature
    if shares is not None:
        softened_bk = softened_bk[:, None].expand_as(logits)
    if multi_label:
        cross = F.binary_cross_entropy_with_logits(logits, softened_bk, reduction='none').mean(-1)
        entropy = -(torch.xlogy(softened_bk, softened_bk) + torch.xlogy(1 - softened_bk, 1 - softened_bk)).mean(-1)
    else:
        cross = -(softened_bk * logits.log_softmax(-1)).sum(-1)
        entropy = -torch.xlogy(softened_bk, softened_bk).sum(-1)
    apart = cross - entropy
    return temperature**2 * (apart if shares is None else (apart * shares).sum(1)).mean()


class _Projection(nn.Linear):
    """A linear layer whose weights are not in the state dict of its parent."""

    def _save_to_state_dict(self, *args: Any) -> None:
        pass

    def _load_from_state_dict(self, *args: Any) -> None:
        pass


def _one_view(feats: Tensor, shares: Tensor | None) -> Tensor:
    return feats if shares is None else (feats * shares[..., None]).sum(1)


def _shorten(classes: tuple[str, ...] | None) -> str:
    if classes is None:
        return 'no such head'
    return f'{len(classes)} ({", ".join(classes[:5])}{", ..." if len(classes) > 5 else ""})'
