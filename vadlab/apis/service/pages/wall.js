// Wall of cameras: latest picture, curve of the last hour, open and past events.
'use strict';
(function () {
  const $ = (id) => document.getElementById(id);
  const STALE_S = 10; // a camera that runs writes its state about once a second
  const HOUR_S = 3600;
  const STEP_S = 5; // of the points of a curve
  const SVG = 'http://www.w3.org/2000/svg';
  const tiles = new Map();

  function make(tag, properties, ...children) {
    const found = Object.assign(document.createElement(tag), properties);
    found.append(...children);
    return found;
  }

  const seconds = (value) => (value === null || value === undefined ? '–' : value < 1 ? Math.round(value * 1000) + ' ms' : value < 10 ? value.toFixed(2) + ' s' : Math.round(value) + ' s');
  const score = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));
  const time = (value) => new Date(value * 1000).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit'});

  function ago(value) {
    if (value < 90) return Math.max(Math.round(value), 0) + ' s';
    if (value < 5400) return Math.round(value / 60) + ' min';
    if (value < 172800) return Math.round(value / 3600) + ' h';
    return Math.round(value / 86400) + ' days';
  }

  function makeTile(name) {
    const part = {};
    part.img = make('img', {alt: '', draggable: false});
    part.none = make('span', {textContent: 'no picture'});
    part.score = make('b');
    part.age = make('span');
    part.tag = make('span', {className: 'tag'});
    part.chart = make('div', {className: 'chart'});
    part.svg = document.createElementNS(SVG, 'svg');
    part.svg.setAttribute('viewBox', '0 0 720 100');
    part.svg.setAttribute('preserveAspectRatio', 'none');
    part.svg.setAttribute('role', 'img');
    part.line = document.createElementNS(SVG, 'line');
    part.path = document.createElementNS(SVG, 'path');
    part.svg.append(part.line, part.path);
    part.chart.append(part.svg);
    part.open = make('p', {className: 'open', hidden: true});
    part.message = make('p', {className: 'error', hidden: true});
    part.numbers = make('p', {className: 'numbers'});
    part.events = make('ol', {tabIndex: 0});
    part.events.setAttribute('aria-label', 'Last events of ' + name);
    part.row = make('li', {className: 'card camera'},
      make('div', {className: 'picture'}, part.none, part.img, make('div', {className: 'over'}, make('span', {textContent: 'score '}, part.score), part.age)),
      make('div', {className: 'body'},
        make('div', {className: 'name'}, make('h2', {textContent: name}), part.tag),
        part.open, part.message, part.chart,
        make('div', {className: 'axis'}, make('span', {textContent: '1 h ago'}), make('span', {textContent: 'now'})),
        part.numbers, part.events));
    return part;
  }

  function drawCurve(part, camera, now) {
    const points = camera.curve.filter(([at]) => at > now - HOUR_S);
    const values = points.map(([, value]) => value);
    if (camera.threshold !== null && camera.threshold !== undefined) values.push(camera.threshold);
    const isProbability = values.every((value) => value >= 0 && value <= 1);
    const low = isProbability ? 0 : Math.min(...values), high = isProbability ? 1 : Math.max(...values);
    const x = (at) => (720 * (1 - (now - at) / HOUR_S)).toFixed(1);
    const y = (value) => (96 - 92 * ((value - low) / ((high - low) || 1))).toFixed(1);
    let path = '', last = -Infinity;
    for (const [at, value] of points) {
      path += (at - last > 3 * STEP_S ? 'M' : 'L') + x(at) + ' ' + y(value); // a gap: no frames came
      if (at - last > 3 * STEP_S) path += 'h1';
      last = at;
    }
    part.path.setAttribute('d', path);
    const hasLine = camera.threshold !== null && camera.threshold !== undefined;
    part.line.style.display = hasLine ? '' : 'none';
    if (hasLine) for (const [key, value] of [['x1', 0], ['x2', 720], ['y1', y(camera.threshold)], ['y2', y(camera.threshold)]]) part.line.setAttribute(key, value);
    const most = points.length ? Math.max(...points.map(([, value]) => value)) : null;
    part.svg.setAttribute('aria-label', most === null ? 'No scores in the last hour' : 'Scores of the last hour, highest ' + score(most));
  }

  function draw(camera, now) {
    let part = tiles.get(camera.name);
    if (!part) { part = makeTile(camera.name); tiles.set(camera.name, part); }
    const age = camera.updated ? now - camera.updated : null;
    const isStale = camera.state === 'live' || camera.state === 'reconnecting' ? age > STALE_S : false;
    const word = camera.problem && !camera.state ? 'unreadable' : isStale ? 'no news for ' + ago(age) : camera.state;
    part.tag.textContent = word;
    part.tag.className = 'tag ' + (isStale || !camera.state ? 'stale' : camera.state);
    part.row.toggleAttribute('data-stale', isStale || camera.state !== 'live');
    part.row.toggleAttribute('data-alarm', Boolean(camera.open_event) && !isStale);
    part.open.hidden = !camera.open_event;
    if (camera.open_event) {
      const event = camera.open_event;
      const where = event.zone ? ' in ' + event.zone : '';
      part.open.textContent = (event.label || 'Event') + where + ' since ' + time(event.start) + ', highest score ' + score(event.score);
    }
    const message = camera.problem || camera.message || '';
    part.message.hidden = !message;
    part.message.textContent = message;
    part.message.className = camera.problem || camera.state === 'reconnecting' || camera.state === 'failed' ? 'error' : 'muted';
    part.score.textContent = score(camera.score);
    part.age.textContent = camera.updated ? time(camera.updated) : '';
    if (camera.picture && camera.updated) {
      const source = camera.picture + '?t=' + camera.updated;
      if (part.shown !== source) {
        part.shown = source;
        const next = new Image();
        next.addEventListener('load', () => { part.img.src = next.src; part.img.hidden = false; part.none.hidden = true; part.img.alt = 'Latest picture of ' + camera.name; });
        next.src = source;
      }
    }
    part.img.hidden = !part.img.src || !camera.picture;
    part.none.hidden = !part.img.hidden;
    drawCurve(part, camera, now);
    const numbers = [];
    if (camera.size) numbers.push(camera.size[1] + ' × ' + camera.size[0]);
    if (camera.source_fps) numbers.push(camera.source_fps.toFixed(1) + ' frames/s, scored ' + (camera.scored_fps || 0).toFixed(1));
    if (camera.lag_s !== null && camera.lag_s !== undefined) numbers.push('lag ' + seconds(camera.lag_s));
    if (camera.latency_median_s !== null && camera.latency_median_s !== undefined) numbers.push('latency ' + seconds(camera.latency_median_s) + ' (99 %: ' + seconds(camera.latency_p99_s) + ')');
    if (camera.dropped) numbers.push(camera.dropped.toLocaleString() + ' of ' + camera.read.toLocaleString() + ' frames dropped');
    part.numbers.replaceChildren(...numbers.map((text) => make('span', {textContent: text})));
    const key = JSON.stringify(camera.last_events);
    if (part.eventsKey !== key) {
      part.eventsKey = key;
      part.events.replaceChildren(...camera.last_events.map((event) => {
        const date = new Date(event.start * 1000);
        const when = make('time', {dateTime: date.toISOString(), textContent: now - event.start > 72000 ? date.toLocaleString([], {month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit'}) : time(event.start)});
        const what = make('span', {className: 'what', textContent: (event.label || 'event') + ', ' + ago(event.end - event.start) + ', ' + score(event.score), title: event.reason || ''});
        const row = make('li', {}, when, what);
        if (event.clip) row.append(make('a', {href: event.clip, textContent: 'clip'}));
        return row;
      }));
      part.events.hidden = !camera.last_events.length;
    }
    return part.row;
  }

  async function tick() {
    let pause = 1000;
    try {
      const answer = await fetch('/api/cameras', {headers: {Accept: 'application/json'}});
      if (answer.status === 401) { location.assign('/login?next=%2Fwall'); return; }
      const found = await answer.json();
      const list = $('cameras');
      const rows = found.cameras.map((camera) => draw(camera, found.now));
      rows.forEach((row, place) => { if (list.children[place] !== row) list.insertBefore(row, list.children[place] || null); });
      for (const [name, part] of tiles) if (!rows.includes(part.row)) { part.row.remove(); tiles.delete(name); }
      $('none').hidden = rows.length > 0;
      const live = found.cameras.filter((camera) => camera.state === 'live' && found.now - camera.updated <= STALE_S).length;
      const alarms = found.cameras.filter((camera) => camera.open_event).length;
      const text = rows.length ? live + ' of ' + rows.length + ' live' + (alarms ? ', ' + alarms + ' with an event now' : '') : '';
      if ($('summary').textContent !== text) $('summary').textContent = text;
      $('away').hidden = true;
    } catch (error) {
      $('away').hidden = false;
      $('away').textContent = 'The service cannot be reached. Trying again …';
      pause = 3000;
    }
    setTimeout(tick, document.hidden ? 5000 : pause);
  }
  tick();
})();
