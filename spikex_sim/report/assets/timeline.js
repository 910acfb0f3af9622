// The timeline of a run, to be zoomed into and pointed at; timeline-drawing.js draws it.
"use strict";
(() => {
  const { unpacked, Drawing, grouped, lasting, slices, AXIS, STEP, PAN, FEW_TRACKS } = spikexReport.timeline;

  class Timeline extends Drawing {
    constructor(root, found) {
      super(root, found);
      this.pointers = new Map();
      this.listen();
      this.draw();
    }

    // --- What is pointed at -------------------------------------------------------------------------------

    text(place, slice) {
      const track = this.tracks[place], label = track.label[slice];
      const start = track.start[slice], end = track.end[slice], cycles = end - start;
      const layer = this.data.layers[this.labels.layer[label]];
      return [
        `${this.data.kinds[track.kind[slice]].name} (${track.name})`,
        [layer, this.labels.place(label)].filter(Boolean).join(": "),
        `cycles ${grouped(start)} to ${grouped(end)} (${grouped(cycles)} cycles, ${lasting(cycles / this.data.clockHz)})`,
        ...(track.bits && track.bits[slice] >= 0 ? [`${grouped(track.bits[slice])} bits`] : []),
      ].join("\n");
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
      if (this.tracks.length > FEW_TRACKS) addEventListener("scroll", redraw, { passive: true });
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
        const on = this.tracks[track];
        if (slice >= 0 && this.data.kinds[on.kind[slice]].name === "layer") this.show(on.start[slice], on.end[slice]);
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
        this.zoom(Math.exp(Math.min(Math.max(pixels, -300), 300) / 500), this.cycleAt(this.under(event).x));
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
      root.textContent = "This browser is too old to unpack the timeline; the table below has its sums.";
      return;
    }
    new Timeline(root, await unpacked(data));
  };
  spikexReport.sections.timeline.early = true; // unpacking takes a moment, which a printer does not wait
})();
