import logging
import sys

from mmengine.logging import MMLogger

from vadlab.utils.run_log import log


def test_a_message_is_printed_where_mmengine_is_not_loaded(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, 'mmengine')
    log('2 videos\x1b', logging.INFO)
    log('all scores tie')
    assert capsys.readouterr().out == 'INFO: 2 videos\\x1b\nWARNING: all scores tie\n'


def test_a_message_goes_into_the_log_of_mmengine(monkeypatch, capsys):
    written = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda *record: written.append(record))
    log('all scores tie')
    assert written == [(logging.WARNING, 'all scores tie')]
    assert capsys.readouterr().out == ''
