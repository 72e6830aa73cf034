# Shared by all experiments: hooks, logging, checkpoints. Experiments change the variables, not the dicts.
default_scope = 'vadlab'

checkpoint_interval = 1  # epochs
max_keep_ckpts = 3
save_best = 'frame/auc'  # None: keep no best checkpoint
save_best_rule = 'greater'
log_interval = 10  # iterations
seed = 0
diagnostics = False  # embedding norms, logits, gradients of the projections
nan_check_weights_every = 0  # iterations between checks of all weights
tensorboard = True
wandb = False  # needs: pip install "vadlab[wandb]"
wandb_project = 'vadlab'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook', interval=log_interval),
    timer=dict(type='IterTimerHook'),
    logger=dict(
        type='LoggerHook',
        interval=log_interval,
        interval_exp_name=10**9,
        log_metric_by_epoch=False,  # metrics are logged by iteration, as losses are
    ),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=checkpoint_interval,
        max_keep_ckpts=max_keep_ckpts,
        save_best=save_best,
        rule=save_best_rule if save_best else None,
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sanity_check=dict(type='SanityCheckHook'),
    shared_videos=dict(type='SplitLeakageHook'),
    feature_recipe=dict(type='FeatureRecipeHook'),
    device_check=dict(type='DeviceCheckHook'),
    optimizer_step=dict(type='OptimizerStepHook'),
    nan_guard=dict(type='NaNGuardHook', check_weights_every=nan_check_weights_every),
    train_state=dict(type='LogScalarsHook', interval=log_interval),
    undisturbed_validation=dict(type='PreserveRNGHook'),
    progress_bar=dict(type='ProgressBarHook'),
    run_state=dict(type='RunStateHook'),
)
custom_hooks = [dict(type='DiagnosticsHook')] if diagnostics else []

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),  # gloo without a GPU
)
randomness = dict(seed=seed)
log_level = 'INFO'
log_processor = dict(type='LogProcessor', window_size=log_interval, by_epoch=True)

vis_backends = [dict(type='LocalVisBackend')]
if tensorboard:
    vis_backends.append(dict(type='TensorboardVisBackend'))
if wandb:
    vis_backends.append(dict(type='WandbVisBackend', init_kwargs=dict(project=wandb_project)))
visualizer = dict(type='Visualizer', vis_backends=vis_backends)

load_from = None
resume = False
