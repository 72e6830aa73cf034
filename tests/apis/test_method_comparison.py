import math

from vadlab.apis.method_comparison import MethodResult, comparison_markdown, mean_and_spread


def _reports(*aucs, protocol='micro', **more):
    return [{'metrics': {'frame/auc': auc, **more}, 'protocol': {'frame/auc': protocol}} for auc in aucs]


def test_mean_and_sample_deviation():
    assert mean_and_spread(_reports(0.5, 0.75, 1.0), 'frame/auc') == (0.75, 0.25)
    mean, spread = mean_and_spread(_reports(0.5), 'frame/auc')
    assert mean == 0.5
    assert math.isnan(spread)


def test_a_metric_that_is_missing_or_undefined_anywhere_has_no_mean():
    assert mean_and_spread(_reports(0.5), 'segment/map') is None
    assert mean_and_spread(_reports(0.5, None), 'frame/auc') is None
    assert mean_and_spread([], 'frame/auc') is None


def test_the_table_has_the_columns_that_somebody_fills_and_says_how_numbers_came_about():
    results = [
        MethodResult('RTFM', reports=_reports(0.9, 0.8), blanked=_reports(0.5, 0.52)),
        MethodResult('VadCLIP', reports=_reports(0.7, 0.7, protocol='other', **{'segment/map': 12.5})),
        MethodResult('ZeroShotCLIP', trained=False, reports=_reports(0.6)),
    ]
    lines = comparison_markdown(results, [0, 7]).splitlines()
    assert lines[:5] == [
        '| method | frame AUC | segment mAP | frame AUC, blanked |',
        '| --- | ---: | ---: | ---: |',
        '| RTFM | 0.8500 ± 0.0707 | – | 0.5100 ± 0.0141 |',
        '| VadCLIP | 0.7000 ± 0.0000 | 12.5000 ± 0.0000 | – |',
        '| ZeroShotCLIP (not trained) | 0.6000 | – | – |',
    ]
    text = '\n'.join(lines[5:])
    assert 'over the seeds 0, 7' in text
    assert 'last checkpoint' in text
    assert 'Blanked:' in text
    assert 'Computed differently for some methods, so compare with care: frame AUC.' in text
    assert '- frame AUC (RTFM, ZeroShotCLIP): micro' in text
    assert '- frame AUC (VadCLIP): other' in text


def test_columns_of_regions_and_boxes_appear_for_methods_that_have_them():
    more = {'region/r@1': 0.1, 'space/grounding_acc@0.5': 0.25, 'space/grounding_miou': 0.3}
    results = [
        MethodResult('FGCLIP, all', reports=_reports(0.9, **more)),
        MethodResult('FGCLIP, global', reports=_reports(0.8, **{**more, 'region/r@1': 0.02})),
    ]
    assert comparison_markdown(results, [0]).splitlines()[:4] == [
        '| method | frame AUC | region R@1 | box IoU >= 0.5 | box mean IoU |',
        '| --- | ---: | ---: | ---: | ---: |',
        '| FGCLIP, all | 0.9000 | 0.1000 | 0.2500 | 0.3000 |',
        '| FGCLIP, global | 0.8000 | 0.0200 | 0.2500 | 0.3000 |',
    ]


def test_one_seed_and_no_control_claim_neither():
    text = comparison_markdown([MethodResult('RTFM', reports=_reports(0.9))], [0])
    assert '| RTFM | 0.9000 |' in text
    assert '±' not in text
    assert 'lanked' not in text
    assert '- frame AUC: micro' in text
    assert 'alike' not in text
