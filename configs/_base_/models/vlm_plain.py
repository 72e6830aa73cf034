# A vision-language model is asked plainly about short windows. An experiment sets the classes.
_base_ = ['./vlm_client.py']
question = 'vadlab::questions/plain.txt'
definition = None  # what counts as abnormal, in words; None lists the classes
stride = 16  # frames per score
span = 128  # frames around them from which num_frames are shown
num_frames = 4
choose_frames = 'middles'  # of equal parts of the span; 'change': those with the largest change

model = dict(
    type='VLMDetector',
    client=_base_.vlm_client,
    windows=dict(stride=stride, span=span, num_frames=num_frames, choose=choose_frames),
    question=question,
    parser=dict(type='ScoreParser'),
    definition=definition,
    interpolate=True,
    answer_cache=_base_.answer_cache,
)
