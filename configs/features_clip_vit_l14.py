# 768 channels per snippet.
_base_ = ['_base_/features/clip.py']
pretrained = 'openai/clip-vit-large-patch14'
patch_size = 14
width = 1024
layers = 24
heads = 16
embed_dim = 768
