# FSGR on a frozen CLIP ViT-B/16 with adapters in its upper half and deep prompts.
pretrained = 'openai/clip-vit-base-patch16'  # path or Hugging Face id
image_size = 224  # pixels; height and width
vocab_file = 'data/coco/vocab.json'
codebook = 'data/coco/codebook.safetensors'  # built by python tools/build_codebook.py; any number of concepts
max_len = 54  # tokens of a caption, start and end included
with_cp = False  # activation checkpointing of the backbone
word_init = 'clip'  # word embeddings start from CLIP's text encoder; None: random
beam_size = 5
max_words = 20  # maximum words of a generated caption, including its end
remove_repeats = True  # remove words that equal the word before
# Where public code (github.com/wxdaxx/FSGR11.15, a copy of the authors') differs; docs/parity.md has the reasons:
encoder_layers = 3  # there 2
decoder_layers = 3  # there 4
grid_positions = 'index'  # there 'normalised'
norm_visual = False  # there True
prompt_dropout_per_image = False  # there True
prototypical_memory = False  # PMA-Net's memory in the decoder's self-attention

model = dict(
    type='FSGR',
    data_preprocessor=dict(type='CaptionDataPreprocessor'),
    vision=dict(
        type='CLIPVisionTransformer',
        image_size=image_size,
        patch_size=16,
        width=768,
        layers=12,
        heads=12,
        with_cp=with_cp,
        frozen=True,
        adapters=dict(first=6, last=11, ratio=0.25),  # after attention; blocks are numbered from 0
        prompts=dict(num_tokens=100, dropout=0.1, dropout_per_image=prompt_dropout_per_image),
    ),
    tokenizer=dict(type='WordVocabulary', vocab_file=vocab_file),
    codebook=codebook,
    embed_dim=512,
    width=512,
    head=dict(type='MaskCLIPHead', num_nearest=20),
    encoder=dict(
        type='GridEncoder',
        layers=encoder_layers,
        heads=8,
        ffn_width=2048,
        dropout=0.1,
        positions=grid_positions,
        norm_visual=norm_visual,
    ),
    decoder=dict(type='CaptionDecoder', layers=decoder_layers, heads=8, ffn_width=2048, dropout=0.1, max_len=max_len),
    loss_concept=dict(type='SupervisedContrastiveLoss', temperature=0.07, loss_weight=0.25),
    decoding=dict(method='beam', beam_size=beam_size, max_len=max_words),
    remove_repeats=remove_repeats,
    word_init=word_init,
    pretrained=pretrained,
)
if prototypical_memory:
    model['decoder'].update(memory=dict(type='PrototypicalMemory', steps=1500, num_prototypes=1024, refresh_every=500))
