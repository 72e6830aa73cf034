# HL-Net. An experiment sets the features' width: model = dict(feature_dim=_base_.feature_dim + _base_.audio_dim).
dropout = 0.6
online = False  # True: tests return the scores that look only at the past

model = dict(type='HLNet', dropout=dropout, online=online)
