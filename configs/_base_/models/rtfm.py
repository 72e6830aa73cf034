# RTFM. An experiment sets the features' width: model = dict(feature_dim=_base_.feature_dim).
dropout = 0.7
margin = 100.0  # target norm of abnormal features; depends on the norms of the input features

model = dict(type='RTFM', dropout=dropout, margin=margin)
