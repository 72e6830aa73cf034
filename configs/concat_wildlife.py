# Baseline of configs/mbt_wildlife.py: one vector per modality, concatenated.
_base_ = ['mbt_wildlife.py']
model = dict(fusion=dict(_delete_=True, type='ConcatFusion', width=512))
