from mmengine.structures import BaseDataElement


class AudioVisualDataSample(BaseDataElement):
    """Annotations and predictions of one clip (a video or a part of one). Document every new field here.

    T is the number of sampled frames, F of mel bands, L of spectrogram columns, C of a head's classes. A head predicts
    one label column of the metadata and has its name: ``species``, ``behaviour``.

    Metainfo:
        clip_id (str): Unique over all splits of a data set.
        video_path (str): Path of the video; relative to the folder of videos if the clip comes from prepared files.
        fps (float): Frames per second of the video, > 0.
        num_frames (int): Frames of the clip in the video, whether sampled or not, >= 1.
        duration (float): Length of the clip, in seconds, > 0.
        start (float): Start of the clip in the video, in seconds, >= 0.
        has_audio (bool): Whether the clip has sound. False without an audio track, and, unless the recipe keeps
            silence, if all samples are zero.
        frame_inds (np.ndarray): Indices of the sampled frames in the video, int64, shape (T,), ascending, 0-based.
        times (np.ndarray): Their presentation times, in seconds from the start of the clip, float64, shape (T,).
        audio_start (float): Time of the first spectrogram column of ``inputs``, in seconds from the start of the
            clip; only with sound.
        audio_hop (float): Seconds from one column to the next, > 0; only with sound.
        band_start (int): Mel band of the first row of ``inputs``; only with sound.
        num_classes (dict[str, int]): C of each head.
        mixed_with (str): ``clip_id`` of the clip that :class:`~vadlab.models.data_preprocessors.MixUp` mixed in.

    Ground truth:
        gt_labels (dict[str, Tensor]): Per head: a class index, int64, shape (); or, for a multi-label head, 1.0 for
            each label, float32, shape (C,). After MixUp always float32, shape (C,), in 0..1; for a single-label head
            the values sum to 1.

    Predictions:
        pred_scores (dict[str, Tensor]): Per head: probabilities, float32, 0..1, shape (C,); they sum to 1 for a
            single-label head.
        pred_attention (dict[str, Tensor]): Attention weights per modality, >= 0, each summing to 1: ``video`` of shape
            (T',) over frames or groups of frames; ``audio`` of shape (F', L') over the spectrogram.
    """
