from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from vadlab.registry import HOOKS, RENDERERS
from vadlab.utils.errors import ConfigError
from vadlab.visualization.renderers.renderer import Renderer, name_of
from vadlab.visualization.report.picture_page import Article, PicturePage


@HOOKS.register_module()
class VisualizationHook(Hook):
    """Draws test samples to a folder, with an HTML page that shows all of them.

    The class of the data samples selects the renderer: videos, captioned images, clips with sound.

    Args:
        show_dir (str): The folder; created if it is missing.
        max_samples (int | None | str): Maximum number of samples, spread over the test set; None for all, ``auto`` for
            the default of the renderer.
        samples (Sequence[str] | None): Ids of the samples to draw, instead of a number.
        renderer (dict | None): Options of the renderer, such as ``num_tiles`` and ``threshold`` for videos.

    Raises:
        ConfigError: ``max_samples`` below 1.
    """

    priority = 'LOW'

    def __init__(
        self,
        show_dir: str,
        max_samples: int | str | None = 'auto',
        samples: Sequence[str] | None = None,
        renderer: dict[str, Any] | None = None,
    ) -> None:
        if max_samples not in (None, 'auto') and (not isinstance(max_samples, int) or max_samples < 1):
            raise ConfigError(f'max_samples is {max_samples}; use None for all, "auto", or a number of at least 1')
        self.show_dir = Path(show_dir)
        self.max_samples = max_samples
        self.samples = None if samples is None else frozenset(samples)
        self.options = dict(renderer or {})
        self._renderer: Renderer | None = None
        self._seen = 0
        self._positions: frozenset[int] = frozenset()
        self._articles: dict[str, Article] = {}

    def before_test(self, runner: Runner) -> None:
        """Start an empty page, switch on the model's attention output, and create the folder."""
        self.show_dir.mkdir(parents=True, exist_ok=True)
        self._renderer, self._articles, self._seen = None, {}, 0
        self._collect_attention(runner, True)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Draw the chosen samples of a batch from the loaded inputs, which are not normalised."""
        for row, sample in enumerate(outputs or ()):
            renderer = self._renderer or self._choose(runner, sample)
            # The distributed sampler gives each process every n-th sample.
            position, self._seen = self._seen * runner.world_size + runner.rank, self._seen + 1
            name = name_of(sample)
            if name in self.samples if self.samples is not None else position in self._positions:
                self._articles[name] = renderer.draw(_row((data_batch or {})['inputs'], row), sample)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Gather the articles of all processes and write the page."""
        self._collect_attention(runner, False)
        articles: dict[str, Article] = {}
        for part in all_gather_object(self._articles):
            articles |= part
        if not is_main_process() or self._renderer is None:
            return
        overview = self._renderer.overview(runner.test_evaluator.metrics)
        note = self._renderer.note(len(articles), len(runner.test_dataloader.dataset))
        page = PicturePage(self._renderer.title, [*overview, *articles.values()]).write(self.show_dir, note)
        runner.logger.info(f'{len(articles)} sample figures: {page}')

    def _choose(self, runner: Runner, sample: Any) -> Renderer:
        """The renderer of a sample's class, and the positions in the test set that it draws."""
        dataset = runner.test_dataloader.dataset
        kind = RENDERERS.get(type(sample).__name__)
        options = dict(folder=self.show_dir, model=_bare(runner), dataset=dataset)
        found = RENDERERS.build({'type': kind, **options, **self.options})
        count = len(dataset)
        wanted = self.max_samples if self.max_samples != 'auto' else found.max_samples
        number = count if wanted is None else min(int(wanted), count)
        spread = np.linspace(0, count - 1, number).round().astype(int)
        self._renderer, self._positions = found, frozenset(spread.tolist())
        return found

    def _collect_attention(self, runner: Runner, wanted: bool) -> None:
        if hasattr(model := _bare(runner), 'collect_attention'):
            model.collect_attention = wanted  # type: ignore[assignment]


def _bare(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _row(inputs: Any, row: int) -> Any:
    """The inputs of one sample in a batch: an entry of a tensor or list, or of each value of a dict of lists."""
    if isinstance(inputs, Mapping):
        return {name: None if values is None else values[row] for name, values in inputs.items()}
    return inputs[row]
