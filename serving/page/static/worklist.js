// The list of comments. Rows are walked through with the arrow keys; the whole row can be clicked.
import { data, duration, element, fullTime, labelOf, number, queueOf, shortTime, word } from "./text.js";

const body = document.getElementById("rows");
const more = document.getElementById("more");
let known = null; // ids that were there; null before the first answer
let selected = null;

export const shownRows = () => body.children.length;

export function drawRows(answer, { onOpen, append = false, keepKnown = false }) {
  const now = Date.parse(answer.now);
  const rows = answer.items.map((item) => row(item, now, onOpen));
  const focused = body.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  if (known && !append && keepKnown) for (const made of rows) made.classList.toggle("fresh", !known.has(made.dataset.id));
  if (append) body.append(...rows);
  else body.replaceChildren(...rows);
  known = new Set([...(append ? known : []), ...answer.items.map((item) => item.id)]);
  const openers = [...body.querySelectorAll(".open")];
  const current = openers.find((opener) => opener.dataset.id === selected) ?? openers[0];
  current?.setAttribute("tabindex", "0");
  if (focused) openers.find((opener) => opener.dataset.id === focused)?.focus({ preventScroll: true });
  more.hidden = !answer.next;
  document.getElementById("work-empty").hidden = openers.length > 0;
  document.getElementById("work-count").textContent = openers.length ? word("list.shown", { n: number(openers.length) + (answer.next ? "+" : "") }) : "";
}

function row(item, now, onOpen) {
  const open = element("button", {
    type: "button", class: "open", tabindex: "-1", "data-id": item.id, "aria-label": word("list.open", { text: item.text }),
    onclick: (event) => { event.stopPropagation(); onOpen(item.id); }, onfocus: () => { selected = item.id; },
  }, item.text);
  const beside = [shortTime(item.created_at), item.channel].filter(Boolean).join(" · ");
  const made = element("tr", { class: "row", role: "row", onclick: () => onOpen(item.id) },
    element("td", { role: "cell" }, item.urgency ? element("span", { class: `badge ${item.urgency}` }, labelOf("urgency", item.urgency)) : ""),
    element("td", { role: "cell" }, open, element("div", { class: "when" }, beside)),
    element("td", { role: "cell" }, element("div", { class: "nowrap" }, item.category ? labelOf("category", item.category) : "–"), element("div", { class: "desk nowrap" }, queueOf(item.queue))),
    element("td", { role: "cell" }, due(item, now), item.escalation ? element("span", { class: "level" }, word("due.level", { n: item.escalation })) : ""),
    element("td", { role: "cell" }, element("span", { class: "badge plain" }, word(`state.${item.status}`))));
  made.dataset.id = item.id;
  return made;
}

export function due(item, now) {
  if (item.responded_at || item.status === "resolved") return element("span", { class: "due" }, word("due.answered"));
  if (!item.due_at) return element("span", { class: "due" }, word("due.none"));
  const left = Date.parse(item.due_at) - now;
  const kind = left < 0 ? "over" : left < data.soon * 1000 ? "soon" : "";
  return element("span", { class: `due ${kind}`, title: fullTime(item.due_at) }, word(left < 0 ? "due.over" : "due.left", { time: duration(left) }));
}

body.addEventListener("keydown", (event) => {
  const openers = [...body.querySelectorAll(".open")];
  const i = openers.indexOf(document.activeElement);
  const to = { ArrowDown: i + 1, j: i + 1, ArrowUp: i - 1, k: i - 1, Home: 0, End: openers.length - 1 }[event.key];
  if (i < 0 || to === undefined || !openers[to]) return;
  event.preventDefault();
  openers[i].setAttribute("tabindex", "-1");
  openers[to].setAttribute("tabindex", "0");
  openers[to].focus();
});
