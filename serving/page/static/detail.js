// One comment: its masked text with the words that speak for a label, its labels, where it went, and what people did.
import { actions } from "./act.js";
import { get } from "./api.js";
import { data, element, fullTime, labelOf, percent, queueOf, word } from "./text.js";
import { due } from "./worklist.js";
import { drawText, evidencePart } from "./evidence.js";

const dialog = document.getElementById("detail");
let shown = null;
let said = null;
let dirty = false; // something was typed or chosen since it was drawn
let changed = () => {};

export async function openDetail(id, onChange) {
  changed = onChange;
  shown = id;
  dirty = false;
  dialog.replaceChildren(sheet(id, [element("p", { class: "muted" }, word("detail.loading"))]));
  if (!dialog.open) dialog.showModal();
  await load(id);
}

export const isShown = (id) => dialog.open && shown === id;

export async function load(id, told = null) {
  try {
    const comment = await get(`/v1/feedback/${encodeURIComponent(id)}`);
    if (shown === id) draw(comment, told);
  } catch (error) {
    const why = error.code === "feedback_erased" ? word("detail.gone") : word("detail.failed", { why: error.message });
    if (shown === id) dialog.replaceChildren(sheet(id, [element("p", { class: "problem" }, why)]));
  }
}

function sheet(id, parts, badges = []) {
  const close = element("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, word("detail.close"));
  return element("div", { class: "sheet" }, element("header", {}, element("h2", { id: "detail-title" }, word("detail")), badges, element("code", {}, id), close), parts);
}

function draw(comment, told) {
  const typed = dirty || dialog.querySelector("form.act:focus-within");
  if (typed && !told) return; // whoever is writing is not interrupted
  const unfolded = told ? [] : [...dialog.querySelectorAll("details[open]")].map((part) => part.id);
  // The change comes back as news within a moment, and must not take away that it was saved.
  if (told) said = { id: comment.id, told, until: Date.now() + 4000 };
  else if (said?.id === comment.id && Date.now() < said.until) told = said.told;
  const text = element("p", { class: "text", id: "comment-text" });
  drawText(text, comment.text, []);
  const badges = [
    comment.urgency ? element("span", { class: `badge ${comment.urgency}` }, labelOf("urgency", comment.urgency)) : "",
    element("span", { class: "badge plain" }, word(`state.${comment.status}`)),
    due(comment, Date.now()),
  ];
  const parts = [text, evidencePart(comment, text), routing(comment), part(word("act"), ...actions(comment, told, done)), history(comment)];
  dirty = false;
  const top = dialog.scrollTop;
  dialog.replaceChildren(sheet(comment.id, parts, badges));
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  dialog.scrollTop = top;
}

async function done(id, told) {
  await load(id, told);
  changed();
}

function part(title, ...children) {
  return element("section", {}, element("h3", {}, title), children);
}

function facts(pairs) {
  return element("dl", { class: "facts" }, pairs.filter(([, value]) => value != null && value !== "").map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function routing(comment) {
  const { decision } = comment.result;
  const { contacts, duplicate_of: twin, similarity } = comment.signals;
  const metadata = Object.entries(comment.metadata).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
  return part(word("detail.decision"), facts([
    [word("filter.queue"), queueOf(decision.queue)],
    [word("detail.due"), comment.due_at && fullTime(comment.due_at)],
    [word("detail.call_due"), comment.callback_due_at && !comment.called_back_at ? fullTime(comment.callback_due_at) : ""],
    [word("detail.zone"), word(`detail.zone.${decision.zone}`)],
    [word("detail.reasons"), decision.reasons.length ? element("span", {}, decision.reasons.map((reason) => element("code", {}, reason))) : ""],
    [word("filter.channel"), comment.channel],
    [word("detail.customer"), [comment.customer_ref, contacts ? word("detail.contacts", { n: contacts }) : ""].filter(Boolean).join(" · ")],
    ["", twin ? word("detail.duplicate", { id: twin, share: percent(similarity) }) : ""],
    [word("detail.created"), fullTime(comment.created_at)],
    [word("detail.received"), fullTime(comment.received_at)],
    [word("detail.metadata"), metadata],
  ]));
}

function labelText({ task, label }) {
  if (typeof label === "string") return labelOf(task, label);
  if (Array.isArray(label)) return label.map((key) => labelOf(task, key)).join(word("panel.and"));
  return Object.entries(label).map(([key, sign]) => `${labelOf(task, key)} ${word(`polarity.${["negative", "neutral", "positive"][sign + 1]}`)}`).join(word("panel.and"));
}

function history(comment) {
  const entries = [
    ...comment.history.map((entry) => ({ at: entry.at, what: word(`state.${entry.status}`), by: entry.by, more: [entry.assignee && `→ ${entry.assignee}`, entry.note] })),
    ...comment.corrections.map((entry) => ({ at: entry.created_at, what: `${word("correct")}: ${word(`task.${entry.task}`)} → ${labelText(entry)}`, by: entry.by, more: [entry.why] })),
    ...comment.calls.map((entry) => ({ at: entry.at, what: word("history.called", { outcome: word(`call.${entry.outcome}`) }), by: entry.by, more: [entry.note] })),
  ].sort((a, b) => a.at.localeCompare(b.at));
  return part(word("detail.history"), element("ol", { class: "history" }, entries.map((entry) => element("li", {},
    element("strong", {}, entry.what), " ", entry.by, entry.more.filter(Boolean).map((text) => ` · ${text}`), element("div", { class: "muted" }, fullTime(entry.at))))));
}

dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("input", () => { dirty = true; });
dialog.addEventListener("close", () => { shown = null; });
