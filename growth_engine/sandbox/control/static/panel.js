/* The control panel: traffic, staff of the corporation, time and faults, how to connect. */

import { get, post, remove } from "./api.js";
import { fill, h, toast } from "./dom.js";
import { clockTime, dateTime, t } from "./words.js";

const FAULTS = {
  request: ["errcode", "status", "delay", "drop", "lose_answer", "expire_token"],
  callback: ["lose", "delay", "duplicate", "concurrent", "reorder", "bad_signature", "signtest", "bad_serial", "old_timestamp", "tampered", "wrong_receiver"],
};
const TABS = ["log", "staff", "time", "connect"];
const LINES = 120;

export function panel(app) {
  const root = document.getElementById("panel");
  const sheet = h("div.sheet");
  let tab = "log";
  let seen = 0;
  let calls = [];
  const roomCodes = {};

  const draw = () => {
    fill(root, h("div.tabs", { role: "tablist" }, TABS.map((name) =>
      h("button", { role: "tab", "aria-selected": String(name === tab), onclick: () => { tab = name; draw(); } }, t(name)))), sheet);
    seen = 0;
    calls = [];
    bodies[tab]();
  };
  const fresh = () => { if (tab === "log" || tab === "staff") bodies[tab](); };

  const bodies = {
    async log() {
      const more = await get(`log?since=${seen}&limit=${LINES}`);
      if (tab !== "log") return;
      if (more.length) seen = more[more.length - 1].id;
      calls = [...more.reverse(), ...calls].slice(0, LINES);
      if (more.length || !sheet.childElementCount || seen === 0) {
        const open = new Set([...sheet.querySelectorAll("details[open]")].map((one) => one.dataset.id));
        fill(sheet, calls.length ? calls.map((one) => call(one, open)) : h("div.empty", t("log_empty")));
      }
    },
    async staff() {
      const state = await get("state");
      if (tab !== "staff" || sheet.contains(document.activeElement)) return;
      fill(sheet, state.corps.map((corp) => [h("h2", corp.name), corp.employees.map((one) => employee(corp, one))]));
    },
    async time() {
      const [clock, planned] = [await get("clock"), await get("faults")];
      if (tab !== "time") return;
      fill(sheet, h("h2", t("now")), h("div.now", dateTime(clock.now)), h("p.hint", t("real_time_hint")),
        h("div.buttons", [["m1", 60], ["h1", 3600], ["d1", 86400], ["d3", 259200]].map(([word, seconds]) =>
          h("button.button.plain", { onclick: async () => { await post("clock/advance", { seconds }); bodies.time(); } }, `+ ${t(word)}`))),
        h("h2", t("faults")), faultForm(() => bodies.time()),
        planned.length ? planned.map((one) => h("div.row2", h("code", `${one.service} ${one.on} ${one.match} → ${one.action} ${one.value ?? ""}`), h("span.badge", `× ${one.times}`))) : h("p.hint", t("no_faults")),
        planned.length > 0 && h("button.button.plain", { onclick: async () => { await remove("faults"); bodies.time(); } }, t("fault_clear")),
        h("h2", t("due")),
        clock.waiting.length ? clock.waiting.slice(0, 20).map((one) => h("div.row2", h("code", one.kind), h("span", dateTime(one.at)))) : h("p.hint", t("nothing_due")));
    },
    async connect() {
      const state = await get("state");
      if (tab !== "connect") return;
      const env = Object.entries(state.hosts).map(([name, url]) => `${name}=${url}`).join("\n");
      fill(sheet, h("h2", t("settings")), h("pre.env", env),
        h("div.buttons", h("a.button.plain", { href: "/_sandbox/credentials", target: "_blank" }, t("creds"))),
        state.accounts.map((one) => server(`oa/${one.appid}`, one.name, one.callback_url, `${one.appid} · ${one.mode} · ${one.format}`)),
        state.corps.map((one) => server(`wecom/${one.corpid}`, one.name, one.callback_url, one.corpid)),
        h("div.buttons", h("button.button.danger", { onclick: async () => {
          if (!window.confirm(t("reset_sure"))) return;
          await post("reset");
          window.location.reload();
        } }, t("reset"))));
    },
  };

  function employee(corp, one) {
    const name = h("input", { placeholder: t("group_name"), "aria-label": t("group_name") });
    const tasks = one.waiting.map((task) => h("div.row2", h("span", `${t(task.kind)}: ${task.content.map((part) => part.content.text || `[${part.kind}]`).join(" ")}`),
      h("button.button", { onclick: async () => {
        await post(`employee/${one.userid}/${task.kind === "mass" ? "confirm" : "publish"}`, { msgid: task.id, jobid: task.id });
        bodies.staff();
      } }, t(task.kind === "mass" ? "send_task" : "publish"))));
    const rooms = corp.groups.filter((room) => room.owner === one.userid);
    const working = !one.left_at && one.active;
    const open = async (event) => {
      event.preventDefault();
      if (name.value.trim()) await told(one, "open_group", { name: name.value.trim() });
    };
    return h("div.card", h("header", h("b", `${one.name} · ${one.userid}`), h("span.side",
      working && h("button.linkish", { onclick: () => told(one, "leave_company") }, t("resign")),
      h("span.badge", one.left_at ? t("resigned") : one.active ? t("staff") : t("unverified")))),
    tasks.length > 0 && h("h2", t("customers_wait")), tasks,
    rooms.map((room) => [h("div.row2", h("span", `${room.name} (${room.size})`),
      h("button.button.plain", { onclick: () => showCode(one, room) }, t("group_code"))),
    roomCodes[room.chat_id] && h("a.roomcode", { href: roomCodes[room.chat_id], download: `${room.name}.png` },
      h("img", { src: roomCodes[room.chat_id], alt: t("group_code") }), h("small", t("group_code_hint")))]),
    working && h("form.inline", { onsubmit: open }, name, h("button.button.plain", { type: "submit" }, t("open_group"))));
  }

  async function showCode(one, room) {
    const made = await post(`employee/${one.userid}/group_code`, { chat_id: room.chat_id });
    roomCodes[room.chat_id] = `/_sandbox/code.png?${new URLSearchParams({ text: made.content })}`;
    document.activeElement.blur();
    bodies.staff();
  }

  async function told(one, action, params = {}) {
    await post(`employee/${one.userid}/${action}`, params);
    document.activeElement.blur();
    bodies.staff();
  }

  function server(path, name, url, small) {
    const input = h("input", { value: url, placeholder: "http://127.0.0.1:8000/webhooks/…", "aria-label": t("callback_url") });
    return h("div.card", h("header", h("b", name), h("span.badge", url ? "✓" : t("not_set"))), h("p.hint", small),
      h("form.inline", { onsubmit: async (event) => {
        event.preventDefault();
        await post(path, { callback_url: input.value.trim() });
        toast(t("saved"));
        bodies.connect();
      } }, input, h("button.button", { type: "submit" }, t("save"))));
  }

  return { draw, fresh };
}

