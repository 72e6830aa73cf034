# XD-Violence as snippet features.
_base_ = ['./snippet_features.py']

data_root = 'data/xd_violence'
feature_dir = ''  # all of data_root: the public features have one folder for training and one for testing
ann_file = 'xd_CLIP_rgb.csv'
test_ann_file = 'xd_CLIP_rgbtest.csv'  # VadCLIP's, which lists only crop 0
temporal_ann_file = 'annotations_multiclasses.txt'  # annotations.txt has no classes
# Normal, fighting, shooting, riot, abuse, car accident, explosion; up to three in a video.
classes = ('A', 'B1', 'B2', 'B4', 'B5', 'B6', 'G')

balanced = False
batch_size = 96
