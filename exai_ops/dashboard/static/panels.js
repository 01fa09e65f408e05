// What a state frame says, as tiles and tables.
import { element, fill, mark, say, table } from './dom.js';
import { bytes, count, ms, rate, seconds } from './format.js';

const HOLDERS = 50;
const SESSIONS = 30;
const TYPES = ['Type', 'Events', '1 s', '10 s', '60 s', 'Errors', 'Errors/s', 'p50', 'p95', 'p99', 'Sent', 'Received', 'Open'];
const HELD = ['Tool', 'Provider', 'Age', 'Waited', 'Request', 'Where', 'Leak'];
const ASKED = ['Provider', 'Breaker', 'Failures', 'Last good', 'Last error'];
const JOINED = ['Session', 'Connected', 'In flight', 'Queued', 'Idle'];
const DONE = ['Type', 'Function', 'Direction', 'Events', 'Errors', 'p50', 'p95', 'p99', 'Bytes'];
const BREAKERS = { closed: 'good', half_open: 'warn', open: 'bad' };

const $ = (id) => document.getElementById(id);

/** All panels. `act` is {filter(parts), trace(request, session)}, `clock()` gives the Clock of now. */
export class Panels {
  constructor(act, clock) {
    this.act = act;
    this.clock = clock;
    this.bodies = {
      types: table($('types'), TYPES),
      holders: table($('holders'), HELD),
      providers: table($('providers'), ASKED),
      sessions: table($('sessions'), JOINED),
      functions: table($('functions'), DONE),
    };
  }

  show(state) {
    header(state);
    tiles(state);
    this.alerts(state.alerts);
    this.types(state.types);
    this.permits(state.permits);
    this.providers(state);
    this.sessions(state.sessions);
    if ($('functions-more').open) this.functions(state.functions);
    this.last = state;
  }

  alerts(alerts) {
    $('alerts').hidden = !alerts.length;
    const list = $('alert-list');
    while (list.children.length > alerts.length) list.lastElementChild.remove();
    while (list.children.length < alerts.length) {
      list.append(element('li', {}, element('strong'), element('span'), element('span', { class: 'dim' }), element('span')));
    }
    alerts.forEach((alert, index) => {
      const [rule, message, since, runbook] = list.children[index].children;
      say(rule, alert.rule);
      say(message, alert.message);
      say(since, 'since ' + this.clock().full(alert.since));
      if (runbook.textContent !== alert.runbook) runbook.replaceChildren(linked(alert.runbook));
    });
  }

  types(types) {
    const rows = Object.entries(types).map(([name, one]) => ({
      cells: [
        { text: name, press: () => this.act.filter({ types: [name] }), label: 'Show these events alone' },
        count(one.total_events), rate(one.rates.events_1s), rate(one.rates.events_10s), rate(one.rates.events_60s),
        { text: count(one.total_errors), mark: one.total_errors ? 'warn' : '' },
        { text: rate(one.rates.errors_60s), mark: one.rates.errors_60s ? 'bad' : '' },
        ms(one.p50_ms), ms(one.p95_ms), ms(one.p99_ms),
        bytes(one.total_sent_bytes), bytes(one.total_received_bytes), count(one.active_connections),
      ],
    }));
    fill(this.bodies.types, rows, TYPES);
  }

  permits(permits) {
    const limits = $('limits');
    const gauges = Object.entries(permits.limits);
    while (limits.children.length > gauges.length) limits.lastElementChild.remove();
    while (limits.children.length < gauges.length) {
      limits.append(element('div', {}, element('span'), element('span', { class: 'gauge' }, element('i'))));
    }
    gauges.forEach(([name, one], index) => {
      const [label, gauge] = limits.children[index].children;
      say(label, `${name} ${one.held} of ${one.limit}`);
      mark(limits.children[index], one.held >= one.limit ? 'full' : '');
      gauge.firstElementChild.style.width = `${one.limit ? Math.min(100, (100 * one.held) / one.limit) : 0}%`;
    });
    const wrong = permits.broken.join('; ');
    $('permit-problem').hidden = !wrong;
    say($('permit-problem'), wrong && `The ledger does not add up: ${wrong}`);
    this.holders(permits.holders);
  }

