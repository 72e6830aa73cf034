from .info_nce_loss import InfoNCELoss, caption_ids

