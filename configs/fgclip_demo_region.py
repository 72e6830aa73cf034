# Ablation of the FG-CLIP demo: videos and regions, no queue, no hard negatives.
#   python tools/train.py configs/fgclip_demo_region.py
_base_ = ['fgclip_demo.py']
model = dict(queue=None, loss_hard_negative=None)
