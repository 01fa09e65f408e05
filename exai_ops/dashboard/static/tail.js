// The live tail: a bounded table, newest first, whose rows are used again.
import { Waiting } from './bounded.js';
import { element, mark, say } from './dom.js';
import { bytes, count, ms, value } from './format.js';

export const ROWS = 400;
const EVERY_MS = 200;
const LONGEST = 300; // characters of a cell; the whole is shown when the row is opened
const FAILURES = new Set(['error', 'reject', 'rate_limit']);
const COLUMNS = ['t', 'y', 'd', 'f', 'n', 'n', 'r', 'm'];

export class Tail {
  /** `open(event)` shows one; `clock()` gives the Clock of now. */
  constructor({ body, scroll, note, pause, open, clock }) {
    Object.assign(this, { body, scroll, note, button: pause, open, clock });
    this.waiting = new Waiting(ROWS);
    this.paused = false;
    this.dropped = 0;
    this.seen = 0;
    pause.addEventListener('click', () => this.pause(!this.paused));
    body.addEventListener('click', (click) => this.pressed(click.target.closest('tr')));
    scroll.addEventListener('keydown', (key) => this.key(key));
    document.addEventListener('keydown', (key) => this.shortcut(key));
    setInterval(() => document.hidden || this.flush(), EVERY_MS);
  }

  /** Events in the order of time. */
  add(events) {
    this.seen += events.length;
    this.waiting.add(events);
  }

  /** A line about the events themselves: a gap, a reconnection. */
  marker(text) {
    this.waiting.add([{ marker: text, at: Date.now() / 1000 }]);
  }

  lost(number) {
    this.dropped += number;
    this.marker(`dropped ${count(number)}: this page reads too slowly`);
  }

  clear() {
    this.waiting.clear();
    this.body.textContent = '';
  }

  pause(on) {
    this.paused = on;
    this.button.setAttribute('aria-pressed', String(on));
    if (!on) {
      this.choose(null);
      if (this.body.contains(document.activeElement)) this.scroll.focus();
      this.flush();
    }
    this.tell();
  }

  flush() {
    if (!this.paused && this.waiting.count) this.draw();
    this.tell();
  }

  draw() {
    const lost = this.waiting.lost;
    const items = this.waiting.take();
    if (lost) items.unshift({ marker: `${count(lost)} more came than the table holds`, at: Date.now() / 1000 });
    const rows = document.createDocumentFragment();
    for (const item of items.slice(-ROWS).reverse()) {
      const reused = this.body.rows.length + rows.childElementCount >= ROWS ? this.body.lastElementChild : null;
      rows.append(this.fill(reused || this.row(), item));
    }
    this.body.prepend(rows);
  }

  row() {
    return element('tr', { tabindex: '-1' }, ...COLUMNS.map((name) => element('td', { class: name })));
  }

  fill(row, item) {
    row.event = item;
    const clock = this.clock();
    if (item.marker) {
      mark(row, 'marker');
      cells(row, [clock.time(item.at), '', '', '', '', '', '', item.marker]);
      return row;
    }
    mark(row, item.error !== null || FAILURES.has(item.direction) ? 'failed' : '');
    const size = item.data_size_bytes ? bytes(item.data_size_bytes) : '';
    const took = item.response_time_ms === null ? '' : ms(item.response_time_ms);
    const request = String(item.metadata.request ?? '');
    const head = [clock.time(item.timestamp), item.connection_type, item.direction, item.function];
    cells(row, [...head, took, size, request, details(item)]);
    return row;
  }

  /** Say times anew, in another zone. */
  redraw() {
    for (const row of this.body.rows) this.fill(row, row.event);
  }

  tell() {
    const wait = this.waiting.count;
    const over = this.waiting.lost ? `, the newest ${count(ROWS)} kept` : '';
    say(this.button, this.paused ? `Resume (${count(wait)} wait${over})` : 'Pause');
    const dropped = this.dropped ? `, ${count(this.dropped)} dropped` : '';
    say(this.note, `${count(this.seen)} received${dropped}`);
  }

  pressed(row) {
    if (row && !row.event.marker) this.open(row.event);
  }

  /** Going through the rows holds them still. */
  key(key) {
    const rows = this.body.rows;
    const at = this.chosen ? [...rows].indexOf(this.chosen) : -1;
    const to = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), Home: 0, End: rows.length - 1 }[key.key];
    if (to !== undefined && rows.length) {
      key.preventDefault();
      if (!this.paused) this.pause(true);
      this.choose(rows[Math.min(to, rows.length - 1)]);
    } else if (key.key === 'Enter' && this.chosen) {
      this.pressed(this.chosen);
    } else if (key.key === 'Escape' && this.chosen) {
      this.pause(false);
    }
  }

  choose(row) {
    this.chosen?.classList.remove('chosen');
    this.chosen = row;
    if (!row) return;
    row.classList.add('chosen');
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: 'nearest' });
  }

  shortcut(key) {
    const typing = key.target.closest?.('input, textarea, select, dialog');
    if (key.key === 'p' && !typing && !key.ctrlKey && !key.metaKey && !key.altKey) this.pause(!this.paused);
  }
}

function cells(row, texts) {
  texts.forEach((text, index) => {
    say(row.cells[index], text.length > LONGEST ? text.slice(0, LONGEST) + '…' : text);
  });
}

/** The error, then what the metadata says beside the ids. */
function details(event) {
  const parts = event.error === null ? [] : [event.error];
  if (event.weight > 1) parts.push(`stands for ${event.weight}`);
  for (const [key, given] of Object.entries(event.metadata)) {
    if (key !== 'session' && key !== 'request' && given !== null) parts.push(`${key}=${value(given)}`);
  }
  return parts.join('  ');
}
