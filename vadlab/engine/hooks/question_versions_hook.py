"""Keeps every version of learnt questions."""

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.atomic import write_text


@HOOKS.register_module()
class QuestionVersionsHook(Hook):
    """Writes the guiding questions of a model that learns them to ``questions/`` of the work dir.

    ``step_000012.txt`` has the questions after step 12, if it changed them; ``first.txt`` those before training.
    ``validation.txt`` has one line per validation: the step, and the metrics of the questions after it.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._last: str | None = None

    def before_train(self, runner: Any) -> None:
        """Write the questions that training starts from."""
        self._last = runner.bare_model.guiding_text
        path = self._folder(runner) / 'first.txt'
        if not path.exists() or runner.iter == 0:
            write_text(path, f'{self._last}\n')

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Write the questions if this step changed them."""
        text = runner.bare_model.guiding_text
        if text != self._last:
            write_text(self._folder(runner) / f'step_{runner.iter + 1:06d}.txt', f'{text}\n')
            self._last = text

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Add a line to ``validation.txt``; lines of later steps, from before a resumed run, are dropped."""
        path = self._folder(runner) / 'validation.txt'
        known = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
        kept = [line for line in known if line.split()[:1] == ['step'] and int(line.split()[1]) < runner.iter]
        numbers = ', '.join(f'{name} {value:.4f}' for name, value in (metrics or {}).items())
        write_text(path, '\n'.join([*kept, f'step {runner.iter} {numbers}']) + '\n')

    def _folder(self, runner: Any) -> Path:
        return Path(runner.work_dir) / 'questions'
