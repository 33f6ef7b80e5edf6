/* The views of the phone. Each gives {node, update?, shown?}; update is called when something is new. */

import { post } from "./api.js";
import { fill, h, icon, toast, yuan } from "./dom.js";
import { drawn, logo, summary } from "./messages.js";
import { clockTime, dateTime, t } from "./words.js";

const bar = (left, title, right) =>
  h("div.bar", h("div", left), h("h3", title), h("div.right", right));
const backButton = (app) => h("button", { "aria-label": t("back"), onclick: () => app.back() }, icon("back"));

function rooms(app, here) {
  const unread = app.phone.chats.reduce((sum, chat) => sum + chat.unread, 0);
  const money = app.phone.wallet.waiting.length;
  const one = (name, sign, count) => h("button", { "aria-current": String(here === name), onclick: () => app.room(name) },
    icon(sign), t(name), count > 0 && h("span.dot", count));
  return h("nav.rooms", one("chats", "chat", unread), one("discover", "compass", 0), one("me", "user", money));
}

export function chats(app) {
  const list = h("div.scroll.white");
  const foot = h("div");
  const node = h("div.view");
  const menu = () => {
    const old = node.querySelector(".plusmenu");
    if (old) { old.remove(); return; }
    node.append(h("div.plusmenu",
      h("button", { onclick: () => app.go("scan") }, icon("scan"), t("scan")),
      h("button", { onclick: () => app.go("accounts") }, icon("account"), t("follow")),
      h("button", { onclick: () => app.go("wallet") }, icon("wallet"), t("wallet"))));
  };
  node.append(bar(h("button.drawer-open", { "aria-label": t("menu_people"), onclick: () => document.body.classList.add("drawer") }, icon("list")),
    t("chats"), h("button", { "aria-label": t("more"), onclick: menu }, icon("plus"))), list, foot);
  const update = () => {
    const alive = app.phone.chats.filter((chat) => chat.messages.length);
    fill(list, alive.length ? alive.map((chat) => row(app, chat)) : nothing(app));
    fill(foot, rooms(app, "chats"));
  };
  update();
  return { node, update };
}

const nothing = (app) => h("div.nothing", t("none_yet"), h("p", t("none_hint")),
  app.phone.chats.filter((chat) => chat.kind === "oa").map((chat) => h("button.wide.grey", { onclick: () => followAccount(app, chat) }, chat.name)));

function row(app, chat) {
  const last = chat.messages[chat.messages.length - 1];
  return h("button.chatrow", { onclick: () => app.go("chat", { id: chat.id }) },
    h("span.pic", logo(chat), chat.unread > 0 && h("span.dot", chat.unread)),
    h("span.mid", h("span.top", h("b", chat.name), h("time", last ? clockTime(last.at) : "")),
      h("p", summary(last, chat) || " ")));
}

async function followAccount(app, chat) {
  await app.act("follow", { appid: chat.appid });
  app.go("chat", { id: chat.id });
}

export function chat(app, { id }) {
  const list = h("div.lines");
  const scroller = h("div.scroll", list);
  const entry = h("div");
  const title = h("h3");
  const tools = {
    open: app.open,
    zoom: app.zoom,
    choose: (one) => app.act("choose", { appid: app.chat(id).appid, id: one.id, text: one.text }),
  };
  let count = -1;
  let state = "";
  const update = () => {
    const now = app.chat(id);
    if (!now) { app.back(); return; }
    title.textContent = now.name;
    if (now.messages.length !== count) {
      const near = count < 0 || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 160;
      fill(list, now.messages.map((one, at) => drawn(one, now.messages[at - 1], now, app.phone.person, tools)));
      count = now.messages.length;
      if (near) window.requestAnimationFrame(() => { scroller.scrollTop = scroller.scrollHeight; });
      list.querySelectorAll("img").forEach((image) => image.addEventListener("load", () => { if (near) scroller.scrollTop = scroller.scrollHeight; }));
    }
    const fresh = JSON.stringify([now.open, now.menu, now.kind]);
    if (fresh !== state) { state = fresh; fill(entry, entryOf(app, now)); }
    if (now.unread) app.act("read", { chat: id });
  };
  const node = h("div.view", h("div.bar", h("div", backButton(app)), title,
    h("div.right", h("button", { "aria-label": t("more"), onclick: () => app.lay(chatActions(app, app.chat(id))) }, icon("more")))), scroller, entry);
  update();
  return { node, update, shown: () => { scroller.scrollTop = scroller.scrollHeight; } };
}

