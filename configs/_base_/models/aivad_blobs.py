# Attributes of what moves: no weights are needed. Without a detector there are no classes.
min_speed = 1.0  # pixels per frame from which a pixel moves
min_area = 40  # pixels of a moving object
flow_preset = 'medium'  # of DIS flow: medium, fast, ultrafast
flow_scale = 1.0  # share of the height and width at which flow is computed
components = 3  # Gaussians of the density of speed and size
top_objects = 1  # a frame's score is that of its highest object
smoothing = 'gaussian(7)'  # of frame scores; causal(7) for live use, or none
scene_pattern = None  # regular expression for the camera in a clip's name; None: one camera
max_side = 640  # pixels; larger videos are scaled down
threads = 2  # 2: decode and compute flow in a second thread
cache_dir = 'work_dirs/one_class_cache'  # measured objects of each clip; None keeps none

model = dict(
    type='AttributeDetector',
    objects=dict(type='MotionBlobs', min_speed=min_speed, min_area=min_area),
    flow=dict(type='DISFlow', preset=flow_preset, scale=flow_scale),
    attributes=dict(
        speed=dict(
            attribute=dict(type='Speed', statistics='foreground', size=True),
            density=dict(type='GaussianMixtureDensity', components=components),
        ),
    ),
    person_height=dict(scene_pattern=scene_pattern),
    top_objects=top_objects,
    smoothing=smoothing,
    max_side=max_side,
    threads=threads,
    cache_dir=cache_dir,
)
