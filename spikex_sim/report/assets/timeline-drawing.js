// The drawing of a timeline: tracks on a canvas. A column of pixels shows what share of its cycles goes to what,
// so that a frame costs the same however many slices there are.
"use strict";
(() => {
  const ROW = 30, BAR = 22, AXIS = 34, GUTTER = 150, NARROW = 560, CAPTION = 15;
  const LEAST = 10; // cycles across the whole width
  const MOST_LAYERS = 2000, LABEL_FROM = 64, GAP_FROM = 5, TICK = 110, STEP = 1.25, PAN = 0.2;
  const FEW_TRACKS = 12, MARGIN = 200, MOST_HIGH = 32000, MOST_PIXELS = 1 << 26;
  const LIGHT = {
    text: "#1f2328", compute: "#c4cbd3", pixel: 0x0f28231f, line: "rgba(31,35,40,0.25)", mark: "#111111",
  };
  const DARK = {
    text: "#e6e6e6", compute: "#68727e", pixel: 0x12ffffff, line: "rgba(255,255,255,0.3)",
    mark: "#ffffff",
  };
  const DEEP = ["#0072B2", "#7A5195"]; // colours that white letters suit

  const pixelOf = (color) => { // 0xAABBGGRR, as they lie in an image
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
  };
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

  class Drawing {
    constructor(root, { data, labels, tracks }) {
      Object.assign(this, { data, labels, tracks, from: 0, to: data.cycles, waiting: false, printing: false });
      this.chosen = { track: tracks.length - 1, slice: -1 };
      this.build(root);
    }

    build(root) {
      const bar = made("div", root, { className: "timeline-bar" });
      const buttons = [
        ["+", "zoom in", () => this.zoom(1 / STEP ** 2)],
        ["−", "zoom out", () => this.zoom(STEP ** 2)],
        ["←", "earlier", () => this.move(-PAN)],
        ["→", "later", () => this.move(PAN)],
        ["whole run", "", () => this.show(0, this.data.cycles)],
      ];
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
        const button = made("button", made("li", list), { type: "button", textContent: name });
        button.title = `${grouped(to - from)} cycles`;
        button.addEventListener("click", () => this.show(from, to));
      });
      const left = this.data.layers.length - MOST_LAYERS;
      if (left > 0) made("li", list, { textContent: `and ${grouped(left)} more` });
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
      const { kinds, cycles } = this.data;
      const tracks = this.tracks.slice(0, 12).map((track) => {
        const spent = track.spent.map((before) => percent(before[track.count], cycles));
        const parts = track.kinds.map((kind, at) => `${kinds[kind].name} ${spent[at]}`);
        return `${track.name}: ${parts.join(", ")}`;
      });
      const count = this.tracks.reduce((sum, track) => sum + track.count, 0);
      const size = `${slices(count)} in ${grouped(cycles)} cycles`;
      return `Timeline of ${size}. ${tracks.join(". ")}. Plus and minus zoom, arrows move.`;
    }

    cyclesOf(kind) { // on the track that has most of it
      return Math.max(...this.tracks.map((track) => track.spent[track.kinds.indexOf(kind)]?.[track.count] ?? 0));
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
      const height = AXIS + row * this.tracks.length;
      // Of very many tracks coarser ones: a canvas that is larger stays empty.
      const most = Math.min(MOST_HIGH / height, Math.sqrt(MOST_PIXELS / (height * Math.max(width, 1))));
      const ratio = Math.min(window.devicePixelRatio || 1, most);
      return { width, narrow, row, left: narrow ? 0 : GUTTER, height, ratio };
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
      const shown = this.inSight();
      const wide = Math.round(size.width * ratio), high = Math.round(size.height * ratio);
      if (this.canvas.width !== wide) this.canvas.width = wide;
      if (this.canvas.height !== high) this.canvas.height = high;
      this.canvas.style.height = `${size.height}px`;
      const brush = this.canvas.getContext("2d");
      brush.setTransform(1, 0, 0, 1, 0, 0);
      brush.clearRect(0, 0, wide, high);
      this.tracks.forEach((track, place) => {
        const top = this.top(place, size);
        if (shown(top)) this.drawTrack(brush, track, top, size, look);
      });
      brush.setTransform(ratio, 0, 0, ratio, 0, 0);
      brush.font = "12px system-ui, sans-serif";
      this.drawAxis(brush, size, look);
      this.drawNames(brush, size, look);
      this.drawChosen(brush, size, look);
      this.legend.forEach((swatch, kind) => { if (swatch) swatch.style.background = this.color(kind, look); });
      const whole = grouped(this.data.cycles), time = lasting((this.to - this.from) / this.data.clockHz);
      this.range.textContent = `cycles ${grouped(this.from)} to ${grouped(this.to)} of ${whole} (${time})`;
    }

    inSight() { // of many tracks those that the window shows, and some beyond
      const { top } = this.canvas.getBoundingClientRect(), all = this.printing || this.tracks.length <= FEW_TRACKS;
      return (y) => all || (top + y > -MARGIN && top + y < innerHeight + MARGIN);
    }

    drawTrack(brush, track, top, size, look) {
      const { ratio } = size, left = Math.round(size.left * ratio), y = Math.round(top * ratio);
      const columns = Math.round(size.width * ratio) - left, high = Math.round(BAR * ratio);
      if (this.image?.width !== columns || this.image.height !== high) this.image = new ImageData(columns, high);
      const gaps = this.fill(new Uint32Array(this.image.data.buffer), track, columns, high, look);
      brush.putImageData(this.image, left, y);
      brush.fillStyle = look.line;
      for (const column of gaps) if (column.whole >= GAP_FROM * ratio) brush.fillRect(left + column.from, y, 1, high);
      this.drawTexts(brush, track, y, columns, left, ratio, look);
    }

    fill(pixels, track, columns, high, look) { // columns from left to right; says where slices over several begin
      const each = (this.to - this.from) / columns, runs = [];
      const colors = track.kinds.map((kind) => pixelOf(this.color(kind, look)));
      pixels.fill(look.pixel);
      let at = track.after(this.from);
      for (let column = 0; column < columns && at < track.count;) {
        const a = this.from + column * each, b = a + each;
        if (track.start[at] >= b) { // nothing up to the next slice
          column = Math.max(column + 1, Math.floor((track.start[at] - this.from) / each));
          continue;
        }
        const until = Math.min(Math.floor((track.end[at] - this.from) / each), columns);
        const whole = track.start[at] <= a ? until - column : 0;
        if (whole > 0) { // a slice over whole columns
          const color = colors[track.kinds.indexOf(track.kind[at])];
          for (let row = 0; row < high; row++) {
            const from = row * columns + column, to = from + whole;
            if (whole > 32) pixels.fill(color, from, to); // which is slow to start
            else for (let pixel = from; pixel < to; pixel++) pixels[pixel] = color;
          }
          runs.push({ from: column, whole });
          column = until;
          at = track.after(this.from + column * each, at);
          continue;
        }
        const next = track.after(b, at);
        let floor = high;
        for (let place = 0; place < colors.length; place++) {
          const share = (track.until(b, next, place) - track.until(a, at, place)) / each;
          if (share <= 0) continue;
          const top = floor - Math.min(Math.max(Math.round(share * high), 1), floor);
          while (floor > top) pixels[--floor * columns + column] = colors[place];
        }
        column += 1;
        at = next;
      }
      return runs;
    }

    drawTexts(brush, track, y, columns, left, ratio, look) { // names of slices that have the room
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
        const layer = kind.name === "layer" ? this.data.layers[this.labels.layer[track.label[at]]] : "";
        const text = layer || (step ? `${kind.name} ${step}` : kind.name);
        const x = left + (from - this.from) * scale + 5 * ratio, room = (to - from) * scale - 8 * ratio;
        if (brush.measureText(text).width > room) continue;
        const light = kind.color ? DEEP.includes(kind.color) : look === DARK;
        brush.fillStyle = light ? "#ffffff" : "#111111";
        brush.fillText(text, x, y + BAR * ratio / 2);
      }
    }

    drawAxis(brush, size, look) {
      const room = size.width - size.left, rough = (this.to - this.from) * TICK / room;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = Math.max([1, 2, 5, 10].find((one) => one * power >= rough) * power, 1);
      brush.textBaseline = "alphabetic";
      brush.fillStyle = look.line;
      brush.fillRect(size.left, 3, room, 2); // where in the run
      brush.fillStyle = look.text;
      const pixels = room / this.data.cycles;
      brush.fillRect(size.left + this.from * pixels, 2, Math.max((this.to - this.from) * pixels, 2), 4);
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
      const wide = Math.max((to - from) * scale, 2);
      brush.strokeRect(size.left + (from - this.from) * scale, this.top(place, size), wide, BAR);
      brush.lineWidth = 1;
    }
  }

  Object.assign(spikexReport.timeline, { Drawing, grouped, lasting, slices, AXIS, STEP, PAN, FEW_TRACKS });
})();
