// Numbers, durations and times as text.
const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

export function count(n) {
  return n == null ? '–' : whole.format(n);
}

export function rate(n) {
  if (n == null) return '–';
  if (n === 0) return '0';
  return n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : whole.format(n);
}

export function ms(n) {
  if (n == null) return '–';
  if (n < 1) return n.toFixed(2) + ' ms';
  if (n < 100) return n.toFixed(1) + ' ms';
  return n < 10000 ? whole.format(n) + ' ms' : seconds(n / 1000);
}

export function seconds(s) {
  if (s == null) return '–';
  if (s < 60) return (s < 10 ? s.toFixed(1) : whole.format(s)) + ' s';
  const parts = [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]];
  const words = [];
  let left = Math.floor(s);
  for (const [unit, length] of parts) {
    const n = Math.floor(left / length);
    left -= n * length;
    if (n || words.length) words.push(n + unit);
  }
  return words.slice(0, 2).join(' ');
}

export function bytes(n) {
  if (n == null) return '–';
  if (n < 1000) return n + ' B';
  const units = ['kB', 'MB', 'GB', 'TB'];
  let unit = -1;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return n.toFixed(n < 10 ? 1 : 0) + ' ' + units[unit];
}

/** Times in one zone: an IANA name, or null for the browser's own. A name that is none is taken for null. */
export class Clock {
  constructor(zone) {
    try {
      this.build(zone || undefined);
    } catch {
      this.build(undefined);
    }
    this.last = -1;
    this.text = '';
  }

  build(timeZone) {
    const parts = { timeZone, hourCycle: 'h23' };
    const time = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
    const date = { year: 'numeric', month: 'short', day: '2-digit' };
    this.short = new Intl.DateTimeFormat('en-GB', { ...parts, ...time });
    this.long = new Intl.DateTimeFormat('en-AU', { ...parts, ...date, ...time, timeZoneName: 'short' });
    this.name = new Intl.DateTimeFormat('en-AU', { ...parts, timeZoneName: 'short' });
  }

  /** `09:30:00`; formatting a second once, for its many events. */
  second(timestamp) {
    const second = Math.floor(timestamp);
    if (second !== this.last) {
      this.last = second;
      this.text = this.short.format(second * 1000);
    }
    return this.text;
  }

  /** `09:30:00.250`. */
  time(timestamp) {
    const thousandths = Math.floor((timestamp - Math.floor(timestamp)) * 1000);
    return this.second(timestamp) + '.' + String(thousandths).padStart(3, '0');
  }

  full(timestamp) {
    return this.long.format(timestamp * 1000);
  }

  /** The zone's abbreviation at a moment: `AEDT`. */
  zone(timestamp) {
    const part = this.name.formatToParts(timestamp * 1000).find((one) => one.type === 'timeZoneName');
    return part ? part.value : '';
  }
}

/** `500ms`, `1.5s`, `2m` or a number of ms as ms; null for no duration. */
export function durationMs(text) {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m)?\s*$/.exec(text);
  if (!found) return null;
  return Number(found[1]) * { us: 0.001, ms: 1, s: 1000, m: 60000 }[found[2] || 'ms'];
}

/** A value of an event's metadata; numbers to three places. */
export function value(given) {
  if (typeof given === 'number') return String(Math.round(given * 1000) / 1000);
  return typeof given === 'object' ? JSON.stringify(given) : String(given);
}
