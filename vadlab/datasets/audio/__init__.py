"""Sound of videos: decoding it, and its log-mel spectrogram."""
