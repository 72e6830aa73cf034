from .clip_preparation import ClipPreparation, PreparationReport, mel_statistics

__all__ = ['ClipPreparation', 'PreparationReport', 'mel_statistics']
