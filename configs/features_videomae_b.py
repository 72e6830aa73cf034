# 768 channels per snippet: VideoMAE-B encodes all 16 frames at once.
_base_ = ['_base_/features/snippets.py']
pretrained = 'MCG-NJU/videomae-base-finetuned-kinetics'  # id or folder; None: random weights, to try the command
frames = 'all'
crop_order = 'torchvision'

model = dict(
    type='SnippetFeatureExtractor',
    vision=dict(type='VideoMAE', pretrained=pretrained, image_size=_base_.image_size, num_frames=_base_.snippet_len),
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
)
