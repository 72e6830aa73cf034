// A reviewer's marks: kept in the browser per report and video, exported as JSON and CSV.
'use strict';
window.VADLab = window.VADLab || {};
(function (V) {
  V.data = JSON.parse(document.getElementById('data').textContent);
  const key = (name) => 'vadlab:' + V.data.report + ':' + name;

  V.readMarks = function (name) {
    try {
      const found = JSON.parse(localStorage.getItem(key(name)));
      if (found && Array.isArray(found.marks)) return found;
    } catch (error) { /* no storage, or an entry of something else */ }
    return {reviewed: false, marks: []};
  };

  // Returns whether the browser kept them.
  V.writeMarks = function (name, state) {
    try {
      localStorage.setItem(key(name), JSON.stringify(state));
      return true;
    } catch (error) {
      return false;
    }
  };

  // Some browsers, such as Firefox, keep the storage of each file on disk apart. Then the link from a page to the list
  // carries the marks of the page. The list leaves a sign by which a page sees that the storage is shared.
  const SIGN = 'vadlab:' + V.data.report + ':list';
  V.leaveSign = function () {
    try {
      localStorage.setItem(SIGN, '1');
    } catch (error) { /* no storage */ }
  };
  V.sharesStorage = function () {
    try {
      return localStorage.getItem(SIGN) !== null;
    } catch (error) {
      return false;
    }
  };
  V.linkWithMarks = (name, state) => '#marks=' + encodeURIComponent(JSON.stringify({name, state}));

  // Keep the marks that a link carries, if they are of a video of this list; the text may be anything.
  V.takeMarks = function (hash, names) {
    if (!hash.startsWith('#marks=')) return;
    try {
      const {name, state} = JSON.parse(decodeURIComponent(hash.slice(7)));
      if (names.has(name)) V.writeMarks(name, {reviewed: state.reviewed === true, marks: state.marks.filter(isMark)});
    } catch (error) { /* not a link of a page */ }
  };
  const isMark = (mark) => ['correct', 'false alarm', 'missed'].includes(mark.kind)
    && ['start', 'end', 'start_s', 'end_s'].every((name) => Number.isFinite(mark[name]));

  V.download = function (file, type, text) {
    const link = document.createElement('a');
    const url = URL.createObjectURL(new Blob([text], {type: type + ';charset=utf-8'}));
    link.href = url;
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };

  const COLUMNS = ['video', 'reviewed', 'kind', 'start', 'end', 'start_s', 'end_s', 'peak', 'score', 'threshold', 'label'];
  const cell = (value) => {
    let text = value === undefined || value === null ? '' : String(value);
    if (typeof value === 'string' && /^[=+\-@\t\r\n]/.test(text)) text = "'" + text; // else spreadsheets run it as a formula
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };

  // A row per mark; a video without marks that was reviewed has a row without a kind.
  V.marksAsCsv = function (states) {
    const rows = [COLUMNS.join(',')];
    for (const {video, reviewed, marks} of states) {
      for (const mark of marks.length || !reviewed ? marks : [{}]) {
        rows.push(COLUMNS.map((name) => cell({...mark, video, reviewed}[name])).join(','));
      }
    }
    return rows.join('\r\n') + '\r\n';
  };

  V.marksAsJson = (states) => JSON.stringify({format: 'vadlab marks', version: 1, report: V.data.report, videos: states}, null, 1) + '\n';

  V.clock = function (seconds) {
    if (seconds >= 3599.95) {
      const whole = Math.floor(seconds + 0.5);
      const two = (value) => String(value).padStart(2, '0');
      return Math.floor(whole / 3600) + ':' + two(Math.floor(whole / 60) % 60) + ':' + two(whole % 60);
    }
    const tenths = Math.floor(seconds * 10 + 0.5);
    return Math.floor(tenths / 600) + ':' + String(Math.floor(tenths / 10) % 60).padStart(2, '0') + '.' + (tenths % 10);
  };

  V.typing = (target) => target.matches('input:not([type=checkbox]):not([type=range]), select, textarea');
})(window.VADLab);
