// What is looked at, as the page's address: filters under the names of `exai monitor tail`.
import { durationMs } from './format.js';

const LISTS = { types: 'type', directions: 'direction', functions: 'function', grep: 'grep', exclude: 'exclude' };
const WORDS = { slower: 'slower', session: 'session', request: 'request' };

/**
 * A view: {types, directions, functions, grep, exclude: [text], errors: bool, slower, session, request: text,
 * percentile: 'p50' | 'p95' | 'p99', zone: text, trace: text, traceSession: text}.
 */
export function parse(search) {
  const query = new URLSearchParams(search);
  const view = { errors: ['1', 'true', ''].includes(query.get('errors') ?? 'no') };
  for (const [field, name] of Object.entries(LISTS)) {
    view[field] = query.getAll(name).map((one) => one.trim()).filter(Boolean);
  }
  for (const [field, name] of Object.entries(WORDS)) view[field] = (query.get(name) || '').trim();
  view.percentile = ['p50', 'p99'].includes(query.get('percentile')) ? query.get('percentile') : 'p95';
  view.zone = query.get('tz') || '';
  view.trace = query.get('trace') || '';
  view.traceSession = query.get('in') || '';
  return view;
}

/** The search of a view, with its `?`; empty for the plain one. */
export function search(view) {
  const query = new URLSearchParams();
  for (const [field, name] of Object.entries(LISTS)) {
    for (const value of view[field]) query.append(name, value);
  }
  if (view.errors) query.set('errors', '1');
  for (const [field, name] of Object.entries(WORDS)) if (view[field]) query.set(name, view[field]);
  if (view.percentile !== 'p95') query.set('percentile', view.percentile);
  if (view.zone) query.set('tz', view.zone);
  if (view.trace) query.set('trace', view.trace);
  if (view.trace && view.traceSession) query.set('in', view.traceSession);
  const text = query.toString();
  return text && '?' + text;
}

/** The filter of a view as `/events` takes it. Throws an Error in words where it is none. */
export function filterOf(view) {
  const filter = {};
  for (const field of Object.keys(LISTS)) if (view[field].length) filter[field] = view[field];
  if (view.errors) filter.errors = true;
  if (view.slower) {
    filter.slower_ms = durationMs(view.slower);
    if (filter.slower_ms === null) throw new Error(`Slower than: ${view.slower} is no duration; 500ms, 1.5s or 2m`);
  }
  if (view.session) filter.session = view.session;
  if (view.request) filter.request = view.request;
  return filter;
}

/** The view that the address shows now, and a way to go to another one; `shown` is told of each. */
export class Address {
  constructor(shown) {
    this.view = parse(location.search);
    this.shown = shown;
    addEventListener('popstate', () => {
      this.view = parse(location.search);
      this.shown(this.view);
    });
  }

  /** Change parts of the view; the back button undoes it. */
  go(parts) {
    const view = { ...this.view, ...parts };
    if (search(view) === search(this.view)) return;
    this.view = view;
    history.pushState(null, '', location.pathname + search(view));
    this.shown(view);
  }
}
