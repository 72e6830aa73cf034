"""The form of links to other sites. Nothing is asked of the network: the links may be dead."""

import re
from urllib.parse import urlsplit

import pytest

from tests.doc_blocks import ROOT, pages

LINK = re.compile(r'\bhttps?://[^\s<>"\'`()\[\]{}\\]+')
MARKDOWN_LINK = re.compile(r'\]\((https?:[^)]*)\)|<(https?:[^>]*)>')
#: Sites that have no https.
ONLY_HTTP = {'www.svcl.ucsd.edu'}
#: Addresses that really end so.
WITH_A_DOT = {'https://github.com/carolchenyx/MGFN.'}
#: Names in XML files that look like addresses.
NAMESPACES = {'schemas.openxmlformats.org'}


def link_faults(texts):
    """What is wrong with the links of texts, by name of the text; an empty list if all are right."""
    faults, forms = [], {}
    for name, text in texts.items():
        for target in (one or other for one, other in MARKDOWN_LINK.findall(text)):
            if target not in WITH_A_DOT and (not LINK.fullmatch(target) or target[-1] in '.,;:!?*_'):
                faults.append(f'{name}: {target!r} is not one address')
        for found in LINK.findall(text):
            link = next((known for known in WITH_A_DOT if found.startswith(known)), found.rstrip('.,;:!?*_'))
            parts = urlsplit(link)
            host = parts.hostname or ''
            if host in NAMESPACES or re.fullmatch(r'localhost|[\d.]+|host', host) or host.startswith('example.'):
                continue
            if parts.scheme != 'https' and host not in ONLY_HTTP:
                faults.append(f'{name}: {link} is not https')
            if '.' not in host or host != parts.netloc:
                faults.append(f'{name}: {link} has no usual host')
            page = f'{host.removeprefix("www.")}{parts.path.rstrip("/.").removesuffix(".git")}?{parts.query}'.lower()
            forms.setdefault(page, {}).setdefault(link.partition('#')[0], name)
    for ways in forms.values():
        if len(ways) > 1:
            listed = ', '.join(f'{link} ({name})' for link, name in ways.items())
            faults.append(f'one page, several addresses: {listed}')
    return faults


def test_links_to_other_sites_have_one_right_form():
    files = [ROOT / page for page in pages()]
    for folder, pattern in (('vadlab', '*.py'), ('configs', '*.py'), ('configs', '*.yml'), ('.github', '*.yml')):
        files += sorted((ROOT / folder).rglob(pattern))
    texts = {str(file.relative_to(ROOT)): file.read_text(encoding='utf-8') for file in files}
    assert sum(len(LINK.findall(text)) for text in texts.values()) > 50
    assert link_faults(texts) == []


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('see http://github.com/a/b.', 'a: http://github.com/a/b is not https'),
        ('[x](https://github.com/a/b.)', "a: 'https://github.com/a/b.' is not one address"),
        ('[x](https://github.com/a b)', "a: 'https://github.com/a b' is not one address"),
        ('https://Github.com/a', 'a: https://Github.com/a has no usual host'),
        ('https://github', 'a: https://github has no usual host'),
        ('https://user@github.com/a', 'a: https://user@github.com/a has no usual host'),
        (
            'https://github.com/a/b, https://github.com/A/b.git and https://github.com/a/b/',
            'one page, several addresses: https://github.com/a/b (a), https://github.com/A/b.git (a), '
            'https://github.com/a/b/ (a)',
        ),
        (
            'https://github.com/a#one, https://github.com/a#two, http://127.0.0.1:8000/wall; http://HOST:PORT/v1',
            None,
        ),
        ('[x](https://github.com/carolchenyx/MGFN.)', None),
        (
            'https://github.com/carolchenyx/MGFN, https://github.com/carolchenyx/MGFN.',
            'one page, several addresses: https://github.com/carolchenyx/MGFN (a), '
            'https://github.com/carolchenyx/MGFN. (a)',
        ),
        ('(https://github.com/a), "https://github.com/a", https://github.com/a.', None),
    ],
)
def test_faults_of_links_by_hand(text, fault):
    assert link_faults({'a': text}) == ([] if fault is None else [fault])
