/* The page: picks a person, keeps the phone fresh, moves between its views. */

import { act, get, post } from "./api.js";
import { fill, h, icon, toast } from "./dom.js";
import { panel } from "./panel.js";
import * as views from "./views.js";
import { clockTime, language, speak, t } from "./words.js";

const PERSON = "sandbox_person";

const app = {
  overview: null,
  phone: null,
  person: null,
  version: -1,
  stack: [{ name: "chats" }],
  current: null,
  cover: null,

  act: (action, params) => act(app.person, action, params),
  chat: (id) => app.phone.chats.find((one) => one.id === id),
  go(name, params = {}) { app.stack.push({ name, ...params }); app.show(); },
  back() { if (app.stack.length > 1) app.stack.pop(); app.show(); },
  room(name) { app.stack = [{ name }]; app.show(); },

  show() {
    const top = app.stack[app.stack.length - 1];
    app.cover = null;
    app.current = views[top.name](app, top);
    const root = document.getElementById("phone");
    fill(root, statusBar(), app.current.node);
    if (app.current.shown) app.current.shown();
  },

  lay(node) {
    app.uncover();
    app.cover = h("div.veil", { onclick: (event) => event.target === app.cover && app.uncover() }, node);
    document.getElementById("phone").append(app.cover);
    const first = node.querySelector("button");
    if (first) first.focus();
  },
  uncover() { if (app.cover) app.cover.remove(); app.cover = null; },

  zoom(src) {
    const box = h("div.zoom", { onclick: () => box.remove() }, h("img", { src, alt: "" }));
    document.getElementById("phone").append(box);
  },

  open(url) {
    if (!/^https?:/.test(url)) { toast(url); return; }
    app.go("browser", { url });
  },

  async scanned(text) {
    const found = await app.act("scan", { text });
    if (found.kind === "oa") { app.stack = [{ name: "chats" }]; app.go("chat", { id: `oa:${found.appid}` }); }
    else if (found.kind === "wecom" || found.kind === "group") { await app.refresh(); app.stack = [{ name: "chats" }]; app.go("chat", { id: found.chat }); }
    else if (found.kind === "pay") app.lay(views.paySheet(app, found.sheet));
    else if (found.kind === "link") app.open(found.open);
    else toast(found.text);
  },

  async refresh() {
    app.phone = await get(`people/${app.person}/phone`);
    app.version = app.phone.version;
  },

  async pick(id) {
    app.person = id;
    window.localStorage.setItem(PERSON, id);
    document.cookie = `${PERSON}=${id}; path=/; samesite=lax; max-age=31536000`;
    document.body.classList.remove("drawer");
    app.version = -1;
    await app.refresh();
    app.stack = [{ name: "chats" }];
    drawPeople();
    app.show();
  },
};

function statusBar() {
  return h("div.status", h("span.time", clockTime(app.phone.now)), h("span.island"), h("span.bars", "5G ▮▮▮"));
}

function drawPeople() {
  const name = h("input.field", { placeholder: t("new_name"), maxlength: 32, "aria-label": t("new_name") });
  const make = async (event) => {
    event.preventDefault();
    if (!name.value.trim()) return;
    const person = await post("people", { nickname: name.value.trim() });
    app.overview.people.push(person);
    await app.pick(person.id);
  };
  fill(document.getElementById("people"),
    h("div.brand", h("img", { src: "/_sandbox/static/icon.svg", alt: "" }),
      h("h1", t("title"), h("small", t("sub"))),
      h("button.lang", { onclick: switchLanguage }, t("language")),
      h("button.drawer-close", { "aria-label": t("close"), onclick: () => document.body.classList.remove("drawer") }, icon("close"))),
    h("h2", t("people")),
    app.overview.people.map((one) =>
      h("button.person", { "aria-current": String(one.id === app.person), onclick: () => app.pick(one.id) },
        h("img.face", { src: `/_sandbox/avatar/${one.avatar}.png`, alt: "" }),
        h("span.words", h("b", one.nickname), h("small", one.snapshot ? t("snapshot") : one.real_named ? t("real_named") : t("not_real_named"))))),
    h("form.inline", { onsubmit: make }, name, h("button.button", { onclick: make }, t("add_person"))));
}

function switchLanguage() {
  speak(language() === "zh" ? "en" : "zh");
  drawPeople();
  app.show();
  controls.draw();
}

async function follow() {
  for (;;) {
    const person = app.person;
    try {
      const answer = await fetch(`/_sandbox/people/${person}/phone?since=${app.version}&wait=20`);
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = await answer.json();
      if (person !== app.person) continue;
      app.phone = fresh;
      app.version = fresh.version;
      const time = document.querySelector(".status .time");
      if (time) time.textContent = clockTime(fresh.now);
      if (app.current && app.current.update) app.current.update();
      controls.fresh();
    } catch (error) {
      await new Promise((done) => window.setTimeout(done, 1500));
    }
  }
}

/* A page of the application inside our frame asks for what only WeChat can do (see jweixin.js). */
window.addEventListener("message", async (event) => {
  const asked = event.data;
  if (!asked || asked.sandbox !== "ask" || !app.current || app.current.frame?.contentWindow !== event.source) return;
  const reply = (doc) => event.source.postMessage({ sandbox: "told", id: asked.id, ...doc }, event.origin);
  try {
    if (asked.action === "js_config") reply({ ok: true, doc: await app.act("js_config", asked.params) });
    else app.lay(views.requested(app, asked, await app.act(asked.action, asked.params), reply));
  } catch (error) {
    reply({ ok: false, why: error.message });
  }
});

const controls = panel(app);

async function begin() {
  speak(language());
  app.overview = await get("state");
  const last = window.localStorage.getItem(PERSON);
  const known = app.overview.people.find((one) => one.id === last) || app.overview.people[0];
  if (!known) { drawPeople(); return; }
  await app.pick(known.id);
  controls.draw();
  follow();
}

begin();
