import hashlib
import json
from collections.abc import Sequence

from mmengine.model import BaseDataPreprocessor
from mmengine.structures import BaseDataElement

from vadlab.checkpoints.weights_hash import weights_sha256
from vadlab.utils.errors import DataError

from ..layers.weights_cache import WeightsCache
from .clip_vision_transformer import CLIPVisionTransformer


class StoredPatches:
    """Checks by a hash that stored patches belong to a vision tower.

    The hash covers everything between the pixels and the patches: the normalisation, and the tower below
    :attr:`~CLIPVisionTransformer.first_trained_block`. Later blocks may differ and may be trained.

    Args:
        vision (CLIPVisionTransformer): The tower.
        preprocessor (BaseDataPreprocessor): Provides the ``mean`` and ``std`` of the normalisation.
    """

    def __init__(self, vision: CLIPVisionTransformer, preprocessor: BaseDataPreprocessor) -> None:
        self.vision = vision
        self.preprocessor = preprocessor
        self._hash = WeightsCache[str](learns=False)

    def weights(self) -> str:
        """The hash of the tower and the normalisation.

        Raises:
            ConfigError: The tower's first block is trained, so nothing of the tower can be reused.
        """
        self.vision.check_reusable()
        return self._hash.get(self._compute)

    def _compute(self) -> str:
        block = self.vision.first_trained_block
        learns = ('post_norm.', 'adapters.', *(f'blocks.{n}.' for n in range(block, len(self.vision.blocks))))
        state = {k: v for k, v in self.vision.state_dict().items() if not k.startswith(learns)}
        settings = [block, self.vision.heads, self.vision.hidden_act]
        settings += [getattr(self.preprocessor, name).flatten().tolist() for name in ('mean', 'std')]
        return hashlib.sha256(f'{json.dumps(settings)} {weights_sha256(state)}'.encode()).hexdigest()

    def check(self, data_samples: Sequence[BaseDataElement]) -> None:
        """Check that the stored patches of a batch belong to the tower.

        Raises:
            ConfigError: Nothing of the tower can be reused.
            DataError: The patches are of another tower or normalisation.
        """
        weights = self.weights()
        for sample in data_samples:
            if sample.get('patches_of') != weights:
                raise DataError(
                    f'The stored patches of image {sample.get("image_id")} are not those of this backbone: they are of '
                    'other weights (pretrained), other pixels (mean, std), or another block than '
                    f'{self.vision.first_trained_block}, the first here that learns. Make a store for this backbone: '
                    'python tools/extract_patches.py CONFIG'
                )
