/* What console pages need beyond htmx and Tabler: confirmations, copying, repeated rows, messages. */
(function () {
  "use strict";

  function text(name, fallback) {
    return document.body.getAttribute("data-text-" + name) || fallback;
  }

  function toast(message, kind) {
    var area = document.getElementById("toasts");
    if (!area || !message) return;
    var item = document.createElement("div");
    item.className = "ge-toast" + (kind ? " ge-toast-" + kind : "");
    item.setAttribute("role", "status");
    item.textContent = message;
    area.appendChild(item);
    window.setTimeout(function () { item.remove(); }, 5000);
  }

  function copy(value) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(value);
    var area = document.createElement("textarea");
    area.value = value;
    area.className = "visually-hidden";
    document.body.appendChild(area);
    area.select();
    var done = document.execCommand("copy");
    area.remove();
    return done ? Promise.resolve() : Promise.reject(new Error("copy refused"));
  }

  /* A form with data-confirm asks first, in a dialog that works with the keyboard. Where its buttons do
     different things each asks with its own data-asks, in which {n} is how many rows are chosen. */
  var pending = null;
  function ask(message, label, go) {
    var dialog = document.getElementById("confirm");
    dialog.querySelector("[data-confirm-text]").textContent = message;
    dialog.querySelector("[data-confirm-yes]").textContent = label || text("confirm", "OK");
    pending = go;
    dialog.showModal();
  }
  document.addEventListener("submit", function (event) {
    var form = event.target;
    var pressed = event.submitter; // its name and value belong to what is sent
    var own = pressed && pressed.getAttribute("data-asks");
    var message = own ? own.replace("{n}", form.querySelectorAll("input[data-pick]:checked").length) : form.getAttribute("data-confirm");
    if (message && !form.hasAttribute("data-confirmed")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(message, own ? pressed.textContent.trim() : form.getAttribute("data-confirm-label"), function () {
        form.setAttribute("data-confirmed", "");
        form.requestSubmit(pressed);
      });
      return;
    }
    form.removeAttribute("data-confirmed");
    if (!form.hasAttribute("hx-post") && !form.hasAttribute("data-again")) {
      window.setTimeout(function () {
        form.querySelectorAll("button[type=submit], button:not([type])").forEach(function (b) { b.disabled = true; });
      }, 0);
    }
  }, true);
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form button[disabled]:not([data-off])").forEach(function (b) { b.disabled = false; });
  });
  document.addEventListener("click", function (event) {
    var target = event.target.closest("[data-confirm-yes], [data-confirm-no], [data-copy], [data-copy-from], [data-add-row], [data-drop-row]");
    if (!target) return;
    if (target.hasAttribute("data-confirm-yes")) {
      document.getElementById("confirm").close();
      if (pending) pending();
      pending = null;
    } else if (target.hasAttribute("data-confirm-no")) {
      document.getElementById("confirm").close();
      pending = null;
    } else if (target.hasAttribute("data-add-row")) {
      addRow(target);
    } else if (target.hasAttribute("data-drop-row")) {
      dropRow(target);
    } else {
      var from = target.getAttribute("data-copy-from");
      var value = from ? document.getElementById(from).value : target.getAttribute("data-copy");
      copy(value).then(function () { toast(text("copied", "Copied")); },
        function () { toast(text("copy-failed", "Select the text and copy it by hand."), "danger"); });
    }
  });

  /* Rows of a list in a form: the <template> beside the rows holds an empty one, with __n__ as its number. */
  function addRow(button) {
    var list = document.getElementById(button.getAttribute("data-add-row"));
    var template = document.getElementById(list.id + "-template");
    var number = parseInt(list.getAttribute("data-next"), 10);
    list.setAttribute("data-next", String(number + 1));
    var holder = document.createElement("template");
    holder.innerHTML = template.innerHTML.split("__n__").join(String(number));
    list.appendChild(holder.content);
    var added = list.lastElementChild.querySelector("input, select, textarea");
    if (added) added.focus();
    changed(list);
  }
  function dropRow(button) {
    var row = button.closest(".ge-row");
    var list = row.parentElement;
    row.remove();
    changed(list);
  }
  function changed(element) {
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /* Tabs that do not fit a phone begin at the one that is open. */
  document.querySelectorAll(".ge-tabs .active").forEach(function (tab) {
    tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 24;
  });

  /* data-submit: send the form as soon as the choice changes (filters). */
  document.addEventListener("change", function (event) {
    if (event.target.hasAttribute && event.target.hasAttribute("data-submit")) event.target.form.requestSubmit();
  });

  document.addEventListener("htmx:configRequest", function (event) {
    event.detail.headers["X-CSRF-Token"] = document.body.getAttribute("data-csrf");
  });
  document.addEventListener("htmx:responseError", function (event) {
    var message = "";
    try { message = JSON.parse(event.detail.xhr.responseText).detail; } catch (_error) { message = ""; }
    toast(message || text("failed", "That did not work. Please try again."), "danger");
  });
  document.addEventListener("htmx:sendError", function () {
    toast(text("offline", "The server cannot be reached. Please try again."), "danger");
  });
})();
