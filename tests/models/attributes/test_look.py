import numpy as np
import torch

from vadlab.models.attributes.look import Look
from vadlab.models.objects.objects import Objects

TOWER = dict(type='CLIPVisionTransformer', image_size=32, patch_size=16, width=16, layers=1, heads=2)
FRAME = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)


def test_embedding_is_that_of_the_crop_alone():
    torch.manual_seed(0)
    look = Look(extractor=dict(vision=TOWER, embed_dim=8), image_size=32, batch_size=2)
    boxes = np.array([[0, 0, 32, 32], [40, 20, 72, 52], [-5, -5, 27, 27]], np.float32)
    found = look.measure(FRAME, None, Objects(boxes, np.zeros((3, 0))))
    assert found.shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    # The second crop has the size of the input, so it is not scaled.
    pixels = torch.from_numpy(FRAME[20:52, 40:72].copy()).permute(2, 0, 1)[None, None]
    with torch.no_grad():
        expected = look.extractor(pixels)[0]
    np.testing.assert_allclose(found[1], (expected / expected.norm()).numpy(), atol=1e-6)
    changed = FRAME.copy()
    changed[:20] = 0
    again = look.measure(changed, None, Objects(boxes, np.zeros((3, 0))))
    np.testing.assert_array_equal(found[1], again[1])
    assert not np.allclose(found[0], again[0])
    assert not any(p.requires_grad for p in look.parameters())


def test_context_shows_more_and_no_object_gives_no_vector():
    torch.manual_seed(0)
    look = Look(extractor=dict(vision=TOWER), image_size=32, context=0.5, normalize=False)
    boxes = np.array([[20, 20, 40, 40]], np.float32)
    plain = look.measure(FRAME, None, Objects(boxes, np.zeros((1, 0))))
    changed = FRAME.copy()
    changed[10:20] = 0
    assert not np.allclose(plain, look.measure(changed, None, Objects(boxes, np.zeros((1, 0)))))
    assert look.measure(FRAME, None, Objects.none()).shape == (0, 16)
