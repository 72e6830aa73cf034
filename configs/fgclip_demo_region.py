# Ablation of the FG-CLIP demo: videos and regions with their captions, no queue of past pairs.
#   python tools/train.py configs/fgclip_demo_region.py
_base_ = ['fgclip_demo.py']
model = dict(queue=None)
