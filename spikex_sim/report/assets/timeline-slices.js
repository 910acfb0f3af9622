// Slices of a timeline: columns of numbers as spikex_sim/report/columns.py packs them, unpacked and searched.
"use strict";
(() => {
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  class Numbers {
    constructor(bytes) { this.bytes = bytes; this.at = 0; }

    next() {
      let value = 0, scale = 1, byte;
      do { // by arithmetic: shifts have 32 bits
        byte = this.bytes[this.at++];
        value += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
      return value;
    }

    plain(count) { return Float64Array.from({ length: count }, () => this.next()); }

    sums(count) { // of differences in zigzag
      let last = 0;
      return Float64Array.from({ length: count }, () => {
        const value = this.next();
        return (last += value % 2 ? -(value + 1) / 2 : value / 2);
      });
    }
  }

  class Labels {
    constructor(data, numbers) {
      this.layers = data.layers;
      this.parts = data.templates.map((one) => one.split("\0"));
      this.layer = numbers.sums(data.labels);
      this.template = numbers.sums(data.labels);
      const counts = this.parts.map(() => 0);
      this.rank = this.template.map((one) => counts[one]++);
      this.numbers = this.parts.map((parts, one) => parts.slice(1).map(() => numbers.sums(counts[one])));
    }

    place(label) {
      const which = this.template[label], rank = this.rank[label];
      return this.parts[which].reduce((text, part, at) => text + this.numbers[which][at - 1][rank] + part);
    }

    step(label) { return /step (\d+)$/.exec(this.place(label))?.[1]; }
  }

  class Track {
    constructor({ name, slices: count, bits }, numbers) {
      this.name = name;
      this.count = count;
      const gaps = numbers.plain(count), cycles = numbers.plain(count);
      this.start = new Float64Array(count);
      this.end = new Float64Array(count);
      let now = 0;
      for (let at = 0; at < count; at++) {
        this.start[at] = now + gaps[at];
        this.end[at] = now = this.start[at] + cycles[at];
      }
      this.kind = numbers.plain(count);
      this.label = numbers.sums(count);
      this.bits = bits ? numbers.plain(count).map((one) => one - 1) : null;
      this.kinds = [...new Set(this.kind)].sort((a, b) => a - b);
      this.spent = this.kinds.map((kind) => { // cycles of a kind before each slice
        const before = new Float64Array(count + 1);
        for (let at = 0; at < count; at++) before[at + 1] = before[at] + (this.kind[at] === kind ? cycles[at] : 0);
        return before;
      });
    }

    after(cycle, low = 0) { // first slice that ends after a cycle, none before `low`: near it in most cases
      let high = low, stride = 1;
      while (high < this.count && this.end[high] <= cycle) {
        low = high + 1;
        high += stride;
        stride *= 2;
      }
      high = Math.min(high, this.count);
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.end[middle] > cycle) high = middle; else low = middle + 1;
      }
      return low;
    }

    until(cycle, at, place) { // cycles of a kind before a cycle, which `at` is the first slice to end after
      const inside = at < this.count && this.kind[at] === this.kinds[place] ? Math.max(cycle - this.start[at], 0) : 0;
      return this.spent[place][at] + inside;
    }

    at(cycle) { // slice that a cycle is in, or -1
      const found = this.after(cycle);
      return found < this.count && this.start[found] <= cycle ? found : -1;
    }
  }

  spikexReport.timeline = {
    Track,
    async unpacked(data) {
      const numbers = new Numbers(await unpacked(data.packed));
      const labels = new Labels(data, numbers);
      return { data, labels, tracks: data.tracks.map((one) => new Track(one, numbers)) };
    },
  };
})();
