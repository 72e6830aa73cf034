# 512 channels per snippet, as VadCLIP's public features.
#   python tools/extract_features.py configs/features_clip_vit_b16.py Videos --out features --crops 10
_base_ = ['_base_/features/clip.py']
