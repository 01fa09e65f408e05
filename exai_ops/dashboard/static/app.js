// The page: joins the address, the connection and what is shown.
import { Address, filterOf } from './address.js';
import { Charts } from './charts.js';
import { say, mark } from './dom.js';
import { Filters } from './filters.js';
import { Clock, count, seconds } from './format.js';
import { Link } from './link.js';
import { Panels } from './panels.js';
import { Tail } from './tail.js';
import { themeButton } from './theme.js';
import { Waterfall } from './waterfall.js';

const $ = (id) => document.getElementById(id);
const STATUS = { connecting: ['connecting', ''], open: ['live', 'good'], lost: ['lost', 'bad'], out: ['logged out', 'bad'] };

const address = new Address(show);
let clock = new Clock(address.view.zone);
const now = () => clock;
let asked = null; // the filter that was sent last, as text
let unreadable = false; // whether the address holds a filter that this page itself cannot read
let lostAt = null;

const charts = new Charts(now);
const panels = new Panels({ filter: (parts) => address.go(parts), trace }, now);
const waterfall = new Waterfall({
  dialog: $('trace'), title: $('trace-title'), body: $('trace-body'), button: $('trace-close'), clock: now,
  closed: () => address.go({ trace: '', traceSession: '' }),
});
const tail = new Tail({
  body: $('row-list'), scroll: $('rows-scroll'), note: $('tail-note'), pause: $('pause'), clock: now, open: opened,
});
const filters = new Filters({
  form: $('filters'), problem: $('filter-problem'), clear: $('clear'), types: $('known-types'),
  changed: (parts) => address.go(parts),
});
const link = new Link({
  subscribed(frame, anew, filter) {
    if (anew) tail.clear();
    if (!unreadable && JSON.stringify(filter) === asked) filters.refuse('');
    if (lostAt !== null) tail.marker(`connected again after ${seconds((performance.now() - lostAt) / 1000)}`);
    lostAt = null;
  },
  events: (events) => tail.add(events),
  dropped: (frame) => tail.lost(frame.count),
  gap: (frame) => tail.marker(gap(frame)),
  state: state,
  problem: (text) => filters.refuse(text),
  status: status,
});

function gap({ reason, missed }) {
  const how = missed === null || missed === undefined ? 'how many were missed is not known' : `${count(missed)} missed`;
  return reason === 'restarted' ? `the daemon was restarted, ${how}` : `${how}: no longer in memory (${reason})`;
}

function status(name, waitMs) {
  const [text, colour] = STATUS[name];
  say($('link'), name === 'lost' ? `${text}, again in ${seconds(waitMs / 1000)}` : text);
  mark($('link'), 'badge ' + colour);
  if (name === 'lost' && lostAt === null) {
    lostAt = performance.now();
    charts.cut();
  }
  if (name === 'out') location.reload();
}

let painted = false;

function state(frame) {
  panels.show(frame);
  charts.add(frame);
  filters.know(Object.keys(frame.types));
  say($('zone-name'), clock.zone(frame.time));
  document.title = frame.alerts.length ? `(${frame.alerts.length}) exai` : 'exai';
  if (!painted) {
    painted = true;
    requestAnimationFrame(() => setTimeout(first));
  }
}

/** The first state is on the screen: now there is time for the rest. */
async function first() {
  performance.mark('exai-state-painted');
  if (document.querySelector('meta[name=charts]').content !== 'yes') {
    return withoutCharts('Chart.js was not there when this was built: make charts, with npm, adds the charts.');
  }
  try {
    $('charts').hidden = false;
    await charts.load();
    performance.mark('exai-charts-painted');
  } catch (error) {
    withoutCharts(`The charts could not be loaded: ${error.message}`);
  }
}

function withoutCharts(why) {
  $('charts').hidden = true;
  $('no-charts').hidden = false;
  say($('no-charts'), `No charts: ${why} The tables below have the numbers.`);
}

/** Show what the address says. */
function show(view) {
  filters.show(view);
  $('percentile').value = view.percentile;
  charts.choose(view.percentile);
  showZone(view.zone);
  subscribe(view);
  if (!view.trace) waterfall.hide();
  else if (waterfall.shown?.request !== view.trace) waterfall.request(view.trace, view.traceSession);
}

function subscribe(view) {
  let filter;
  try {
    filter = filterOf(view);
    if (unreadable) filters.refuse('');
    unreadable = false;
  } catch (error) {
    unreadable = true;
    filters.refuse(error.message);
    if (asked !== null) return;
    filter = {};
  }
  const text = JSON.stringify(filter);
  if (text === asked) return;
  asked = text;
  link.subscribe(filter);
}

function showZone(zone) {
  const select = $('zone');
  if (![...select.options].some((one) => one.value === zone)) select.add(new Option(zone, zone));
  select.value = zone;
  if (clock.given === zone) return;
  clock = new Clock(zone);
  clock.given = zone;
  tail.redraw();
  if (panels.last) say($('zone-name'), clock.zone(panels.last.time));
}

function opened(event) {
  const { request, session } = event.metadata;
  if (request === undefined || request === null) waterfall.event(event);
  else trace(String(request), session === undefined ? '' : String(session), event);
}

function trace(request, session, event) {
  waterfall.request(request, session, event);
  address.go({ trace: request, traceSession: session });
}

$('percentile').addEventListener('change', (event) => address.go({ percentile: event.target.value }));
$('zone').addEventListener('change', (event) => address.go({ zone: event.target.value }));
$('functions-more').addEventListener('toggle', () => panels.last && panels.functions(panels.last.functions));
$('logout').addEventListener('submit', () => {
  $('logout').action = '/dashboard/logout' + location.search;
});
themeButton($('theme'), () => charts.colour());
show(address.view);

const session = await fetch('/dashboard/session', { cache: 'no-store' });
$('logout').hidden = !(session.ok && (await session.json()).login);
