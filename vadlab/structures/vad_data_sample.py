"""The data sample that data sets, models, metrics and pictures share."""

from mmengine.structures import BaseDataElement


class VADDataSample(BaseDataElement):
    """Annotations and predictions of one video. Document every new field here.

    T is the number of sampled frames, N of frames in the video, R of regions, L of tokens, D of embedding dimensions,
    K of intervals, C of classes (Normal included). Boxes are ``xyxyn``: x1, y1, x2, y2 as fractions 0..1 of the
    frame's width and height.

    Metainfo:
        video_id (str): File name without its ending; unique in a data set.
        video_path (str): Path of the video file.
        fps (float): Frames per second, > 0.
        total_frames (int): N, exact; for videos of which only features exist, snippets times ``snippet_len``.
        frame_inds (np.ndarray): Indices of the sampled frames, int64, shape (T,), ascending, 0-based.
        ori_shape (tuple[int, int]): Height and width of the video, in pixels.
        img_shape (tuple[int, int]): Height and width of the frames in the batch, in pixels.
        class_name (str | None): Name of the anomaly class, several as XD-Violence writes them (``B2-G-0``); None if
            it is unknown.
        feature_paths (list[str]): The feature file of each crop.
        audio_path (str | None): The file with the features of the sound, only if a data set reads such features; None
            if this video has none.
        crop_inds (list[int]): The number of each crop.
        num_snippets (int): Snippets in ``inputs`` that are real, after resampling; the others are padding.
        snippet_len (int): Frames per snippet, mostly 16.
        score_normalisation (str): ``per_clip`` if a method scaled ``pred_scores`` and ``pred_logits`` by their minimum
            and maximum in this video, ``video_reference`` if it subtracted what is usual there; absent otherwise.
        answer_counts (dict[str, int | float]): What the questions about the video cost, and how many answers could not
            be read: fields of :class:`~vadlab.models.vlm.AnswerCounts`; only from methods that ask a model.

    Ground truth:
        gt_label (int): Class index, the first if there are several; 0 is Normal, -1 is anomalous of unknown class.
        gt_classes (Tensor): 1.0 for each class of the video, float32, shape (C,); all 0 if unknown.
        gt_intervals (Tensor): Anomalous frames, half-open and 0-based ``[start, end)``, int64, shape (K, 2).
        gt_class_intervals (list[tuple[int, int, int]]): Class index, start and end of each, half-open.
        gt_caption (str): Caption of the whole video.
        gt_caption_tokens (Tensor): Its token ids with start and end ids, unpadded, int64, shape (L,).
        gt_regions (InstanceData): Length R, with

            - captions (list[str]);
            - tokens (list[Tensor]): int64, shape (L_r,) each;
            - negative_tokens (list[list[Tensor]]): hard negatives of each region, possibly none;
            - boxes_xyxyn (Tensor): float32, shape (R, T, 4), zeros if there is no box;
            - box_valid (Tensor): whether the region has a box in the frame, bool, shape (R, T).
        gt_tracks (InstanceData): One entry per annotated box in a frame, G of them, with

            - track_ids (Tensor): the same number for all boxes of one anomaly, int64, shape (G,);
            - frame_inds (Tensor): int64, 0..N-1, shape (G,);
            - boxes_xyxy (Tensor): pixels, the last ones included, shape (G, 4).
        gt_mask_bits (Tensor): Masks of anomalous pixels, eight pixels in a byte as ``numpy.packbits`` writes
            them, uint8, shape (N, H, ceil(W / 8)).

    Predictions:
        pred_scores (Tensor): Anomaly probability of every frame of the video, float32, 0..1, shape (N,); for snippet
            methods shape (num_snippets * snippet_len,), which a metric's ``length_policy`` brings to N.
        pred_logits (Tensor): The logit of each score, unbounded, for ranking metrics, float32, same shape.
        pred_raw_logits (Tensor): Frame scores before smoothing over time, unbounded, float32, shape (N,), of methods
            that smooth.
        pred_region_scores (Tensor): Scores of the regions of a grid over the picture, rows first, higher is more
            anomalous, float32, shape (N, rows, columns), only from methods that score regions.
        pred_class_scores (Tensor): Class probabilities with Normal at index 0, float32, shape (.., C), only from
            methods that predict classes.
        pred_frame_classes (InstanceData): One entry per sampled frame, T of them, only from methods that compare frames
            with texts; metainfo ``names`` (tuple[str, ...]) and ``normal`` (int, its index); with

            - frame_inds (np.ndarray): int64, 0..N-1, ascending, repeats allowed, shape (T,);
            - scores (Tensor): probabilities of the classes, float32, shape (T, C).
        pred_video_embed (Tensor): L2-normalised, float32, shape (D,).
        pred_caption_embed (Tensor): L2-normalised, float32, shape (D,).
        pred_regions (InstanceData): Length R, with

            - embeds (Tensor): embedding of the region under its true boxes, L2-normalised, float32, shape (R, D);
            - caption_embeds (Tensor): of the region's caption, L2-normalised, float32, shape (R, D);
            - boxes_xyxyn (Tensor): best proposal for the caption in each frame, float32, shape (R, T, 4);
            - box_scores (Tensor): its cosine similarity to the caption, float32, -1..1, shape (R, T).
        pred_detections (InstanceData): One entry per box predicted as anomalous in a frame, M of them, with

            - frame_inds (Tensor): int64, 0..N-1, shape (M,);
            - boxes_xyxy (Tensor): pixels, the last ones included, shape (M, 4);
            - scores (Tensor): higher is more anomalous, float32, shape (M,);
            - labels (list[str]): class of the object, or ``object``, only from methods that find objects;
            - reasons (list[str]): what raised the score, and the nearest normal example; empty for usual objects.
            - examples (list[str]): that example as :class:`~vadlab.structures.normal_example.NormalExample` writes it.
        pred_answers (InstanceData): One entry per window, W of them, only from methods that ask a model, with

            - starts (np.ndarray): first frame that the window scores, int64, shape (W,);
            - ends (np.ndarray): one past the last, int64, shape (W,);
            - scores (np.ndarray): before refinement, 0..1, -1 if the answer cannot be read, float32, shape (W,);
            - labels (list[str]): a class, or empty;
            - reasons (list[str]): in the model's words, or empty.
    """
