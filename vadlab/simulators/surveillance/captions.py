"""The grammar of captions: clauses, places and sentence frames, in English and Chinese."""

from .wording import Namer

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

# Typical prompts for each class. They are among the training captions, so that prompts are in the training domain.
CLASS_PHRASES: dict[str, tuple[str, ...]] = {
    'Normal': (
        'people going about their day',
        'an ordinary scene where nothing happens',
        'a normal scene',
        'normal activity',
        'a normal day',
        'normal',
    ),
    'Arson': ('arson', 'a person setting fire to something', 'a burning fire with smoke', 'somebody committing arson'),
    'Explosion': ('an explosion', 'explosion', 'a blast with a fireball and debris', 'something exploding'),
    'Fighting': ('people fighting', 'fighting', 'a fight', 'people hitting and kicking each other'),
    'RoadAccidents': ('a road accident', 'road accidents', 'a car crash', 'vehicles crashing'),
    'Robbery': ('a person being robbed', 'a robbery', 'robbery', 'a person robbing another at gunpoint'),
    'Vandalism': (
        'a person damaging property',
        'vandalism',
        'somebody vandalising property',
        'graffiti or a broken window',
    ),
}
PROMPT_TEMPLATES = ('{}', 'a surveillance video of {}', 'a video of {}', 'a video frame showing {}')

_FRAMES = (
    '{what} {where}',
    '{where}, {what}',
    'a surveillance camera shows how {what} {where}',
    'CCTV footage: {what} {where}',
    'security footage {where}: {what}',
)
_CALM = (
    'nothing unusual happens',
    'a quiet moment with ordinary activity',
    'people go about their day',
    'everything is calm and normal',
    'it is an ordinary day',
)
_BEFORE = ('after a calm beginning {what}', 'at first all is normal, then {what}', '{what} and others look on')


def describe(what: str, kind: str, name: Namer) -> str:
    """A sentence about ``what`` in a scene of ``kind``."""
    places, chinese = PLACES[kind]
    if name.chinese:
        return name.pick(f'{chinese}，{what}。', f'监控画面显示，{chinese}{what}。', f'{what}，地点在{chinese}。')
    sentence = name.pick(*_FRAMES).format(what=what, where=name.pick(*places))
    return sentence[0].upper() + sentence[1:] + name.pick('.', '')


def calm_clause(people: list[str], name: Namer) -> str:
    """A clause for a normal frame; ``people`` are clauses such as 'a man in red is walking'."""
    if name.chinese:
        return (
            people[0] if people and name.rng.random() < 0.6 else name.pick('一切正常', '人们正常活动', '没有异常情况')
        )
    calm = name.pick(*_CALM)
    if not people or name.rng.random() < 0.3:
        return calm
    told = ' and '.join(people[: 1 + int(name.rng.random() < 0.4)])
    return told if name.rng.random() < 0.6 else f'{calm}, {told}'


def event_clause(event: str, name: Namer) -> str:
    """A clause for a whole video with an event."""
    if name.chinese or name.rng.random() < 0.6:
        return event
    return name.pick(*_BEFORE).format(what=event)


def class_prompt(kind: str, name: Namer) -> str:
    """A plain prompt for a class, such as 'a surveillance video of a fight'."""
    if kind == 'Normal' and name.rng.random() < 0.2:
        return 'a normal surveillance video'
    return name.pick(*PROMPT_TEMPLATES).format(name.pick(*CLASS_PHRASES[kind]))
