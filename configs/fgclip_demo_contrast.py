# Ablation of the FG-CLIP demo: a contrast of 64 videos by gradient cache. As many videos, in fewer steps.
#   python tools/train.py configs/fgclip_demo_contrast.py
_base_ = ['fgclip_demo.py']
contrast_batch = 64
chunk = 8
lr_scale = 2.8  # about the square root of 64 / 8
