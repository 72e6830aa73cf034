# What answers the questions: a server that speaks OpenAI's protocol, or, with local_model, transformers.
base_url = 'http://localhost:8000/v1'  # of vLLM; Ollama: http://localhost:11434/v1
model_name = 'Qwen/Qwen2.5-VL-7B-Instruct'  # as the server names it
api_key_env = 'OPENAI_API_KEY'  # environment variable with the key; servers on this machine need none
requests_at_once = 8
patience_s = 300.0  # a question is given up when there was no answer for so long
local_model = None  # a folder or a Hugging Face id of an image-text-to-text model
answer_batch = 4  # questions per forward pass of a local model
vlm_image_size = 448  # largest side of the frames, in pixels
max_answer_tokens = 300
answer_cache = 'work_dirs/answers.sqlite'  # may be shared by experiments

if local_model:
    vlm_client = dict(
        type='TransformersVLM',
        model_name=local_model,
        batch_size=answer_batch,
        image_size=vlm_image_size,
        max_tokens=max_answer_tokens,
    )
else:
    vlm_client = dict(
        type='OpenAIClient',
        model_name=model_name,
        base_url=base_url,
        api_key_env=api_key_env,
        requests_at_once=requests_at_once,
        patience_s=patience_s,
        image_size=vlm_image_size,
        max_tokens=max_answer_tokens,
    )
