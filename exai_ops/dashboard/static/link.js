// The WebSocket to /events: subscribes, comes back by itself, goes on where it was.
const LAST = 200;
const STATE_EVERY_S = 1;
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 8000;
const SILENT_MS = 15000;
const UNAUTHORIZED = 4003;

/**
 * `hear` gets {subscribed(frame, anew, filter), events(list), dropped(frame), gap(frame), state(frame), problem(text),
 * status(name, waitMs)}; status is one of connecting, open, lost, out.
 */
export class Link {
  constructor(hear) {
    this.hear = hear;
    this.stream = null;
    this.sequence = 0;
    this.filter = {};
    this.good = {}; // the last filter that the daemon took
    this.asked = []; // subscriptions that are not answered yet: {anew, filter}
    this.waitMs = FIRST_WAIT_MS;
    this.heardAt = 0;
    setInterval(() => this.watch(), 5000);
    addEventListener('online', () => this.retryNow());
    document.addEventListener('visibilitychange', () => document.hidden || this.retryNow());
  }

  /** Show what fits this filter: the last events that do, then those to come. */
  subscribe(filter) {
    this.filter = filter;
    if (!this.socket) this.open();
    else if (this.socket.readyState === WebSocket.OPEN) this.ask(true);
  }

  ask(anew) {
    const goOn = !anew && this.stream !== null;
    const from = goOn ? { stream: this.stream, after: this.sequence } : { last: LAST };
    this.asked.push({ anew: !goOn, filter: this.filter });
    this.socket.send(JSON.stringify({ op: 'subscribe', filter: this.filter, state_every_s: STATE_EVERY_S, ...from }));
  }

  open() {
    clearTimeout(this.retrying);
    this.hear.status('connecting');
    this.asked = [];
    this.taken = false; // whether this connection has a subscription
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = (this.socket = new WebSocket(`${scheme}//${location.host}/events`));
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.heardAt = performance.now();
      this.ask(false);
    };
    socket.onmessage = (message) => {
      if (socket === this.socket) this.take(JSON.parse(message.data));
    };
    socket.onclose = (closed) => {
      if (socket === this.socket) this.closed(opened, closed);
    };
  }

  take(frame) {
    this.heardAt = performance.now();
    switch (frame.op) {
      case 'subscribed': return this.subscribed(frame);
      case 'events':
        if (frame.sequence) this.sequence = frame.sequence; // 0: from disk, of a time before
        return this.hear.events(frame.events);
      case 'dropped':
        this.sequence = frame.sequence;
        return this.hear.dropped(frame);
      case 'gap': return this.hear.gap(frame);
      case 'state': return this.hear.state(frame);
      case 'error':
        return this.refused(frame.message);
    }
  }

  /** A filter that is none leaves the one before in force; on a new connection there is none yet. */
  refused(message) {
    this.asked.shift();
    const first = !this.taken;
    if (!this.asked.length && this.filter !== this.good) {
      this.filter = this.good;
      if (first) this.ask(false);
    }
    this.hear.problem(message);
  }

  subscribed(frame) {
    const { anew, filter } = this.asked.shift() ?? { anew: false, filter: this.good };
    this.good = filter;
    this.taken = true;
    if (frame.stream !== this.stream) this.sequence = 0;
    if (anew) this.sequence = frame.sequence;
    this.stream = frame.stream;
    this.waitMs = FIRST_WAIT_MS;
    this.hear.status('open');
    this.hear.subscribed(frame, anew, filter);
  }

  async closed(opened, event) {
    this.socket = null;
    if ((!opened || event.code === UNAUTHORIZED) && (await loggedOut())) return this.hear.status('out');
    const waitMs = this.waitMs * (0.75 + Math.random() / 2);
    this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 1.7);
    this.hear.status('lost', waitMs);
    clearTimeout(this.retrying);
    this.retrying = setTimeout(() => this.socket || this.open(), waitMs);
  }

  retryNow() {
    if (!this.socket && this.retrying) this.open();
  }

  /** States come each second: a long silence is a connection that is dead and does not know it. */
  watch() {
    const socket = this.socket;
    if (document.hidden || socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.heardAt > SILENT_MS) {
      socket.close();
      if (this.socket === socket) this.closed(true, { code: 1006 });
    }
  }
}

/** Whether the daemon says that this page is not logged in; false where it says nothing. */
async function loggedOut() {
  try {
    const told = await fetch('/dashboard/session', { cache: 'no-store' });
    return told.ok && !(await told.json()).in;
  } catch {
    return false;
  }
}
