/* Phone pages work without this; it adds copying, a countdown, and guards against sending twice. */
(function () {
  "use strict";

  function toast(message) {
    if (!message) return;
    var item = document.createElement("div");
    item.className = "ge-toast";
    item.setAttribute("role", "status");
    item.textContent = message;
    document.body.appendChild(item);
    window.setTimeout(function () { item.remove(); }, 2200);
  }

  function byHand(value) {
    var area = document.createElement("textarea");
    area.value = value;
    area.setAttribute("readonly", "");
    area.className = "ge-toast";
    document.body.appendChild(area);
    area.select();
    area.setSelectionRange(0, value.length);
    var done = document.execCommand("copy");
    area.remove();
    return done;
  }

  document.addEventListener("click", function (event) {
    var target = event.target.closest("[data-copy]");
    if (!target) return;
    var value = target.getAttribute("data-copy");
    var done = target.getAttribute("data-copied") || "";
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(value).then(function () { toast(done); }, function () { if (byHand(value)) toast(done); });
    } else if (byHand(value)) {
      toast(done);
    }
  });

  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.hasAttribute("data-sent")) { event.preventDefault(); return; }
    form.setAttribute("data-sent", "");
    form.querySelectorAll("button[type=submit], button:not([type])").forEach(function (button) {
      button.setAttribute("aria-busy", "true");
    });
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      form.removeAttribute("data-sent");
      form.querySelectorAll("button[aria-busy]").forEach(function (b) { b.removeAttribute("aria-busy"); });
    });
  });

  /* <time data-countdown datetime="…" data-day="%d days"> counts down to the moment. */
  function two(n) { return (n < 10 ? "0" : "") + n; }
  function tick() {
    document.querySelectorAll("[data-countdown]").forEach(function (element) {
      var left = Math.max(0, Math.floor((Date.parse(element.getAttribute("datetime")) - Date.now()) / 1000));
      var days = Math.floor(left / 86400);
      var clock = two(Math.floor(left % 86400 / 3600)) + ":" + two(Math.floor(left % 3600 / 60)) + ":" + two(left % 60);
      var day = days ? (element.getAttribute("data-day") || "%d").replace("%d", String(days)) + " " : "";
      element.textContent = day + clock;
    });
  }
  if (document.querySelector("[data-countdown]")) { tick(); window.setInterval(tick, 1000); }
})();
