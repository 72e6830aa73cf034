from mmengine.structures import BaseDataElement


class CaptionDataSample(BaseDataElement):
    """Annotations and predictions of one image. Document every new field here.

    L is the number of words, P of patches. Words are numbered by a
    :class:`~vadlab.models.tokenizers.WordVocabulary`: 0 padding, 1 unknown, 2 start, 3 end.

    Metainfo:
        image_id (int | str): Unique in a data set.
        image_path (str): Path of the image file.
        ori_shape (tuple[int, int]): Height and width of the file's image, in pixels.
        img_shape (tuple[int, int]): Height and width of ``inputs``, in pixels; absent if ``inputs`` are patches.
        patches_of (str): Only if ``inputs`` are patches of a store: hash of the weights that computed them.

    Ground truth:
        gt_caption_tokens (Tensor): One caption, start and end included, unpadded, int64, shape (L,); or K captions,
            padded with zeros, shape (K, L). Only for training by cross-entropy.
        gt_captions (list[str]): All captions of the image; for a training pair, only its own caption.

    Predictions:
        pred_caption (str): The best caption: lower case, words between spaces, no punctuation.
        pred_tokens (Tensor): Its words, without start and end, int64, shape (L,).
        pred_score (float): Log-probability of the caption, its end included, <= 0.
        pred_concepts (Tensor): Concept of each patch, index into the codebook, int64, shape (P,), in row-major order of
            the patch grid.
    """
