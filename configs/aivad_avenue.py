# CUHK Avenue: the speed, size and kind of objects, and where they are.
_base_ = ['aivad_ped2.py']
data_root = 'data/avenue'
