"""Answers of the demo's small CLIP, as a vision-language model would give them. Run this module to serve them."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import torch

from vadlab.apis.inferencers import VADInferencer

ROOT = Path(__file__).parents[3]


class ClipAnswers:
    """Scores frames by zero-shot CLIP; the score of a question is the mean over its frames."""

    def __init__(self):
        self.inferencer = VADInferencer(ROOT / 'configs/fgclip_demo_zero_shot.py', None, 'cpu', sampling=16)
        self.lock = threading.Lock()

    def __call__(self, text, images):
        import cv2

        scorer, model = self.inferencer.scorer, self.inferencer.model
        frames = np.stack([cv2.resize(image, (128, 128), interpolation=cv2.INTER_CUBIC) for image in images])
        with self.lock, torch.inference_mode():
            logits, classes = model.score_embeds(scorer.embed(frames))
        name = model.score_head.classes[1:][int(classes.mean(0)[1:].argmax())]
        score = float(logits.sigmoid().double().mean())
        return json.dumps({'reason': f'it looks like {name}', 'class': name, 'score': score})


if __name__ == '__main__':
    from .vlm_server import VLMServer

    with VLMServer(ClipAnswers()) as server:
        print(server.url, flush=True)
        time.sleep(3600)
