/* The sheets of selling work without this; it adds steppers, a running total, and "all of it" buttons. */
(function () {
  "use strict";

  var sheet = document.querySelector("[data-sheet]");
  if (sheet) {
    var format = new Intl.NumberFormat(sheet.getAttribute("data-language"), { style: "currency", currency: sheet.getAttribute("data-currency") });
    var digits = format.resolvedOptions().maximumFractionDigits;
    var fields = [].slice.call(sheet.querySelectorAll("[data-price]"));
    var total = sheet.querySelector("[data-total]");
    var count = function (field) { return Math.max(0, parseInt(field.value, 10) || 0); };
    var add = function () {
      var sum = fields.reduce(function (all, field) { return all + count(field) * Number(field.getAttribute("data-price")); }, 0);
      total.textContent = format.format(sum / Math.pow(10, digits));
      fields.forEach(function (field) {
        var buttons = field.parentNode.querySelectorAll("[data-step]");
        buttons[0].disabled = count(field) <= 0;
        buttons[1].disabled = count(field) >= Number(field.max);
      });
    };
    sheet.querySelectorAll("[data-step]").forEach(function (button) {
      button.hidden = false;
      button.addEventListener("click", function () {
        var field = button.parentNode.querySelector("[data-price]");
        field.value = String(Math.min(Number(field.max), Math.max(0, count(field) + Number(button.getAttribute("data-step")))));
        add();
      });
    });
    sheet.addEventListener("input", add);
    add();
  }

  /* <a data-fill="id of a field" data-value="…"> fills the field in instead of loading the page anew. */
  document.addEventListener("click", function (event) {
    var link = event.target.closest("[data-fill]");
    var field = link && document.getElementById(link.getAttribute("data-fill"));
    if (!field) return;
    event.preventDefault();
    field.value = link.getAttribute("data-value");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
})();
