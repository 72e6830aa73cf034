# MGFN. An experiment sets the features' width: model = dict(feature_dim=_base_.feature_dim).
dims = (64, 128, 1024)
dropout = 0.7

model = dict(type='MGFN', dims=dims, depths=(3, 3, 2), kinds=('glance', 'focus', 'focus'), dropout=dropout)
