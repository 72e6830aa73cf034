# 64 channels per snippet, from the small CLIP that ships with VADLab, for the simulator's videos. `make demo-features`.
_base_ = ['_base_/features/clip.py']
pretrained = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
image_size = 128
width = 128
layers = 6
heads = 4
hidden_act = 'gelu'
embed_dim = 64
resize = (128, 128)  # resize the whole frame to the square size of the small CLIP's training
interpolation = 'bicubic'
