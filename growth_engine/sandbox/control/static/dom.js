/* Building pages without a framework: h("div.row", {onclick}, child, "text"). */

const ICONS = {
  back: '<path d="M15 4 7 12l8 8"/>',
  more: '<circle cx="5" cy="12" r="1.6" fill="currentColor"/><circle cx="12" cy="12" r="1.6" fill="currentColor"/><circle cx="19" cy="12" r="1.6" fill="currentColor"/>',
  plus: '<circle cx="12" cy="12" r="9"/><path d="M12 8v8M8 12h8"/>',
  close: '<path d="M5 5l14 14M19 5 5 19"/>',
  scan: '<path d="M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M4 12h16"/>',
  chat: '<path d="M4 5h16v11h-8l-5 4v-4H4z"/>',
  compass: '<circle cx="12" cy="12" r="9"/><path d="M15.5 8.5l-2 5-5 2 2-5z"/>',
  user: '<circle cx="12" cy="8" r="4"/><path d="M4 21c1-5 4-7 8-7s7 2 8 7"/>',
  wallet: '<rect x="3" y="6" width="18" height="13" rx="2"/><path d="M3 10h18M16 14h2"/>',
  account: '<path d="M5 4h14v16l-7-4-7 4z"/>',
  keyboard: '<rect x="3" y="6" width="18" height="12" rx="2"/><path d="M7 10h.01M11 10h.01M15 10h.01M8 14h8"/>',
  list: '<path d="M4 7h16M4 12h16M4 17h16"/>',
  picture: '<rect x="3" y="5" width="18" height="14" rx="2"/><circle cx="9" cy="10" r="1.6"/><path d="M5 18l5-5 3 3 3-4 4 6"/>',
  right: '<path d="M9 5l7 7-7 7"/>',
  clock: '<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3 2"/>',
  group: '<circle cx="9" cy="9" r="3"/><circle cx="16.5" cy="10" r="2.4"/><path d="M3 19c.6-4 3-5.5 6-5.5s5.4 1.500 6 5.500M15.500 14.200c3 0 4.900 1.300 5.500 4.800"/>',
};

export function icon(name, className = "") {
  const holder = document.createElement("span");
  holder.className = `icon ${className}`;
  holder.setAttribute("aria-hidden", "true");
  // The only markup set as text here is the constant above.
  holder.innerHTML = `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`;
  return holder;
}

export function h(tag, ...rest) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name || "div");
  if (classes.length) node.className = classes.join(" ");
  if (name === "button") node.type = "button";
  for (const one of rest) put(node, one);
  return node;
}

function put(node, one) {
  if (one === null || one === undefined || one === false) return;
  if (Array.isArray(one)) {
    one.forEach((each) => put(node, each));
  } else if (one instanceof Node || typeof one !== "object") {
    node.append(one instanceof Node ? one : String(one));
  } else {
    for (const [key, value] of Object.entries(one)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
    }
  }
}

export function fill(node, ...children) {
  node.replaceChildren();
  children.forEach((child) => put(node, child));
  return node;
}

export function toast(text) {
  const box = h("div.toast", text);
  document.getElementById("toasts").append(box);
  window.setTimeout(() => box.remove(), 3200);
}

/* Text with the links WeChat allows in it: <a href="http…">words</a> and bare addresses. */
export function linked(text, open) {
  const parts = [];
  const pattern = /<a\s+[^>]*?href=["'](https?:\/\/[^"']+)["'][^>]*>([\s\S]*?)<\/a>|(https?:\/\/[^\s<>"'，。；！？）]+)/gi;
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(at, found.index));
    const url = found[1] || found[3];
    parts.push(h("a.link", { href: url, onclick: (event) => { event.preventDefault(); open(url); } }, found[2] || found[3]));
    at = found.index + found[0].length;
  }
  parts.push(text.slice(at));
  return parts.filter((part) => part !== "");
}

export const yuan = (fen) => (fen / 100).toFixed(2);
