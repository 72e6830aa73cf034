# MNAD on UCSD Ped2: reconstruction of single frames, with the authors' settings for it. The paper's update_threshold is
# 0.015.
_base_ = ['mnad_ped2.py']
window = 1
task = 'reconstruction'
compact_weight = 0.01
separate_weight = 0.01
psnr_weight = 0.7
