from .vad_visualizer import VADVisualizer

__all__ = ['VADVisualizer']
