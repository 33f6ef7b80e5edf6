/* Pages inside WeChat: pays by its sheet, has a transfer confirmed, and says what a shared card shows.

   What the sheet says about its own success is a hint only: our server asks WeChat Pay, and the page is
   loaded anew once it stands differently. */
(function () {
  "use strict";
  var script = document.currentScript;
  var PAY = ["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"];
  var TRIES = 6;
  var FIRST_WAIT = 900;
  var PENDING = "ge-asked-wechat";

  function bridge(run) {
    if (window.WeixinJSBridge) run();
    else document.addEventListener("WeixinJSBridgeReady", run, { once: true });
  }

  /* -- how it went ------------------------------------------------------------------------------------ */

  function say(box, name) {
    var place = box.querySelector("[data-said]");
    place.textContent = box.getAttribute("data-" + name);
    place.hidden = false;
    box.removeAttribute("aria-busy");
  }

  function ask(box, left, wait) {
    box.setAttribute("aria-busy", "true");
    function again() {
      if (left > 1) window.setTimeout(function () { ask(box, left - 1, wait * 1.4); }, wait);
      else say(box, "late");
    }
    fetch(box.getAttribute("data-ask"), {
      method: "POST", credentials: "same-origin",
      headers: { "X-CSRF-Token": document.body.getAttribute("data-csrf"), Accept: "application/json" },
    }).then(function (answer) { return answer.ok ? answer.json() : {}; }).then(function (told) {
      if (told.seen && told.seen !== box.getAttribute("data-seen")) window.location.reload();
      else again();
    }, again);
  }

  function remembered(box) {
    try {
      var kept = window.sessionStorage.getItem(PENDING);
      if (kept !== box.getAttribute("data-ask")) return false;
      window.sessionStorage.removeItem(PENDING);
      return true;
    } catch (error) { return false; /* no storage: then the page looks again by itself */ }
  }

  /* The sheet may take the whole window and come back to this page, which then asks. */
  function remember(box) {
    try { window.sessionStorage.setItem(PENDING, box.getAttribute("data-ask")); }
    catch (error) { /* as above */ }
  }

  function sheet(box, name, request) {
    bridge(function () {
      remember(box);
      window.WeixinJSBridge.invoke(name, request, function (result) {
        remembered(box);
        var how = String(result.err_msg || "").split(":")[1] || "";
        if (/^ok/.test(how)) ask(box, TRIES, FIRST_WAIT);
        else say(box, /^cancel/.test(how) ? "cancelled" : "failed");
      });
    });
  }

  document.querySelectorAll("[data-wechat-sheet]").forEach(function (box) {
    var name = box.getAttribute("data-wechat-sheet");
    var values = JSON.parse(box.getAttribute("data-values"));
    var request = {};
    (name === "getBrandWCPayRequest" ? PAY : Object.keys(values)).forEach(function (one) { request[one] = values[one]; });
    box.querySelector("button").addEventListener("click", function () { sheet(box, name, request); });
    if (remembered(box)) ask(box, TRIES, FIRST_WAIT);
  });

  /* -- JS-SDK ----------------------------------------------------------------------------------------- */

  function tag(name) {
    var found = document.querySelector('meta[property="og:' + name + '"]');
    return found ? found.content : "";
  }

  function ready() {
    if (script.getAttribute("data-names").indexOf("updateAppMessageShareData") < 0) return;
    var card = { title: tag("title"), desc: tag("description"), link: tag("url"), imgUrl: tag("image") };
    window.wx.updateAppMessageShareData(card);
    window.wx.updateTimelineShareData({ title: card.title, link: card.link, imgUrl: card.imgUrl });
    document.documentElement.setAttribute("data-wechat-card", card.link);
  }

  var address = script.getAttribute("data-config");
  if (address && window.wx) {
    window.wx.error(function (result) { window.console.warn("wx.config: " + result.errMsg); });
    window.wx.ready(ready);
    fetch(address + "?url=" + encodeURIComponent(window.location.href.split("#")[0]), { credentials: "same-origin", headers: { Accept: "application/json" } })
      .then(function (answer) { return answer.ok ? answer.json() : null; })
      .then(function (config) {
        if (!config) return;
        config.debug = false;
        config.jsApiList = script.getAttribute("data-names").split(",");
        window.wx.config(config);
      });
  }
})();
