import numpy as np
import pytest
from mmengine.structures import InstanceData

from vadlab.evaluation.metrics.grounding_metric import GroundingMetric
from vadlab.utils.errors import ConfigError, DataError

from .metric_samples import boxed, evaluate

HALF, WHOLE, CORNER = [0, 0, 0.5, 1], [0, 0, 1, 1], [0, 0, 0.5, 0.5]


@pytest.fixture
def samples():
    return [
        boxed('a', [[HALF, WHOLE]], [[True, True]], [[WHOLE, WHOLE]]),
        # The frame without a true box does not count, whatever is predicted there.
        boxed(
            'b',
            [[CORNER, [0, 0, 0, 0]], [WHOLE, WHOLE]],
            [[True, False], [True, True]],
            [[WHOLE, WHOLE], [HALF, CORNER]],
        ),
    ]


def test_by_hand(samples):
    # IoUs: 0.5, 1, 0.25, 0.5, 0.25
    metric = GroundingMetric()
    assert evaluate(metric, samples) == {
        'space/grounding_acc@0.5': pytest.approx(3 / 5),
        'space/grounding_miou': pytest.approx(2.5 / 5),
    }
    assert set(metric.protocol) == {'space/grounding_acc@0.5', 'space/grounding_miou'}
    assert evaluate(GroundingMetric(0.25), samples)['space/grounding_acc@0.25'] == 1


def test_no_region_at_all_is_nan(samples):
    samples[0].gt_regions = InstanceData()
    numbers = evaluate(GroundingMetric(), samples[:1])
    assert np.isnan(list(numbers.values())).all()


def test_missing_boxes_other_shapes_and_options(samples):
    samples[0].pred_regions.boxes_xyxyn = samples[0].pred_regions.boxes_xyxyn[:, :1]
    with pytest.raises(DataError, match=r'a: pred_regions.boxes_xyxyn has the shape \(1, 1, 4\); expected \(1, 2, 4\)'):
        GroundingMetric().process({}, samples)
    del samples[1].pred_regions
    with pytest.raises(DataError, match="predicts no 'pred_regions' for b"):
        GroundingMetric().process({}, samples[1:])
    with pytest.raises(DataError, match='no sample was tested'):
        GroundingMetric().evaluate(0)
    with pytest.raises(ConfigError, match='iou_threshold is 50'):
        GroundingMetric(50)
