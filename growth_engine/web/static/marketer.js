/* The invite tree: an opened branch folds away on the second click instead of being asked for again. */
(function () {
  "use strict";
  document.addEventListener("htmx:beforeRequest", function (event) {
    var opener = event.detail.elt;
    if (!opener.hasAttribute || !opener.hasAttribute("data-open-node")) return;
    var children = opener.closest(".ge-node").querySelector(".ge-node-children");
    if (opener.getAttribute("aria-expanded") === "true") {
      event.preventDefault();
      children.hidden = true;
      opener.setAttribute("aria-expanded", "false");
    } else if (children.children.length) {
      event.preventDefault();
      children.hidden = false;
      opener.setAttribute("aria-expanded", "true");
    } else {
      opener.setAttribute("aria-expanded", "true");
    }
  });
  document.addEventListener("htmx:responseError", function (event) {
    var opener = event.detail.elt;
    if (opener.hasAttribute && opener.hasAttribute("data-open-node")) opener.setAttribute("aria-expanded", "false");
  });
})();

/* Rates say % or the currency, as the choice beside them does. */
(function () {
  "use strict";
  document.addEventListener("change", function (event) {
    if (!event.target.id) return;
    document.querySelectorAll("[data-follows]").forEach(function (unit) {
      if (unit.getAttribute("data-follows") !== event.target.id) return;
      unit.textContent = event.target.value === "fixed" ? unit.getAttribute("data-currency") : "%";
    });
  });
})();

/* Lists with boxes: one box for all of them, and how many are chosen. The actions need at least one. */
(function () {
  "use strict";
  function boxes(form) {
    return Array.prototype.slice.call(form.querySelectorAll("input[data-pick]"));
  }
  function tell(form) {
    var all = boxes(form);
    var chosen = all.filter(function (box) { return box.checked; }).length;
    form.querySelectorAll("[data-picked]").forEach(function (place) { place.textContent = String(chosen); });
    form.querySelectorAll("[data-needs-pick]").forEach(function (button) { button.disabled = chosen === 0; });
    form.querySelectorAll("[data-pick-all]").forEach(function (box) {
      box.checked = chosen > 0 && chosen === all.length;
      box.indeterminate = chosen > 0 && chosen < all.length;
    });
  }
  document.addEventListener("change", function (event) {
    var box = event.target;
    if (!box.form || !box.form.hasAttribute("data-picks")) return;
    if (box.hasAttribute("data-pick-all")) boxes(box.form).forEach(function (one) { one.checked = box.checked; });
    tell(box.form);
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-picks]").forEach(tell);
  });
})();

/* A preview of what is typed goes when something else is typed: nobody confirms what is not shown. */
document.addEventListener("input", function (event) {
  "use strict";
  var form = event.target.form;
  if (form && form.hasAttribute("data-clears")) document.getElementById(form.getAttribute("data-clears")).replaceChildren();
});
