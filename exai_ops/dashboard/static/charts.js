// Charts of the last minutes, drawn by Chart.js where it is there.
import { Series } from './bounded.js';

export const POINTS = 300;
const TYPES = 12; // lines of one chart
const COLOURS = 8;
const SCRIPT = '/dashboard/static/vendor/chart.js';

/** Keeps the numbers from the first state on, and draws them once `load` has succeeded. */
export class Charts {
  constructor(clock) {
    this.clock = clock;
    this.types = new Map(); // name -> {events, errors, p50, p95, p99: Series}
    this.loads = { held: new Series(POINTS), waiting: new Series(POINTS), lag: new Series(POINTS) };
    this.percentile = 'p95';
    this.charts = null;
  }

  add(state) {
    const x = state.time;
    for (const [name, one] of Object.entries(state.types)) this.addType(name, one, x);
    this.loads.held.push(x, state.permits.limits.global.held);
    this.loads.waiting.push(x, state.permits.waiting);
    this.loads.lag.push(x, state.lag.last_ms ?? NaN);
    this.now = x;
    if (this.charts && !document.hidden) this.draw();
  }

  addType(name, one, x) {
    let lines = this.types.get(name);
    if (!lines) {
      if (this.types.size >= TYPES) return;
      lines = Object.fromEntries(['events', 'errors', 'p50', 'p95', 'p99'].map((key) => [key, new Series(POINTS)]));
      this.types.set(name, lines);
    }
    lines.events.push(x, one.rates.events_1s);
    lines.errors.push(x, one.rates.errors_1s);
    for (const key of ['p50', 'p95', 'p99']) lines[key].push(x, one[key + '_ms'] ?? NaN);
  }

  /** A time without states: the lines end and begin again. */
  cut() {
    if (this.now === undefined) return;
    const all = [...this.types.values(), this.loads].flatMap((lines) => Object.values(lines));
    for (const series of all) series.push(this.now + 0.001, NaN);
  }

  /** Fetch Chart.js. Throws an Error when it is not to be had. */
  async load() {
    await import(SCRIPT);
    this.Chart = globalThis.Chart;
    const ms = { title: { display: true, text: 'ms' } };
    this.charts = {
      rates: this.make('chart-rates', {}),
      latency: this.make('chart-latency', ms),
      errors: this.make('chart-errors', {}),
      load: this.make('chart-load', {}, { right: ms }),
    };
    this.colour();
  }

  make(id, left, { right } = {}) {
    const y = { beginAtZero: true, grace: '5%', ticks: { maxTicksLimit: 5 } };
    const scales = {
      x: {
        type: 'linear',
        ticks: { maxRotation: 0, callback: (x) => this.clock().second(x) },
        afterBuildTicks: minutes,
        grid: { display: false },
      },
      y: { ...y, ...left },
    };
    if (right) scales.right = { ...y, ...right, position: 'right', grid: { display: false } };
    return new this.Chart(document.getElementById(id), {
      type: 'line',
      data: { datasets: [] },
      options: {
        animation: false,
        parsing: false,
        normalized: true,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: 'nearest', axis: 'x', intersect: false },
        elements: { point: { radius: 0, hitRadius: 8 }, line: { borderWidth: 1.6 } },
        plugins: {
          legend: { position: 'bottom', labels: { boxWidth: 10, boxHeight: 10, padding: 8 } },
          tooltip: { callbacks: { title: (items) => (items[0] ? this.clock().second(items[0].parsed.x) : '') } },
        },
        scales,
      },
    });
  }

  /** Take the colours of the theme. */
  colour() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Array.from({ length: COLOURS }, (_, n) => style.getPropertyValue(`--c${n}`).trim());
    if (!this.charts) return;
    const [text, line] = ['--dim', '--line'].map((name) => style.getPropertyValue(name).trim());
    for (const chart of Object.values(this.charts)) {
      chart.options.color = text;
      for (const scale of Object.values(chart.options.scales)) {
        scale.ticks.color = text;
        scale.grid.color = line;
        if (scale.title) scale.title.color = text;
      }
      chart.data.datasets = [];
    }
    this.draw();
  }

  choose(percentile) {
    this.percentile = percentile;
    if (this.charts) this.draw();
  }

  draw() {
    const { rates, latency, errors, load } = this.charts;
    const names = [...this.types.keys()];
    const of = (key) => names.map((name) => ({ label: name, series: this.types.get(name)[key] }));
    this.update(rates, of('events'));
    this.update(latency, of(this.percentile));
    this.update(errors, of('errors'));
    this.update(load, [
      { label: 'permits held', series: this.loads.held },
      { label: 'calls waiting', series: this.loads.waiting },
      { label: 'loop lag', series: this.loads.lag, yAxisID: 'right' },
    ]);
  }

  update(chart, lines) {
    const sets = chart.data.datasets;
    sets.length = Math.min(sets.length, lines.length);
    lines.forEach(({ label, series, yAxisID = 'y' }, index) => {
      const colour = this.colours[index % COLOURS];
      sets[index] ??= { label, yAxisID, borderColor: colour, backgroundColor: colour, data: [] };
      sets[index].label = label;
      sets[index].data = series.points;
    });
    const end = this.now ?? Date.now() / 1000;
    chart.options.scales.x.min = end - POINTS;
    chart.options.scales.x.max = end;
    chart.update('none');
  }
}


/** Ticks at whole minutes. */
function minutes(axis) {
  const step = axis.width > 340 ? 60 : 120;
  const ticks = [];
  for (let at = Math.ceil(axis.min / step) * step; at <= axis.max; at += step) ticks.push({ value: at });
  axis.ticks = ticks;
}
