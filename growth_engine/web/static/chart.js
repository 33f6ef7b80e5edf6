/* Draws ECharts into every element with data-chart (its options as JSON) or data-chart-url (where they are). */
(function () {
  "use strict";
  var colours = ["#4a56d2", "#07c160", "#f59f00", "#1098ad", "#ae3ec9", "#e8590c", "#74b816"];
  var quiet = { textStyle: { fontFamily: "inherit" }, color: colours, tooltip: { renderMode: "richText" } };

  function draw(element, options) {
    var chart = window.echarts.getInstanceByDom(element) || window.echarts.init(element, null, { renderer: "svg" });
    chart.setOption(quiet);
    // A tooltip drawn as HTML would need inline styles, which the content security policy refuses.
    if (options.tooltip) options.tooltip.renderMode = "richText";
    chart.setOption(options);
    element.removeAttribute("aria-busy");
  }
  function start(root) {
    root.querySelectorAll("[data-chart]").forEach(function (element) {
      draw(element, JSON.parse(element.getAttribute("data-chart")));
    });
    root.querySelectorAll("[data-chart-url]").forEach(function (element) {
      element.setAttribute("aria-busy", "true");
      fetch(element.getAttribute("data-chart-url"), { headers: { Accept: "application/json" } })
        .then(function (answer) { if (!answer.ok) throw new Error(String(answer.status)); return answer.json(); })
        .then(function (options) { draw(element, options); })
        .catch(function () { element.textContent = document.body.getAttribute("data-text-failed") || "–"; });
    });
  }
  document.addEventListener("DOMContentLoaded", function () { start(document); });
  document.addEventListener("htmx:load", function (event) { start(event.detail.elt); });
  window.addEventListener("resize", function () {
    document.querySelectorAll("[data-chart], [data-chart-url]").forEach(function (element) {
      var chart = window.echarts.getInstanceByDom(element);
      if (chart) chart.resize();
    });
  });
})();
