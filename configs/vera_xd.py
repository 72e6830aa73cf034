# VERA on XD-Violence: a vision-language model that learns which questions to ask. See docs/vlm.md.
#   python tools/train.py configs/vera_xd.py
_base_ = ['vera_ucf.py']
data_root = 'data/xd_violence'
ann_file = 'train'  # folders of videos below data_root; classes are in the names
test_ann_file = 'videos'  # of the 800 test videos
temporal_ann_file = 'annotations.txt'
# Normal, fighting, shooting, riot, abuse, car accident, explosion; up to three in a video.
classes = ('A', 'B1', 'B2', 'B4', 'B5', 'B6', 'G')

model = dict(
    class_names=dict(A='Normal', B1='Fighting', B2='Shooting', B4='Riot', B5='Abuse', B6='Car accident', G='Explosion')
)
