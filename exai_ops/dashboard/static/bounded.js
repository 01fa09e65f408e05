// Arrays that do not grow.

/** Numbers over time: the newest `size`, oldest first when read. */
export class Series {
  constructor(size) {
    this.size = size;
    this.points = [];
  }

  push(x, y) {
    this.points.push({ x, y });
    if (this.points.length > this.size) this.points.splice(0, this.points.length - this.size);
  }
}

/** The newest `size` things that wait; what was pushed out is counted. */
export class Waiting {
  constructor(size) {
    this.size = size;
    this.clear();
  }

  clear() {
    this.items = [];
    this.lost = 0;
  }

  /** Add things, oldest first. */
  add(items) {
    if (items.length >= this.size) {
      this.lost += this.items.length + items.length - this.size;
      this.items = items.slice(-this.size);
      return;
    }
    const over = this.items.length + items.length - this.size;
    if (over > 0) {
      this.items.splice(0, over);
      this.lost += over;
    }
    for (const item of items) this.items.push(item);
  }

  get count() {
    return this.items.length + this.lost;
  }

  /** All that wait, oldest first; none wait afterwards. */
  take() {
    const taken = this.items;
    this.clear();
    return taken;
  }
}
