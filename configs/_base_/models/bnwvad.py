# BN-WVAD. An experiment sets the features' width: model = dict(feature_dim=_base_.feature_dim).
width = 512

model = dict(
    type='BNWVAD',
    embed_dim=width,
    layers=2,
    heads=4,
    head_dim=width // 4,
    mlp_dim=width,
    hidden_dims=(width // 16, width // 32),
)
