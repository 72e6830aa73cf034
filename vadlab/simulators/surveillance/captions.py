"""The grammar of captions: clauses, places, light and sentence frames, in English and Chinese."""

from collections.abc import Sequence

from .conditions import Conditions
from .wording import Namer, Phrase

PLACES: dict[str, tuple[tuple[str, ...], str]] = {
    'street': (('on a street', 'on a city street', 'in the street in front of buildings'), '街道上'),
    'shop': (('in a shop', 'inside a store', 'between the shelves of a shop'), '商店里'),
    'car park': (('in a car park', 'in a parking lot', 'among the bays of a car park'), '停车场'),
    'corridor': (('in a corridor', 'in a hallway', 'inside a building corridor'), '走廊里'),
    'park': (('in a park', 'on the path of a green park', 'among the trees of a park'), '公园里'),
    'petrol station': (('at a petrol station', 'at a gas station', 'beside the pumps of a petrol station'), '加油站'),
    'warehouse': (('in a warehouse', 'inside a warehouse with shelves', 'in a storage hall'), '仓库里'),
    'station platform': (('on a station platform', 'in a subway station', 'on a train platform'), '地铁站台上'),
    'bank lobby': (('in a bank lobby', 'in front of a bank counter', 'in a lobby with a counter'), '银行大厅里'),
    'alley': (('in an alley', 'in a back alley', 'in an alley with brick walls'), '小巷里'),
}

_FRAMES = (
    '{what} {where}',
    '{where}, {what}',
    'a surveillance video: {what} {where}',
    'CCTV footage: {what} {where}',
    'a video frame: {what} {where}',
)
_LIGHTS = {
    'day': ('by day', 'in daylight'),
    'dusk': ('at dusk', 'in the evening'),
    'night': ('at night', 'in the dark'),
}
_LIGHTS_ZH = {'day': '白天', 'dusk': '傍晚', 'night': '夜里'}
_CALM = (
    'nothing unusual happens',
    'an ordinary scene where nothing happens',
    'people are going about their day',
    'everything is calm and normal',
    'it is an ordinary day',
)
_BEFORE = ('after a calm beginning {what}', 'at first all is normal, then {what}', '{what} and others look on')

EMPTY = 'an empty place'


def describe(what: str, kind: str, name: Namer, conditions: Conditions | None = None) -> str:
    """A sentence about ``what`` in a scene of ``kind``, in which light and rain may be told."""
    places, chinese = PLACES[kind]
    if name.chinese:
        when = '' if conditions is None else name.pick('', _LIGHTS_ZH[conditions.light])
        return name.pick(
            f'{when}{chinese}，{what}。', f'监控画面显示，{when}{chinese}{what}。', f'{what}，地点在{when}{chinese}。'
        )
    where = name.pick(*places)
    if conditions is not None:
        where += name.pick('', ' ' + name.pick(*_LIGHTS[conditions.light]))
        if conditions.rain:
            where += name.pick('', ' in the rain')
    sentence = name.pick(*_FRAMES).format(what=what, where=where)
    return sentence[0].upper() + sentence[1:] + name.pick('.', '')


def people_clause(phrases: Sequence[Phrase], name: Namer) -> str:
    """A clause about what some actors do."""
    told = [phrase.sentence() if name.pick('is', 'ing') == 'is' else phrase.clause() for phrase in phrases]
    return ('，' if name.chinese else ' and ').join(told)


def calm_clause(phrases: Sequence[Phrase], name: Namer) -> str:
    """A clause for a normal video, about at most two actors."""
    told = people_clause(phrases[:2], name)
    if name.chinese:
        return name.pick(told or '一切正常', '一切正常', '人们正常活动', '没有异常情况')
    calm = name.pick(*_CALM)
    return name.pick(told, f'{calm}, {told}', f'{calm}, {told}') if told else calm


def event_clause(event: str, name: Namer) -> str:
    """A clause for a whole video with an event."""
    if name.chinese:
        return event
    return name.pick(event, event, name.pick(*_BEFORE).format(what=event))
