"""Random vision-language models of two families, so small that a test writes them."""

import json

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
TEXT = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2)
CONTEXT = 512


def write_tokenizer(special):
    """A tokenizer of single bytes."""
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_ = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_, eos_token='<end>', pad_token='<pad>', additional_special_tokens=special
    )


def _text(tokenizer):
    ids = dict(pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id)
    return dict(
        TEXT, vocab_size=len(tokenizer), max_position_embeddings=CONTEXT, bos_token_id=ids['eos_token_id'], **ids
    )


def write_idefics3(folder):
    """Of SmolVLM's architecture."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer = write_tokenizer(['<image>', '<fake_token_around_image>', '<end_of_utterance>', '<global-img>'])
    images = Idefics3ImageProcessorPil(
        size={'longest_edge': 32}, max_image_size={'longest_edge': 32}, do_image_splitting=False
    )
    template = TEMPLATE.replace('IMAGE', '<image>')
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=template)
    torch.manual_seed(0)
    vision = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    config = Idefics3Config(
        image_token_id=tokenizer.convert_tokens_to_ids('<image>'),
        vision_config=dict(vision, image_size=32, patch_size=8),
        text_config=dict(_text(tokenizer), model_type='llama'),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_qwen2_vl(folder):
    """Qwen2-VL, without the part of its processor that needs torchvision."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    names = ('vision_start', 'vision_end', 'image_pad', 'video_pad')
    tokenizer = write_tokenizer([f'<|{name}|>' for name in names])
    start, end, image, video = (tokenizer.convert_tokens_to_ids(f'<|{name}|>') for name in names)
    torch.manual_seed(0)
    rope = dict(rope_type='default', rope_theta=10000.0, mrope_section=[1, 1, 2])
    config = Qwen2VLConfig(
        text_config=dict(_text(tokenizer), rope_parameters=rope),
        vision_config=dict(
            depth=1, embed_dim=16, hidden_size=16, num_heads=2, mlp_ratio=2, patch_size=4, spatial_merge_size=2
        ),
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, min_pixels=64, max_pixels=1024).save_pretrained(folder)
    template = TEMPLATE.replace('IMAGE', '<|vision_start|><|image_pad|><|vision_end|>')
    (folder / 'chat_template.jinja').write_text(template)
    return folder


def write_text_model(folder):
    """A language model without images."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = write_tokenizer([])
    LlamaForCausalLM(LlamaConfig(**_text(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_model_with_code(folder):
    """A model that needs Python code from its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {'model_type': 'mystery', 'auto_map': {
        'AutoConfig': 'code.Config', 'AutoModelForImageTextToText': 'code.Model', 'AutoProcessor': 'code.Processor'
    }}  # fmt: skip
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'code.py').write_text('raise SystemExit("this code ran")')
    return folder
