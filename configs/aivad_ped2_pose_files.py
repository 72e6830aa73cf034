# UCSD Ped2 by speed, size, kind, and the poses that AI-VAD released: extracted_features/ped2/{train,test}/pose.npy.
#   python tools/train.py configs/aivad_ped2_pose_files.py --cfg-options data_root=data/ped2 pose_dir=FOLDER
_base_ = ['aivad_ped2.py']
pose_dir = 'data/ai_vad/extracted_features/ped2'  # of github.com/talreiss/Accurate-Interpretable-VAD
pose_weight = 1.0

model = dict(
    combine='attributes',  # poses have no boxes: the highest pose of a frame is added to the highest speed
    top_objects=1,
    attributes=dict(
        pose=dict(
            attribute=dict(
                type='PoseFiles',
                data_root=_base_.data_root,
                train=f'{pose_dir}/train/pose.npy',
                test=f'{pose_dir}/test/pose.npy',
                layout=_base_.layout,
            ),
            density=dict(type='NearestNeighbourDensity', calibration='minmax'),
            weight=pose_weight,
        ),
    ),
)
