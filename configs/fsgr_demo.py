# FSGR on rendered scenes, from the small CLIP that ships with VADLab. What `make captions` runs first.
#   python tools/make_caption_data.py
#   python tools/train.py configs/fsgr_demo.py
_base_ = ['fsgr_coco.py']
data_root = 'data/captions_demo'
ann_file = 'dataset.json'
train_splits = ('train',)
vocab_file = 'data/captions_demo/vocab.json'
codebook = 'data/captions_demo/codebook.safetensors'
pretrained = 'vadlab/datasets/synthetic/weights/clip_synthetic.safetensors'
image_size = 128
crop = False
batch_size = 50
num_workers = 0
max_epochs = 6
patience = 6
lr = 1e-3
lr_vision = 5e-4  # all of a small CLIP learns: as it is, it tells neither nouns nor actions nor counts
warmup_epochs = 2
lr_milestones = (4, 5)
amp_dtype = None
word_init = None

model = dict(
    vision=dict(width=128, layers=6, heads=4, hidden_act='gelu', frozen=False, adapters=None, prompts=None),
    embed_dim=64,
    width=128,
    encoder=dict(layers=2, heads=4, ffn_width=512),
    decoder=dict(layers=2, heads=4, ffn_width=512),
)
