// Categories over time as a table of cells: readable without a canvas, and walked through with the arrow keys.
import { element, labelOf, number, stepEnd, stepName, word } from "./text.js";

const place = document.getElementById("heat");
let current = [0, 0];

const MOST = 31; // columns; of more, several steps become one

export function drawHeat(figures, onCell) {
  const { starts, hours, category } = widened(figures);
  const rows = Object.entries(category).map(([key, counts]) => ({ key, counts, sum: total(counts) }));
  const shown = rows.filter((row) => row.sum > 0).sort((a, b) => b.sum - a.sum);
  if (!shown.length) {
    place.replaceChildren(element("p", { class: "empty" }, word("chart.empty")));
    return;
  }
  const top = Math.max(...shown.flatMap((row) => row.counts));
  const focused = place.contains(document.activeElement);
  current = [Math.min(current[0], shown.length - 1), Math.min(current[1], starts.length - 1)];
  const body = shown.map((row, y) => element("tr", {},
    element("th", { scope: "row", title: labelOf("category", row.key) }, labelOf("category", row.key)),
    row.counts.map((count, x) => cell({ row, count, x, y, top, start: starts[x], hours, onCell })),
    element("td", { class: "sum" }, number(row.sum))));
  place.replaceChildren(element("table", { role: "grid", "aria-labelledby": "heat-title", onkeydown: walk }, head(starts, hours), element("tbody", {}, body)));
  if (focused) at(current)?.focus();
}

const total = (counts) => counts.reduce((all, n) => all + n, 0);

function widened({ series, hours }) {
  const size = Math.ceil(series.starts.length / MOST);
  const every = series.starts.map((_, i) => i).filter((i) => i % size === 0);
  const summed = (counts) => every.map((i) => total(counts.slice(i, i + size)));
  const category = Object.fromEntries(Object.entries(series.category).map(([key, counts]) => [key, summed(counts)]));
  return { starts: every.map((i) => series.starts[i]), hours: hours * size, category };
}

function head(starts, hours) {
  // A name stands over several columns, for one is narrower than it.
  const every = Math.ceil(starts.length / 6);
  const names = [];
  for (let i = 0; i < starts.length; i += every) {
    names.push(element("th", { scope: "colgroup", colspan: Math.min(every, starts.length - i) }, stepName(starts[i], hours).split(" ")[0]));
  }
  return element("thead", {}, element("tr", {}, element("th", { class: "name" }, element("span", { class: "unseen" }, word("filter.category"))), names, element("th", { class: "sum", scope: "col" }, word("heat.sum"))));
}

function cell({ row, count, x, y, top, start, hours, onCell }) {
  const level = count ? Math.max(1, Math.round(7 * Math.sqrt(count / top))) : 0;
  const told = word("heat.cell", { category: labelOf("category", row.key), time: stepName(start, hours), n: number(count) });
  return element("td", {
    class: `cell h${level}`, role: "gridcell", title: told, "aria-label": told, tabindex: x === current[1] && y === current[0] ? 0 : -1, "data-at": `${y},${x}`,
    onclick: () => { current = [y, x]; onCell({ category: row.key, from: start, to: stepEnd(start, hours) }); },
  });
}

const at = ([y, x]) => place.querySelector(`[data-at="${y},${x}"]`);

function walk(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    event.target.click();
  }
  const next = step && at([current[0] + step[0], current[1] + step[1]]);
  if (!next) return;
  event.preventDefault();
  at(current)?.setAttribute("tabindex", "-1");
  current = [current[0] + step[0], current[1] + step[1]];
  next.setAttribute("tabindex", "0");
  next.focus();
}
