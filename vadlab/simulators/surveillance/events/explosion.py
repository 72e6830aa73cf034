"""A flash, a ball of fire with flying fragments, then dust and smoke over rubble and people on the ground."""

import numpy as np

from ...common.person import lie
from ...common.scene import Scene
from .. import effects
from ..stage import Stage
from ..wording import Namer, Phrase
from .event import Event, no_box, put_person


class Explosion(Event):
    """A blast that throws people to the ground."""

    kind = 'Explosion'

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        super().__init__(scene, rng)
        self.extent = float(rng.uniform(105, 140)) * self.size
        self.victims = [self.person(rng, 'walk', 'stand') for _ in range(rng.integers(1, 3))]
        self.shade = int(rng.integers(90, 150))

    def calm(self, stage: Stage, toward: float) -> None:
        for victim in self.victims:
            victim.draw(stage)

    def happen(self, stage: Stage, progress: float, elapsed_s: float) -> None:
        k = self.size
        x, y = self.x, self.y - 0.32 * self.extent
        blast = elapsed_s % 1.9 if elapsed_s < 3.8 else elapsed_s - 1.9
        stage.boost = 0.3 * max(0.0, 1 - blast / 0.3)
        static = np.random.default_rng(self.seed)
        stage.put(self.y - 12, lambda image: no_box(effects.draw_rubble(image, x, self.y, 90 * k, static, 16, k)))
        for i, victim in enumerate(self.victims):
            away = 1 if i % 2 else -1
            at = x + away * (70 + 14 * i) * k
            put_person(stage, victim, at, max(victim.y, self.y), -away, lie(blast), f'victim{i}')
        swell = 0.7 + 0.3 * min(blast / 0.4, 1.0)
        heat = max(0.0, 1 - blast / 2.2)
        rise = 14 * k * min(blast, 2.5)
        if blast > 0.5:
            cloud = self.extent * (0.62 + 0.08 * min(blast, 3))
            clock, shade = 0.5 * stage.clock, self.shade
            stage.light(lambda image: effects.draw_smoke(image, x, y + 8 - rise, cloud, clock, shade, 0.6), 'blast')
        if heat > 0.1:
            stage.light(
                lambda image: effects.draw_fireball(
                    image, x, y - rise, self.extent * swell * (0.45 + 0.45 * heat), heat, stage.clock
                ),
                'blast',
            )
        else:
            for dx in (-34 * k, 30 * k):
                stage.light(
                    lambda image, dx=dx: effects.draw_fire(image, x + dx, self.y, 30 * k, 38 * k, stage.rng),  # type: ignore[misc]
                    'blast',
                )
        if blast < 1.3:
            near, far = 0.3 * self.extent, self.extent * (0.55 + 0.4 * blast)
            stage.light(lambda image: effects.draw_streaks(image, x, y, near, far, np.random.default_rng(self.seed), k))

    def tell(self, name: Namer) -> str:
        if name.chinese:
            return name.pick('突然发生爆炸，火球和碎片四处飞溅', '发生爆炸，浓烟滚滚')
        who = name.person(self.victims[0].look)
        return name.pick(
            f'an explosion throws debris through the air and {who} lies on the ground',
            f'an explosion knocks {who} to the ground',
            f'a blast fills the place with fire, smoke and rubble next to {who}',
            f'something explodes next to {who}',
        )

    def regions(self, name: Namer) -> dict[str, Phrase]:
        if name.chinese:
            found = {'blast': Phrase('爆炸产生的火球和浓烟', '', chinese=True)}
            people = {
                f'victim{i}': Phrase(name.person(v.look), '被炸倒在地', chinese=True)
                for i, v in enumerate(self.victims)
            }
            return found | people
        blast = name.pick('the fireball and smoke', 'the fire and smoke')
        found = {'blast': Phrase(blast, f'of an explosion {self.where_in_words(name)}')}
        act = name.pick('lying on the ground', 'knocked down by an explosion')
        return found | {f'victim{i}': Phrase(name.person(v.look), act) for i, v in enumerate(self.victims)}
