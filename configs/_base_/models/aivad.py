# Attributes of objects, in the manner of AI-VAD: speed and size in one density, and the detector's classes.
detector = 'data/models/yolox_nano.onnx'  # from the releases of github.com/Megvii-BaseDetection/YOLOX
detector_score_thr = 0.12  # confidence, 0..1
flow_preset = 'medium'  # of DIS flow: medium, fast, ultrafast
flow_scale = 1.0  # share of the height and width at which flow is computed
components = 3  # Gaussians of the density of speed and size
speed_weight = 1.0
kind_weight = 1.0
top_objects = 2  # a frame's score is the sum of its highest objects' scores
smoothing = 'gaussian(7)'  # of frame scores; causal(7) for live use, or none
scene_pattern = None  # regular expression for the camera in a clip's name; None: one camera
max_side = 640  # pixels; larger videos are scaled down
threads = 2  # 2: decode and compute flow in a second thread
cache_dir = 'work_dirs/one_class_cache'  # measured objects of each clip; None keeps none

model = dict(
    type='AttributeDetector',
    objects=dict(type='ONNXDetector', path=detector, score_thr=detector_score_thr),
    flow=dict(type='DISFlow', preset=flow_preset, scale=flow_scale),
    attributes=dict(
        speed=dict(
            attribute=dict(type='Speed', statistics='foreground', size=True),
            density=dict(type='GaussianMixtureDensity', components=components),
            weight=speed_weight,
        ),
        kind=dict(attribute=dict(type='Kind'), density=dict(type='ClassRarity'), weight=kind_weight),
    ),
    person_height=dict(scene_pattern=scene_pattern),
    top_objects=top_objects,
    smoothing=smoothing,
    max_side=max_side,
    threads=threads,
    cache_dir=cache_dir,
)
