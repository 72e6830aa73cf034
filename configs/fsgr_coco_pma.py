# FSGR with PMA-Net's prototypical memory in the decoder (Barraco et al., ICCV 2023, arXiv:2308.12383).
_base_ = ['fsgr_coco.py']
prototypical_memory = True
