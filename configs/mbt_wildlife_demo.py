# MBT on the simulator's clips, with small encoders from random weights. Run by `make wildlife`.
#   D=data/wildlife_demo
#   python tools/make_wildlife_data.py --out $D
#   python tools/prepare_wildlife.py $D/metadata.csv $D/videos --out $D/processed --size 64
#   python tools/train.py configs/mbt_wildlife_demo.py
_base_ = ['mbt_wildlife.py']
data_root = 'data/wildlife_demo'
pretrained_video = None
pretrained_audio = None
image_size = 64
fusion_width = 128
batch_size = 16
num_workers = 0
drop_video = 0.1  # for fair tests with a single modality
drop_audio = 0.1
max_epochs = 20
val_interval = 4
lr = 1e-3
weight_decay = 0.01
amp_dtype = None

model = dict(
    video_encoder=dict(_delete_=True, type='Simple3DCNN', channels=(16, 32, 64, 128), norm='batch'),
    audio_encoder=dict(base_channels=16),
)
