// Requests to our own server. A session that has ended leads back to the form that asks for a key.
import { data } from "./text.js";

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "");
    this.code = problem.code || "";
  }
}

export async function get(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value != null));
  return answer(await fetch(`${path}?${query}`, { headers: { Accept: "application/json" } }));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  if (data.token) headers["X-CSRF-Token"] = data.token;
  return answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.status === 401) location.assign("/dashboard");
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({ detail: `HTTP ${response.status}` }));
  if (!response.ok) throw new Refused(body);
  return body;
}
