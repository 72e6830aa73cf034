"""Damage to valid files: of their bytes, and of what their format means."""

import io
import json
import re
import zipfile

import numpy as np

# Written into JSON as they are: json.dumps cannot write them all.
JUNK_JSON = [
    'null', 'true', '-1', '0', '1e308', '1e999', '-0.5', 'NaN', '-Infinity', '9' * 5000, '1' * 18, '2147483648', '""',
    '" "', '[]', '{}', '[[]]', '[null]', '{"a": null}', '"a\\u0000b"', '"\\ud800"', '"\\u001b[31m"', '"nan"',
    json.dumps('x' * 100_000), '[' * 40 + ']' * 40, '[' * 100_000 + ']' * 100_000, '{"a":' * 3000 + '1' + '}' * 3000,
]  # fmt: skip
JUNK_CELLS = [
    '', ' ', '-1', '0', '1e999', 'nan', 'inf', '9' * 5000, '1_0', '0x10', '\x1b[2J', 'x' * 200_000, '"', "'", ',', '\t',
    ';', '#', '../../x', 'a\\b', '\x00', '\u2028', '१', '½', '1000000000000', '-9223372036854775809', '[', '(((', '{}',
    '[' * 3000, '"a\nb"',
]  # fmt: skip
_MARK = '\ue000junk{}\ue001'


def damage(kind, content, random):
    """A damaged copy of a file's content.

    Args:
        kind (str): Of the file: ``json``, ``jsonl``, ``text``, ``npy``, ``npz``, ``zip`` or ``bytes``.
        content (bytes): Valid.
        random (Random): Chooses.
    """
    if random.random() < 0.75:
        of_kind = {'json': _json, 'jsonl': _jsonl, 'text': _text, 'npy': _npy, 'npz': _zip, 'zip': _zip}.get(kind)
        if of_kind is not None:
            content = of_kind(content, random)
            if random.random() < 0.8:
                return content
    return _bytes(content, random)


def _bytes(content, random):
    way = random.randrange(10)
    if way == 0:
        return content[: random.randrange(len(content) + 1)]
    if way == 1:
        return b'\xef\xbb\xbf' + content
    if way == 2:
        return random.choice([b'', b'\0', b'PK\x03\x04', b'\x93NUMPY', b'\xff\xfe', b'null', b'[', b'"', b'\x1f\x8b'])
    if way == 3:
        return content.decode('utf-8', 'replace').encode(random.choice(['utf-16', 'utf-16-be', 'latin-1']), 'replace')
    if way == 4:
        return content + random.choice([b'\xe9', b'\0', content, b'\n\n', b'}'])
    damaged = bytearray(content)
    for _ in range(random.choice([1, 1, 3, 10])):
        if damaged:
            damaged[random.randrange(len(damaged))] = random.choice([0, 255, 0xE9, random.randrange(256)])
    if way == 5 and damaged:
        at = random.randrange(len(damaged))
        del damaged[at : at + random.randrange(1, 20)]
    return bytes(damaged)


def _places(node, path=()):
    """Every place of a tree, as the keys that lead to it."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


def _at(node, path):
    for key in path:
        node = node[key]
    return node


def _json(content, random):
    tree = json.loads(content)
    junk = []
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        path = random.choice(list(_places(tree)))
        if not path:
            if random.random() < 0.1:
                tree = _MARK.format(len(junk))
                junk.append(random.choice(JUNK_JSON))
            continue
        parent, key = _at(tree, path[:-1]), path[-1]
        way = random.randrange(6)
        if way == 0:
            del parent[key]
        elif way == 1 and isinstance(parent, list):
            parent.append(parent[key])
        elif way == 2:
            parent[key] = json.loads(json.dumps(_at(tree, random.choice(list(_places(tree))))))
        elif way == 3 and isinstance(parent, dict):
            parent[random.choice(['', 'x', '../x', 'a\x1b[0m', key.upper(), ' ' + key])] = parent.pop(key)
        else:
            parent[key] = _MARK.format(len(junk))
            junk.append(random.choice(JUNK_JSON))
    text = json.dumps(tree, ensure_ascii=False)
    return re.sub('"\ue000junk(\\d+)\ue001"', lambda match: junk[int(match[1])], text).encode('utf-8', 'replace')


def _jsonl(content, random):
    lines = content.split(b'\n')
    filled = [i for i, line in enumerate(lines) if line.strip()]
    at = random.choice(filled)
    lines[at] = _json(lines[at], random)
    return b'\n'.join(lines)


def _text(content, random):
    lines = content.decode().split('\n')
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(lines))
        cells = re.split('([,\t ]+)', lines[at])
        way = random.randrange(6)
        if way == 0:
            lines[at] = lines[random.randrange(len(lines))]
        elif way == 1:
            lines.insert(at, random.choice(JUNK_CELLS))
        elif way == 2:
            del cells[random.randrange(len(cells)) :]
            lines[at] = ''.join(cells)
        else:
            cells[random.randrange(len(cells))] = random.choice(JUNK_CELLS)
            lines[at] = ''.join(cells)
    return random.choice(['\n', '\n', '\r\n']).join(lines).encode('utf-8', 'replace')


def _npy(content, random):
    way = random.randrange(4)
    if way == 0:
        kind = random.choice(['f2', 'f4', 'i8', 'u1', '?', 'U3', 'S0', 'c8', 'M8[s]', 'i4,f4', '>f8', 'O'])
        shape = random.choice([(), (0,), (3,), (2, 3), (2, 10, 3), (1, 1, 1, 1), (0, 4)])
        array = np.zeros(shape, kind)
    elif way == 1:
        array = np.full(random.choice([(4,), (3, 2), (5, 8)]), random.choice([np.nan, np.inf, -1.0, 1e300]))
    else:
        header = random.choice([
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
            b"{'descr': '<f8', 'fortran_order': True, 'shape': (3, True), }",
            b"{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }",
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b'9' * 5000 + b',), }',
            b"{'descr': [('a', '<f8'), ('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b'1,' * 100 + b'), }',
            b'(' * 5000,
            b'{',
            b"{'descr': '\xe9'}",
        ])  # fmt: skip
        version = random.choice([b'\1\0', b'\2\0', b'\3\0', b'\1\7'])
        length = len(header).to_bytes(2 if version[0] == 1 else 4, 'little')
        return b'\x93NUMPY' + version + length + header + content[-64:]
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _zip(content, random):
    """Another entry in an archive, or damage to one of its entries that only the checksum tells."""
    source = zipfile.ZipFile(io.BytesIO(content))
    names = source.namelist()
    entries = {name: source.read(name) for name in names}
    chosen = random.choice(names)
    way = random.randrange(5)
    if way == 0:
        del entries[chosen]
    elif way == 1:
        entries[random.choice(['x', '../x.npy', 'a\x1b.npy', chosen.upper()])] = entries.pop(chosen)
    elif way == 2:
        entries[chosen] = _npy(entries[chosen], random) if chosen.endswith('.npy') else _bytes(entries[chosen], random)
    elif way == 3:
        at = content.find(entries[chosen][-8:])
        if at >= 0:
            return content[:at] + b'\xaa\xbb' + content[at + 2 :]
    else:
        entries[chosen] = _bytes(entries[chosen], random)
    file = io.BytesIO()
    method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
    with zipfile.ZipFile(file, 'w', method) as out:
        for name, entry in entries.items():
            out.writestr(name, entry)
    return file.getvalue()
