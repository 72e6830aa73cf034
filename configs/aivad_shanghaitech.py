# ShanghaiTech: the speed, size and kind of objects; each of its 13 cameras has its own perspective.
_base_ = ['aivad_ped2.py']
data_root = 'data/shanghaitech'
scene_pattern = r'(\d+)_'  # 01 of 01_0014
