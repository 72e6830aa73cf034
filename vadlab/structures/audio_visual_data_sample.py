from mmengine.structures import BaseDataElement


class AudioVisualDataSample(BaseDataElement):
    """What is known and predicted about one clip, a video or a part of one. Whoever adds a field adds its line here.

    T is the number of sampled frames, F of mel bands, L of spectrogram columns, C of a head's classes. A head is a
    question asked of the clip, named after its column in the metadata: ``species``, ``behaviour``.

    Metainfo:
        clip_id (str): Unique over all splits of a data set.
        video_path (str): Where the video lies; its place below the folder of videos where the clip comes from
            prepared files.
        fps (float): Frames per second of the video, > 0.
        num_frames (int): Frames of the clip in the video, whether sampled or not, >= 1.
        duration (float): Of the clip, in seconds, > 0.
        start (float): Where the clip begins in the video, in seconds, >= 0.
        has_audio (bool): Whether there is sound to look at. A clip without a track has none; nor, unless the recipe
            keeps silence, one whose samples are all zero.
        frame_inds (np.ndarray): Which frames of the video were sampled, int64, shape (T,), ascending, 0-based.
        times (np.ndarray): When they are shown, in seconds from the start of the clip, float64, shape (T,).
        audio_start (float): Time of the first spectrogram column of ``inputs``, in seconds from the start of the
            clip; only with sound.
        audio_hop (float): Seconds from one column to the next, > 0; only with sound.
        band_start (int): Mel band of the first row of ``inputs``; only with sound.
        num_classes (dict[str, int]): C of each head.
        mixed_with (str): ``clip_id`` of the clip that :class:`~vadlab.models.data_preprocessors.MixUp` mixed in.

    Ground truth:
        gt_labels (dict[str, Tensor]): Of each head: a class index, int64, shape (); or, where the head takes several
            labels, 1.0 for each of them, float32, shape (C,). After MixUp always float32, shape (C,), in 0..1: of a
            head with one label the shares of its classes, which sum to 1.

    Predictions:
        pred_scores (dict[str, Tensor]): Of each head: probabilities, float32, 0..1, shape (C,); they sum to 1 where
            the head takes one label.
        pred_attention (dict[str, Tensor]): How much the prediction looked at each place, >= 0, sum 1 over each:
            ``video`` of shape (T',) over frames or groups of frames; ``audio`` of shape (F', L') over the spectrogram.
    """
