"""Tokenizer for captions, equal to that of the COCO caption evaluation."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

# Dropped after tokenization. Brackets become -lrb- and so on, in lower case; the evaluation's list has them in upper
# case, so it never drops them, and neither does this module.
PUNCTUATION = frozenset(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';'])

# Without one of these in a text, the part between two spaces is tokenized independently of its surroundings.
_NEEDS_CONTEXT = re.compile(r"""[^A-Za-z0-9'".,;:!?()&/$%#+\-\s]|[\d)]\s+\d|\.\s+\d""")

Rule = tuple[re.Pattern[str], Callable[[str], str] | None]


def ptb_tokenize(text: str) -> list[str]:
    """Words of a caption: lower case, contractions split, no punctuation.

    Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server" (2015, arXiv 1504.00325) evaluate
    words of Stanford's PTBTokenizer, without punctuation marks. This function finds the same words without a JVM, by
    the same principle: at each position the rule with the longest match wins, its required context included.

    Not reproduced: upper case as a sign of a sentence's end ("letter A. The" keeps ``a.``), and rare symbols, which are
    dropped if they are neither letters of a language nor used in English captions. A run of Chinese characters is one
    word, as in PTBTokenizer.

    Args:
        text (str): A caption; line breaks count as spaces.

    Returns:
        list[str]: Words, none with a space in it; empty if the caption has only punctuation.

    Example:
        >>> ptb_tokenize("Two dogs aren't near the man's T-shirt (red).")
        ['two', 'dogs', 'are', "n't", 'near', 'the', 'man', "'s", 't-shirt', '-lrb-', 'red', '-rrb-']
    """
    if _NEEDS_CONTEXT.search(text):
        return list(_scan(text))
    words: list[str] = []
    for chunk in text.split():
        words += _scan_chunk(chunk)
    return words


def _scan(text: str) -> tuple[str, ...]:
    words: list[str] = []
    text += ' '  # some rules require a space after the word
    start = 0
    while start < len(text):
        found, length, normalise = None, 0, None
        for pattern, rule in _rules():
            candidate = pattern.match(text, start)
            if candidate and candidate.end() - start > length:
                found, length, normalise = candidate, candidate.end() - start, rule
        if found is None:
            start += 1  # a space, or a character that no rule matches
            continue
        token = found[1]
        start += len(token)
        # A few rules allow a space in a token ("2 1/2"); the metrics split words at any space.
        words += (normalise(token) if normalise else token).lower().split()
    return tuple(word for word in words if word not in PUNCTUATION)


_scan_chunk = lru_cache(maxsize=1 << 16)(_scan)

# Abbreviations that keep their dot. The first kind may be followed by anything; two characters of it are the context.
_ABBREVIATIONS_INSIDE = """
jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri
ala ariz calif colo conn ct dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn tenn va vt wis wisc wyo
inc co cos corp ltd plc rt bancorp bhd assn univ intl sys pty pte ppty ptys tel est ext sq jr sr bros blvd rd esq ed.d
ph.d etc al seq bldg
"""
_ABBREVIATIONS = """
mr mrs ms dr drs prof profs sen sens rep reps atty attys lt col gen messrs gov govs adm rev maj sgt
cpl pvt capt st ste ave pres lieut hon brig cmdr comdr pfc spc supt supts det mt ft adj adv asst assoc ens insp mlle mme
msgr sfc vs alex wm jos cie a.k.a cf treas ph invt elec natl mfg mtg dept
"""
# Abbreviations only with a capital letter: in lower case they are ordinary words.
_CAPITAL_ABBREVIATIONS = 'Az Ark Del Ill La Mass Miss Ore Pa Tex Wash'
_FILE_ENDINGS = """
bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl png ppt ps py sql tar
txt wav x xml zip
"""


@cache
def _letters() -> tuple[str, str]:
    """Content of two regex character classes: letters, and marks that combine with letters."""
    classes = {'L': '', 'M': ''}
    first, kind = 0, ''
    for code in range(0x10000):
        now = unicodedata.category(chr(code))[0]
        if now != kind:
            if kind in classes:
                classes[kind] += f'\\u{first:04x}-\\u{code - 1:04x}'
            first, kind = code, now
    return classes['L'], classes['M']


def _without_soft_hyphens(token: str) -> str:
    return token.replace('\u00ad', '') or '-'


def _brackets(token: str) -> str:
    return token.replace('(', '-lrb-').replace(')', '-rrb-')


def _left_quote(token: str) -> str:
    return _curly_quotes(re.sub("(?i:&apos;)|'", '`', token))


def _right_quote(token: str) -> str:
    token = re.sub("(?i:&apos;)|'", "'", token)
    return _curly_quotes(re.sub('(?i:&quot;)|"', "''", token))


def _curly_quotes(token: str) -> str:
    for quotes, ascii_quote in (
        ('[\x91\u2018\u201b\u2039]', '`'),
        ('[\x92\u2019\u203a]', "'"),
        ('[\x93\u201c\u00ab]', '``'),
        ('[\x94\u201d\u00bb]', "''"),
    ):
        token = re.sub(quotes, ascii_quote, token)
    return token


def _money(token: str) -> str:
    token = token.replace('\u00a2', 'cents').replace('\u00a3', '#')
    return re.sub('[\x80\u00a4\u20a0\u20ac]', '$', token)


def _fraction(token: str) -> str:
    return {'\u00bc': '1/4', '\u00bd': '1/2', '\u00be': '3/4', '\u2153': '1/3', '\u2154': '2/3'}.get(token, token)


def _ampersand(token: str) -> str:
    return re.sub('(?i:&amp;)', '&', token)


def _any_of(words: str) -> str:
    return '|'.join(map(re.escape, sorted(words.split(), key=len, reverse=True)))


def _always(token: str) -> Callable[[str], str]:
    return lambda _: token


@cache
def _rules() -> list[Rule]:
    """Patterns and normalisers. Group 1 is the token; the rest of a match is context."""
    letters, marks = _letters()
    L = f'[{letters}]'
    D = r'\d'
    LD = rf'[{letters}\d]'
    letter = rf'(?:[{letters}{marks}\u00ad]|&[aeiouAEIOU](?i:acute|grave|uml);)'
    letter_digit = rf'(?:[{letters}{marks}\u00ad\d]|&[aeiouAEIOU](?i:acute|grave|uml);)'
    space_or_line = r'[ \t\u00a0\u2000-\u200a\u3000\r\n\u2028\u2029\x0b\x0c\x85]'
    apos = "(?:['\x92\u2019]|(?i:&apos;))"
    any_apos = f'(?:{apos}|[`\x91\u2018\u201b])'
    amp = '(?:&|(?i:&amp;))'
    inside = '[,;:\u3001]'
    word = f'{letter}{letter_digit}*(?:[.!?]{letter}{letter_digit}*)*'
    suffix = f'{apos}(?:[msdMSD]|(?i:re|ve|ll))'
    nt = f'(?i:n){any_apos}(?i:t)'
    countries = r'(?i:canada|sino|korean|eu|japan|non)-(?i:u\.s)|(?i:u\.s\.-(?:u\.s\.s\.r|u\.k))'
    acronym = rf'(?:[A-Za-z](?:\.[A-Za-z])*|{countries})'
    long_acronym = rf'(?:[A-Za-z](?:\.[A-Za-z])+|{countries})'
    elided = f'(?:[dDoOlL]{any_apos}{LD})?'
    thing = rf'{elided}{LD}+(?:[-_\u058a\u2010\u2011]{elided}{LD}+)*'
    hyphenated = rf'[A-Za-z0-9][A-Za-z0-9.,\u00ad]*(?:-(?:{long_acronym}\.|[A-Za-z0-9\u00ad]+))+'
    quarter = r'[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}'
    inner = f'(?i:{_any_of(_ABBREVIATIONS_INSIDE)})|(?:{_any_of(_CAPITAL_ABBREVIATIONS)})'
    end = r'[^ \t\n\f\r"<>|.!?(){},-]'
    tag = r'[A-Za-z][A-Za-z0-9_:.\-]*'
    face = "[-^x=~<>']"
    patterns: list[tuple[str, Callable[[str], str] | None]] = [
        (r'((?i:c\+\+))', None),
        (r'((?i:[cf]#))', None),
        (r'((?i:can))(?i:not)', None),
        (r"((?i:'t))(?i:was|is)", None),
        (r'((?i:gon|wan))(?i:na)', None),
        (r'((?i:got))(?i:ta)', None),
        (r'((?i:lem|gim))(?i:me)', None),
        (
            rf'(<(?:[!?][A-Za-z\-][^>\r\n]*|/{tag}|{tag}(?: +(?:{tag} *= *(?:\'[^\']*\'|"[^"]*")|{tag}))* */?) *>)',
            None,
        ),
        ('((?i:&(?:md|mdash|ndash);)|[\x96\x97\u2013\u2014\u2015])', _always('--')),
        ('((?i:&amp;))', _ampersand),
        (r'(&(?i:ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);)', None),
        (f'({word}){suffix}', _without_soft_hyphens),
        (f'([A-Za-z\u00ad]*[A-MO-Za-mo-z]\u00ad*){nt}', _without_soft_hyphens),
        (f'({word})', _without_soft_hyphens),
        (f'({apos}(?i:n){apos}?)', None),
        (f'([lLdDjJ]{apos}|(?i:dunkin|somethin|ol){apos})', None),
        (f'({apos}(?i:em|cause|till?)|{apos}[2-9]0[sS])', None),
        (f'([A-HJ-XZn]{any_apos}{L}{{2,}})', None),
        (f'({L}+[aeiouyAEIOUY]{any_apos}[aeiouA-Z]{L}*)', None),
        (f"((?i:cont'd\\.?|'twas|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)|[oO]{any_apos}[oO])", None),
        (f'([yY]{apos}){L}', None),
        (rf'((?i:https?)://[^ \t\n\f\r"<>|(){{}}]+{end})', None),
        (
            r'((?:(?i:www\.)(?:[^ \t\n\f\r"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}'
            r"""|(?:[^ \t\n\f\r"`'<>|.!?(){},-_$]+\.)+(?i:com|net|org|edu))"""
            rf'(?:/[^ \t\n\f\r"<>|()]+{end})?)',
            None,
        ),
        (
            r'((?:(?i:&lt;)|<)?[a-zA-Z0-9][^ \t\n\f\r"<>|()\u00a0{}]*@(?:[^ \t\n\f\r"<>|(){}.\u00a0]+\.)*'
            r'[^ \t\n\f\r"<>|(){}.\u00a0]+(?:(?i:&gt;)|>)?)',
            None,
        ),
        (f'(@[a-zA-Z_][a-zA-Z_0-9]*|#{letter}+)', None),
        (f'({suffix}|{nt})[^A-Za-z]', _right_quote),
        (rf'({D}{{1,2}}[-/]{D}{{1,2}}[-/]{D}{{2,4}})', None),
        (rf'([-+]?(?:{D}*(?:[.:,\u00ad\u066b\u066c]{D}+)+|{D}+))', _without_soft_hyphens),
        ('([\u207a\u207b\u208a\u208b]?(?:[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+|[\u2080-\u2089]+))', None),
        (rf'((?:{D}{{1,4}}[- \u00a0])?{D}{{1,4}}(?:\\?/|\u2044){D}{{1,4}})', None),
        ('([\u00bc-\u00be\u2153-\u215e])', _fraction),
        (rf'(-(?i:[rl][rcs]b)-|(?i:c\.d\.s|pro-|anti-)|(?i:s){amp}(?i:p)-500|(?i:s){amp}(?i:ls))', _ampersand),
        (f'((?i:cap){apos}(?i:n)|(?i:c){apos}(?i:est))', None),
        (rf'({quarter}(?:\\?/{quarter}){{1,2}})', None),
        (r'([A-Z]*\$|#)', None),
        ('([\u00a2-\u00a5\x80\u20a0\u20ac\u060b\u0e3f\u20a4\uffe0\uffe1\uffe5\uffe6])', _money),
        (rf'((?i:ca|figs?|prop|nos?|art|bldg|pp|op)\.){space_or_line}?{D}', None),
        (rf'((?:{inner})\.)(?s:..)?', None),
        (rf'((?i:{_any_of(_ABBREVIATIONS)})\.|Miss\.)', None),
        (rf'({acronym}\.)', None),
        (rf'({acronym}){space_or_line}', None),
        (f'({apos}[0-9][0-9]){space_or_line}', None),
        (
            rf'({letter_digit}+(?:\.{letter_digit}+)*\.(?i:{_any_of(_FILE_ENDINGS)}))'
            rf'(?:{space_or_line}|[.?!,])',
            None,
        ),
        (f'({word}\\.){inside}', _without_soft_hyphens),
        (
            r'((?:\([0-9]{2,3}\)[ \u00a0]?|(?:\+\+?)?(?:[0-9]{2,4}[- \u00a0])?[0-9]{2,4}[- \u00a0])'
            r'[0-9]{3,4}[- \u00a0]?[0-9]{3,5}'
            r'|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5})',
            _brackets,
        ),
        ('("|(?i:&quot;))', _right_quote),
        ('(<|(?i:&lt;))', _always('<')),
        ('(>|(?i:&gt;))', _always('>')),
        (r"([<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]])[^A-Za-z0-9]", _brackets),
        (rf"({face}_{face}|\({face}[_.]?{face}\)|\([\^x=~<>']-[\^x=~<>'`]\))", _brackets),
        (r'(\{)', _always('-lcb-')),
        (r'(\})', _always('-rcb-')),
        (r'(\[)', _always('-lsb-')),
        (r'(\])', _always('-rsb-')),
        (r'([()])', _brackets),
        (r'(-{3,4}(?!-))', _always('--')),
        ('(-+)', None),
        ('(\\.{3,5}|(?:\\.[ \u00a0]){2,4}\\.|[\x85\u2026])', _always('...')),
        (r'(@+|#+|_+|\*+|(?:\\\*){1,3})', None),
        (f'({inside})', None),
        ('([?!]+|[.=/\u00a1\u00bf\u037e\u0589\u061f\u06d4\u0700-\u0702\u07fa\u3002])', None),
        (rf'({hyphenated}\.){inside}', _without_soft_hyphens),
        (f'({hyphenated})', _without_soft_hyphens),
        (rf'({thing}\.){inside}', None),
        (f'({thing})', None),
        (rf'([A-Z]+(?:(?:\+|{amp})[A-Z]+)+\.){inside}', _ampersand),
        (rf'([A-Z]+(?:(?:\+|{amp})[A-Z]+)+)', _ampersand),
        ("(')[A-Za-z][^ \t\n\r\u00a0]", _left_quote),
        (f'({suffix}|{nt})', _right_quote),
        (f"(''|[`\u2018-\u201f\x91-\x94\u2039\u203a\u00ab\u00bb]{{1,2}}|{apos})", _right_quote),
        ('(<<|>>)', None),
        (
            r'([+%&~^|\\\u00a6\u00a7\u00a8\u00a9\u00ac\u00ae-\u00b4\u00b5-\u00ba\u00d7\u00f7\u2016\u2017\u2020-\u2023'
            '\u2030-\u2038\u203b\u203e-\u2042\u2044\u207a-\u207f\u208a-\u208e\u2100-\u214f\u2190-\u2bff\u3012\u30fb\u060c\u061b\u066a\u066d\u0964\u0965'
            '\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65])',
            None,
        ),
    ]
    return [(re.compile(pattern), normalise) for pattern, normalise in patterns]
