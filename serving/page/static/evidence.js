// Labels as buttons: pressed, the words that speak for one are marked in the text.
import { get } from "./api.js";
import { element, labelOf, percent, word } from "./text.js";

// Offsets are in code points, which JavaScript's strings do not count.
export function drawText(place, text, spans) {
  const points = Array.from(text);
  const weights = new Array(points.length).fill(0);
  for (const span of spans) for (let i = span.start; i < span.end && i < points.length; i += 1) weights[i] = Math.max(weights[i], span.weight);
  const top = Math.max(...spans.map((span) => span.weight), 0.0001);
  const pieces = [];
  for (let i = 0; i < points.length;) {
    let end = i;
    while (end < points.length && weights[end] === weights[i]) end += 1;
    const piece = points.slice(i, end).join("");
    pieces.push(weights[i] ? element("mark", { class: `w${Math.max(1, Math.ceil((4 * weights[i]) / top))}`, title: `+${weights[i].toFixed(2)}` }, piece) : piece);
    i = end;
  }
  place.replaceChildren(...pieces);
}

export function evidencePart(comment, text) {
  const told = element("p", { class: "muted", role: "status" }, word("detail.evidence.loading"));
  const buttons = [...labelButtons(comment), ...aspectButtons(comment)];
  let items = null;
  const choose = (chosen) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
    if (!items) return;
    const spans = items.filter((item) => item.task === chosen.dataset.task && item.label === chosen.dataset.label);
    drawText(text, comment.text, spans);
    told.textContent = spans.length ? word("detail.evidence.by", { model: told.dataset.model }) : word("detail.evidence.none");
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button));
  get(`/dashboard/feedback/${encodeURIComponent(comment.id)}/evidence`).then((answer) => {
    items = answer.items;
    told.dataset.model = answer.model_version;
    const heaviest = (button) => Math.max(0, ...items.filter((item) => item.task === button.dataset.task && item.label === button.dataset.label).map((item) => item.weight));
    const chosen = buttons.find((button) => button.getAttribute("aria-pressed") === "true") ?? buttons.toSorted((a, b) => heaviest(b) - heaviest(a))[0];
    if (chosen) choose(chosen);
  }, () => { told.textContent = word("detail.evidence.failed"); });
  return element("section", {}, element("h3", {}, word("detail.labels")), element("div", { class: "labels", id: "labels" }, buttons), told);
}

function labelButtons(comment) {
  const right = Object.fromEntries(comment.corrections.map((entry) => [entry.task, entry.label]));
  return Object.entries(comment.result.labels).map(([task, { label, probability }]) => {
    const keys = [label].flat();
    const name = keys.map((key) => labelOf(task, key)).join("、");
    const person = typeof right[task] === "string" && right[task] !== label ? labelOf(task, right[task]) : null;
    const value = person ? [element("s", {}, name), person, " ", element("span", { class: "badge" }, word("detail.corrected"))] : [name];
    return button({ task, label: keys[0], title: word(`task.${task}`), value, probability });
  });
}

function aspectButtons(comment) {
  return comment.result.aspects.map(({ task = "aspects", category, polarity, probability }) => button({
    task, label: `${category}:${polarity}`, title: word(`task.${task}`), value: [`${labelOf(task, category)} · ${word(`polarity.${polarity}`)}`], probability,
  }));
}

function button({ task, label, title, value, probability }) {
  return element("button", { type: "button", class: "label", "aria-pressed": "false", "data-task": task, "data-label": label },
    element("span", { class: "task" }, title), element("span", {}, value), element("span", { class: "share" }, probability == null ? "" : percent(probability)));
}
