// Page of a video: player, curve as seek bar, events of a threshold, boxes, class curves, marks. One file, since all of
// them share the position, the threshold and the events, and pages on disk cannot load modules.
'use strict';
(function (V) {
  const $ = (id) => document.getElementById(id);
  const data = V.data;
  const n = data.frames;
  const scores = V.float32(data.scores);
  const times = V.times(data.times, n);
  const seen = V.int32(data.frame_inds);
  const origin = n ? times[0] : 0; // the page's video starts at 0
  const duration = n ? times[n - 1] + 1 / data.fps - origin : 0;
  const at = (frame) => times[frame] - origin;
  const video = $('video');
  const state = {frame: 0, time: 0, events: [], view: [0, Math.max(duration, 1e-3)], current: -1, missedFrom: null};
  const marks = V.readMarks(data.name);
  if (!n) return;

  // ------------------------------------------------------------------------------------------------------ position

  function frameAt(time) {
    // Times of a player are rounded; a millisecond, or half of the shortest frame, belongs to the next frame.
    const slack = Math.min(0.001, 0.25 / data.fps);
    return Math.max(V.lastAtMost(times, time + origin + slack), 0);
  }

  function seek(time) {
    const goal = Math.min(Math.max(time, 0), Math.max(duration - 0.5 / data.fps, 0));
    if (video && video.readyState > 0) video.currentTime = goal;
    else if (video) video.addEventListener('loadedmetadata', () => { video.currentTime = goal; }, {once: true});
    moved(goal);
  }

  const seekFrame = (frame) => {
    const wanted = Math.min(Math.max(frame, 0), n - 1);
    const next = wanted + 1 < n ? at(wanted + 1) : duration;
    seek(at(wanted) + Math.min(0.25 * (next - at(wanted)), 0.005));
  };

  function moved(time) {
    state.time = time;
    state.frame = frameAt(time);
    const score = scores[state.frame];
    $('clock').textContent = V.clock(time);
    $('frame').textContent = 'frame ' + state.frame;
    $('now').textContent = number(score);
    $('now').classList.toggle('alarm', score >= limits.high);
    const slider = $('cursor');
    slider.setAttribute('aria-valuenow', time.toFixed(3));
    slider.setAttribute('aria-valuetext', V.clock(time) + ', frame ' + state.frame + ', score ' + number(score));
    if (time < state.view[0] || time > state.view[1]) {
      const width = state.view[1] - state.view[0];
      setView(time - width * 0.1, time + width * 0.9);
    }
    drawCursor();
    drawBoxes();
    const current = state.events.findIndex((event) => event.start <= state.frame && state.frame < event.end);
    if (current !== state.current) {
      state.current = current;
      [...$('events').children].forEach((row, i) => row.toggleAttribute('data-current', i === current));
    }
  }

  function number(value) {
    if (Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.001)) return value.toExponential(2);
    return value.toFixed(isProbability && value < 1 && value > 0.999 ? 5 : 3);
  }

  if (video) {
    const follow = 'requestVideoFrameCallback' in HTMLVideoElement.prototype;
    const onFrame = (now, frame) => {
      if (!video.seeking) moved(frame.mediaTime); // else it is the picture of an earlier goal
      video.requestVideoFrameCallback(onFrame);
    };
    const onTick = () => {
      if (!video.paused) moved(video.currentTime);
      requestAnimationFrame(onTick);
    };
    if (follow) video.requestVideoFrameCallback(onFrame); else onTick();
    video.addEventListener('seeked', () => moved(video.currentTime));
    const playing = () => {
      $('play').setAttribute('aria-label', video.paused ? 'Play' : 'Pause');
      $('play').toggleAttribute('data-playing', !video.paused);
    };
    for (const name of ['play', 'pause', 'ended']) video.addEventListener(name, playing);
    video.addEventListener('error', () => {
      const note = document.createElement('p');
      note.className = 'novideo';
      note.textContent = 'This browser cannot play the video of this page (' + (video.error ? video.error.message || 'code ' + video.error.code : '') + ').';
      video.replaceWith(note);
      $('play').disabled = true;
    });
    video.addEventListener('click', () => togglePlay());
    $('play').addEventListener('click', () => togglePlay());
    $('speed').addEventListener('change', () => { video.playbackRate = Number($('speed').value); });
  }

  function togglePlay() {
    if (!video || $('play').disabled) return;
    if (video.paused) video.play().catch(() => {}); else video.pause();
  }

  // ---------------------------------------------------------------------------------------------------- thresholds

  const [bottom, top] = data.range;
  const given = data.threshold || {high: (bottom + top) / 2, low: (bottom + top) / 2, min_s: 0, gap_s: 0};
  const limits = {...given};
  // Probabilities near 0 and 1 differ in their log-odds: the slider, and the axis if chosen, use them.
  const isProbability = bottom >= 0 && top <= 1;
  const ODDS = 14; // of float32's last value below 1, about
  const logOdds = (value) => Math.min(Math.max(Math.log(value / (1 - value)), -ODDS), ODDS);
  const toSlider = (value) => (isProbability ? logOdds(value) : value);
  const fromSlider = (value) => (isProbability ? 1 / (1 + Math.exp(-value)) : value);
  const slider = $('threshold');
  const field = $('threshold-value');
  const lowest = Math.min(bottom, given.high), highest = Math.max(top, given.high);
  slider.min = String(isProbability ? Math.min(-4, toSlider(lowest || 0.02)) : lowest);
  slider.max = String(isProbability ? Math.max(4, toSlider(Math.max(given.high, scores.reduce((a, b) => Math.max(a, b), 0)))) : highest);
  field.step = String(10 ** Math.floor(Math.log10(Math.max(highest - lowest, 1e-6) / 100)));

  function setThreshold(value, fromField) {
    if (!Number.isFinite(value)) return;
    limits.high = value;
    limits.low = Math.min(given.low, value);
    slider.value = String(toSlider(value));
    if (!fromField) field.value = String(Number(value.toPrecision(5)));
    slider.setAttribute('aria-valuetext', number(value));
    state.events = V.findEvents(scores, times, data.fps, limits).map(named);
    $('threshold-reset').hidden = value === given.high;
    sayVerdict();
    listEvents();
    drawCurve();
    moved(state.time);
  }

  // Python's label and reason where its event has the same peak; else the class with the highest score there.
  function named(event) {
    const same = data.events.find((other) => event.start <= other.peak && other.peak < event.end && other.peak === event.peak)
      || data.events.find((other) => other.start < event.end && event.start < other.end);
    if (same) return {...event, label: same.label, reason: same.reason, example: same.peak};
    return {...event, label: classAt(event.peak), reason: ''};
  }

  function sayVerdict() {
    const count = state.events.length;
    const parts = [count + (count === 1 ? ' event' : ' events')];
    if (data.calibration) {
      const {rate, exact} = V.falseAlarms(data.calibration, limits.high);
      const hours = data.calibration.hours;
      const least = rate === 0 ? ' (none in ' + short(hours) + ' hours)' : '';
      parts.push((exact ? '' : 'more than ') + short(rate) + ' false alarms per hour on the calibration footage' + least + otherRules());
    } else {
      parts.push('false alarms per hour are unknown: there is no calibration (vadlab calibrate writes one)');
    }
    if (data.truth && data.truth.length) {
      const hit = data.truth.filter(([start, end]) => state.events.some((event) => event.start < end && start < event.end)).length;
      parts.push(hit + ' of ' + data.truth.length + ' true stretches found');
    }
    $('verdict').textContent = parts.join('; ') + '.';
  }

  // The rules by which the alarms were counted, if the events here follow other ones.
  function otherRules() {
    const c = data.calibration;
    if (c.low === given.low && c.min_s === given.min_s && c.gap_s === given.gap_s) return '';
    const shortest = c.min_s ? ', of at least ' + short(c.min_s) + ' s' : '';
    return ', counted with a low threshold of ' + number(c.low) + ' and gaps up to ' + short(c.gap_s) + ' s' + shortest;
  }

  const short = (value) => (value === 0 ? '0' : String(Number(value.toPrecision(3))));

  // Browsers differ in the step of a key: a hundredth of the slider in all of them.
  slider.addEventListener('keydown', (event) => {
    const steps = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10}[event.key];
    if (!steps || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const [least, most] = [Number(slider.min), Number(slider.max)];
    const value = Number(slider.value) + (steps * (most - least)) / 100;
    setThreshold(fromSlider(Math.min(Math.max(value, least), most)));
  });
  slider.addEventListener('input', () => setThreshold(fromSlider(Number(slider.value))));
  field.addEventListener('input', () => { if (field.value !== '') setThreshold(Number(field.value), true); });
  field.addEventListener('change', () => setThreshold(limits.high));
  $('threshold-reset').addEventListener('click', () => setThreshold(given.high));

  // -------------------------------------------------------------------------------------------------------- events

  const MOST = 300; // rows
  const pictures = new Set(data.video.thumbs || []);

  function listEvents() {
    const list = $('events');
    const rows = state.events.slice(0, MOST).map(eventRow);
    refill(list, rows);
    $('events-count').textContent = state.events.length ? String(state.events.length) : '';
    $('no-events').hidden = state.events.length > 0;
    $('more-events').hidden = state.events.length <= MOST;
    $('more-events').textContent = 'The first ' + MOST + ' of ' + state.events.length + ' events. A higher threshold shows fewer.';
    state.current = -1;
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Replace the rows of a list; a focused button's successor gets the focus.
  function refill(list, rows) {
    const held = [...list.querySelectorAll('button')].indexOf(document.activeElement);
    list.replaceChildren(...rows);
    const buttons = list.querySelectorAll('button');
    if (held >= 0) (buttons[Math.min(held, buttons.length - 1)] || $('missed')).focus({preventScroll: true});
  }

  function eventRow(event, i) {
    const row = element('li', 'event');
    const jump = element('button', 'jump');
    jump.type = 'button';
    const words = element('span', 'words');
    const what = V.clock(event.start_s - origin) + ' – ' + V.clock(event.end_s - origin);
    words.append(element('strong', '', event.label || 'Event ' + (i + 1)), element('span', 'muted', what));
    const line = element('span', 'muted');
    line.append(element('span', 'score alarm', number(event.score)), ' at ' + V.clock(event.peak_s - origin));
    words.append(line);
    if (event.reason) words.append(element('span', 'reason', event.reason));
    const about = [event.reason];
    if (data.truth) {
      const hit = data.truth.some(([start, end]) => event.start < end && start < event.end);
      about.push(hit ? 'overlaps truth' : 'outside truth');
      words.append(element('span', hit ? 'tag good' : 'tag bad', about[1]));
    }
    const told = (data.video.examples || {})[event.example];
    if (told) {
      const picture = element('img', 'example');
      picture.src = data.video.thumb_folder + '/example_' + event.example + '.jpg';
      picture.alt = picture.title = told;
      picture.loading = 'lazy';
      words.append(picture, element('span', 'muted small', 'this object | nearest normal'));
    }
    jump.append(thumbnail(event), words);
    const spoken = ['Jump to event ' + (i + 1), event.label, what, 'score ' + number(event.score), ...about];
    jump.setAttribute('aria-label', spoken.filter(Boolean).join(', '));
    jump.addEventListener('click', () => seekFrame(event.peak));
    const verdicts = element('span', 'verdicts');
    for (const [kind, label] of [['correct', 'Correct'], ['false alarm', 'False alarm']]) {
      const button = element('button', 'mark', label);
      button.type = 'button';
      button.setAttribute('aria-label', label + ', event ' + (i + 1));
      const known = markOf(event);
      button.setAttribute('aria-pressed', String(Boolean(known && known.kind === kind)));
      button.addEventListener('click', () => markEvent(event, kind));
      verdicts.append(button);
    }
    row.append(jump, verdicts);
    return row;
  }

  function thumbnail(event) {
    const box = element('span', 'thumb');
    if (pictures.has(event.peak)) {
      const image = element('img');
      image.loading = 'lazy';
      image.alt = '';
      image.src = data.video.thumb_folder + '/' + event.peak + '.jpg';
      box.append(image);
    } else if (video) {
      const canvas = element('canvas');
      canvas.width = 160;
      canvas.height = Math.max(Math.round((160 * data.size[0]) / data.size[1]), 1);
      box.append(canvas);
      watcher.observe(canvas);
      wanted.set(canvas, event.peak);
    }
    return box;
  }

  // Pictures of events that Python did not draw: a second player seeks to them, when they are scrolled into view.
  const wanted = new Map();
  const queue = [];
  let helper = null;
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      queue.push(entry.target);
      if (queue.length === 1) drawNext();
    }
  });

  function drawNext() {
    while (queue.length && !queue[0].isConnected) wanted.delete(queue.shift());
    if (!queue.length) return;
    if (!helper) {
      helper = document.createElement('video');
      helper.muted = true;
      helper.preload = 'auto';
      helper.src = video.src;
      helper.addEventListener('seeked', () => {
        const canvas = queue.shift();
        if (canvas) {
          canvas.getContext('2d').drawImage(helper, 0, 0, canvas.width, canvas.height);
          wanted.delete(canvas);
        }
        drawNext();
      });
      helper.addEventListener('error', () => { queue.length = 0; });
    }
    const frame = wanted.get(queue[0]);
    const go = () => { helper.currentTime = at(frame) + 0.002; };
    if (helper.readyState > 0) go(); else helper.addEventListener('loadedmetadata', go, {once: true});
  }

  function step(direction) {
    const {events, frame} = state;
    const next = direction > 0 ? events.find((event) => event.peak > frame) : events.findLast((event) => event.peak < frame);
    if (next) seekFrame(next.peak);
  }
  $('next').addEventListener('click', () => step(1));
  $('previous').addEventListener('click', () => step(-1));

  // --------------------------------------------------------------------------------------------------------- marks

  function markOf(event) {
    return marks.marks.find((mark) => mark.kind !== 'missed' && event.start <= mark.peak && mark.peak < event.end);
  }

  function markEvent(event, kind) {
    const known = markOf(event);
    marks.marks = marks.marks.filter((mark) => mark !== known);
    if (!known || known.kind !== kind) {
      const {start, end, start_s, end_s, peak, score, label} = event;
      marks.marks.push({kind, start, end, start_s, end_s, peak, score, threshold: limits.high, label: label || null});
    }
    keep();
  }

  function markMissed() {
    const button = $('missed');
    if (state.missedFrom === null) {
      state.missedFrom = state.frame;
      button.textContent = 'End of the missed event (from ' + V.clock(at(state.frame)) + ')';
      button.setAttribute('data-active', '');
      return;
    }
    const start = Math.min(state.missedFrom, state.frame), end = Math.max(state.missedFrom, state.frame) + 1;
    const end_s = end < n ? times[end] : times[n - 1] + 1 / data.fps;
    marks.marks.push({kind: 'missed', start, end, start_s: times[start], end_s, threshold: limits.high, label: null});
    state.missedFrom = null;
    button.textContent = 'Mark a missed event';
    button.removeAttribute('data-active');
    keep();
  }

  function keep() {
    marks.marks.sort((a, b) => a.start - b.start);
    const kept = V.writeMarks(data.name, marks);
    listMarks();
    listEvents();
    drawCurve();
    moved(state.time);
    if (!kept) $('marks').append(element('li', 'error', 'This browser keeps no data of this page: export the marks before you leave.'));
  }

  const isApart = !V.sharesStorage();
  $('apart').hidden = !isApart;

  function listMarks() {
    if (isApart) $('to-list').hash = V.linkWithMarks(data.name, marks);
    $('reviewed').checked = marks.reviewed === true;
    refill($('marks'), marks.marks.map((mark) => {
      const row = element('li');
      const jump = element('button', 'jump');
      jump.type = 'button';
      jump.append(element('span', 'tag ' + (mark.kind === 'correct' ? 'good' : 'bad'), mark.kind), ' ' + V.clock(mark.start_s - origin) + ' – ' + V.clock(mark.end_s - origin) + (mark.label ? ' ' + mark.label : ''));
      jump.addEventListener('click', () => seekFrame(mark.peak ?? mark.start));
      const remove = element('button', 'remove', '×');
      remove.type = 'button';
      remove.setAttribute('aria-label', 'Remove the mark ' + mark.kind + ' at ' + V.clock(mark.start_s - origin));
      remove.addEventListener('click', () => {
        marks.marks = marks.marks.filter((other) => other !== mark);
        keep();
      });
      row.append(jump, remove);
      return row;
    }));
  }

  $('missed').addEventListener('click', markMissed);
  $('reviewed').addEventListener('change', () => {
    marks.reviewed = $('reviewed').checked;
    keep();
  });
  const states = () => [{video: data.name, path: data.path, fps: data.fps, frames: n, ...marks}];
  const fileName = (ending) => 'marks-' + data.name.replace(/[^\p{L}\p{N}._-]+/gu, '_') + ending;
  $('export-json').addEventListener('click', () => V.download(fileName('.json'), 'application/json', V.marksAsJson(states())));
  $('export-csv').addEventListener('click', () => V.download(fileName('.csv'), 'text/csv', V.marksAsCsv(states())));

  // --------------------------------------------------------------------------------------------------------- curve

  let colours = {};
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ['ink', 'muted', 'line', 'score', 'event', 'event-edge', 'truth', 'threshold', 'missed']) colours[name] = style.getPropertyValue('--' + name).trim();
  }

  function surface(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    const width = Math.max(Math.round(box.width * ratio), 1), height = Math.max(Math.round(box.height * ratio), 1);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, width, height);
    return {context, width, height, ratio};
  }

  const toX = (time, width) => ((time - state.view[0]) / (state.view[1] - state.view[0])) * width;

  // A curve over time between two heights; of many frames in a pixel, the least and the greatest.
  function trace(context, values, valueTimes, width, y) {
    const [from, to] = [state.view[0] + origin, state.view[1] + origin];
    const shape = V.envelope(values, valueTimes, from, to, width);
    context.beginPath();
    if (shape.last - shape.first < width) {
      for (let i = shape.first; i <= shape.last; i++) {
        const x = toX(valueTimes[i] - origin, width);
        if (i === shape.first) context.moveTo(x, y(values[i])); else context.lineTo(x, y(values[i]));
      }
    } else {
      let previous = null;
      for (let x = 0; x < width; x++) {
        if (Number.isNaN(shape.least[x])) continue;
        const [a, b] = [y(shape.least[x]), y(shape.greatest[x])];
        if (previous === null) context.moveTo(x, a); else context.lineTo(x, a);
        context.lineTo(x, b);
        previous = b;
      }
    }
    context.stroke();
  }

  // The axis of the curve: linear, or log-odds for a threshold so near to 0 or 1 that the curve would be a flat line.
  const axis = {odds: isProbability && Math.abs(logOdds(given.high)) > 3, range: [-4, 4]};
  if (isProbability) {
    let low = logOdds(given.high), high = low;
    for (const value of scores) {
      const shown = logOdds(value);
      if (shown < low) low = shown;
      if (shown > high) high = shown;
    }
    axis.range = [Math.min(low - 0.5, -1), Math.max(high + 0.5, 1)];
    $('axis-switch').hidden = false;
    $('axis').checked = axis.odds;
    $('axis').addEventListener('change', () => {
      axis.odds = $('axis').checked;
      drawCurve();
    });
  }

  const TRACKS = data.truth ? 2 : 1; // strips below the curve: events, truth
  function layout(height, ratio) {
    const strip = 9 * ratio, gap = 3 * ratio, axis = 15 * ratio;
    return {top: 4 * ratio, bottom: height - axis - TRACKS * (strip + gap) - gap, strip, gap, axis: height - axis};
  }

  function drawCurve() {
    const {context, width, height, ratio} = surface($('curve'));
    const place = layout(height, ratio);
    const [least, greatest] = axis.odds ? axis.range : [bottom, top];
    const y = (value) => {
      const shown = axis.odds ? logOdds(value) : value;
      return place.bottom - ((Math.min(Math.max(shown, least), greatest) - least) / (greatest - least)) * (place.bottom - place.top);
    };
    const bar = (start_s, end_s, from, to) => {
      const x = toX(start_s - origin, width);
      context.fillRect(x, from, Math.max(toX(end_s - origin, width) - x, ratio), to - from);
    };
    context.lineWidth = ratio;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.muted;
    context.font = 10 * ratio + 'px system-ui, sans-serif';
    context.textBaseline = 'top';
    const unit = tick(state.view[1] - state.view[0], width / ratio);
    for (let t = Math.ceil(state.view[0] / unit) * unit; t <= state.view[1]; t += unit) {
      const x = Math.round(toX(t, width)) + 0.5;
      context.beginPath();
      context.moveTo(x, place.top);
      context.lineTo(x, place.axis);
      context.stroke();
      const text = unit < 1 ? V.clock(t) : V.clock(t).replace(/\.0$/, '');
      if (x + 3 * ratio + context.measureText(text).width <= width) context.fillText(text, x + 3 * ratio, place.axis + 2 * ratio);
    }
    let row = place.bottom + 2 * place.gap;
    for (const event of state.events) {
      context.fillStyle = colours.event;
      bar(event.start_s, event.end_s, place.top, place.bottom);
      const mark = markOf(event);
      context.fillStyle = mark && mark.kind === 'false alarm' ? colours.muted : colours['event-edge'];
      bar(event.start_s, event.end_s, row, row + place.strip);
    }
    context.fillStyle = colours.missed;
    for (const mark of marks.marks) if (mark.kind === 'missed') bar(mark.start_s, mark.end_s, row, row + place.strip);
    row += place.strip + place.gap;
    context.fillStyle = colours.truth;
    for (const [start, end] of data.truth || []) {
      const last = Math.min(end, n) - 1;
      if (start < n && last >= start) bar(times[start], last + 1 < n ? times[last + 1] : times[n - 1] + 1 / data.fps, row, row + place.strip);
    }
    context.strokeStyle = colours.score;
    context.lineWidth = 1.5 * ratio;
    context.lineJoin = 'round';
    trace(context, scores, times, width, y);
    context.strokeStyle = colours.threshold;
    context.lineWidth = ratio;
    context.setLineDash([5 * ratio, 4 * ratio]);
    context.beginPath();
    context.moveTo(0, y(limits.high));
    context.lineTo(width, y(limits.high));
    context.stroke();
    context.setLineDash([]);
    drawClasses();
  }

  function tick(seconds, pixels) {
    const least = (seconds * 70) / Math.max(pixels, 1);
    return [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].find((unit) => unit >= least) || 14400;
  }

  function drawCursor() {
    const {context, width, height, ratio} = surface($('cursor'));
    const x = toX(state.time, width);
    if (state.missedFrom !== null) {
      const from = toX(at(state.missedFrom), width);
      context.fillStyle = colours.missed;
      context.globalAlpha = 0.35;
      context.fillRect(Math.min(from, x), 0, Math.abs(x - from), height - 15 * ratio);
      context.globalAlpha = 1;
    }
    context.fillStyle = colours.ink;
    context.fillRect(Math.round(x - ratio), 0, 2 * ratio, height - 15 * ratio);
    context.beginPath();
    context.arc(x, 4 * ratio, 4 * ratio, 0, 2 * Math.PI);
    context.fill();
  }

  function setView(from, to) {
    const width = Math.min(Math.max(to - from, Math.min(2, duration)), duration);
    const start = Math.min(Math.max(from, 0), duration - width);
    state.view = [start, start + width];
    drawCurve();
    drawCursor();
  }

  function zoom(factor, center = state.time) {
    const [a, b] = state.view;
    const share = Math.min(Math.max((center - a) / (b - a), 0), 1);
    const width = (b - a) * factor;
    setView(center - share * width, center + (1 - share) * width);
  }
  $('zoom-in').addEventListener('click', () => zoom(0.5));
  $('zoom-out').addEventListener('click', () => zoom(2));
  $('zoom-all').addEventListener('click', () => setView(0, duration));

  const cursor = $('cursor');
  const timeOf = (event) => {
    const box = cursor.getBoundingClientRect();
    return state.view[0] + ((event.clientX - box.left) / box.width) * (state.view[1] - state.view[0]);
  };
  let dragging = false;
  cursor.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    dragging = true;
    cursor.setPointerCapture(event.pointerId);
    seek(timeOf(event));
  });
  cursor.addEventListener('pointermove', (event) => {
    const time = timeOf(event);
    if (dragging) seek(time);
    const frame = frameAt(Math.min(Math.max(time, 0), duration));
    const tip = $('tip');
    tip.hidden = event.pointerType === 'touch' && !dragging;
    tip.textContent = V.clock(at(frame)) + '  score ' + number(scores[frame]);
    const box = cursor.getBoundingClientRect();
    tip.style.left = Math.min(Math.max(event.clientX - box.left, 60), box.width - 60) + 'px';
  });
  for (const name of ['pointerup', 'pointercancel']) cursor.addEventListener(name, () => { dragging = false; });
  cursor.addEventListener('pointerleave', () => { $('tip').hidden = true; });
  cursor.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && Math.abs(event.deltaX) < Math.abs(event.deltaY) && !event.shiftKey) {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, timeOf(event));
    }
  }, {passive: false});

  // -------------------------------------------------------------------------------------------------- class curves

  const classScores = data.class_scores ? V.float32(data.class_scores) : null;
  const classCount = data.classes.length;
  const classTimes = Float64Array.from(seen, (frame) => times[frame]);
  const chosen = new Set();
  // One class is normal: a prompt may begin with this word, too.
  const exact = data.classes.indexOf('Normal');
  const normalClass = exact >= 0 ? exact : data.classes.findIndex((name) => /^normal/i.test(name));

  function classAt(frame) {
    if (!classScores || !seen.length) return null;
    let row = Math.max(V.lastAtMost(seen, frame), 0); // the nearest frame that the model saw
    if (row + 1 < seen.length && seen[row + 1] - frame < frame - seen[row]) row++;
    let best = -1;
    for (let c = 0; c < classCount; c++) {
      if (c !== normalClass && (best < 0 || classScores[row * classCount + c] > classScores[row * classCount + best])) best = c;
    }
    return best < 0 ? null : data.classes[best];
  }

  const classColour = (c) => 'hsl(' + ((c * 137.5) % 360).toFixed(0) + ' 65% var(--class-light))';

  function setUpClasses() {
    if (!classScores || !$('classes')) return;
    const peaks = data.classes.map((name, c) => {
      let highest = -Infinity;
      for (let row = 0; row < seen.length; row++) highest = Math.max(highest, classScores[row * classCount + c]);
      return highest;
    });
    const order = data.classes.map((name, c) => c).sort((a, b) => peaks[b] - peaks[a]);
    order.filter((c) => c !== normalClass).slice(0, 3).forEach((c) => chosen.add(c));
    $('class-list').replaceChildren(...order.map((c) => {
      const label = element('label', 'compact class');
      const box = element('input');
      box.type = 'checkbox';
      box.checked = chosen.has(c);
      box.addEventListener('change', () => {
        if (box.checked) chosen.add(c); else chosen.delete(c);
        drawClasses();
      });
      const key = element('i', 'swatch');
      key.style.background = classColour(c);
      label.append(box, key, data.classes[c]);
      return label;
    }));
    $('classes').addEventListener('toggle', drawClasses);
  }

  function drawClasses() {
    if (!classScores || !$('classes') || !$('classes').open) return;
    const {context, width, height, ratio} = surface($('class-curves'));
    let least = 0, greatest = 1;
    for (const value of classScores) {
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
    const y = (value) => height - 2 * ratio - ((value - least) / (greatest - least)) * (height - 4 * ratio);
    context.lineWidth = 1.5 * ratio;
    const probe = element('i');
    $('class-list').append(probe);
    for (const c of chosen) {
      probe.style.color = classColour(c);
      context.strokeStyle = getComputedStyle(probe).color;
      const column = Float32Array.from(seen, (frame, row) => classScores[row * classCount + c]);
      trace(context, column, classTimes, width, y);
    }
    probe.remove();
  }

  // --------------------------------------------------------------------------------------------------------- boxes

  const PALETTE = ['#d94816', '#1f5fae', '#1d7a3a', '#8a3fc0', '#a05a00', '#00747f']; // of tracks, with white text
  const boxes = data.boxes ? {
    frames: V.int32(data.boxes.frames), xyxyn: V.float32(data.boxes.xyxyn), scores: V.float32(data.boxes.scores),
    tracks: V.int32(data.boxes.tracks), labels: V.int32(data.boxes.labels), reasons: V.int32(data.boxes.reasons), words: data.boxes.words,
  } : null;

  // Boxes of a frame: those of the last frame that has some, until the model's next frame; a track moves in between.
  V.boxesAt = function (frame) {
    if (!boxes) return [];
    const last = V.lastAtMost(boxes.frames, frame);
    if (last < 0) return [];
    const here = boxes.frames[last];
    const next = seen[V.lastAtMost(seen, here) + 1];
    const until = next === undefined || next <= here ? here + 1 : next;
    if (frame >= until && frame !== here) return [];
    const later = new Map();
    if (frame > here) {
      for (let i = last + 1; i < boxes.frames.length && boxes.frames[i] === until; i++) if (boxes.tracks[i] >= 0) later.set(boxes.tracks[i], i);
    }
    const found = [];
    for (let i = last; i >= 0 && boxes.frames[i] === here; i--) {
      const corners = Array.from(boxes.xyxyn.subarray(4 * i, 4 * i + 4));
      const goal = boxes.tracks[i] >= 0 ? later.get(boxes.tracks[i]) : undefined;
      if (goal !== undefined) {
        const share = (times[frame] - times[here]) / (times[until] - times[here]);
        for (let k = 0; k < 4; k++) corners[k] += share * (boxes.xyxyn[4 * goal + k] - corners[k]);
      }
      found.push({corners, score: boxes.scores[i], track: boxes.tracks[i], label: boxes.words[boxes.labels[i]], reason: boxes.words[boxes.reasons[i]]});
    }
    return found.reverse();
  };

  function drawBoxes() {
    const canvas = $('boxes');
    if (!boxes || !video) return;
    const {context, width, height, ratio} = surface(canvas);
    canvas.dataset.count = '0';
    if (!$('show-boxes').checked) listReasons(null);
    if (!$('show-boxes').checked) return;
    // The picture is centred in its element.
    const scale = Math.min(width / data.size[1], height / data.size[0]);
    const w = data.size[1] * scale, h = data.size[0] * scale;
    const left = (width - w) / 2, above = (height - h) / 2;
    const found = V.boxesAt(state.frame);
    canvas.dataset.count = String(found.length);
    listReasons(found);
    context.font = 'bold ' + 12 * ratio + 'px system-ui, sans-serif';
    context.textBaseline = 'middle';
    for (const box of found) {
      const [x1, y1, x2, y2] = box.corners;
      const colour = box.track > 0 ? PALETTE[box.track % PALETTE.length] : PALETTE[0];
      const [x, y] = [left + x1 * w, above + y1 * h];
      context.lineWidth = 2 * ratio;
      context.strokeStyle = colour;
      context.strokeRect(x, y, (x2 - x1) * w, (y2 - y1) * h);
      const text = [box.label, number(box.score)].filter(Boolean).join(' ');
      const wide = context.measureText(text).width + 8 * ratio;
      const line = 18 * ratio;
      const textY = y - line >= 0 ? y - line : y;
      context.fillStyle = colour;
      context.fillRect(Math.min(x - ratio, width - wide), textY, wide, line);
      context.fillStyle = '#fff';
      context.fillText(text, Math.min(x - ratio, width - wide) + 4 * ratio, textY + line / 2);
    }
  }
  // Why a box is there, in words, for the boxes of the shown frame.
  let listed = null;
  function listReasons(found) {
    const lines = (found || []).filter((box) => box.reason).slice(0, 4).map((box) => [box.label, box.reason].filter(Boolean).join(': '));
    if (found && !found.length) lines.push('No boxes in this frame.');
    if (lines.join('\n') === listed) return;
    listed = lines.join('\n');
    $('reasons').querySelector('ul').replaceChildren(...lines.map((line) => element('li', '', line)));
  }
  if (boxes && video) {
    $('reasons').hidden = !boxes.words.some((word, i) => word && boxes.reasons.includes(i));
    $('boxes-switch').hidden = false;
    $('show-boxes').addEventListener('change', drawBoxes);
  }

  // ---------------------------------------------------------------------------------------------- keys and the list

  function go(id) {
    const link = $(id);
    if (!link.hidden) link.click();
  }

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || V.typing(event.target)) return;
    const onRange = event.target.matches('input[type=range]');
    if (event.key === ' ' && event.target.matches('button, summary, input[type=checkbox], a')) return;
    const current = state.events.find((item) => item.start <= state.frame && state.frame < item.end);
    const actions = {
      ' ': togglePlay,
      ArrowLeft: () => seek(state.time - (event.shiftKey ? 10 : 1)),
      ArrowRight: () => seek(state.time + (event.shiftKey ? 10 : 1)),
      Home: () => seek(0),
      End: () => seek(duration),
      ',': () => seekFrame(state.frame - 1),
      '.': () => seekFrame(state.frame + 1),
      n: () => step(1),
      p: () => step(-1),
      c: () => current && markEvent(current, 'correct'),
      f: () => current && markEvent(current, 'false alarm'),
      m: markMissed,
      r: () => $('reviewed').click(),
      b: () => boxes && video && $('show-boxes').click(),
      '+': () => zoom(0.5),
      '-': () => zoom(2),
      0: () => setView(0, duration),
      '[': () => go('previous-video'),
      ']': () => go('next-video'),
    };
    const action = actions[event.key];
    if (!action || (onRange && /^(Arrow|Home|End)/.test(event.key))) return;
    event.preventDefault();
    action();
  });

  try {
    const order = JSON.parse(sessionStorage.getItem('vadlab:' + data.report + ':order')) || [];
    const place = order.findIndex(([name]) => name === data.name);
    for (const [id, other] of [['previous-video', order[place - 1]], ['next-video', order[place + 1]]]) {
      if (place < 0 || !other) continue;
      $(id).hidden = false;
      $(id).href = '../' + other[1];
      $(id).title = other[0];
    }
  } catch (error) { /* no storage: no links */ }

  // --------------------------------------------------------------------------------------------------------- start

  function redraw() {
    readColours();
    drawCurve();
    drawCursor();
    drawBoxes();
  }
  readColours();
  setUpClasses();
  listMarks();
  setThreshold(given.high);
  new ResizeObserver(redraw).observe($('chart'));
  new ResizeObserver(drawBoxes).observe($('stage'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
})(window.VADLab);
