# UCSD Ped2 by speed, size, kind and pose: keypoints of people from an ONNX pose model, such as RTMPose or YOLOv8-pose.
#   python tools/train.py configs/aivad_ped2_pose.py --cfg-options data_root=data/ped2 pose_model=FILE
_base_ = ['aivad_ped2.py']
pose_model = 'data/models/rtmpose_s.onnx'
pose_layout = 'auto'  # heatmap, simcc, yolo
pose_input_size = None  # height and width, if the file leaves them open, such as (256, 192)
keypoints = 17  # of COCO
pose_weight = 1.0

model = dict(
    attributes=dict(
        pose=dict(
            attribute=dict(
                type='Pose', path=pose_model, layout=pose_layout, keypoints=keypoints, input_size=pose_input_size
            ),
            density=dict(type='NearestNeighbourDensity', calibration='minmax'),
            weight=pose_weight,
        ),
    ),
)
