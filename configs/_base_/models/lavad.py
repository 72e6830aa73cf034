# LAVAD. An experiment sets the classes.
_base_ = ['./vlm_client.py', './clip_tower.py']
# The language model; it sees no images. By default the same server and model.
text_base_url = None
text_model_name = None
definition = None  # what counts as abnormal, in words; None lists the classes
stride = 16  # frames per score
span = 300  # frames around them: 10 seconds at 30 frames per second
num_frames = 10  # of the span, to which captions are assigned
num_neighbours = 10  # windows with similar summaries

language_model = dict(**_base_.vlm_client)
if text_base_url:
    language_model = dict(
        type='OpenAIClient',
        model_name=text_model_name,
        base_url=text_base_url,
        api_key_env=_base_.api_key_env,
        requests_at_once=_base_.requests_at_once,
        patience_s=_base_.patience_s,
        max_tokens=_base_.max_answer_tokens,
    )

model = dict(
    type='LAVAD',
    captioners=[_base_.vlm_client],  # of several models, the caption nearest to each frame is used
    client=language_model,
    windows=dict(stride=stride, span=span, num_frames=num_frames, choose='both_ends', centre='start'),
    caption_question='vadlab::questions/lavad_caption.txt',
    summary_question='vadlab::questions/lavad_summary.txt',
    question='vadlab::questions/lavad_score.txt',
    parser=dict(type='BracketParser'),
    definition=definition,
    refinement=[dict(type='NeighbourScores', count=num_neighbours, features='texts')],
    tower=_base_.tower,
    answer_cache=_base_.answer_cache,
)
