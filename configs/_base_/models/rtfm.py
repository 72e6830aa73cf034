# RTFM. An experiment adds the features' width: model = dict(feature_dim=_base_.feature_dim).
dropout = 0.7
margin = 100.0  # length of abnormal features; depends on the features' own

model = dict(type='RTFM', dropout=dropout, margin=margin)
