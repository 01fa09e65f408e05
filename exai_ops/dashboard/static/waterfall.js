// One event, and where its request's time went: spans from /trace, drawn below each other.
import { element } from './dom.js';
import { ms, value } from './format.js';

const AGAIN_MS = 1000;
const WAITS = /^(queue|permit|backoff|failover)/;

export class Waterfall {
  /** `closed()` is called when the dialog was closed by the person; `clock()` gives the Clock of now. */
  constructor({ dialog, title, body, button, closed, clock }) {
    Object.assign(this, { dialog, title, body, clock });
    button.addEventListener('click', () => dialog.close());
    dialog.addEventListener('click', (click) => click.target === dialog && dialog.close());
    dialog.addEventListener('close', () => {
      clearTimeout(this.later);
      this.shown = null;
      closed();
    });
  }

  hide() {
    if (this.dialog.open) this.dialog.close();
  }

  /** Show an event that belongs to no request. */
  event(event) {
    this.begin('Event', {});
    this.body.replaceChildren(fields(event, this.clock()));
  }

  /** Show a request's spans, and the event that was pressed if there was one. */
  request(request, session, event) {
    const wanted = this.begin(`Request ${request}`, { request, session, event });
    this.body.replaceChildren(element('p', { class: 'dim' }, 'Asking the daemon…'));
    this.fetch(wanted);
  }

  begin(title, wanted) {
    clearTimeout(this.later);
    this.shown = wanted;
    this.title.textContent = title;
    if (!this.dialog.open) this.dialog.showModal();
    return wanted;
  }

  async fetch(wanted) {
    const query = wanted.session ? '?session=' + encodeURIComponent(wanted.session) : '';
    let parts;
    let open = false;
    try {
      const told = await fetch('/trace/' + encodeURIComponent(wanted.request) + query, { cache: 'no-store' });
      if (!told.ok) throw new Error(`the daemon answered ${told.status}`);
      const trace = await told.json();
      open = trace.calls.some((call) => call.spans[0]?.open);
      parts = drawn(trace, this.clock());
    } catch (error) {
      parts = [element('p', { class: 'bad' }, `The trace could not be had: ${error.message}`)];
    }
    if (this.shown !== wanted) return;
    if (wanted.event) parts.push(fields(wanted.event, this.clock()));
    this.body.replaceChildren(...parts);
    if (open) this.later = setTimeout(() => this.fetch(wanted), AGAIN_MS);
  }
}

function drawn(trace, clock) {
  const parts = trace.calls.map((call) => drawnCall(call, clock));
  if (!parts.length) parts.push(element('p', { class: 'dim' }, 'Its events are no longer in memory.'));
  if (trace.more) parts.push(element('p', { class: 'dim' }, `${trace.more} earlier ones are not shown.`));
  return parts;
}

function drawnCall(call, clock) {
  const [whole] = call.spans;
  const total = Math.max(...call.spans.map((span) => (span.started_at - whole.started_at) * 1000 + span.duration_ms), 0.001);
  const list = element('ul', { class: 'spans' });
  for (const span of call.spans) list.append(drawnSpan(span, whole.started_at, total));
  const title = `${call.request}, session ${call.session || 'unknown'}, ${clock.full(whole.started_at)}`;
  return element('section', { class: 'call' }, element('h3', {}, title), list);
}

function drawnSpan(span, begin, total) {
  const bar = element('i');
  const left = Math.min(99.5, Math.max(0, (((span.started_at - begin) * 1000) / total) * 100));
  bar.style.left = left + '%';
  bar.style.width = Math.max(0.2, Math.min(100 - left, (span.duration_ms / total) * 100)) + '%';
  const kind = (span.error ? ' failed' : '') + (span.open ? ' open' : '') + (WAITS.test(span.name) ? ' waited' : '');
  const line = element(
    'li', { class: `depth${span.depth}${kind}` },
    element('span', { class: 'name', title: span.name }, span.name),
    element('span', { class: 'track', 'aria-hidden': 'true' }, bar),
    element('span', { class: 'took' }, ms(span.duration_ms) + (span.open ? '+' : '')),
  );
  const detail = Object.entries(span.detail).map(([key, given]) => `${key}=${value(given)}`);
  const note = [span.error, ...detail].filter(Boolean).join('  ');
  if (note) line.append(element('span', { class: 'note' }, note));
  return line;
}

function fields(event, clock) {
  const { metadata, timestamp, ...rest } = event;
  const list = element('dl', { class: 'fields' });
  const shown = { time: clock.full(timestamp), ...rest, ...metadata };
  for (const [key, given] of Object.entries(shown)) {
    if (given === null || given === '') continue;
    list.append(element('dt', {}, key), element('dd', {}, value(given)));
  }
  return list;
}
