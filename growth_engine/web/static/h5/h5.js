/* Campaign pages work without this; it lets the countdown run, and shows a poster once it is drawn. */
(function () {
  "use strict";

  /* <time data-clock datetime="…"> with one <b data-unit> for each of days, hours, minutes, seconds. */
  var clocks = [].slice.call(document.querySelectorAll("[data-clock]"));
  function two(n) { return (n < 10 ? "0" : "") + n; }
  function tick() {
    clocks.forEach(function (clock) {
      var left = Math.max(0, Math.floor((Date.parse(clock.getAttribute("datetime")) - Date.now()) / 1000));
      var values = { days: String(Math.floor(left / 86400)), hours: two(Math.floor(left % 86400 / 3600)),
        minutes: two(Math.floor(left % 3600 / 60)), seconds: two(left % 60) };
      clock.querySelectorAll("[data-unit]").forEach(function (cell) {
        var value = values[cell.getAttribute("data-unit")];
        if (cell.textContent !== value) cell.textContent = value;
      });
    });
  }
  if (clocks.length) { tick(); window.setInterval(tick, 1000); }

  /* <figure data-poster="address" data-state="queued">: ask, ever more slowly, until the picture is there. */
  var figure = document.querySelector("[data-poster]");
  var wait = 700;
  function show(url) {
    var picture = figure.querySelector("img");
    picture.onload = function () {
      figure.querySelector(".h5-poster-wait").remove();
      picture.hidden = false;
      figure.querySelector("figcaption").hidden = false;
    };
    picture.src = url;
    figure.setAttribute("data-state", "ready");
  }
  function fail() {
    var box = figure.querySelector(".h5-poster-wait");
    box.textContent = figure.getAttribute("data-failed");
    figure.setAttribute("data-state", "failed");
  }
  function ask() {
    fetch(figure.getAttribute("data-poster"), { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(function (answer) { return answer.ok ? answer.json() : {}; })
      .then(function (poster) {
        if (poster.state === "ready") show(poster.url);
        else if (poster.state === "failed") fail();
        else later();
      }, later);
  }
  function later() {
    wait = Math.min(wait * 1.25, 8000);
    window.setTimeout(ask, wait);
  }
  if (figure && /queued|rendering/.test(figure.getAttribute("data-state"))) window.setTimeout(ask, wait);

  /* The link is selected when touched, so that it can be copied by hand too. */
  var field = document.getElementById("invite-link");
  if (field) field.addEventListener("focus", function () { field.select(); });
})();
