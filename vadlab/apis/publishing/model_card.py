"""The model card: a page in Markdown with the hub's block of metadata, made from config, metrics and checkpoint."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vadlab.utils.own_files import CONFIGS

_HERE = Path(__file__).parent
#: The hub's names of tasks, by the transform that loads the inputs of a model.
_PIPELINE = {'LoadImage': 'image-to-text'}


@dataclass
class CardFacts:
    """What a card tells beside config and metrics.

    Attributes:
        repo_id (str): ``USER/NAME``.
        licence (str): Licence of the weights, as the hub names it, such as ``cc-by-4.0``.
        data (str): Training data and its terms, in words of the author.
        notes (str): Further text of the author.
        files (dict[str, dict]): ``sha256`` and ``bytes`` by name.
        meta (dict): ``meta`` of the checkpoint.
    """

    repo_id: str
    licence: str
    data: str = ''
    notes: str = ''
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def model_card(facts: CardFacts, config: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> str:
    """The text of ``README.md``.

    Args:
        facts (CardFacts): What the author and the checkpoint tell.
        config (Mapping[str, Any]): Content of ``config.json``.
        metrics (Mapping[str, Any] | None): Content of ``metrics.json``.
    """
    settings = config['settings']
    model = settings['model']['type']
    steps = _steps(settings)
    dataset = ((settings.get('test_dataloader') or {}).get('dataset') or {}).get('type', '')
    values = {
        'facts': facts,
        'name': facts.repo_id.partition('/')[2],
        'model': model,
        'method': method_of(model),
        'metrics': metrics,
        'dataset': dataset,
        'classes': list((facts.meta.get('dataset_meta') or {}).get('classes') or ()),
        'data': facts.meta.get('data') or {},
        'variables': config['variables'],
        'recipe': recipe_lines(facts.meta.get('feature_recipe')),
        'is_captioner': 'LoadImage' in steps,
        'is_trained_on': (settings.get('train_dataloader') or {}).get('dataset', {}).get('type', ''),
    }
    header = _metadata(facts, model, dataset, metrics, next((_PIPELINE[s] for s in steps if s in _PIPELINE), None))
    return card_text('model_card.md.jinja', header, values)


def card_text(template: str, header: str, values: Mapping[str, Any]) -> str:
    """A page in Markdown below the block that the hub reads."""
    return f'---\n{header}\n---\n\n{_environment().get_template(template).render(values)}'


def _metadata(
    facts: CardFacts, model: str, dataset: str, metrics: Mapping[str, Any] | None, pipeline: str | None
) -> str:
    """The block that the hub reads: licence, tags, results."""
    from huggingface_hub import EvalResult, ModelCardData

    task = pipeline or 'video-classification'
    results = [
        EvalResult(
            task_type=task,
            dataset_type=(facts.data and _slug(facts.data)) or dataset or 'unknown',
            dataset_name=(facts.data.splitlines() or [''])[0][:100] or dataset or 'unknown',
            metric_type=name,
            metric_value=value,
            metric_name=name,
        )
        for name, value in ((metrics or {}).get('metrics') or {}).items()
        if value is not None
    ]
    about: dict[str, Any] = {'model_name': facts.repo_id.partition('/')[2], 'eval_results': results} if results else {}
    data = ModelCardData(
        license=facts.licence,
        library_name='vadlab',
        pipeline_tag=task,
        tags=['vadlab', 'image-captioning' if pipeline else 'video-anomaly-detection', model.lower()],
        **about,
    )
    return data.to_yaml().strip()


def _slug(text: str) -> str:
    return re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')[:60]


def _steps(settings: Mapping[str, Any]) -> list[str]:
    pipeline = ((settings.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline') or []
    return [step.get('type', '') for step in pipeline]


def method_of(model: str) -> dict[str, Any]:
    """The entry of VADLab's index for a class of models; empty without one."""
    import yaml

    index = CONFIGS / 'model-index.yml'
    entries = yaml.safe_load(index.read_text(encoding='utf-8')) if index.is_file() else []
    return next((entry for entry in entries if entry.get('class') == model), {})


def recipe_lines(recipe: Any) -> list[str]:
    """The settings of a recipe of features, one per line."""
    lines: list[str] = []

    def walk(value: Any, place: str) -> None:
        if isinstance(value, Mapping):
            for key, one in value.items():
                walk(one, f'{place}.{key}'.lstrip('.'))
        else:
            lines.append(f'{place}: {value}')

    walk(recipe or {}, '')
    return lines


def in_cell(text: Any) -> str:
    r"""A text in a cell of a Markdown table.

    >>> in_cell('a|b\nc')
    'a\\|b c'
    """
    return re.sub(r'\s+', ' ', str(text)).replace('|', '\\|')


@functools.cache
def _environment() -> Environment:
    made = Environment(  # Markdown, from the author's own files
        loader=FileSystemLoader(_HERE / 'templates', encoding='utf-8'),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters['cell'] = in_cell
    made.filters['number'] = lambda value: 'not defined' if value is None else f'{value:.4f}'
    return made
