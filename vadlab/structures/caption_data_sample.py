from mmengine.structures import BaseDataElement


class CaptionDataSample(BaseDataElement):
    """What is known and predicted about one image. Whoever adds a field adds its line here.

    L is the number of words, P of patches. Words are numbered by a
    :class:`~vadlab.models.tokenizers.WordVocabulary`: 0 padding, 1 unknown, 2 start, 3 end.

    Metainfo:
        image_id (int | str): Unique in a data set.
        image_path (str): Where the image lies.
        ori_shape (tuple[int, int]): Height and width of the file's image, in pixels.
        img_shape (tuple[int, int]): Height and width of ``inputs``, in pixels; absent where ``inputs`` are patches.
        patches_of (str): Where ``inputs`` are patches of a store: hash of the weights that made them.

    Ground truth:
        gt_caption_tokens (Tensor): One caption, start and end included, unpadded, int64, shape (L,); or K of them,
            zeros behind their ends, shape (K, L). Training by cross-entropy alone has it.
        gt_captions (list[str]): All captions of the image; of a training pair its own alone.

    Predictions:
        pred_caption (str): The best caption: lower case, words between spaces, no punctuation.
        pred_tokens (Tensor): Its words, without start and end, int64, shape (L,).
        pred_score (float): Log-probability of the caption, its end included, <= 0.
        pred_concepts (Tensor): Concept that each patch was given, index into the codebook, int64, shape (P,), rows of
            the patch grid one after another.
    """
