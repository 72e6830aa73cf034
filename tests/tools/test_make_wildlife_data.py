import csv
import json

import pytest

from vadlab.utils.errors import ConfigError

SIZES = ['--train', '36', '--val', '1', '--test', '1', '--workers', '1']


def test_metadata_names_clips_that_are_there_and_a_second_run_makes_none(load_tool, tmp_path, capsys):
    main = load_tool('make_wildlife_data').main
    out = tmp_path / 'set'
    assert main(['--out', str(out), *SIZES]) == 0
    assert '38 clips (38 new)' in capsys.readouterr().out
    rows = list(csv.DictReader((out / 'metadata.csv').read_text().splitlines()))
    assert list(rows[0])[:5] == ['clip_id', 'video', 'split', 'species', 'behaviour']
    assert [row['split'] for row in rows].count('train') == 36
    assert all((out / 'videos' / row['video']).is_file() for row in rows)
    needed = json.loads((out / 'needs_both.json').read_text())
    assert set(needed['species']) < {row['species'] for row in rows}
    assert set(needed['behaviour']) < {row['behaviour'] for row in rows}
    assert main(['--out', str(out), *SIZES]) == 0
    assert '(0 new)' in capsys.readouterr().out
    with pytest.raises(ConfigError, match='holds another data set'):
        main(['--out', str(out), *SIZES, '--seed', '1'])
    with pytest.raises(ConfigError, match='workers must be at least 1'):
        main(['--workers', '0'])
