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
mlflow = False  # MLflow, Aim and ClearML need: pip install "vadlab[trackers]", see docs/trackers.md
mlflow_uri = 'sqlite:///work_dirs/mlflow.db'  # or the address of a server
aim = False
aim_repo = 'work_dirs'  # folder of .aim, or the address of a server
clearml = False
tracker_project = 'vadlab'  # experiment in MLflow and Aim, project in ClearML
run_name = None  # in MLflow and ClearML; None: the work dir and the time, or ClearML's default

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
if mlflow:
    vis_backends.append(
        dict(type='MLflowVisBackend', tracking_uri=mlflow_uri, exp_name=tracker_project, run_name=run_name)
    )
if aim:
    vis_backends.append(dict(type='AimVisBackend', init_kwargs=dict(repo=aim_repo, experiment=tracker_project)))
if clearml:
    vis_backends.append(
        dict(type='ClearMLVisBackend', init_kwargs=dict(project_name=tracker_project, task_name=run_name))
    )
visualizer = dict(type='Visualizer', vis_backends=vis_backends)

load_from = None
resume = False
