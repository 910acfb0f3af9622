// The timeline of a run: tracks of slices on a canvas. A column of pixels shows what share of its cycles goes
// to what, so that a frame costs the same however many slices there are.
"use strict";
(() => {
  const ROW = 30, BAR = 22, AXIS = 34, GUTTER = 150, NARROW = 560, CAPTION = 15;
  const LEAST = 10; // cycles across the whole width
  const MOST_LAYERS = 2000, LABEL_FROM = 64, GAP_FROM = 5, TICK = 110, STEP = 1.25, PAN = 0.2;
  const LIGHT = { text: "#1f2328", compute: "#c4cbd3", ground: "rgba(31,35,40,0.06)", line: "rgba(31,35,40,0.25)", mark: "#111111" };
  const DARK = { text: "#e6e6e6", compute: "#68727e", ground: "rgba(255,255,255,0.07)", line: "rgba(255,255,255,0.3)", mark: "#ffffff" };

  const grouped = (value) => Math.round(value).toLocaleString("en-US");
  const percent = (part, whole) => `${(100 * part / whole).toFixed(1)} %`;
  const slices = (count) => `${grouped(count)} slice${count === 1 ? "" : "s"}`;

  function lasting(seconds) {
    const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
    const [scale, unit] = units.find(([one]) => seconds >= one) || units[3];
    return `${Number((seconds / scale).toPrecision(4))} ${unit}`;
  }

  function made(tag, parent, options = {}) {
    const one = Object.assign(document.createElement(tag), options);
    parent.append(one);
    return one;
  }

  // --- What is drawn: columns of numbers, as spikex_sim/report/columns.py packs them ----------------------

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

    after(cycle, low = 0) { // first slice that ends after a cycle
      let high = this.count;
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

  // --- The drawing ----------------------------------------------------------------------------------------

  class Timeline {
    constructor(root, data, bytes) {
      const numbers = new Numbers(bytes);
      this.data = data;
      this.labels = new Labels(data, numbers);
      this.tracks = data.tracks.map((one) => new Track(one, numbers));
      this.from = 0;
      this.to = data.cycles;
      this.chosen = { track: this.tracks.length - 1, slice: -1 };
      this.pointers = new Map();
      this.waiting = this.printing = false;
      this.build(root);
      this.listen();
      this.draw();
    }

    build(root) {
      const bar = made("div", root, { className: "timeline-bar" });
      const buttons = [["+", "zoom in", () => this.zoom(1 / STEP ** 2)], ["−", "zoom out", () => this.zoom(STEP ** 2)],
        ["←", "earlier", () => this.move(-PAN)], ["→", "later", () => this.move(PAN)], ["whole run", "", () => this.show(0, this.data.cycles)]];
      for (const [text, title, does] of buttons) {
        const button = made("button", bar, { type: "button", textContent: text, title, onclick: does });
        if (title) button.setAttribute("aria-label", title);
      }
      this.range = made("output", bar);
      const legend = made("ul", root, { className: "timeline-legend" });
      this.legend = this.data.kinds.map((kind, place) => {
        if (kind.name === "layer") return null;
        const line = made("li", legend);
        const swatch = made("span", line);
        line.append(`${kind.name}, ${percent(this.cyclesOf(place), this.data.cycles)}`);
        return swatch;
      });
      const list = made("ul", root, { className: "timeline-layers" });
      list.setAttribute("aria-label", "Layers: show one");
      const spans = this.spans();
      this.data.layers.slice(0, MOST_LAYERS).forEach((name, place) => {
        const [from, to] = spans[place];
        made("button", made("li", list), { type: "button", textContent: name, title: `${grouped(to - from)} cycles`, onclick: () => this.show(from, to) });
      });
      if (this.data.layers.length > MOST_LAYERS) made("li", list, { textContent: `and ${grouped(this.data.layers.length - MOST_LAYERS)} more` });
      this.stage = made("div", root, { className: "timeline-stage" });
      this.canvas = made("canvas", this.stage, { tabIndex: 0 });
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-label", this.summary());
      this.tip = made("div", this.stage, { className: "timeline-tip" });
      this.said = made("p", root, { className: "timeline-said" });
      this.said.setAttribute("aria-live", "polite");
      this.said.textContent = "Point at a slice, or press the comma and full stop keys, to see what it is.";
    }

    summary() {
      const tracks = this.tracks.map((track) => `${track.name}: ${track.kinds.map((kind, place) => `${this.data.kinds[kind].name} ${percent(track.spent[place][track.count], this.data.cycles)}`).join(", ")}`);
      const count = this.tracks.reduce((sum, track) => sum + track.count, 0);
      return `Timeline of ${slices(count)} in ${grouped(this.data.cycles)} cycles. ${tracks.slice(0, 12).join(". ")}. Plus and minus zoom, arrows move.`;
    }

    cyclesOf(kind) { // on the track that has most of it
      return Math.max(...this.tracks.map((track) => { const place = track.kinds.indexOf(kind); return place < 0 ? 0 : track.spent[place][track.count]; }));
    }

    spans() {
      const found = this.data.layers.map(() => [Infinity, 0]);
      for (const track of this.tracks) {
        for (let at = 0; at < track.count; at++) {
          const span = found[this.labels.layer[track.label[at]]];
          span[0] = Math.min(span[0], track.start[at]);
          span[1] = Math.max(span[1], track.end[at]);
        }
      }
      return found;
    }

    show(from, to) {
      const span = Math.min(Math.max(to - from, LEAST), this.data.cycles);
      this.from = Math.min(Math.max((from + to - span) / 2, 0), this.data.cycles - span);
      this.to = this.from + span;
      this.redraw();
    }

    zoom(factor, at = (this.from + this.to) / 2) {
      const span = Math.min(Math.max((this.to - this.from) * factor, LEAST), this.data.cycles);
      const from = at - (at - this.from) * span / (this.to - this.from);
      this.show(from, from + span);
    }

    move(share) {
      const by = share * (this.to - this.from);
      const kept = Math.min(Math.max(by, -this.from), this.data.cycles - this.to);
      this.show(this.from + kept, this.to + kept);
    }

    redraw() {
      if (!this.waiting) requestAnimationFrame(() => { this.waiting = false; this.draw(); });
      this.waiting = true;
    }

    measure() {
      const width = this.stage.clientWidth, narrow = width < NARROW;
      const row = ROW + (narrow ? CAPTION : 0);
      return { width, narrow, row, left: narrow ? 0 : GUTTER, height: AXIS + row * this.tracks.length, ratio: window.devicePixelRatio || 1 };
    }

    top(track, size) { return AXIS + size.row * track + (size.narrow ? CAPTION : 0); }

    look() {
      if (this.printing || matchMedia("print").matches) return LIGHT;
      const [red, green, blue] = getComputedStyle(this.stage).color.match(/[\d.]+/g).map(Number);
      return red + green + blue > 384 ? DARK : LIGHT;
    }

    color(kind, look) { return this.data.kinds[kind].color || look.compute; }

    draw() {
      const size = this.size = this.measure(), look = this.look(), { ratio } = size;
      if (!size.width) return;
      const wide = Math.round(size.width * ratio), high = Math.round(size.height * ratio);
      if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });
      this.canvas.style.height = `${size.height}px`;
      const brush = this.canvas.getContext("2d");
      brush.setTransform(1, 0, 0, 1, 0, 0);
      brush.clearRect(0, 0, wide, high);
      this.tracks.forEach((track, place) => this.drawTrack(brush, track, this.top(place, size), size, look));
      brush.setTransform(ratio, 0, 0, ratio, 0, 0);
      brush.font = "12px system-ui, sans-serif";
      this.drawAxis(brush, size, look);
      this.drawNames(brush, size, look);
      this.drawChosen(brush, size, look);
      this.legend.forEach((swatch, kind) => { if (swatch) swatch.style.background = this.color(kind, look); });
      const seconds = (this.to - this.from) / this.data.clockHz;
      this.range.textContent = `cycles ${grouped(this.from)} to ${grouped(this.to)} of ${grouped(this.data.cycles)} (${lasting(seconds)})`;
    }

    drawTrack(brush, track, top, size, look) {
      const { ratio } = size;
      const left = Math.round(size.left * ratio), columns = Math.round(size.width * ratio) - left;
      const y = Math.round(top * ratio), high = Math.round(BAR * ratio), each = (this.to - this.from) / columns;
      const rects = track.kinds.map(() => []);
      const gaps = [];
      brush.fillStyle = look.ground;
      brush.fillRect(left, y, columns, high);
      let at = track.after(this.from);
      for (let column = 0; column < columns && at < track.count;) {
        const a = this.from + column * each, b = a + each;
        if (track.start[at] >= b) { // nothing up to the next slice
          column = Math.max(column + 1, Math.floor((track.start[at] - this.from) / each));
          continue;
        }
        const whole = track.start[at] <= a ? Math.min(Math.floor((track.end[at] - this.from) / each), columns) - column : 0;
        if (whole > 0) { // a slice over whole columns
          rects[track.kinds.indexOf(track.kind[at])].push(left + column, y, whole, high);
          if (whole >= GAP_FROM * ratio) gaps.push(left + column);
          column += whole;
        } else {
          const next = track.after(b, at);
          let floor = y + high;
          for (let place = 0; place < track.kinds.length; place++) {
            const share = (track.until(b, next, place) - track.until(a, at, place)) / each;
            if (share <= 0) continue;
            const tall = Math.min(Math.max(Math.round(share * high), 1), floor - y);
            floor -= tall;
            if (tall) rects[place].push(left + column, floor, 1, tall);
          }
          column += 1;
        }
        at = track.after(this.from + column * each, at);
      }
      rects.forEach((of, place) => {
        brush.fillStyle = this.color(track.kinds[place], look);
        for (let one = 0; one < of.length; one += 4) brush.fillRect(of[one], of[one + 1], of[one + 2], of[one + 3]);
      });
      brush.fillStyle = look.line;
      for (const x of gaps) brush.fillRect(x, y, 1, high);
      this.drawTexts(brush, track, y, columns, left, size);
    }

    drawTexts(brush, track, y, columns, left, { ratio }) { // names of slices that have the room
      const scale = columns / (this.to - this.from);
      const shortest = LABEL_FROM * ratio / scale;
      if ((this.to - this.from) / shortest * 8 < track.after(this.to) - track.after(this.from)) return;
      brush.font = `${11 * ratio}px system-ui, sans-serif`;
      brush.textBaseline = "middle";
      for (let at = track.after(this.from); at < track.count && track.start[at] < this.to; at++) {
        const from = Math.max(track.start[at], this.from), to = Math.min(track.end[at], this.to);
        if (to - from < shortest) continue;
        const kind = this.data.kinds[track.kind[at]];
        const step = this.labels.step(track.label[at]);
        const text = kind.name === "layer" ? this.data.layers[this.labels.layer[track.label[at]]] : step ? `${kind.name} ${step}` : kind.name;
        const x = left + (from - this.from) * scale + 5 * ratio, room = (to - from) * scale - 8 * ratio;
        if (brush.measureText(text).width > room) continue;
        brush.fillStyle = ["#0072B2", "#7A5195"].includes(kind.color) || (!kind.color && this.look() === DARK) ? "#ffffff" : "#111111";
        brush.fillText(text, x, y + BAR * ratio / 2);
      }
    }

    drawAxis(brush, size, look) {
      const room = size.width - size.left, rough = (this.to - this.from) * TICK / room;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = Math.max([1, 2, 5, 10].find((one) => one * power >= rough) * power, 1);
      brush.textBaseline = "alphabetic";
      brush.fillStyle = look.line;
      brush.fillRect(size.left, 2, room, 4); // where in the run
      brush.fillStyle = look.text;
      brush.fillRect(size.left + this.from / this.data.cycles * room, 1, Math.max((this.to - this.from) / this.data.cycles * room, 2), 6);
      for (let cycle = Math.ceil(this.from / step) * step; cycle <= this.to; cycle += step) {
        const x = size.left + (cycle - this.from) / (this.to - this.from) * room;
        brush.fillStyle = look.line;
        brush.fillRect(x, AXIS - 6, 1, size.height - AXIS + 6);
        brush.fillStyle = look.text;
        const text = grouped(cycle), wide = brush.measureText(text).width;
        if (x + wide + 3 < size.width) brush.fillText(text, x + 3, AXIS - 8);
      }
      if (!size.narrow) brush.fillText("cycle", 0, AXIS - 8);
    }

    drawNames(brush, size, look) {
      brush.fillStyle = look.text;
      this.tracks.forEach((track, place) => {
        const y = this.top(place, size);
        let name = track.name;
        const room = (size.narrow ? size.width : GUTTER) - 12;
        while (name.length > 3 && brush.measureText(name).width > room) name = `${name.slice(0, -2)}…`;
        brush.textBaseline = size.narrow ? "alphabetic" : "middle";
        brush.fillText(name, 2, size.narrow ? y - 3 : y + BAR / 2);
        if (place === this.chosen.track && document.activeElement === this.canvas) {
          brush.strokeStyle = look.text;
          brush.strokeRect(size.left + 0.5, y - 1.5, size.width - size.left - 1, BAR + 3);
        }
      });
    }

    drawChosen(brush, size, look) {
      const { track: place, slice } = this.chosen;
      if (slice < 0) return;
      const track = this.tracks[place], scale = (size.width - size.left) / (this.to - this.from);
      const from = Math.max(track.start[slice], this.from), to = Math.min(track.end[slice], this.to);
      if (to <= from) return;
      brush.strokeStyle = look.mark;
      brush.lineWidth = 2;
      brush.strokeRect(size.left + (from - this.from) * scale, this.top(place, size), Math.max((to - from) * scale, 2), BAR);
      brush.lineWidth = 1;
    }

    // --- What is pointed at -------------------------------------------------------------------------------

    text(place, slice) {
      const track = this.tracks[place], label = track.label[slice], cycles = track.end[slice] - track.start[slice];
      const bits = track.bits && track.bits[slice] >= 0 ? `\n${grouped(track.bits[slice])} bits` : "";
      const where = [this.data.layers[this.labels.layer[label]], this.labels.place(label)].filter(Boolean).join(": ");
      return `${this.data.kinds[track.kind[slice]].name} (${track.name})\n${where}\ncycles ${grouped(track.start[slice])} to ${grouped(track.end[slice])} (${grouped(cycles)}, ${lasting(cycles / this.data.clockHz)})${bits}`;
    }

    cycleAt(x) { return this.from + (x - this.size.left) / (this.size.width - this.size.left) * (this.to - this.from); }

    under(event) {
      const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      const track = Math.floor((y - AXIS) / this.size.row);
      const inside = x >= this.size.left && track >= 0 && track < this.tracks.length;
      const pixel = (this.to - this.from) / (this.size.width - this.size.left);
      let slice = inside ? this.tracks[track].at(this.cycleAt(x)) : -1;
      if (inside && slice < 0) { // a slice narrower than the pixel that is pointed at
        const next = this.tracks[track].after(this.cycleAt(x) - pixel);
        if (next < this.tracks[track].count && this.tracks[track].start[next] <= this.cycleAt(x) + pixel) slice = next;
      }
      return { x, y, track, slice };
    }

    hover(event) {
      const { x, y, track, slice } = this.under(event);
      this.tip.textContent = slice < 0 ? "" : this.text(track, slice);
      if (slice < 0) return;
      const room = this.size.width - this.tip.offsetWidth;
      this.tip.style.left = `${Math.max(Math.min(x + 14, room), 0)}px`;
      this.tip.style.top = `${y + 18}px`;
    }

    choose(track, slice) {
      this.chosen = { track, slice };
      if (slice >= 0) this.said.textContent = this.text(track, slice).replaceAll("\n", " · ");
      this.redraw();
    }

    neighbour(by) { // the slice before or after; the first one in sight where none is chosen
      const { track: place, slice } = this.chosen, track = this.tracks[place];
      const next = Math.min(Math.max(slice < 0 ? track.after(this.from) : slice + by, 0), track.count - 1);
      const span = this.to - this.from, middle = (track.start[next] + track.end[next]) / 2;
      if (middle < this.from || middle > this.to) {
        const from = Math.min(Math.max(middle - span / 2, 0), this.data.cycles - span);
        this.show(from, from + span);
      }
      this.choose(place, next);
    }

    // --- What is done with it -----------------------------------------------------------------------------

    listen() {
      const { canvas } = this;
      const redraw = () => this.redraw();
      new ResizeObserver(redraw).observe(this.stage);
      new MutationObserver(redraw).observe(document.documentElement, { attributes: true });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
      matchMedia("print").addEventListener("change", () => this.draw());
      addEventListener("beforeprint", () => { this.printing = true; this.draw(); });
      addEventListener("afterprint", () => { this.printing = false; this.draw(); });
      canvas.addEventListener("focus", redraw);
      canvas.addEventListener("blur", redraw);
      canvas.addEventListener("keydown", (event) => this.key(event));
      canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      canvas.addEventListener("pointerdown", (event) => this.press(event));
      canvas.addEventListener("pointermove", (event) => this.drag(event));
      canvas.addEventListener("pointerleave", () => { this.tip.textContent = ""; });
      for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.release(event));
      canvas.addEventListener("dblclick", (event) => {
        const { x, track, slice } = this.under(event);
        if (slice >= 0 && this.data.kinds[this.tracks[track].kind[slice]].name === "layer") this.show(this.tracks[track].start[slice], this.tracks[track].end[slice]);
        else this.zoom(1 / STEP ** 4, this.cycleAt(x));
      });
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const steps = { ArrowUp: -1, ArrowDown: 1 };
      const does = {
        "+": () => this.zoom(1 / STEP ** 2), "=": () => this.zoom(1 / STEP ** 2), "-": () => this.zoom(STEP ** 2),
        ArrowLeft: () => this.move(-PAN), ArrowRight: () => this.move(PAN), Home: () => this.show(0, this.data.cycles),
        ",": () => this.neighbour(-1), ".": () => this.neighbour(1), Escape: () => { this.tip.textContent = ""; },
      }[event.key];
      if (does) does();
      else if (event.key in steps) {
        const track = Math.min(Math.max(this.chosen.track + steps[event.key], 0), this.tracks.length - 1);
        this.said.textContent = `track ${this.tracks[track].name}, ${slices(this.tracks[track].count)}`;
        this.choose(track, -1);
      } else return;
      event.preventDefault();
    }

    wheel(event) {
      const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const active = event.ctrlKey || event.metaKey || document.activeElement === this.canvas;
      const pixels = (event.deltaX || event.deltaY) * (event.deltaMode ? 30 : 1);
      if (sideways) this.move(pixels / this.size.width);
      else if (active && !(event.deltaY > 0 && this.to - this.from >= this.data.cycles)) {
        this.zoom(Math.exp(Math.min(Math.max(event.deltaY * (event.deltaMode ? 30 : 1), -300), 300) / 500), this.cycleAt(this.under(event).x));
      } else return; // the page scrolls
      event.preventDefault();
    }

    press(event) {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event.clientX);
      this.moved = 0;
    }

    drag(event) {
      if (!this.pointers.has(event.pointerId)) { this.hover(event); return; }
      const room = this.size.width - this.size.left, before = [...this.pointers.values()];
      this.moved += Math.abs(event.clientX - this.pointers.get(event.pointerId));
      this.pointers.set(event.pointerId, event.clientX);
      const now = [...this.pointers.values()];
      const middle = (xs) => xs.reduce((sum, x) => sum + x, 0) / xs.length;
      this.move((middle(before) - middle(now)) / room);
      if (now.length > 1) {
        const apart = (xs) => Math.max(Math.abs(xs[0] - xs[1]), 8);
        this.zoom(apart(before) / apart(now), this.cycleAt(middle(now) - this.canvas.getBoundingClientRect().left));
      }
      this.tip.textContent = "";
    }

    release(event) {
      if (!this.pointers.delete(event.pointerId) || event.type === "pointercancel") return;
      if (this.moved > 4) return;
      const { track, slice } = this.under(event);
      if (slice >= 0) this.choose(track, slice);
    }
  }

  spikexReport.sections.timeline = async (element, data) => {
    const root = element.querySelector(".timeline-view");
    if (typeof DecompressionStream === "undefined") {
      root.textContent = "This browser cannot unpack the timeline; one of 2023 or later can. The table below has its sums.";
      return;
    }
    new Timeline(root, data, await unpacked(data.packed));
  };
  spikexReport.sections.timeline.early = true; // unpacking takes a moment, which a printer does not wait
})();
