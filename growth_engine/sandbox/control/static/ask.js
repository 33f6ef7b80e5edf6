/* Paying or receiving for a page that stands in a tab of its own: ask, then go back to it. */

import { act, get } from "./api.js";
import { fill, h, yuan } from "./dom.js";
import { speak, language, t } from "./words.js";

const given = new URLSearchParams(window.location.search);
const root = document.getElementById("ask");
const person = (document.cookie.match(/(?:^|; )sandbox_person=([^;]+)/) || [])[1];
const back = new URL(given.get("back"));
const leave = () => window.location.replace(back.href);

async function begin() {
  speak(language());
  const state = await get("state");
  if (!["http:", "https:"].includes(back.protocol) || !state.pages.includes(back.host)) throw new Error(`${back.host}?`);
  const paying = given.get("action") === "pay_sheet";
  const sheet = await act(person, given.get("action"), { request: JSON.parse(given.get("request")) });
  const agree = async () => {
    await act(person, paying ? "pay" : "confirm_transfer", paying ? { prepay_id: sheet.prepay_id } : { package: sheet.package });
    leave();
  };
  fill(root, h("h1", t(paying ? "pay" : "transfer_in")), h("p", sheet.merchant), h("p.soft", sheet.description || sheet.remark),
    h("div.sum", `¥${yuan(paying ? sheet.total : sheet.fen)}`),
    h("button.button", { onclick: agree }, t(paying ? "pay_now" : "confirm")),
    h("button.button.plain", { onclick: leave }, t("cancel")));
}

begin().catch((error) => fill(root, h("h1", t("pay")), h("p", error.message), h("button.button.plain", { onclick: leave }, t("back"))));
