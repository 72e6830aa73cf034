"""The stories that the simulator can tell: sets of event classes, and their ordinary counterparts in every video."""

from collections.abc import Callable
from dataclasses import dataclass

from .events.arson import Arson
from .events.event import Event
from .events.explosion import Explosion
from .events.fighting import Fighting
from .events.road_accidents import RoadAccidents
from .events.robbery import Robbery
from .events.vandalism import Vandalism
from .everyday.actor import Actor
from .everyday.cast import sample_cast
from .motion.cast import motion_cast
from .motion.chase import Chase
from .motion.fall import Fall
from .motion.left_behind import LeftBehind
from .motion.trespass import Trespass
from .motion.wrong_way import WrongWay


@dataclass(frozen=True)
class Story:
    """A set of event classes.

    Attributes:
        events: Event classes by name.
        cast: Makes the ordinary actors of a video, normal or not; arguments of :func:`sample_cast`.
    """

    events: dict[str, type[Event]]
    cast: Callable[..., dict[str, Actor]]

    @property
    def classes(self) -> tuple[str, ...]:
        """'Normal' and the names of the events."""
        return ('Normal', *self.events)


def _by_name(*events: type[Event]) -> dict[str, type[Event]]:
    return {event.kind: event for event in events}


STORIES: dict[str, Story] = {
    # One frame shows the event.
    'events': Story(_by_name(Arson, Explosion, Fighting, RoadAccidents, Robbery, Vandalism), sample_cast),
    # Only frames in their order tell: every single one could be of a normal video.
    'motion': Story(_by_name(Chase, Fall, LeftBehind, Trespass, WrongWay), motion_cast),
}


def event_class(kind: str) -> type[Event] | None:
    """The event of a class name, None for 'Normal' and unknown names."""
    return next((story.events[kind] for story in STORIES.values() if kind in story.events), None)
