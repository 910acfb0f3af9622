// The network of a run: says what a box costs, and colours boxes by energy or cycles.
"use strict";
(() => {
  const DARKEST = 0.6; // as in spikex_sim/report/network.py

  spikexReport.sections.network = (element) => {
    const boxes = [...element.querySelectorAll(".network-box")];
    const said = element.querySelector(".network-said"), measure = element.querySelector(".network-measure");
    for (const box of boxes) {
      const say = () => { said.textContent = box.getAttribute("aria-label"); };
      box.addEventListener("pointerenter", say);
      box.addEventListener("focus", say);
    }
    measure.addEventListener("change", () => {
      const key = measure.value.replace("_", "-");
      for (const box of boxes) {
        const share = Number(box.getAttribute(`data-${key}`));
        box.querySelector(".network-cost").setAttribute("fill-opacity", DARKEST * share);
      }
    });
  };
})();