function entryOf(app, now) {
  if (now.kind === "group") return h("div.entry.closed", t("group_quiet"));
  if (now.kind === "pay") return null;
  if (!now.open) {
    return now.kind === "oa"
      ? h("div.entry", h("button.wide", { onclick: () => followAccount(app, now) }, t("follow")))
      : h("div.entry.closed", t("not_open"));
  }
  const box = h("div.entry");
  const menu = now.menu && now.menu.length ? () => fill(box, switcher("keyboard", typing), menuBar(app, now)) : null;
  const switcher = (sign, to) => h("button.round", { "aria-label": t(sign === "list" ? "menu" : "say"), onclick: () => to() }, icon(sign));
  const typing = () => {
    const input = h("input", { type: "text", placeholder: t("say"), "aria-label": t("say"), enterkeyhint: "send" });
    const send = async () => {
      const text = input.value.trim();
      if (!text) return;
      input.value = "";
      await app.act("text", now.kind === "oa" ? { appid: now.appid, text } : { userid: now.userid, text });
    };
    input.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) send(); });
    fill(box, menu && switcher("list", menu), input, now.kind === "oa" && pictureButton(app, now),
      h("button.button", { onclick: send }, t("send")));
  };
  if (menu) menu(); else typing();
  return box;
}

function pictureButton(app, now) {
  const file = h("input", { type: "file", accept: "image/*", hidden: true, onchange: async () => {
    const bytes = new Uint8Array(await file.files[0].arrayBuffer());
    let text = "";
    bytes.forEach((one) => { text += String.fromCharCode(one); });
    await app.act("picture", { appid: now.appid, content: btoa(text) });
  } });
  return h("span", file, h("button.round", { "aria-label": t("picture"), onclick: () => file.click() }, icon("picture")));
}

function menuBar(app, now) {
  const tap = async (button) => {
    const done = await app.act("menu", { appid: now.appid, key: button.type === "view" ? button.url : button.key });
    if (done.open) app.open(done.open);
  };
  const holder = h("div.oamenu");
  const one = (top) => {
    const place = h("div");
    const below = top.sub_button || [];
    const toggle = () => {
      const old = holder.querySelector(".submenu");
      if (old) old.remove();
      if (old && old.parentNode === place) return;
      place.append(h("div.submenu", below.map((each) => h("button", { onclick: () => { holder.querySelector(".submenu").remove(); tap(each); } }, each.name))));
    };
    place.append(h("button", { onclick: () => (below.length ? toggle() : tap(top)) }, below.length ? `≡ ${top.name}` : top.name));
    return place;
  };
  return fill(holder, now.menu.map(one));
}

function chatActions(app, now) {
  const item = (word, action, params, danger) => h(`button${danger ? ".danger" : ""}`, { onclick: async () => { app.uncover(); await app.act(action, params); } }, t(word));
  const items = [];
  if (now.kind === "oa" && now.open) {
    app.overview.accounts.find((one) => one.appid === now.appid).templates.forEach((template) =>
      items.push(h("button", { onclick: async () => {
        app.uncover();
        await app.act("subscribe", { appid: now.appid, template_id: template.template_id });
        toast(t("subscribed"));
      } }, `${t("subscribe")} · ${template.title}`)));
    items.push(item(now.muted ? "unmute" : "mute", "mute", { appid: now.appid, muted: !now.muted }));
    items.push(item("unfollow", "unfollow", { appid: now.appid }, true));
  }
  if (now.kind === "wecom" && now.open) items.push(item("delete_friend", "delete_employee", { userid: now.userid }, true));
  if (now.kind === "group") items.push(item("leave_group", "leave_group", { chat_id: now.chat_id }, true));
  return h("div.actions", items, h("button", { onclick: () => app.uncover() }, t("cancel")));
}

const cell = (sign, title, small, onclick) =>
  h("button.cell", { onclick }, icon(sign), h("span.grow", title, small && h("small", small)), icon("right", "go"));

export function discover(app) {
  const foot = h("div");
  const update = () => fill(foot, rooms(app, "discover"));
  update();
  const node = h("div.view", bar(null, t("discover"), null),
    h("div.scroll", h("div.cells", cell("scan", t("scan"), null, () => app.go("scan"))),
      h("div.cells", cell("account", t("accounts"), null, () => app.go("accounts")))), foot);
  return { node, update };
}

export function accounts(app) {
  const list = h("div.cells");
  const update = () => fill(list, app.phone.chats.filter((chat) => chat.kind === "oa").map((chat) =>
    h("button.cell", { onclick: () => (chat.open ? app.go("chat", { id: chat.id }) : followAccount(app, chat)) },
      logo(chat, ".small"), h("span.grow", chat.name, h("small", chat.open ? t("followed") : t("follow"))), icon("right", "go"))));
  update();
  return { node: h("div.view", bar(backButton(app), t("accounts"), null), h("div.scroll", list)), update };
}

export function scan(app) {
  const text = h("textarea", { placeholder: t("paste_text"), "aria-label": t("paste_text") });
  const read = async (file) => {
    const form = new FormData();
    form.append("picture", file);
    const found = await post("scan", form);
    await app.scanned(found.texts[0]);
  };
  const file = h("input", { type: "file", accept: "image/*", hidden: true, onchange: () => file.files[0] && read(file.files[0]) });
  const drop = h("div.scanbox", {
    ondragover: (event) => { event.preventDefault(); drop.classList.add("over"); },
    ondragleave: () => drop.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); drop.classList.remove("over"); if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]); },
  }, icon("scan"), h("p", t("scan_hint")), file, h("button.wide", { onclick: () => file.click() }, t("choose_picture")), h("p", t("drop_here")));
  const node = h("div.view", { onpaste: (event) => {
    const item = [...event.clipboardData.files][0];
    if (item) { event.preventDefault(); read(item); }
  } }, bar(backButton(app), t("scan"), null),
  h("div.scroll", drop, h("div.pastebox", text, h("button.wide.grey", { onclick: () => text.value.trim() && app.scanned(text.value.trim()) }, t("go")))));
  return { node };
}

