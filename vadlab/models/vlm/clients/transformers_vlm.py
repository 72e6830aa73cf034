"""Client of a local model through transformers."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

from ..request import Answer, Request
from .prompt_prefix import PromptPrefix
from .vlm_client import Keep, VLMClient

_DTYPES = {'auto': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16, 'float32': torch.float32}


@MODELS.register_module()
class TransformersVLM(VLMClient):
    """Asks a model of Hugging Face's transformers on this machine, in batches; answers are the most probable words.

    Any model that ``AutoModelForImageTextToText`` loads can be used: SmolVLM, Qwen-VL, InternVL (``-hf``), LLaVA,
    BLIP-2 and others. Code in repositories is never executed (``trust_remote_code=False``), so models that need it are
    refused.
    The model is loaded when the first question is asked.

    A model without a chat template, such as BLIP-2, gets the question as plain text beside the images.

    What questions without frames have in common goes through the model once (:class:`PromptPrefix`).

    Args:
        model_name (str): Hugging Face id, or a folder with config, weights, tokenizer and processor.
        batch_size (int): Questions per forward pass.
        image_size (int): Largest side of the frames, in pixels. The model's processor may scale them again.
        max_tokens (int): Largest number of tokens of an answer.
        dtype (str): ``auto`` (bfloat16 on a GPU, else float32), ``bfloat16``, ``float16`` or ``float32``.
        device (str | None): None for the GPU, if there is one.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __init__(
        self,
        model_name: str,
        batch_size: int = 4,
        image_size: int = 448,
        max_tokens: int = 300,
        dtype: str = 'auto',
        device: str | None = None,
    ) -> None:
        super().__init__(model_name, image_size, max_tokens)
        if batch_size < 1:
            raise ConfigError('TransformersVLM: batch_size must be at least 1')
        if dtype not in _DTYPES:
            raise ConfigError(f'TransformersVLM: there is no dtype={dtype!r}. {nearest(dtype, list(_DTYPES))}')
        self.batch_size = batch_size
        self.dtype = dtype
        self.device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        self._model: Any = None
        self._processor: Any = None
        self._prefix: Any = None

    @property
    def settings(self) -> dict[str, Any]:
        # The batch size does not affect answers, but for rounding.
        return {
            'model': self.model_name,
            'image': ['array', self.image_size],
            'max_tokens': self.max_tokens,
            'dtype': self.dtype,
            'transformers': True,
        }

    def answers(self, requests: Iterable[Request], keep: Keep) -> None:
        """See :meth:`VLMClient.answers`."""
        batch: list[Request] = []
        for request in requests:
            batch.append(request)
            if len(batch) == self.batch_size:
                self._ask(batch, keep)
                batch = []
        if batch:
            self._ask(batch, keep)

    def load(self) -> None:
        """Load the model and its processor.

        Raises:
            ConfigError: They cannot be loaded, or the model takes no images.
        """
        if self._model is not None:
            return
        from transformers import AutoConfig, AutoModelForImageTextToText

        if _is_path(self.model_name) and not os.path.isdir(self.model_name):
            raise ConfigError(f'TransformersVLM: there is no folder {self.model_name}, and it is not the id of a model')
        dtype = _DTYPES[self.dtype] or (torch.bfloat16 if self.device.type == 'cuda' else torch.float32)
        try:
            AutoConfig.from_pretrained(self.model_name, trust_remote_code=False)  # refuses code of repositories
            processor = _processor(self.model_name)
            model = AutoModelForImageTextToText.from_pretrained(self.model_name, dtype=dtype, trust_remote_code=False)
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            text = ' '.join(str(error).split())
            if 'trust_remote_code' in text or 'custom code' in text:
                why = (
                    'it needs code from its repository, which is never executed. Choose a model of transformers itself'
                )
            elif 'Unrecognized configuration class' in text:
                why = 'it takes no images. Choose a vision-language model'
            else:
                why = text[:300]
            raise ConfigError(f'TransformersVLM: {self.model_name} cannot be used: {why}') from error
        if getattr(processor, 'image_processor', None) is None:
            raise ConfigError(
                f'TransformersVLM: {self.model_name} cannot be used: it has no image processor, so it takes no images'
            )
        processor.tokenizer.padding_side = 'left'  # the answer follows the question of each row
        if processor.tokenizer.pad_token_id is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        self._processor, self._model = processor, model.to(self.device).eval()
        self._prefix = PromptPrefix(self._model)

    def _ask(self, batch: Sequence[Request], keep: Keep) -> None:
        import time

        self.load()
        begin = time.monotonic()
        inputs = self._inputs(batch)
        lengths = inputs['attention_mask'].sum(1).tolist()
        self._check_context(batch, max(lengths))
        inputs = self._prefix.shorten(inputs)
        length = inputs['input_ids'].shape[1]
        with torch.inference_mode():
            found = self._model.generate(
                **inputs,
                max_new_tokens=self.max_tokens,
                do_sample=False,
                pad_token_id=self._processor.tokenizer.pad_token_id,
            )
        new = found[:, length:] if found.shape[1] > length else found  # encoder-decoders return only the answer
        texts = self._processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        seconds = (time.monotonic() - begin) / len(batch)
        pad = self._processor.tokenizer.pad_token_id
        for request, text, row, tokens_in in zip(batch, texts, new.tolist(), lengths, strict=True):
            ends = [place for place, token in enumerate(row) if token in self._end_ids() or token == pad]
            tokens_out = ends[0] if ends else len(row)
            keep(
                request,
                Answer(text.strip(), int(tokens_in), tokens_out, seconds, is_cut=tokens_out >= self.max_tokens),
            )

    def _inputs(self, batch: Sequence[Request]) -> Any:
        """Input of the model for some questions."""
        from PIL import Image

        images = [[Image.fromarray(np.ascontiguousarray(one)) for one in request.images] for request in batch]
        if getattr(self._processor, 'chat_template', None):
            texts = [
                self._processor.apply_chat_template(
                    [{'role': 'user', 'content': _content(request)}], add_generation_prompt=True, tokenize=False
                )
                for request in batch
            ]
        else:
            texts = [request.text for request in batch]
        # A batch has questions with images, or questions without.
        shown = images if any(images) else None
        inputs = self._processor(text=texts, images=shown, padding=True, return_tensors='pt')
        return inputs.to(self.device, dtype=self._model.dtype)

    def _end_ids(self) -> list[int]:
        ids = self._model.generation_config.eos_token_id
        ids = self._processor.tokenizer.eos_token_id if ids is None else ids
        return ids if isinstance(ids, list) else [ids]

    def _check_context(self, batch: Sequence[Request], length: int) -> None:
        """Check that question, frames and answer fit into the context.

        Raises:
            ConfigError: They do not; the message says how many frames fit.
        """
        config = self._model.config.get_text_config()
        limit = getattr(config, 'max_position_embeddings', None)
        if not limit or length + self.max_tokens <= limit:
            return
        frames = max(len(request.images) for request in batch)
        if not frames:
            raise ConfigError(
                f'{self.model_name}: a question of {length} tokens and an answer of {self.max_tokens} do not fit into '
                f'the context of {limit} tokens'
            )
        text = len(self._processor.tokenizer(max((one.text for one in batch), key=len))['input_ids'])
        per_frame = max((length - text) / frames, 1)
        fit = max(int((limit - self.max_tokens - text) / per_frame), 0)
        advice = f'About {fit} frames fit. Set num_frames={fit}, or a smaller vlm_image_size or max_answer_tokens'
        if not fit:
            advice = 'Not one frame fits. Set a smaller vlm_image_size or max_answer_tokens, or shorten the question'
        raise ConfigError(
            f'{self.model_name}: {frames} frames of a question take {length} tokens, with {self.max_tokens} for the '
            f'answer more than the context of {limit}. {advice}'
        )


def _is_path(name: str) -> bool:
    """Whether a name cannot be an id of the hub, which is USER/NAME or NAME."""
    return name.startswith(('.', '~', '/')) or name.count('/') > 1 or (os.sep != '/' and os.sep in name)


def _processor(name: str) -> Any:
    """The processor of a model; without torchvision, which only its part for videos needs, without that part."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    try:
        return transformers.AutoProcessor.from_pretrained(name, trust_remote_code=False)
    except ImportError as error:
        if 'torchvision' not in str(error).lower():
            raise
    model_type = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False).model_type
    kind = getattr(transformers, PROCESSOR_MAPPING_NAMES[model_type])
    parts = [part for part in kind.get_attributes() if part != 'video_processor']
    without: Any = type(kind.__name__, (kind,), {'get_attributes': classmethod(lambda cls: parts)})
    return without.from_pretrained(name)


def _content(request: Request) -> list[dict[str, Any]]:
    """A question as the chat template takes it; frames are numbered if there are several."""
    content: list[dict[str, Any]] = []
    for number in range(len(request.images)):
        if len(request.images) > 1:
            content.append({'type': 'text', 'text': f'Frame {number + 1}:'})
        content.append({'type': 'image'})
    return [*content, {'type': 'text', 'text': request.text}]
