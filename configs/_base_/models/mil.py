# MIL ranking (Sultani et al.). An experiment sets the features' width: model = dict(feature_dim=_base_.feature_dim).
weight_l2 = 1e-3
dropout = 0.6

model = dict(type='MILRanking', dropout=dropout, weight_l2=weight_l2)
