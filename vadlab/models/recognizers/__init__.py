from .audio_visual_recognizer import AudioVisualRecognizer
from .distilled_recognizer import DistilledRecognizer

__all__ = ['AudioVisualRecognizer', 'DistilledRecognizer']
