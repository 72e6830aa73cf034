# VERA. An experiment sets the classes.
_base_ = ['./vlm_client.py', './clip_tower.py']
guiding = 'vadlab::questions/vera_guiding.txt'  # the first guiding questions; training replaces them
stride = 16  # frames per score
span = 300  # frames around them: 10 seconds at 30 frames per second
num_frames = 8  # shown of a window, and in training of a whole video
max_questions = 5

model = dict(
    type='VERA',
    client=_base_.vlm_client,
    windows=dict(stride=stride, span=span, num_frames=num_frames, choose='starts', centre='start'),
    question='vadlab::questions/vera_question.txt',
    rewrite='vadlab::questions/vera_rewrite.txt',
    guiding=guiding,
    max_questions=max_questions,
    parser=dict(type='YesNoParser'),
    refinement=[
        dict(type='NeighbourScores', share=0.15, scale=10.0),
        dict(type='SmoothWindows', size=15, sigma=10.0, decimals=1),
        dict(type='PositionPrior'),
    ],
    tower=_base_.tower,
    answer_cache=_base_.answer_cache,
)
