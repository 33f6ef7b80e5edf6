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
