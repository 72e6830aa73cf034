"""Checks of captioned images: their pixels, and the words of their captions."""

from vadlab.datasets.video.image_reader import read_image
from vadlab.registry import TOKENIZERS
from vadlab.utils.errors import VADLabError

from .check_context import CheckContext, SplitUnderTest, names
from .file_checks import check_files

_MANY = 0.05  # above this share of unknown words, the vocabulary is probably of another data set


def check_images(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Decode every image; find images that are in training and test."""
    paths = list(dict.fromkeys(sample['image_path'] for split in splits for sample in split.samples))
    results = check_files(_problem, {path: path for path in paths}, context)
    errors = {path: result['error'] for path, result in results.items() if 'error' in result}
    trained: set[str] = set()
    for split in splits:
        check = f'{split.name} images'
        used = list(dict.fromkeys(sample['image_path'] for sample in split.samples))
        bad = [errors[path] for path in used if path in errors]
        if bad:
            text = '; '.join(bad[:3]) + ('; ...' if len(bad) > 3 else '')
            context.report.fail(check, f'{len(bad)} of {len(used)} images cannot be used: {text}')
        else:
            context.report.passed(check, f'{len(used)} images decode')
        if split.name == 'train':
            trained = set(used)
        elif shared := [path for path in used if path in trained]:
            context.report.warn('splits', f'{len(shared)} images are in train and in {split.name}: {names(shared)}')


def check_words(splits: list[SplitUnderTest], context: CheckContext) -> None:
    """Find unknown words and truncated captions; check that pipeline and model use the same vocabulary."""
    for split in splits:
        check = f'{split.name} words'
        step = split.transform('TokenizeWords')
        tokenizer = getattr(context.model, 'tokenizer', None)
        with context.report.failing(check) as ok:
            if step is not None:
                own = TOKENIZERS.build(dict(step['tokenizer']))
                if tokenizer is not None and own.fingerprint != tokenizer.fingerprint:
                    context.report.fail(
                        check,
                        f'the pipeline writes by {own.source} ({own.vocab_size} words), the model reads by '
                        f'{tokenizer.source} ({tokenizer.vocab_size} words): set vocab_file in one place',
                    )
                tokenizer = own
        if not ok() or tokenizer is None:
            continue
        limit = None if step is None else step.get('max_len', 54)
        captions = [(sample['image_id'], text) for sample in split.samples for text in sample['captions']]
        encoded = [(image, tokenizer.encode(text, max_len=10**6)) for image, text in captions]
        num_words = sum(len(ids) - 2 for _, ids in encoded)
        num_unknown = sum(ids.count(tokenizer.unk_id) for _, ids in encoded)
        longest = max(len(ids) for _, ids in encoded) - 2
        share = num_unknown / max(num_words, 1)
        text = (
            f'{len(captions)} captions, the longest of {longest} words; {share:.2%} of all words are not in the '
            'vocabulary'
        )
        context.report.add('warning' if share > _MANY else 'pass', check, text)
        cut = [] if limit is None else [f'image {image}' for image, ids in encoded if len(ids) > limit]
        if cut:
            context.report.warn(check, f'{len(cut)} captions are cut at {limit} tokens: {names(cut)}')
        places = getattr(getattr(context.model, 'decoder', None), 'max_len', None)
        if limit is not None and places is not None and min(longest + 2, limit) - 1 > places:
            context.report.fail(check, f'captions of {limit} tokens, but the decoder has {places} places: set max_len')


def _problem(path: str) -> dict[str, str]:
    """``error`` if an image cannot be read."""
    try:
        read_image(path)
    except VADLabError as error:
        return {'error': str(error)}
    return {}
