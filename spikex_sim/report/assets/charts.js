// Charts of a section, drawn by Plotly in the page's colours, and the selection that they share with a table.
"use strict";
(() => {
  const SELECTED = 1, OTHERS = 0.12, ZOOM = 1.4, MOVE = 0.15;
  const charts = new Set();

  // --- Colours: those that depend on the theme stand as @names in the data -------------------------------------

  function colors() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    return { "@ink": value("--ink"), "@muted": value("--muted"), "@paper": value("--paper"), "@line": value("--line") };
  }

  function themed(content, names, key = "") {
    if (Array.isArray(content)) return content.map((one) => themed(one, names, key));
    if (content !== null && typeof content === "object") {
      return Object.fromEntries(Object.entries(content).map(([name, one]) => [name, themed(one, names, name)]));
    }
    return /color$/.test(key) && names[content] || content;
  }

  function styled(layout, names, width, series) {
    const narrow = width < 520;
    const axis = (one) => ({
      gridcolor: names["@line"], zeroline: false, zerolinecolor: names["@line"], linecolor: names["@muted"], ticks: "outside",
      tickcolor: names["@muted"], showline: true, ...one,
      ...(one.title && { title: { standoff: 8, ...one.title } }),
    });
    return {
      ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
      font: { family: "system-ui, Liberation Sans, DejaVu Sans, sans-serif", size: narrow ? 11 : 12, color: names["@ink"] },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 8, r: 14, t: 8, b: 8 },
      showlegend: series > 1,
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", traceorder: "normal", font: { size: narrow ? 10 : 11 } },
      hoverlabel: { bgcolor: names["@paper"], bordercolor: names["@muted"], font: { color: names["@ink"], size: 12 }, align: "left" },
      hovermode: "closest", modebar: { color: names["@muted"], activecolor: names["@ink"], bgcolor: "rgba(0,0,0,0)" },
      selections: [], newselection: { line: { color: names["@ink"], width: 1.5 } },
    };
  }

  class Chart {
    constructor(place, spec, group) {
      Object.assign(this, { place, spec, group });
      charts.add(this);
      this.draw();
      place.addEventListener("keydown", (event) => this.key(event));
      place.on("plotly_relayout", () => this.ticks());
      if (!group) return;
      place.on("plotly_selected", (event) => { if (event) group.choose(event.points.map(rowOf)); });
      place.on("plotly_deselect", () => group.choose([]));
      place.on("plotly_click", (event) => group.toggle(event.points.map(rowOf)));
    }

    draw() {
      const names = colors(), data = themed(this.spec.data, names);
      const layout = styled(themed(this.spec.layout, names), names, this.place.clientWidth,
        data.filter((one) => one.showlegend !== false).length);
      layout.dragmode = this.group?.selecting ? "select" : "zoom";
      if (this.range) for (const side of ["xaxis", "yaxis"]) Object.assign(layout[side], this.range[side]);
      if (this.group) this.mark(data);
      const config = {
        displaylogo: false, responsive: true, displayModeBar: "hover", showTips: false, doubleClickDelay: 400,
        modeBarButtonsToRemove: this.group ? [] : ["select2d", "lasso2d"],
        toImageButtonOptions: { format: "svg", filename: "chart" },
      };
      Plotly.react(this.place, data, layout, config);
      this.ticks();
    }

    ticks() { // of logarithmic axes, whatever part of them is shown
      const change = {};
      for (const side of ["xaxis", "yaxis"]) {
        if (this.spec.layout[side].type !== "log" || this.spec.layout[side].tickvals) continue;
        const found = logTicks(this.place.layout[side].range);
        if (String(found) === String(this.place.layout[side].tickvals)) continue;
        Object.assign(change, { [`${side}.tickvals`]: found, [`${side}.ticktext`]: found.map(tickText), [`${side}.tickmode`]: "array" });
      }
      if (Object.keys(change).length) Plotly.relayout(this.place, change);
    }

    mark(data) {
      const chosen = this.group.chosen;
      for (const trace of data) {
        if (!trace.customdata) continue;
        trace.selected = { marker: { opacity: SELECTED } };
        trace.unselected = { marker: { opacity: OTHERS } };
        if (chosen.size) trace.selectedpoints = trace.customdata.flatMap((row, at) => chosen.has(row) ? [at] : []);
      }
    }

    select() { // only what changes with the selection
      const chosen = this.group.chosen;
      this.place.data.forEach((trace, index) => {
        if (!trace.customdata) return;
        const points = chosen.size ? trace.customdata.flatMap((row, at) => chosen.has(row) ? [at] : []) : null;
        Plotly.restyle(this.place, { selectedpoints: [points] }, [index]);
      });
      if (!chosen.size) Plotly.relayout(this.place, { selections: [] });
    }

    redraw() { // in another theme, as far as it was zoomed
      const full = this.place.layout;
      this.range = {};
      for (const side of ["xaxis", "yaxis"]) {
        if (full[side].autorange === false && full[side].range) this.range[side] = { range: full[side].range.slice(), autorange: false };
      }
      this.draw();
    }

    key(event) {
      if (event.target !== this.place || event.ctrlKey || event.metaKey || event.altKey) return;
      const scale = { "+": 1 / ZOOM, "=": 1 / ZOOM, "-": ZOOM }[event.key];
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.key === "0" || event.key === "Home") this.home();
      else if (scale) this.zoom(scale, [0, 0]);
      else if (way) this.zoom(1, way);
      else return;
      event.preventDefault();
    }

    zoom(scale, [right, up]) {
      const change = {};
      for (const [side, way] of [["xaxis", right], ["yaxis", up]]) {
        const [low, high] = this.place._fullLayout[side].range.map(Number);
        const middle = (low + high) / 2 + way * MOVE * (high - low), half = scale * (high - low) / 2;
        change[`${side}.range`] = [middle - half, middle + half];
      }
      Plotly.relayout(this.place, change);
    }

    home() {
      const change = {};
      for (const side of ["xaxis", "yaxis"]) {
        const given = this.spec.layout[side];
        change[`${side}.${given.range ? "range" : "autorange"}`] = given.range || given.autorange || true;
      }
      Plotly.relayout(this.place, change);
    }
  }

  // --- Ticks of logarithmic axes --------------------------------------------------------------------------------

  function logTicks([low, high]) {
    const from = 10 ** low, to = 10 ** high, span = high - low;
    if (span < 0.5) { // hardly logarithmic: even steps
      const rough = (to - from) / 5, power = 10 ** Math.floor(Math.log10(rough));
      const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
      const first = Math.ceil(from / step), count = Math.floor(to / step) - first + 1;
      return Array.from({ length: count }, (_, at) => Number(((first + at) * step).toPrecision(12)));
    }
    const parts = span < 3 ? [1, 2, 5] : [1], each = Math.max(1, Math.round(span / 8)), found = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      if (power % each) continue;
      for (const part of parts) {
        const value = Number(`${part}e${power}`);
        if (value >= from && value <= to) found.push(value);
      }
    }
    return found;
  }

  function tickText(value) {
    if (value >= 1e-3 && value < 1e5) return value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
    const [digits, power] = value.toExponential().split("e");
    const raised = String(Number(power)).replace(/./g, (one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one] ?? "⁻");
    return digits === "1" ? `10${raised}` : `${Number(Number(digits).toPrecision(4))}×10${raised}`;
  }

  const rowOf = (point) => point.customdata;

  // --- The selection of a group: rows of a table and their points in all charts ---------------------------------

  class Group {
    constructor(body) {
      this.chosen = new Set();
      this.selecting = false;
      this.charts = [];
      this.body = body;
      this.rows = new Map(Array.from(body.querySelectorAll("tr[data-row]"), (row) => [Number(row.dataset.row), row]));
      this.tools(body.querySelector(".linked"));
      for (const [index, row] of this.rows) {
        row.querySelector(".pick input").addEventListener("change", () => this.toggle([index]));
      }
    }

    tools(place) {
      const button = (text, act) => {
        const one = Object.assign(document.createElement("button"), { type: "button", textContent: text });
        one.addEventListener("click", act);
        place.append(one);
        return one;
      };
      this.modes = [button("drag zooms", () => this.mode(false)), button("drag selects", () => this.mode(true))];
      button("clear selection", () => this.choose([]));
      this.only = button("only selected rows", () => {
        this.only.setAttribute("aria-pressed", this.only.getAttribute("aria-pressed") !== "true");
        this.show();
      });
      this.only.setAttribute("aria-pressed", "false");
      this.said = document.createElement("output");
      place.append(this.said);
      this.mode(false);
      this.show();
    }

    mode(selecting) {
      this.selecting = selecting;
      this.modes.forEach((one, at) => one.setAttribute("aria-pressed", String(selecting === Boolean(at))));
      for (const chart of this.charts) Plotly.relayout(chart.place, { dragmode: selecting ? "select" : "zoom" });
    }

    toggle(rows) {
      const next = new Set(this.chosen);
      for (const row of rows) if (row !== undefined) next.delete(row) || next.add(row);
      this.choose(next);
    }

    choose(rows) {
      this.chosen = new Set([...rows].filter((row) => row !== undefined));
      for (const chart of this.charts) chart.select();
      this.show();
    }

    show() {
      const count = this.chosen.size, only = this.only?.getAttribute("aria-pressed") === "true" && count;
      if (this.said) this.said.textContent = count ? `${count} selected` : "none selected: click points, boxes, or drag";
      for (const [index, row] of this.rows) {
        const there = this.chosen.has(index);
        row.classList.toggle("picked", there);
        row.querySelector(".pick input").checked = there;
        row.classList.toggle("hidden-row", Boolean(only) && !there);
      }
    }
  }

  // --- A chart of two columns that the reader chooses ---------------------------------------------------------

  function freeChart(body, data, group) {
    const { columns, rows } = data.free, names = Object.keys(columns);
    const figure = Object.assign(document.createElement("figure"), { className: "chart wide" });
    figure.append(Object.assign(document.createElement("figcaption"), { textContent: "Any two columns" }));
    const bar = Object.assign(document.createElement("div"), { className: "axes" });
    const place = Object.assign(document.createElement("div"), { className: "plot", tabIndex: 0 });
    place.style.height = "420px";
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", "Any two columns: chart; + and − zoom, arrows move, 0 shows all");
    const first = (...wanted) => wanted.find((name) => names.includes(name)) || names[0];
    const choice = (label, start, empty) => {
      const one = document.createElement("select"), said = document.createElement("label");
      if (empty) one.append(new Option("–", ""));
      for (const name of names) one.append(new Option(name, name));
      one.value = start;
      said.append(`${label} `, one);
      bar.append(said);
      return one;
    };
    const x = choice("across", first("energy_on_chip_pj", "utilization")), y = choice("up", first("edp_js", "energy_pj"));
    const color = choice("colour", "", true);
    figure.append(bar, place);
    body.querySelector(".charts").append(figure);
    const said = (name) => columns[name].unit ? `${name} (${columns[name].unit})` : name;
    const isText = (name) => columns[name].values.some((one) => typeof one === "string");
    const axis = (name) => {
      const values = columns[name].values.filter((one) => one !== null), text = isText(name);
      const far = !text && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) >= 20;
      return { title: { text: said(name) }, automargin: true, type: text ? "category" : far ? "log" : "linear",
        exponentformat: "SI", ...(text && { showgrid: false }) };
    };
    const spec = () => {
      const trace = {
        type: "scatter", mode: "markers", x: columns[x.value].values, y: columns[y.value].values, customdata: rows,
        hovertemplate: `${said(x.value)}: %{x}<br>${said(y.value)}: %{y}<extra></extra>`,
        marker: { size: 7, color: "#0072B2", line: { color: "@paper", width: 0.8 } },
      };
      if (color.value) {
        const values = columns[color.value].values, text = isText(color.value), kinds = [...new Set(values)];
        trace.marker.color = text ? values.map((one) => kinds.indexOf(one)) : values;
        trace.marker.colorscale = "Viridis";
        trace.marker.showscale = true;
        trace.marker.colorbar = { title: { text: said(color.value), side: "right" }, thickness: 12, outlinewidth: 0 };
        if (text) Object.assign(trace.marker.colorbar, { tickvals: kinds.map((_, at) => at), ticktext: kinds });
      }
      return { data: [trace], layout: { xaxis: axis(x.value), yaxis: axis(y.value) } };
    };
    spikexReport.whenNear(figure, () => {
      const chart = new Chart(place, spec(), group);
      group?.charts.push(chart);
      for (const one of [x, y, color]) {
        one.addEventListener("change", () => {
          chart.spec = spec();
          chart.range = null;
          chart.draw();
        });
      }
    });
  }

  // --- Values of a chart as a table ---------------------------------------------------------------------------

  const plainText = document.createElement("textarea");

  function unescaped(text) { // labels are escaped for Plotly
    plainText.innerHTML = String(text ?? "").replaceAll("<", "&lt;");
    return plainText.value.replace("\u200b", "");
  }

  function values(details, spec) {
    const table = document.createElement("table"), lying = spec.data.some((one) => one.orientation === "h");
    const row = (tag, cells) => {
      const one = table.insertRow();
      for (const text of cells) one.append(Object.assign(document.createElement(tag), { textContent: text }));
    };
    const title = (side) => unescaped(spec.layout[side].title?.text);
    row("th", ["", lying ? title("yaxis") : title("xaxis"), lying ? title("xaxis") : title("yaxis")]);
    const number = (value) => typeof value === "number" ? Number(value.toPrecision(6)).toLocaleString("en-US", { maximumSignificantDigits: 6 }) : unescaped(value);
    for (const trace of spec.data) {
      if (trace.hoverinfo === "skip") continue;
      trace.x.forEach((x, at) => {
        const name = trace.type === "bar" ? trace.customdata[at] : trace.text?.[at];
        const along = lying ? trace.x[at] : trace.y[at], across = lying ? trace.y[at] : x;
        row("td", [unescaped(trace.name), trace.type === "bar" ? unescaped(name) : number(across), number(along)]);
      });
    }
    const place = Object.assign(document.createElement("div"), { className: "scroll" });
    place.append(table);
    details.append(place);
  }

  spikexReport.sections.charts = (body, data) => {
    const group = data.link ? new Group(body) : null;
    for (const figure of body.querySelectorAll("figure[data-chart]")) {
      const spec = data.charts[Number(figure.dataset.chart)];
      spikexReport.whenNear(figure, () => {
        const chart = new Chart(figure.querySelector(".plot"), spec, spec.linked ? group : null);
        if (spec.linked) group.charts.push(chart);
      });
      const details = figure.querySelector(".values");
      details.addEventListener("toggle", () => { if (details.open && details.childElementCount < 2) values(details, spec); });
    }
    if (data.free?.rows) freeChart(body, data, group);
  };

  document.addEventListener("themechange", () => { for (const chart of charts) chart.redraw(); });
})();
