# A small model, trained on labels and distilled from a trained configs/mbt_wildlife.py; for CPUs in the field.
#   python tools/train.py configs/mbt_wildlife_distilled.py --cfg-options teacher_checkpoint=CHECKPOINT
_base_ = ['mbt_wildlife.py']
teacher_config = 'configs/mbt_wildlife.py'
teacher_checkpoint = 'work_dirs/mbt_wildlife/epoch_50.pth'
fusion_width = 256
lr = 3e-4  # from random weights

model = dict(
    type='DistilledRecognizer',
    teacher=dict(config=teacher_config, checkpoint=teacher_checkpoint),
    feature_weight=1.0,
    teacher_width=512,
    video_encoder=dict(_delete_=True, type='Simple3DCNN'),
    audio_encoder=dict(base_channels=32, pretrained=None),
)
