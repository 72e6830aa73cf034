# Baseline of configs/mbt_wildlife_demo.py: each modality is classified separately, and the results are averaged.
_base_ = ['mbt_wildlife_demo.py']
model = dict(fusion=dict(_delete_=True, type='LateFusion', width=128))
