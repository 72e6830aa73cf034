# MULDE on UCSD Ped2: the log-density of the speed and size of objects, by denoising score matching. Fitted on a CPU.
#   python tools/train.py configs/mulde_ped2.py --cfg-options data_root=data/ped2
_base_ = ['aivad_ped2.py']
units = (256, 256)
steps = 3000

model = dict(
    attributes=dict(speed=dict(density=dict(_delete_=True, type='MULDEDensity', units=units, steps=steps))),
)