function faultForm(done) {
  const select = (values, word) => h("select", { "aria-label": t(word) }, values.map((one) => h("option", { value: one }, ["request", "callback"].includes(one) ? t(one) : one)));
  const service = select(["oa", "wecom", "pay"], "service");
  const on = select(["request", "callback"], "on");
  const action = select(FAULTS.request, "action");
  on.addEventListener("change", () => fill(action, FAULTS[on.value].map((one) => h("option", { value: one }, one))));
  const match = h("input", { value: "*" });
  const value = h("input", { placeholder: "45047 / 3 / SYSTEM_ERROR" });
  const times = h("input", { type: "number", value: 1, min: 1, max: 1000 });
  const label = (word, field) => h("label", t(word), field);
  const plan = async () => {
    const given = value.value.trim();
    const parsed = given === "" ? null : Number.isNaN(Number(given)) ? given : Number(given);
    await post("faults", { service: service.value, on: on.value, action: action.value, match: match.value, value: parsed, times: Number(times.value) });
    done();
  };
  return h("div", h("div.grid", label("service", service), label("on", on), label("action", action), label("match", match), label("value", value), label("times", times)),
    h("div.buttons", h("button.button", { onclick: plan }, t("fault_plan"))));
}

function call(one, open) {
  const bad = one.direction === "error" || /→ (4\d\d|5\d\d|[A-Z]\w+(Error|Timeout))/.test(one.line) || /"errcode":-?[1-9]/.test(one.answer || "");
  const kind = one.direction === "out" ? ".out" : "";
  const text = ["query", "body", "answer"].filter((name) => one[name] && JSON.stringify(one[name]) !== "{}")
    .map((name) => `${name}: ${typeof one[name] === "string" ? one[name] : JSON.stringify(one[name])}`).join("\n\n");
  return h("details.call", { "data-id": one.id, open: open.has(String(one.id)) },
    h("summary", h(`span.badge${bad ? ".bad" : kind}`, `${one.service} ${one.direction === "out" ? "→" : "←"}`), h("span.line", one.line), h("time", clockTime(one.at))),
    text && h("pre", text));
}
