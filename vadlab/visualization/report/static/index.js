// List of videos: filters, sorting, marks, previews.
'use strict';
(function (V) {
  const $ = (id) => document.getElementById(id);
  const list = $('videos');
  const rows = new Map([...list.children].map((row) => [row.dataset.name, row]));
  const videos = V.data.videos;
  const filters = {text: $('f-text'), class: $('f-class'), events: $('f-events'), reviewed: $('f-reviewed'), score: $('f-score'), sort: $('f-sort')};
  const kept = 'vadlab:' + V.data.report + ':filters';

  const byName = new Intl.Collator(undefined, {numeric: true}).compare;
  const orders = {
    score: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity) || byName(a.name, b.name),
    name: (a, b) => byName(a.name, b.name),
    events: (a, b) => b.events - a.events || byName(a.name, b.name),
    duration: (a, b) => b.duration_s - a.duration_s || byName(a.name, b.name),
  };

  function fits(video, reviewed) {
    const text = filters.text.value.trim().toLowerCase();
    if (text && !video.name.toLowerCase().includes(text)) return false;
    if (filters.class.value && !video.labels.includes(filters.class.value)) return false;
    const least = parseFloat(filters.score.value);
    if (!Number.isNaN(least) && !(video.score !== null && video.score >= least)) return false;
    if (filters.reviewed.value && (filters.reviewed.value === 'yes') !== reviewed) return false;
    const events = filters.events.value;
    if (events === 'error') return Boolean(video.error);
    return !events || (!video.error && (events === 'yes') === video.events > 0);
  }

  function update() {
    const shown = [];
    for (const video of [...videos].sort(orders[filters.sort.value] || orders.score)) {
      const row = rows.get(video.name);
      const reviewed = V.readMarks(video.name).reviewed === true;
      const done = row.querySelector('.done');
      if (done) done.hidden = !reviewed;
      row.hidden = !fits(video, reviewed);
      if (!row.hidden) shown.push(video);
      list.append(row);
    }
    $('shown').textContent = shown.length + ' of ' + videos.length + ' videos';
    $('empty').hidden = shown.length > 0 || !videos.length;
    try {
      const values = Object.fromEntries(Object.entries(filters).map(([name, input]) => [name, input.value]));
      sessionStorage.setItem(kept, JSON.stringify(values));
      sessionStorage.setItem('vadlab:' + V.data.report + ':order', JSON.stringify(shown.map((video) => [video.name, video.page])));
    } catch (error) { /* no storage: pages have no link to the next video */ }
  }

  try {
    for (const [name, value] of Object.entries(JSON.parse(sessionStorage.getItem(kept)) || {})) {
      if (filters[name]) filters[name].value = value;
    }
    if (!filters.sort.value) filters.sort.value = 'score';
  } catch (error) { /* no storage */ }
  for (const input of Object.values(filters)) input.addEventListener('input', update);
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  $('f-reset').addEventListener('click', () => {
    for (const [name, input] of Object.entries(filters)) input.value = name === 'sort' ? input.value : '';
    update();
  });

  // The strip under the pointer shows the part of the video at the pointer's place.
  function showFrame(cover, share) {
    const image = cover.querySelector('.frame img');
    if (!image) return;
    const count = Number(cover.querySelector('.frame').dataset.frames);
    const frame = Math.min(Math.max(Math.floor(share * count), 0), count - 1);
    image.style.transform = 'translateX(' + (-100 * frame) / count + '%)';
  }
  for (const cover of document.querySelectorAll('.cover')) {
    cover.addEventListener('pointermove', (event) => {
      const box = cover.getBoundingClientRect();
      showFrame(cover, (event.clientX - box.left) / box.width);
    });
    cover.addEventListener('pointerleave', () => showFrame(cover, 0));
  }

  const states = () => videos.map((video) => ({video: video.name, ...V.readMarks(video.name)})).filter((state) => state.reviewed || state.marks.length);
  $('export-json').addEventListener('click', () => V.download('marks.json', 'application/json', V.marksAsJson(states())));
  $('export-csv').addEventListener('click', () => V.download('marks.csv', 'text/csv', V.marksAsCsv(states())));
  V.leaveSign();
  V.takeMarks(location.hash, new Set(rows.keys()));
  if (location.hash.startsWith('#marks=')) location.replace('#'); // the marks may be older than those of a later visit
  window.addEventListener('pageshow', update);
  update();
})(window.VADLab);
