from .caption_file_hook import CaptionFileHook
from .caption_visualization_hook import CaptionVisualizationHook
from .checkpoint_hook import CheckpointHook
from .clip_visualization_hook import ClipVisualizationHook
from .device_check_hook import DeviceCheckHook
from .diagnostics_hook import DiagnosticsHook
from .early_stopping_hook import EarlyStoppingHook
from .nan_guard_hook import NaNGuardHook
from .optimizer_step_hook import OptimizerStepHook
from .param_scheduler_hook import ParamSchedulerHook
from .progress_bar_hook import ProgressBarHook
from .run_state_hook import RunStateHook
from .score_file_hook import ScoreFileHook
from .shared_videos_hook import SharedVideosHook
from .smoke_pass_hook import SmokePassHook
from .train_state_hook import TrainStateHook
from .undisturbed_validation_hook import UndisturbedValidationHook
from .vad_visualization_hook import VADVisualizationHook

__all__ = [
    'CaptionFileHook',
    'CaptionVisualizationHook',
    'CheckpointHook',
    'ClipVisualizationHook',
    'DeviceCheckHook',
    'DiagnosticsHook',
    'EarlyStoppingHook',
    'NaNGuardHook',
    'OptimizerStepHook',
    'ParamSchedulerHook',
    'ProgressBarHook',
    'RunStateHook',
    'ScoreFileHook',
    'SharedVideosHook',
    'SmokePassHook',
    'TrainStateHook',
    'UndisturbedValidationHook',
    'VADVisualizationHook',
]
