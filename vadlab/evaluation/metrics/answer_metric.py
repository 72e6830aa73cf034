"""Metric for what a method asked of a model."""

from collections.abc import Mapping
from typing import Any

from vadlab.utils.errors import DataError

from .protocol_metric import ProtocolMetric

_MEANING = {
    'questions': 'questions asked, repeated ones included',
    'calls': 'calls of a model in this run, failed ones included',
    'cached': 'questions answered from the cache',
    'images': 'frames sent in this run',
    'tokens_in': 'tokens of the calls of this run, as the server counts them',
    'tokens_out': 'tokens of the answers of this run',
    'seconds': 'time of the calls of this run, added up over threads',
    'repeated': 'questions asked a second time, since the answer could not be read',
    'unread': 'questions without a readable answer after that; a window without a score gets an interpolated one',
    'refused': 'of these, refused',
    'cut': 'of these, with an answer that reached max_tokens',
    'videos_without_answer': 'videos without any readable answer; they get fallback_score',
}


class AnswerMetric(ProtocolMetric):
    """Sums of what the questions of all videos cost, and how many answers could not be read.

    It reads ``answer_counts`` of the samples. The numbers do not measure the model.

    Args:
        prefix (str | None): Prefix of the keys; ``answers`` if None.
    """

    default_prefix = 'answers'

    @property
    def protocol(self) -> dict[str, str]:
        """What each number counts, by its full key."""
        return self.full_keys(_MEANING)

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Counts of one video."""
        counts = sample.get('answer_counts')
        if not isinstance(counts, Mapping):
            raise DataError(
                f'AnswerMetric needs answer_counts, which the model did not write for {sample.get("video_id")}. Remove '
                'AnswerMetric from the evaluator, or use a model that asks questions'
            )
        return {'sample_id': str(sample['video_id']), **{name: counts.get(name, 0) for name in _MEANING}}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Sums over all videos."""
        results = self.checked(results)
        numbers = {name: sum(result[name] for result in results) for name in _MEANING}
        if numbers['unread']:
            share = numbers['unread'] / max(numbers['questions'] - numbers['repeated'], 1)
            self.log(
                f'{numbers["unread"]} answers cannot be read ({share:.1%}; refused: {numbers["refused"]}, cut: '
                f'{numbers["cut"]}); {numbers["videos_without_answer"]} videos have no readable answer'
            )
        return numbers