  holders(holders) {
    $('holders').hidden = !holders.length;
    const more = holders.length - HOLDERS;
    say($('holders-none'), more > 0 ? `${count(more)} younger ones are not shown.` : 'Nobody holds a permit.');
    $('holders-none').hidden = holders.length > 0 && more <= 0;
    const rows = holders.slice(0, HOLDERS).map((one) => ({
      cells: [
        one.tool, one.provider || '–', seconds(one.age_s), seconds(one.waited_s),
        { text: one.request, press: () => this.act.trace(one.request, one.session), label: 'Where its time goes' },
        { text: one.site, label: one.awaits.join('\n') },
        { text: one.leak || 'no', mark: one.leak ? 'bad' : '' },
      ],
    }));
    fill(this.bodies.holders, rows, HELD);
  }

  providers(state) {
    const rows = state.providers.map((one) => ({
      cells: [
        one.name + (one.simulated ? ' (simulated)' : ''),
        { text: one.configured ? one.breaker.replace('_', ' ') : 'no key', mark: BREAKERS[one.breaker] || '' },
        count(one.consecutive_failures),
        one.last_ok_at === null ? 'never' : seconds(Math.max(0, state.time - one.last_ok_at)) + ' ago',
        { text: (one.key_refused ? 'the key was refused; ' : '') + (one.last_error || '–'), mark: one.last_error ? 'bad' : '' },
      ],
    }));
    fill(this.bodies.providers, rows, ASKED);
  }

  sessions(sessions) {
    const rows = sessions.slice(0, SESSIONS).map((one) => ({
      cells: [
        { text: one.id, press: () => this.act.filter({ session: one.id }), label: 'Show its events alone' },
        one.connected ? 'yes' : 'no', count(one.inflight), count(one.queued), seconds(one.idle_s),
      ],
    }));
    fill(this.bodies.sessions, rows, JOINED);
    const more = sessions.length - SESSIONS;
    say($('sessions-more'), more > 0 ? `${count(more)} less busy ones are not shown.` : sessions.length ? '' : 'No session.');
    $('sessions').hidden = !sessions.length;
  }

  functions(functions) {
    const rows = functions.map((one) => ({
      cells: [
        one.connection_type,
        { text: one.function_name, press: () => this.act.filter({ types: [one.connection_type], functions: [one.function_name] }), label: 'Show these events alone' },
        one.direction, count(one.count), { text: count(one.errors), mark: one.errors ? 'warn' : '' },
        ms(one.p50_ms), ms(one.p95_ms), ms(one.p99_ms), bytes(one.data_size_bytes),
      ],
    }));
    fill(this.bodies.functions, rows, DONE);
  }
}

function header(state) {
  const ready = $('ready');
  ready.hidden = false;
  say(ready, state.unready && state.unready !== state.state ? `${state.state}, but ${state.unready}` : state.state);
  mark(ready, 'badge ' + (state.state !== 'ready' ? 'warn' : state.unready ? 'bad' : 'good'));
  $('simulated').hidden = !state.simulated;
  say($('about'), `${state.version}, up ${seconds(state.time - state.started_at)}`);
}

/** Rates of all types together. */
export function totals(types) {
  const sum = (name) => Object.values(types).reduce((all, one) => all + one.rates[name], 0);
  return { events: sum('events_1s'), lately: sum('events_60s'), errors: sum('errors_60s') };
}

function tiles(state) {
  const all = totals(state.types);
  const held = state.permits.limits.global;
  const open = state.providers.filter((one) => one.breaker === 'open').length;
  const shown = [
    ['Events/s', rate(all.events)],
    ['Errors/s, 60 s', rate(all.errors), all.errors > 0 && 'bad'],
    ['Permits held', `${held.held} / ${held.limit}`, held.held >= held.limit && 'warn'],
    ['Leaked', count(state.permits.leaked), state.permits.leaked > 0 && 'bad'],
    ['Queue', count(state.permits.waiting), state.permits.waiting > 0 && 'warn'],
    ['Breakers open', count(open), open > 0 && 'bad'],
    ['Connections', count(state.connections)],
    ['Loop lag, 60 s', ms(state.lag.max_60s_ms), state.lag.max_60s_ms > 250 && 'warn'],
    ['Dropped', count(state.dropped), state.dropped > 0 && 'warn'],
    ['Kept on disk', bytes(state.stored_bytes)],
  ];
  const list = $('tiles');
  while (list.children.length < shown.length) list.append(element('div', {}, element('dt'), element('dd')));
  shown.forEach(([name, value, colour], index) => {
    const [term, said] = list.children[index].children;
    say(term, name);
    say(said, value);
    mark(list.children[index], colour || '');
  });
}

/** A runbook as a link where it is an address of the web, as text otherwise. */
function linked(runbook) {
  if (!/^https?:\/\//.test(runbook)) return element('code', {}, runbook);
  return element('a', { href: runbook, rel: 'noreferrer noopener', target: '_blank' }, runbook);
}
