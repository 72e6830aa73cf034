"""Two people who jog together."""

from dataclasses import dataclass, replace

import numpy as np

from ...common.person import draw_person, walk
from ..stage import Stage
from ..wording import Namer, Phrase
from .actor import Actor
from .passer import Passer


@dataclass(frozen=True)
class Joggers(Actor):
    """Two joggers, one behind the other at a constant distance."""

    first: Passer
    second: Passer
    facing: int
    gap: float

    @classmethod
    def sample(cls, rng: np.random.Generator, floor: tuple[float, float]) -> 'Joggers':
        """Two random joggers."""
        first, second = Passer.sample(rng, floor, 'jog'), Passer.sample(rng, floor, 'jog')
        second = replace(second, y=first.y, height=first.height * float(rng.uniform(0.92, 1.08)))
        return cls(first, second, 1 if rng.random() < 0.5 else -1, float(rng.uniform(0.7, 1.2)))

    @property
    def y(self) -> float:  # type: ignore[override]
        """Ground position of both, pixels."""
        return self.first.y

    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put both on the stage under one role."""
        h = self.first.height
        lead = (60 * self.first.phase + 1.9 * self.first.speed * stage.frame) % 460 - 30
        for person, behind in ((self.first, 0.0), (self.second, self.gap * h)):
            x = lead - behind
            at = x if self.facing > 0 else 320 - x
            cycle = person.phase + 19 * self.first.speed / h * stage.frame
            pose = replace(walk(cycle, 0.85), lean=0.15)
            stage.put(
                self.y,
                lambda image, p=person, at=at, pose=pose: (  # type: ignore[misc]
                    draw_person(image, p.look, at, self.y, p.height, self.facing, pose).box
                ),
                role,
            )

    def phrase(self, name: Namer) -> Phrase:
        """Both people."""
        a, b = name.person(self.first.look), name.person(self.second.look)
        if name.chinese:
            return Phrase(f'{a}和{b}', '一起慢跑', chinese=True)
        return Phrase(f'{a} and {b}', 'jogging together', plural=True)
