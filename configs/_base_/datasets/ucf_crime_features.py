# UCF-Crime as snippet features.
_base_ = ['./snippet_features.py']

data_root = 'data/ucf_crime'
feature_dir = 'UCFClipFeatures'
ann_file = 'ucf_CLIP_rgb.csv'
test_ann_file = 'ucf_CLIP_rgbtest.csv'  # VadCLIP's, which lists only crop 5
temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'
frames_file = 'test_num_frames.json'
classes = (
    'Normal', 'Abuse', 'Arrest', 'Arson', 'Assault', 'Burglary', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery',
    'Shooting', 'Shoplifting', 'Stealing', 'Vandalism',
)  # fmt: skip
