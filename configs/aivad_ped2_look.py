# UCSD Ped2 by speed, size, kind and look: each object's embedding by any vision model of transformers, by id or folder.
#   python tools/train.py configs/aivad_ped2_look.py --cfg-options data_root=data/ped2 detector=yolox_nano.onnx
_base_ = ['aivad_ped2.py']
pretrained = 'openai/clip-vit-base-patch16'  # or facebook/dinov2-small, google/vit-base-patch16-224-in21k, a folder
look_weight = 1.0

model = dict(
    attributes=dict(
        look=dict(
            attribute=dict(type='Look', extractor=dict(vision=dict(type='TransformersVision', pretrained=pretrained))),
            density=dict(type='NearestNeighbourDensity', calibration='minmax'),
            weight=look_weight,
        ),
    ),
)
optim_wrapper = dict(
    constructor='NamedGroupsConstructor',  # skips the frozen vision model
    paramwise_cfg=dict(groups=dict(unused=dict(pattern='unused'))),
)
