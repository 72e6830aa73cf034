# Baseline of configs/mbt_wildlife_demo.py: one vector per modality, concatenated.
_base_ = ['mbt_wildlife_demo.py']
model = dict(fusion=dict(_delete_=True, type='ConcatFusion', width=128))
