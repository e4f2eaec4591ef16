"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Charts -----------------------------------------------------------------------------------------------------------

  let drawn = [];

  async function draw() {
    drawn.forEach((chart) => chart.finalize());
    drawn = [];
    const options = {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      config: dark.matches ? data.dark : data.light,
      tooltip: { theme: "custom", disableDefaultStyle: true },
    };
    for (const frame of document.querySelectorAll("[data-chart]")) {
      const chart = await vegaEmbed(frame, data.charts[frame.dataset.chart], options);
      chart.view.addEventListener("click", (_, item) => show(trialOf(item)));
      drawn.push(chart);
    }
    document.documentElement.dataset.drawn = drawn.length;
  }

  function trialOf(item) {
    const datum = item && (Array.isArray(item.datum) ? item.datum[0] : item.datum);
    return datum ? datum.trial : undefined;
  }

  // The table of all trials ------------------------------------------------------------------------------------------

  const table = document.getElementById("all");
  const filters = [...document.querySelectorAll("[data-show]")];

  function show(trial) {
    const row = document.getElementById(`trial-${trial}`);
    if (!row) return;
    if (row.hidden) filter(filters[0]);
    row.scrollIntoView({ block: "center" });
    row.classList.remove("found");
    void row.offsetWidth; // starts the animation again
    row.classList.add("found");
  }

  function filter(chosen) {
    filters.forEach((button) => button.setAttribute("aria-pressed", button === chosen));
    for (const row of table.tBodies[0].rows) {
      row.hidden = chosen.dataset.show !== "" && !row.classList.contains(chosen.dataset.show);
    }
  }

  function sort(head) {
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const place = head.cellIndex;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(a.cells[place].dataset.v, b.cells[place].dataset.v, descending ? -1 : 1));
    table.tBodies[0].append(...rows);
  }

  // Numbers by size, words by alphabet, what is absent last in either direction.
  function compare(a, b, direction) {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const [x, y] = [Number(a), Number(b)];
    const numbers = !Number.isNaN(x) && !Number.isNaN(y);
    return direction * (numbers ? x - y : a.localeCompare(b));
  }

  // --------------------------------------------------------------------------------------------------------------------

  function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(source);
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C"; // works from a file:// page as well
  }

  filters.forEach((button) => button.addEventListener("click", () => filter(button)));
  if (table) table.tHead.querySelectorAll("th").forEach((head) => head.addEventListener("click", () => sort(head)));
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
  dark.addEventListener("change", draw);
  draw();
})();
