// What every report has: the theme, tables that sort, text to copy, sections that are drawn when they come near.
"use strict";
const spikexReport = { sections: {} };
(() => {
  const DARK = matchMedia("(prefers-color-scheme: dark)"), NEAR = "600px";
  const root = document.documentElement;

  // --- Theme: the system's until a reader chooses another ---------------------------------------------------

  function kept(value) {
    try {
      if (value === undefined) return localStorage.getItem("spikex-theme");
      localStorage.setItem("spikex-theme", value);
    } catch { /* pages from a disk may have no memory */ }
    return null;
  }

  function setTheme(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    button.textContent = theme === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `show it ${theme === "dark" ? "light" : "dark"}`);
    document.dispatchEvent(new Event("themechange"));
  }

  function startTheme() {
    const chosen = kept();
    setTheme(["light", "dark"].includes(chosen) ? chosen : DARK.matches ? "dark" : "light");
    DARK.addEventListener("change", () => { if (!kept()) setTheme(DARK.matches ? "dark" : "light"); });
    const button = document.getElementById("theme"), print = document.getElementById("print");
    button.hidden = print.hidden = false;
    button.addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      kept(theme);
      setTheme(theme);
    });
    print.addEventListener("click", () => window.print());
  }

  // --- Tables -------------------------------------------------------------------------------------------------

  function valueOf(cell) {
    if (!cell) return "";
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent;
    return cell.classList.contains("n") && text !== "" ? Number(text.replaceAll(",", "")) : text;
  }

  const collator = new Intl.Collator("en", { numeric: true });

  function before(one, other) {
    if (one === "" || other === "") return (one === "") - (other === ""); // what is empty comes last
    return typeof one === "number" && typeof other === "number" ? one - other : collator.compare(one, other);
  }

  function sort(heading) {
    const table = heading.closest("table"), body = table.tBodies[0];
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const one of heading.parentNode.children) one.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const at = heading.cellIndex;
    const rows = Array.from(body.rows, (row) => [valueOf(row.cells[at]), row]);
    rows.sort(([one], [other]) => {
      const empty = one === "" || other === "";
      return before(one, other) * (down && !empty ? -1 : 1);
    });
    body.append(...rows.map(([, row]) => row));
  }

  function startTables() {
    for (const heading of document.querySelectorAll("table.sortable thead th")) {
      heading.querySelector("button")?.addEventListener("click", () => sort(heading));
    }
    for (const box of document.querySelectorAll(".all-columns")) {
      const table = box.closest(".tabled").querySelector("table");
      box.addEventListener("change", () => table.classList.toggle("whole", box.checked));
    }
    for (const field of document.querySelectorAll(".filter")) {
      const table = field.closest(".tabled").querySelector("table");
      field.addEventListener("input", () => {
        const wanted = field.value.toLowerCase();
        for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
    }
    document.addEventListener("mouseover", (event) => { // numbers in full, for those who point at them
      const cell = event.target.closest?.("td[data-v]");
      if (cell && !cell.title) cell.title = cell.dataset.v;
    });
  }

  // --- Text to copy -------------------------------------------------------------------------------------------

  async function copy(button) {
    const text = button.parentNode.querySelector("pre");
    let done = true;
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch { // not allowed: select it, so that the reader can
      const range = document.createRange();
      range.selectNodeContents(text);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "copied" : "selected";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }

  // --- Sections -----------------------------------------------------------------------------------------------

  const waiting = new Map();

  function draw(section) {
    const start = waiting.get(section);
    if (!start) return;
    waiting.delete(section);
    start();
  }

  function drawShown() { // all that is not folded away, near or not; charts begin to wait when their section is drawn
    for (let some = true; some;) {
      const shown = [...waiting.keys()].filter((one) => one.checkVisibility());
      shown.forEach(draw);
      some = shown.length;
    }
  }

  function whenNear(element, start) {
    waiting.set(element, start);
    near.observe(element);
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: NEAR });

  function startSections() {
    for (const section of document.querySelectorAll("section[data-script]")) {
      const content = section.querySelector(':scope > script[type="application/json"]');
      const body = section.querySelector(":scope > .body");
      const script = spikexReport.sections[section.dataset.script];
      whenNear(section, () => script(body, JSON.parse(content.textContent)));
      if (script.early) addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(() => draw(section)));
    }
  }

  function startPrinting() {
    let closed = [], theme = "";
    addEventListener("beforeprint", () => {
      theme = root.dataset.theme;
      setTheme("light");
      closed = [...document.querySelectorAll("main details:not([open]):not(.values)")];
      for (const one of closed) one.open = true;
      drawShown();
    });
    addEventListener("afterprint", () => {
      for (const one of closed) one.open = false;
      setTheme(theme);
    });
  }

  function openTo(hash) { // browsers do not all open what a link leads into
    const target = hash.length > 1 ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
    if (!target) return;
    for (let one = target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    target.scrollIntoView();
  }

  Object.assign(spikexReport, { whenNear, drawShown, drawn: () => waiting.size === 0 });

  document.addEventListener("DOMContentLoaded", () => {
    startTheme();
    startTables();
    for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
    startSections();
    startPrinting();
    addEventListener("hashchange", () => openTo(location.hash));
    openTo(location.hash);
    if (innerWidth < 1000) document.querySelector("nav details").open = false;
  });
})();
