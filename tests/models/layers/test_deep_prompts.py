import torch

from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from vadlab.models.layers.deep_prompts import DeepPrompts, put_prompts


def _prompts(**options):
    torch.manual_seed(0)
    return DeepPrompts(width=8, blocks=3, patch_size=4, num_tokens=5, dropout=0.5, **options)


def _dropped(prompts_td):
    """Which channels are zero, per image."""
    return prompts_td == 0


def test_all_images_share_the_dropped_channels():
    prompts = _prompts().train()
    of_block = prompts()[1]
    assert prompts.of_images(of_block, 4).shape == (5, 8)
    assert 0 < _dropped(of_block).float().mean() < 1
    x = put_prompts(torch.zeros(4, 3, 8), 3, of_block)
    assert all(torch.equal(row, x[0]) for row in x)


def test_each_image_may_have_its_own_dropped_channels():
    prompts = _prompts(dropout_per_image=True).train()
    of_block = prompts()[1]
    assert not _dropped(of_block).any()
    each = prompts.of_images(of_block, 4)
    assert each.shape == (4, 5, 8)
    kept = ~_dropped(each)
    torch.testing.assert_close(each[kept], (2 * of_block).expand(4, -1, -1)[kept])  # dropout 0.5 doubles the others
    assert len({tuple(image.flatten().tolist()) for image in _dropped(each)}) == 4
    torch.testing.assert_close(put_prompts(torch.zeros(4, 3, 8), 3, each)[:, 3:], each)
    assert prompts.eval().of_images(of_block, 4) is of_block


def test_a_checkpointed_tower_drops_the_same_channels_twice():
    torch.manual_seed(0)
    sizes = dict(image_size=8, patch_size=4, width=8, layers=2, heads=2)
    prompts = dict(num_tokens=5, dropout=0.5, dropout_per_image=True)
    tower = CLIPVisionTransformer(**sizes, frozen=True, prompts=prompts).train()
    images, grads = torch.randn(2, 3, 8, 8), []
    for with_cp in (False, True):
        tower.with_cp = with_cp
        tower.zero_grad()
        torch.manual_seed(1)
        patches = tower.forward_patches(images).patches
        patches.square().sum().backward()
        grads.append(tower.prompts.tokens.grad.clone())
    torch.testing.assert_close(grads[0], grads[1])
    alone = []
    for _ in range(2):  # the same image twice in a batch has other dropped channels
        torch.manual_seed(1)
        alone.append(tower.forward_patches(images[:1].expand(2, -1, -1, -1)).patches)
    torch.testing.assert_close(alone[0], alone[1])
    assert not torch.allclose(alone[0][0], alone[0][1])
