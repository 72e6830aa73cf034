// Page to post videos: uploads one after the other, jobs with their progress.
'use strict';
(function () {
  const $ = (id) => document.getElementById(id);
  const state = {info: null, queue: [], uploading: null, jobs: new Map(), isAway: false};

  // ------------------------------------------------------------------------------------------------------ words

  function bytes(count) {
    const units = ['bytes', 'KiB', 'MiB', 'GiB'];
    let i = 0;
    while (count >= 1024 && i < 3) { count /= 1024; i += 1; }
    return (i && count < 100 ? count.toPrecision(3).replace(/\.?0+$/, '') : Math.round(count)) + ' ' + units[i];
  }

  function clock(seconds) {
    const whole = Math.round(seconds);
    const two = (value) => String(value).padStart(2, '0');
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? hours + ':' + two(minutes) + ':' + two(whole % 60) : minutes + ':' + two(whole % 60);
  }

  const hours = (seconds) => (seconds >= 3600 ? Number((seconds / 3600).toFixed(1)) + ' h' : Number((seconds / 60).toFixed(1)) + ' min');
  const plural = (count, word) => count + ' ' + word + (count === 1 ? '' : 's');

  function make(tag, properties, ...children) {
    const found = Object.assign(document.createElement(tag), properties);
    found.append(...children.filter((child) => child !== null));
    return found;
  }

  // -------------------------------------------------------------------------------------------------- requests

  async function ask(path, options) {
    const answer = await fetch(path, {...options, headers: {Accept: 'application/json'}});
    if (answer.status === 401) { location.assign('/login'); throw new Error('log in'); }
    const content = answer.status === 204 ? null : await answer.json();
    if (!answer.ok) throw Object.assign(new Error(content.error.message), {status: answer.status});
    return content;
  }

  function away(isAway) {
    state.isAway = isAway;
    $('away').hidden = !isAway;
    $('away').textContent = isAway ? 'The service cannot be reached. Trying again …' : '';
  }

  async function showInfo() {
    const info = state.info = await ask('/api/info');
    const model = info.model, limits = info.limits;
    const parts = [model.model, model.checkpoint || 'no checkpoint', model.frames, 'threshold ' + Number(model.threshold).toPrecision(3)];
    if (model.is_calibrated === false) parts.push('not calibrated');
    $('model').textContent = parts.filter(Boolean).join(' · ');
    $('limits').textContent = 'Up to ' + bytes(limits.max_bytes) + ' and ' + hours(limits.max_duration_s) + ' each. ' + limits.kinds + '.';
    $('wall').hidden = !info.has_cameras;
    $('logout').hidden = !info.has_token;
    $('problem').hidden = !info.problem;
    $('problem').textContent = info.problem && 'Videos are taken, but none is scored at the moment. ' + info.problem;
  }

  // ------------------------------------------------------------------------------------------------------ jobs

  const words = {waiting: 'waiting', running: 'scoring', done: 'done', failed: 'failed'};

  function drawJob(job) {
    const summary = job.summary;
    const facts = make('p', {className: 'facts-line'});
    const add = (text, kind) => facts.append(make('span', {className: kind || '', textContent: text}));
    if (job.state === 'done') {
      const found = summary.events ? plural(summary.events, 'event') + ', ' + (summary.event_s < 60 ? summary.event_s.toFixed(1) + ' s' : clock(summary.event_s)) : 'no events';
      add(found, summary.events ? 'tag bad' : 'tag good');
      if (summary.highest_score !== null) add('highest score ' + summary.highest_score.toFixed(3));
      for (const label of summary.labels.slice(0, 4)) add(label, 'tag');
    } else {
      let word = job.stage === 'report' ? 'writing the report' : words[job.state];
      if (job.state === 'waiting') word = job.ahead ? 'waiting, ' + plural(job.ahead, 'video') + ' before it' : 'waiting, next';
      if (job.state === 'running' && job.stage === 'scoring' && job.progress !== null) word += ', ' + Math.round(job.progress * 100) + ' %';
      add(word, 'tag' + (job.state === 'failed' ? ' bad' : ''));
    }
    add(clock(job.duration_s));
    add(bytes(job.bytes));
    const time = make('time', {dateTime: job.created, textContent: new Date(job.created).toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'})});
    facts.append(time);
    const buttons = make('div', {className: 'buttons'});
    if (job.links.report) {
      buttons.append(
        make('a', {className: 'button main', href: job.links.report, textContent: 'Report'}, make('span', {className: 'hidden', textContent: ' of ' + job.name})),
        make('a', {className: 'button', href: job.links.result, download: job.name + '.json', textContent: 'JSON'}, make('span', {className: 'hidden', textContent: ' of ' + job.name})),
      );
    }
    const remove = make('button', {type: 'button', className: 'quiet', textContent: job.state === 'running' || job.state === 'waiting' ? 'Cancel' : 'Delete'},
      make('span', {className: 'hidden', textContent: ' ' + job.name}));
    remove.addEventListener('click', () => removeJob(job));
    buttons.append(remove);
    const row = make('li', {className: 'card job'}, make('div', {}, make('h3', {textContent: job.name}), facts), buttons);
    row.dataset.id = job.id;
    if (job.state === 'failed') row.append(make('p', {className: 'message error', textContent: job.error.message}));
    if (job.state === 'running') {
      const bar = make('progress', {max: 1});
      bar.setAttribute('aria-label', 'Progress of ' + job.name);
      if (job.progress !== null && job.stage === 'scoring') bar.value = job.progress;
      row.append(bar);
    }
    return row;
  }

  async function removeJob(job) {
    if (job.state === 'done' && !confirm('Delete ' + job.name + ' with its result and its report?')) return;
    try {
      await ask(job.links.job, {method: 'DELETE'});
    } catch (error) {
      if (error.status !== 404) { alert(error.message); return; }
    }
    await showJobs();
  }

  async function showJobs() {
    const found = await ask('/api/videos?limit=200');
    const list = $('jobs');
    const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
    // Only rows that changed are drawn again, so the keyboard's focus stays where it is.
    found.videos.forEach((job, place) => {
      const text = JSON.stringify(job);
      const known = state.jobs.get(job.id);
      let row = rows.get(job.id);
      if (!row || known !== text) {
        const active = row && row.contains(document.activeElement) ? [...row.querySelectorAll('a, button')].indexOf(document.activeElement) : -1;
        const next = drawJob(job);
        if (row) row.replaceWith(next);
        row = next;
        if (active >= 0) { const all = row.querySelectorAll('a, button'); all[Math.min(active, all.length - 1)].focus(); }
        state.jobs.set(job.id, text);
      }
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] || null);
      rows.delete(job.id);
    });
    for (const [id, row] of rows) { row.remove(); state.jobs.delete(id); }
    $('none').hidden = found.videos.length > 0 || $('uploads').children.length > 0;
    const text = found.pending ? plural(found.pending, 'video') + ' waiting or being scored' : '';
    if ($('count').textContent !== text) $('count').textContent = text;
    return found.pending;
  }

  // --------------------------------------------------------------------------------------------------- uploads

  function randomKey() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  function addFiles(files) {
    for (const file of files) {
      const status = make('span', {className: 'tag', textContent: 'waiting to be sent'});
      const facts = make('p', {className: 'facts-line'}, status, make('span', {textContent: bytes(file.size)}));
      const button = make('button', {type: 'button', className: 'quiet', textContent: 'Cancel'}, make('span', {className: 'hidden', textContent: ' ' + file.name}));
      const bar = make('progress', {max: 1, value: 0});
      bar.setAttribute('aria-label', 'Upload of ' + file.name);
      const row = make('li', {className: 'card job'}, make('div', {}, make('h3', {textContent: file.name}), facts), make('div', {className: 'buttons'}, button), bar);
      const upload = {file, row, status, bar, button, key: randomKey(), request: null, isCancelled: false};
      button.addEventListener('click', () => {
        upload.isCancelled = true;
        if (upload.request) upload.request.abort();
        row.remove();
        state.queue = state.queue.filter((other) => other !== upload);
        showJobs().catch(() => {});
      });
      $('uploads').append(row);
      const most = state.info && state.info.limits.max_bytes;
      if (most && file.size > most) fail(upload, 'The video has ' + bytes(file.size) + '. The limit is ' + bytes(most) + '.');
      else if (!file.size) fail(upload, 'The file is empty.');
      else state.queue.push(upload);
    }
    $('none').hidden = true;
    sendNext();
  }

  function fail(upload, message) {
    upload.status.textContent = 'not taken';
    upload.status.className = 'tag bad';
    upload.bar.remove();
    upload.button.firstChild.textContent = 'Dismiss';
    upload.row.append(make('p', {className: 'message error', textContent: message}));
  }

  function sendNext() {
    if (state.uploading || !state.queue.length) return;
    const upload = state.uploading = state.queue.shift();
    send(upload);
  }

  function finished() {
    state.uploading = null;
    sendNext();
  }

  function again(upload, seconds, text) {
    upload.status.textContent = text;
    upload.bar.value = 0;
    setTimeout(() => { if (upload.isCancelled) finished(); else send(upload); }, seconds * 1000);
  }

  function send(upload) {
    const request = upload.request = new XMLHttpRequest();
    request.open('POST', '/api/videos?name=' + encodeURIComponent(upload.file.name));
    request.setRequestHeader('Idempotency-Key', upload.key);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.responseType = 'json';
    upload.status.textContent = 'sending';
    request.upload.addEventListener('progress', (event) => {
      if (!event.lengthComputable) return;
      upload.bar.value = event.loaded / event.total;
      upload.status.textContent = event.loaded < event.total ? 'sending, ' + Math.round(100 * event.loaded / event.total) + ' %' : 'checking';
    });
    request.addEventListener('load', () => {
      if (request.status === 401) { location.assign('/login'); return; }
      if (request.status === 429) {
        const seconds = Number(request.getResponseHeader('Retry-After')) || 5;
        again(upload, seconds, 'the service is full, next try in ' + seconds + ' s');
        return;
      }
      if (request.status === 202) upload.row.remove();
      else fail(upload, (request.response && request.response.error && request.response.error.message) || 'The service answered ' + request.status + '.');
      finished();
      showJobs().catch(() => {});
    });
    request.addEventListener('error', () => again(upload, 3, 'the connection broke, trying again'));
    request.addEventListener('abort', finished);
    request.send(upload.file);
  }

  $('files').addEventListener('change', () => { addFiles([...$('files').files]); $('files').value = ''; });
  // Files that are dropped beside the field must not replace the page.
  for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
  addEventListener('dragover', () => $('drop').setAttribute('data-over', ''));
  for (const name of ['dragleave', 'drop', 'dragend']) addEventListener(name, () => $('drop').removeAttribute('data-over'));
  addEventListener('drop', (event) => addFiles([...event.dataTransfer.files]));
  addEventListener('beforeunload', (event) => { if (state.uploading) event.preventDefault(); });

  // ------------------------------------------------------------------------------------------------------ clock

  let sinceInfo = Infinity;
  async function tick() {
    let pause = 5000;
    try {
      if (sinceInfo > 15) { await showInfo(); sinceInfo = 0; }
      sinceInfo += 1;
      if (await showJobs()) pause = 1000;
      if (state.isAway) away(false);
    } catch (error) {
      away(true);
      pause = 3000;
      sinceInfo = Infinity;
    }
    setTimeout(tick, document.hidden ? Math.max(pause, 5000) : pause);
  }
  tick();
})();
