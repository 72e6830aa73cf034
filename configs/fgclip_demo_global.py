# Ablation of the FG-CLIP demo: videos and their captions only, no region loss, no queue, no hard negatives.
#   python tools/train.py configs/fgclip_demo_global.py
_base_ = ['fgclip_demo.py']
model = dict(loss_region=dict(loss_weight=0.0), queue=None, loss_hard_negative=None)
