# 512 channels per snippet, at about a quarter of the cost of ViT-B/16.
_base_ = ['_base_/features/clip.py']
pretrained = 'openai/clip-vit-base-patch32'
patch_size = 32
