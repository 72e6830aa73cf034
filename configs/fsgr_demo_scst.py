# Self-critical training of the captioner of configs/fsgr_demo.py. Run second by `make captions`.
_base_ = ['fsgr_coco_scst.py']
data_root = 'data/captions_demo'
ann_file = 'dataset.json'
train_splits = ('train',)
vocab_file = 'data/captions_demo/vocab.json'
codebook = 'data/captions_demo/codebook.safetensors'
image_size = 128
crop = False
batch_size = 25
num_workers = 0
stage1_epochs = 6
last_epoch = 9
lr_milestones = (8,)
lr = 2e-4
lr_vision = 1e-4
clip_grad_norm = 1.0
amp_dtype = None

model = dict(
    vision=dict(width=128, layers=6, heads=4, hidden_act='gelu', frozen=False, adapters=None, prompts=None),
    embed_dim=64,
    width=128,
    encoder=dict(layers=1, heads=4, ffn_width=256, dropout=0.05),
    decoder=dict(layers=2, heads=4, ffn_width=512, dropout=0.05),
    loss_concept=None,
)
