"""The one contract between data, models, metrics and pictures."""

from mmengine.structures import BaseDataElement


class VADDataSample(BaseDataElement):
    """What is known and predicted about one video. Whoever adds a field adds its line here.

    T is the number of sampled frames, N of frames in the video, R of regions, L of tokens, D of embedding dimensions,
    K of intervals. Boxes are ``xyxyn``: x1, y1, x2, y2 as fractions 0..1 of the frame's width and height.

    Metainfo:
        video_id (str): File name without its ending; unique in a data set.
        video_path (str): Where the video lies.
        fps (float): Frames per second, > 0.
        total_frames (int): N, exact.
        frame_inds (np.ndarray): Which frames were sampled, int64, shape (T,), ascending, 0-based.
        ori_shape (tuple[int, int]): Height and width of the video, in pixels.
        img_shape (tuple[int, int]): Height and width of the frames in the batch, in pixels.
        class_name (str | None): Anomaly class by name; None where the path names none.

    Ground truth:
        gt_label (int): Class index, 0 is Normal; -1 is anomalous of unknown class.
        gt_intervals (Tensor): Anomalous frames, half-open and 0-based ``[start, end)``, int64, shape (K, 2).
        gt_caption (str): Caption of the whole video.
        gt_caption_tokens (Tensor): Its token ids with start and end ids, unpadded, int64, shape (L,).
        gt_regions (InstanceData): Length R, with
            captions (list[str]);
            tokens (list[Tensor]): int64, shape (L_r,) each;
            negative_tokens (list[list[Tensor]]): hard negatives of each region, possibly none;
            boxes_xyxyn (Tensor): float32, shape (R, T, 4), zeros where there is no box;
            box_valid (Tensor): whether the region has a box in the frame, bool, shape (R, T).

    Predictions:
        pred_scores (Tensor): Anomaly probability of every frame of the video, float32, 0..1, shape (N,).
        pred_margins (Tensor): The logit behind it, unbounded, for ranking metrics, float32, shape (N,).
        pred_video_embed (Tensor): L2-normalised, float32, shape (D,).
        pred_caption_embed (Tensor): L2-normalised, float32, shape (D,).
        pred_regions (InstanceData): Length R, with
            embeds (Tensor): embedding of the region under its true boxes, L2-normalised, float32, shape (R, D);
            caption_embeds (Tensor): of the region's caption, L2-normalised, float32, shape (R, D);
            boxes_xyxyn (Tensor): best proposal for the caption in each frame, float32, shape (R, T, 4);
            box_scores (Tensor): its cosine similarity to the caption, float32, -1..1, shape (R, T).
    """
