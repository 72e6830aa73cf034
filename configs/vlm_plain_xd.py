# A vision-language model asked about XD-Violence's videos: scores with reasons, without training. See docs/vlm.md.
#   python tools/test.py configs/vlm_plain_xd.py none --dry-run
_base_ = ['vlm_plain_ucf.py']
data_root = 'data/xd_violence'
test_ann_file = 'videos'  # the folder of the 800 test videos; the list of intervals has no normal ones
temporal_ann_file = 'annotations.txt'
# Normal, fighting, shooting, riot, abuse, car accident, explosion; up to three in a video.
classes = ('A', 'B1', 'B2', 'B4', 'B5', 'B6', 'G')
definition = 'fighting, shooting, a riot, abuse of a person, a car accident, an explosion'

model = dict(
    class_names=dict(A='Normal', B1='Fighting', B2='Shooting', B4='Riot', B5='Abuse', B6='Car accident', G='Explosion')
)
