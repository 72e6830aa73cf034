// Events of a score curve, as Python finds them (vadlab/evaluation/functional/events.py), and curves of limited width.
'use strict';
window.VADLab = window.VADLab || {};
(function (V) {
  function bytes(text) {
    const raw = atob(text);
    const out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out.buffer;
  }
  V.float32 = (text) => new Float32Array(bytes(text));
  V.float64 = (text) => new Float64Array(bytes(text));
  V.int32 = (text) => new Int32Array(bytes(text));

  // Time of every frame, in seconds. `times` holds a rate, a step, ticks, or all values.
  V.times = function (times, count) {
    if (times.values !== undefined) return V.float64(times.values);
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      if (times.fps !== undefined) out[i] = i / times.fps;
      else out[i] = times.ticks !== undefined ? i * times.ticks * times.tick : i * times.step;
    }
    return out;
  };

  // Position of the last value <= x in an ascending array; -1 if there is none.
  V.lastAtMost = function (values, x) {
    let low = 0, high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= x) low = middle + 1; else high = middle;
    }
    return low - 1;
  };

  // Stretches of frames at or above `low` that reach `high`: runs, then gaps, then the shortest, then the peak.
  V.findEvents = function (scores, times, fps, t) {
    const n = scores.length;
    const endOf = (frame) => (frame < n ? times[frame] : times[n - 1] + 1 / fps);
    const tiny = 1e-6; // of rounding, in seconds
    const high = Math.fround(t.high); // scores are float32
    const low = Math.min(Math.fround(t.low), high);
    const merged = [];
    for (let i = 0; i < n; i++) {
      if (scores[i] < low) continue;
      const start = i;
      while (i < n && scores[i] >= low) i++;
      const last = merged[merged.length - 1];
      if (last && times[start] - endOf(last[1]) <= t.gap_s + tiny) last[1] = i; else merged.push([start, i]);
    }
    const found = [];
    for (const [start, end] of merged) {
      let peak = start;
      for (let i = start + 1; i < end; i++) if (scores[i] > scores[peak]) peak = i;
      if (scores[peak] < high || endOf(end) - times[start] < t.min_s - tiny) continue;
      found.push({start, end, peak, start_s: times[start], end_s: endOf(end), peak_s: times[peak], score: scores[peak]});
    }
    return found;
  };

  // Events of the calibration footage that reach `high`, per hour. `exact` is false below its low threshold, where
  // more events would have been counted.
  V.falseAlarms = function (calibration, high) {
    let count = 0;
    while (count < calibration.peaks.length && calibration.peaks[count] >= high) count++;
    return {rate: count / calibration.hours, exact: high >= calibration.low};
  };

  // The least and the greatest score in each of `width` pixels between two times: for pixels without a frame, NaN.
  V.envelope = function (scores, times, from, to, width) {
    const least = new Float32Array(width).fill(NaN), greatest = new Float32Array(width).fill(NaN);
    const first = Math.max(V.lastAtMost(times, from), 0);
    const last = Math.min(V.lastAtMost(times, to) + 1, scores.length - 1);
    const scale = width / (to - from);
    for (let i = first; i <= last; i++) {
      const x = Math.floor((times[i] - from) * scale);
      if (x < 0 || x >= width) continue;
      if (!(least[x] <= scores[i])) least[x] = scores[i];
      if (!(greatest[x] >= scores[i])) greatest[x] = scores[i];
    }
    return {least, greatest, first, last};
  };
})(window.VADLab);
