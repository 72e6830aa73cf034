# Ablation of the FG-CLIP demo: videos with their captions only, no loss of regions, no queue of past pairs.
#   python tools/train.py configs/fgclip_demo_global.py
_base_ = ['fgclip_demo.py']
model = dict(loss_region=dict(loss_weight=0.0), queue=None)
