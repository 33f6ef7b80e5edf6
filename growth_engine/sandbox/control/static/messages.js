/* One message of a chat, as WeChat draws it. */

import { h, icon, linked, yuan } from "./dom.js";
import { dateTime, t } from "./words.js";

const GAP_SECONDS = 300;

export function logo(chat, size = "") {
  const name = { oa: "account", wecom: "user", group: "group", pay: "wallet" }[chat.kind];
  return h(`span.logo.${chat.kind}${size}`, icon(name));
}

const face = (person) => h("img.face", { src: `/_sandbox/avatar/${person.avatar}.png`, alt: person.nickname });

const system = (text) => h("div.system", text);

const SYSTEM = {
  followed: (m, chat) => `${t("followed")} ${chat.name}`,
  unfollowed: () => t("unfollowed"),
  added: () => t("added"),
  deleted: () => t("deleted"),
  joined: (m) => t("joined", { name: m.name }),
  left: (m) => t("left", { name: m.name }),
  notice: (m) => m.text,
  transfer_customer_service: (m) => m.text,
};

const lines = (rows) => h("dl", rows.map((one) => [h("dt", one.name), h("dd", one.value)]));

function picture(message, tools) {
  const src = message.media_id ? `/_sandbox/media/${message.media_id}` : message.url;
  const image = h("img.shot", { src, alt: t("picture"), onclick: () => tools.zoom(src) });
  image.addEventListener("error", () => image.replaceWith(h("div.bubble", t("expired_picture"))));
  return image;
}

function news(message, tools) {
  return message.articles.map((one) =>
    h("button.news", { onclick: () => tools.open(one.url) },
      one.picture && h("img.cover", { src: one.picture, alt: "" }),
      h("span.in", h("span", h("b", one.title), one.text && h("p", one.text)))));
}

function menu(message, tools) {
  return h("div.bubble", linked(message.head, tools.open),
    h("div.choices", message.choices.map((one) => h("button", { onclick: () => tools.choose(one) }, one.text))),
    message.tail && h("div", linked(message.tail, tools.open)));
}

const named = (word, message) => h("div.bubble", `[${t(word)}] ${message.title || ""}`);

const BODIES = {
  text: (m, tools) => h("div.bubble", linked(m.text, tools.open)),
  image: picture,
  news,
  msgmenu: menu,
  voice: (m) => named("voice", m),
  video: (m) => named("video", m),
  file: (m) => named("file", m),
  music: (m) => named("music", m),
  miniprogrampage: (m) => h("div.bubble", `[小程序] ${m.title}`),
};

const CARDS = {
  template: (m, tools) => h("div.cardmsg", h("h4", m.title), lines(m.lines),
    m.url && h("button.foot", { onclick: () => tools.open(m.url) }, t("detail"), icon("right", "go"))),
  receipt: (m) => h("div.cardmsg", h("h4", m.title), h("div.sum", h("small", "¥"), yuan(m.fen)), lines(m.lines)),
};

export function drawn(message, before, chat, person, tools) {
  const nodes = [];
  if (!before || message.at - before.at > GAP_SECONDS) nodes.push(h("div.when", dateTime(message.at)));
  if (SYSTEM[message.kind]) nodes.push(system(SYSTEM[message.kind](message, chat)));
  else if (CARDS[message.kind]) nodes.push(CARDS[message.kind](message, tools));
  else {
    const mine = message.from === "me";
    const body = (BODIES[message.kind] || named.bind(null, message.kind))(message, tools);
    nodes.push(h(`div.msg${mine ? ".me" : ""}`, mine ? face(person) : logo(chat, ".small"), h("div", body)));
  }
  return nodes;
}

export function summary(message, chat) {
  if (!message) return "";
  if (SYSTEM[message.kind]) return SYSTEM[message.kind](message, chat);
  if (message.kind === "text") return message.text.replace(/<[^>]+>/g, "");
  if (message.kind === "news") return `[${t("detail")}] ${message.articles[0].title}`;
  if (message.kind === "msgmenu") return message.head;
  if (message.title) return message.title;
  return `[${t(message.kind === "image" ? "picture" : message.kind)}]`;
}
