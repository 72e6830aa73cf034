from .audio_reader import Sound, read_audio, resample
from .log_mel import LogMelRecipe, log_mel

__all__ = ['LogMelRecipe', 'Sound', 'log_mel', 'read_audio', 'resample']
