# 512 channels a snippet, from about a quarter of ViT-B/16's work.
_base_ = ['_base_/features/clip.py']
pretrained = 'openai/clip-vit-base-patch32'
patch_size = 32
