# FSGR on rendered scenes, from the small CLIP that ships with VADLab. Run first by `make captions`.
#   python tools/make_caption_data.py
#   python tools/train.py configs/fsgr_demo.py
_base_ = ['fsgr_coco.py']
data_root = 'data/captions_demo'
ann_file = 'dataset.json'
train_splits = ('train',)
vocab_file = 'data/captions_demo/vocab.json'
codebook = 'data/captions_demo/codebook.safetensors'
pretrained = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
word_init = None
image_size = 128
crop = False
captions_per_image = 5
batch_size = 25
num_workers = 0
max_epochs = 6
val_interval = 2
lr = 2e-3
lr_vision = 1e-3  # train the whole small CLIP: it does not distinguish nouns, actions or counts yet
clip_grad_norm = 1.0
amp_dtype = None

model = dict(
    vision=dict(width=128, layers=6, heads=4, hidden_act='gelu', frozen=False, adapters=None, prompts=None),
    embed_dim=64,
    width=128,
    encoder=dict(layers=1, heads=4, ffn_width=256, dropout=0.05),
    decoder=dict(layers=2, heads=4, ffn_width=512, dropout=0.05),
    loss_concept=None,  # it hinders training while the backbone still changes
)
param_scheduler = [dict(type='WarmupCosineLR', warmup_steps=50, by_epoch=False)]
