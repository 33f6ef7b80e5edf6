/* Calls to the control plane; a refusal becomes a toast and an Error. */

import { toast } from "./dom.js";

async function call(method, path, body) {
  const asked = { method, headers: {} };
  if (body instanceof FormData) asked.body = body;
  else if (body !== undefined) {
    asked.headers["Content-Type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  const answer = await fetch(`/_sandbox/${path}`, asked);
  const doc = await answer.json();
  if (!answer.ok) {
    toast(doc.error);
    throw new Error(doc.error);
  }
  return doc;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);
export const act = (person, action, params = {}) => post(`people/${person}/do/${action}`, params);
