# Ablation of the FG-CLIP demo: videos, regions and queue, no hard negatives.
#   python tools/train.py configs/fgclip_demo_queue.py
_base_ = ['fgclip_demo.py']
model = dict(loss_hard_negative=None)
