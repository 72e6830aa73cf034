# LAVAD on XD-Violence: captions of frames, which a language model summarises and scores. See docs/vlm.md.
#   python tools/test.py configs/lavad_xd.py none --dry-run
_base_ = ['lavad_ucf.py']
data_root = 'data/xd_violence'
test_ann_file = 'videos'  # the folder of the 800 test videos; the list of intervals has no normal ones
temporal_ann_file = 'annotations.txt'
# Normal, fighting, shooting, riot, abuse, car accident, explosion; up to three in a video.
classes = ('A', 'B1', 'B2', 'B4', 'B5', 'B6', 'G')

model = dict(
    class_names=dict(A='Normal', B1='Fighting', B2='Shooting', B4='Riot', B5='Abuse', B6='Car accident', G='Explosion')
)
