# CLIP-TSA. An experiment sets the features' width: model = dict(feature_dim=_base_.feature_dim).
keep = 0.95  # share of the snippets that are chosen: 0.95 for UCF-Crime, 0.9 for XD-Violence, 0.01 for ShanghaiTech
dropout = 0.7
margin = 100.0  # target norm of abnormal features; depends on the norms of the input features

model = dict(type='CLIPTSA', keep=keep, dropout=dropout, margin=margin)