export function me(app) {
  const top = h("div");
  const foot = h("div");
  const update = () => {
    const person = app.phone.person;
    fill(top,
      h("div.profile", h("img.face", { src: `/_sandbox/avatar/${person.avatar}.png`, alt: "" }),
        h("span", h("b", person.nickname), h("small", `${t("identity")}: ${person.id}`), h("small", `unionid: ${person.unionid}`))),
      h("div.cells", cell("wallet", t("wallet"), `¥${yuan(person.balance)}${app.phone.wallet.waiting.length ? ` · ${t("waiting")} ${app.phone.wallet.waiting.length}` : ""}`, () => app.go("wallet"))),
      h("div.cells", app.phone.chats.filter((chat) => chat.kind === "oa").map((chat) => h("div.cell", logo(chat, ".small"), h("span.grow", chat.name, h("small", `openid: ${chat.openid}`))))));
    fill(foot, rooms(app, "me"));
  };
  update();
  return { node: h("div.view", bar(null, t("me"), null), h("div.scroll", top), foot), update };
}

export function wallet(app) {
  const body = h("div.scroll");
  const update = () => {
    const purse = app.phone.wallet;
    fill(body, h("div.purse", h("small", t("balance")), h("b", `¥${yuan(purse.balance)}`)),
      purse.waiting.length > 0 && h("div.label", t("waiting")),
      purse.waiting.map((one) => incoming(app, one)),
      h("div.label", t("bills")),
      h("div.cells", purse.lines.length
        ? purse.lines.map((line) => h("div.cell", h("span.grow", line.title, h("small", dateTime(line.at))), h(`span.amount${line.fen > 0 ? ".in" : ""}`, `${line.fen > 0 ? "+" : "−"}${yuan(Math.abs(line.fen))}`)))
        : h("div.cell", h("span.grow", h("small", t("empty_wallet"))))));
  };
  update();
  return { node: h("div.view", bar(backButton(app), t("wallet"), null), body), update };
}

function incoming(app, one) {
  return h("div.incoming", h("header", h("span", one.title || t("transfer_in")), h("b", `¥${yuan(one.fen)}`)),
    h("small", `${one.merchant} · ${one.remark}`), h("small", t("until", { time: dateTime(one.until) })),
    h("button.wide", { onclick: async () => { await app.act("confirm_transfer", { package: one.package }); toast(t("took")); } }, t("confirm")));
}

export function browser(app, { url }) {
  const title = new URL(url).host;
  const head = bar(h("button", { "aria-label": t("close"), onclick: () => app.back() }, icon("close")), title, null);
  if (app.overview.frames) {
    const frame = h("iframe", { src: url, title });
    return { node: h("div.view.browser", head, frame), frame };
  }
  const tab = window.open(url, "_blank", "noopener=no");
  const node = h("div.view.browser", head, h("div.opening", icon("compass", "globe"), h("p", t("browser_hint")), h("p", h("code", url)),
    h("a.wide", { href: url, target: "_blank" }, tab ? t("opened") : t("open_tab"))));
  return { node };
}

export function paySheet(app, sheet, done = () => {}) {
  const fromWallet = sheet.balance >= sheet.total;
  return h("div.bottom", h("header", h("button", { "aria-label": t("close"), onclick: () => { app.uncover(); done({ ok: false, why: "cancel" }); } }, icon("close")), t("pay"), h("span")),
    h("p.who", `${t("pay_to")} ${sheet.merchant} · ${sheet.description}`), h("div.sum", `¥${yuan(sheet.total)}`),
    h("div.kv", h("span", t("pay_with")), h("span", fromWallet ? `${t("balance")} ¥${yuan(sheet.balance)}` : t("card"))),
    h("button.wide", { onclick: async () => {
      await app.act("pay", { prepay_id: sheet.prepay_id });
      app.uncover();
      toast(t("paid"));
      done({ ok: true });
    } }, t("pay_now")));
}

export function transferSheet(app, sheet, done = () => {}) {
  return h("div.bottom", h("header", h("button", { "aria-label": t("close"), onclick: () => { app.uncover(); done({ ok: false, why: "cancel" }); } }, icon("close")), t("transfer_in"), h("span")),
    h("p.who", `${sheet.merchant} · ${sheet.remark}`), h("div.sum", `¥${yuan(sheet.fen)}`),
    h("button.wide", { onclick: async () => {
      await app.act("confirm_transfer", { package: sheet.package });
      app.uncover();
      toast(t("took"));
      done({ ok: true });
    } }, t("confirm")));
}

export const requested = (app, asked, sheet, reply) =>
  (asked.action === "pay_sheet" ? paySheet : transferSheet)(app, sheet, reply);
