"""Pictures of a test of captions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from vadlab.registry import HOOKS
from vadlab.structures import CaptionDataSample
from vadlab.utils.errors import ConfigError
from vadlab.visualization.html_report import figure_article, picture_name, write_page
from vadlab.visualization.renderers.concept_picture import ConceptPicture, draw_concepts

_DPI = 110


@HOOKS.register_module()
class CaptionVisualizationHook(Hook):
    """Draws images with their captions, references and the concepts of their patches, and a page that shows them all.

    Args:
        show_dir (str): The folder; made where it is missing.
        max_images (int | None): How many are drawn at most, spread over the test set; all where None.

    Raises:
        ConfigError: ``max_images`` below 1.
    """

    priority = 'LOW'

    def __init__(self, show_dir: str, max_images: int | None = 60) -> None:
        if max_images is not None and max_images < 1:
            raise ConfigError(f'max_images is {max_images}; give None for all, or 1 and more')
        self.show_dir = Path(show_dir)
        self.max_images = max_images
        self._seen = 0
        self._places: frozenset[int] = frozenset()
        self._articles: dict[str, str] = {}

    def before_test(self, runner: Runner) -> None:
        """Start anew, choose the images, and fail now where the folder cannot be made."""
        self.show_dir.mkdir(parents=True, exist_ok=True)
        self._articles, self._seen = {}, 0
        count = len(runner.test_dataloader.dataset)
        spread = np.linspace(0, count - 1, min(self.max_images or count, count)).round().astype(int)
        self._places = frozenset(spread.tolist())

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[CaptionDataSample] | None = None,
    ) -> None:
        """Draw the chosen images of a batch as loaded, before they were normalised."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for image, sample in zip((data_batch or {}).get('inputs', ()), outputs or (), strict=True):
            # Processes take turns over the test set.
            place, self._seen = self._seen * runner.world_size + runner.rank, self._seen + 1
            if place not in self._places:
                continue
            title = str(sample.image_id)
            picture = ConceptPicture(
                title=title,
                image=image.cpu().permute(1, 2, 0).numpy(),
                caption=sample.pred_caption,
                concepts=sample.pred_concepts.cpu().numpy(),
                names=model.concepts,
                references=sample.get('gt_captions') or (),
            )
            name = picture_name(title)
            draw_concepts(picture).savefig(self.show_dir / name, dpi=_DPI)
            references = ' / '.join(picture.references)
            self._articles[title] = figure_article(picture.caption or '(no word)', [name], references, title)

    def after_test(self, runner: Runner) -> None:
        """Gather the list over the processes and write the page."""
        articles: dict[str, str] = {}
        for part in all_gather_object(self._articles):
            articles |= part
        if is_main_process():
            note = f'{len(articles)} of {len(runner.test_dataloader.dataset)} images.'
            ordered = [articles[title] for title in sorted(articles)]
            page = write_page(self.show_dir, 'Tested captions', note, ordered)
            runner.logger.info(f'{len(articles)} pictures: {page}')
