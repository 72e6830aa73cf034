import torch
import torch.nn.functional as F

from vadlab.models.layers.modality_tokens import ModalityTokens
from vadlab.models.necks.concat_fusion import ConcatFusion


def test_equals_a_plain_computation_and_replaces_missing_modalities():
    torch.manual_seed(0)
    model = ConcatFusion({'video': 6, 'audio': 5}, width=8)
    video, audio = torch.randn(3, 4, 6), torch.randn(2, 5, 5)
    out = model({'video': ModalityTokens(video), 'audio': ModalityTokens(audio, torch.tensor([0, 2]))}, 3)

    def project(name, x):
        _, linear = model.projections[name]
        return linear(F.layer_norm(x.mean(1), x.shape[-1:]))

    sound = torch.stack([project('audio', audio)[0], model.missing['audio'], project('audio', audio)[1]])
    joint = torch.cat([project('video', video), sound], 1)
    torch.testing.assert_close(out, F.gelu(model.mix[1](F.gelu(joint))))
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p is not model.missing['video'])
