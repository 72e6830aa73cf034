from vadlab.utils.suggest import nearest


def test_close_words_come_first():
    assert nearest('modle', ['model', 'mode', 'data']).startswith("Did you mean 'mode")


def test_all_words_where_none_is_close():
    assert nearest('x', ['bb', 'aa']) == 'Known: aa, bb.'
    assert nearest('x', ['bb', 'aa', 'cc'], limit=2) == 'Known: aa, bb, ...'
    assert nearest('x', []) == 'None is known.'


def test_case_does_not_count():
    assert nearest('FGCLIP_UCF', ['fgclip_ucf', 'rtfm_xd']) == "Did you mean 'fgclip_ucf'?"
    assert nearest('auc', ['frame/map', 'AUC']) == "Did you mean 'AUC'?"


def test_words_that_contain_the_name_come_before_all_words():
    assert nearest('ped2', ['mnad_ped2_small', 'aivad_camera', 'exemplar_ped2_grid']) == (
        "Did you mean 'exemplar_ped2_grid' or 'mnad_ped2_small'?"
    )
    assert nearest('a', ['abcdef', 'ghijk']) == 'Known: abcdef, ghijk.'  # one letter means nothing
