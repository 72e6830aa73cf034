from vadlab.utils.suggest import nearest


def test_close_words_come_first():
    assert nearest('modle', ['model', 'mode', 'data']).startswith("Did you mean 'mode")


def test_all_words_where_none_is_close():
    assert nearest('x', ['bb', 'aa']) == 'Known: aa, bb.'
    assert nearest('x', ['bb', 'aa', 'cc'], limit=2) == 'Known: aa, bb, ...'
    assert nearest('x', []) == 'None is known.'
