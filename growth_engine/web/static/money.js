/* The queue of withdrawals by keyboard: j and k move, x chooses, a approves, r rejects, o opens, ? explains. */
(function () {
  "use strict";
  var form = document.querySelector("form[data-queue]");
  var help = document.getElementById("queue-help");
  if (!help) return;
  var at = -1;

  function rows() {
    return form ? Array.prototype.slice.call(form.querySelectorAll("[data-queue-row]")) : [];
  }
  function go(to) {
    var all = rows();
    if (!all.length) return;
    if (at >= 0) all[at].classList.remove("ge-current");
    at = Math.max(0, Math.min(to, all.length - 1));
    all[at].classList.add("ge-current");
    all[at].querySelector("[data-queue-open]").focus({ preventScroll: true });
    all[at].scrollIntoView({ block: "nearest" });
  }
  function box() {
    return at >= 0 ? rows()[at].querySelector("input[data-pick]") : null;
  }
  function mark(checked) {
    var one = box();
    if (!one) return;
    one.checked = checked;
    one.dispatchEvent(new Event("change", { bubbles: true }));
  }
  function chosen() {
    if (!form.querySelector("input[data-pick]:checked")) mark(true);
    return form.querySelector("input[data-pick]:checked");
  }
  function press(name) {
    var button = form && form.querySelector("[data-queue-" + name + "]");
    if (!button || !chosen()) return;
    button.disabled = false;
    form.requestSubmit(button);
  }

  var note = form && form.querySelector("[data-queue-note]");
  if (note) {
    /* A no needs a reason; a yes does not. Asked before the confirmation, which listens further out. */
    window.addEventListener("submit", function (event) {
      if (event.target !== form || !event.submitter || !event.submitter.hasAttribute("data-queue-reject")) return;
      if (note.value.trim()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      note.setCustomValidity(note.getAttribute("data-needed"));
      note.reportValidity();
    }, true);
    note.addEventListener("input", function () { note.setCustomValidity(""); });
    note.addEventListener("keydown", function (event) {
      if (event.key !== "Enter") return;
      event.preventDefault(); /* Enter would press the first button, which is the yes */
      press("reject");
    });
  }

  var verbs = {
    j: function () { go(at + 1); },
    k: function () { go(at < 0 ? 0 : at - 1); },
    x: function () { var one = box(); if (one) mark(!one.checked); },
    a: function () { press("approve"); },
    r: function () { if (note && chosen()) note.focus(); },
    o: function () { if (at >= 0) rows()[at].querySelector("[data-queue-open]").click(); },
    "?": function () { help.showModal(); }
  };
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.matches("textarea, select, input:not([type=checkbox])")) return;
    var verb = verbs[event.key];
    if (!verb) return;
    event.preventDefault();
    verb();
  });
})();
