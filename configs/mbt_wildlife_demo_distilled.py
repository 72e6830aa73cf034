# A quarter of the width of configs/mbt_wildlife_demo.py, and distilled from it; train that first.
_base_ = ['mbt_wildlife_demo.py']
teacher_config = 'configs/mbt_wildlife_demo.py'
teacher_checkpoint = 'work_dirs/mbt_wildlife_demo/epoch_20.pth'
fusion_width = 64

model = dict(
    type='DistilledRecognizer',
    teacher=dict(config=teacher_config, checkpoint=teacher_checkpoint),
    feature_weight=1.0,
    teacher_width=128,
    video_encoder=dict(channels=(8, 16, 16, 32)),
    audio_encoder=dict(base_channels=8),
)
