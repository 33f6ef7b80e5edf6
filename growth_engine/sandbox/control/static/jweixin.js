/* Stands in for WeChat's jweixin: checks the page's signature as WeChat does, and hands paying to the phone.

   In the phone's own frame it asks the phone by messages. In a tab of its own it goes to a page of the
   sandbox and comes back; the page then asks its server how it went, as it has to in any case. */
(function () {
  "use strict";
  var base = new URL(document.currentScript.src).origin;
  var framed = window.parent !== window;
  var waiting = {};
  var number = 0;
  var state = { asked: false, done: false, problem: "" };
  var ready = [];
  var failed = null;

  window.addEventListener("message", function (event) {
    var told = event.data;
    if (event.origin !== base || !told || told.sandbox !== "told" || !waiting[told.id]) return;
    waiting[told.id](told);
    delete waiting[told.id];
  });

  function ask(action, params, done) {
    number += 1;
    waiting[number] = done;
    window.parent.postMessage({ sandbox: "ask", id: number, action: action, params: params }, base);
  }

  function configured(problem) {
    state.done = true;
    state.problem = problem;
    if (problem && failed) failed({ errMsg: problem });
    if (!problem) ready.splice(0).forEach(function (one) { one(); });
  }

  function configure(config) {
    state.asked = true;
    var params = { config: config, url: window.location.href.split("#")[0] };
    if (framed) {
      ask("js_config", params, function (told) { configured(told.ok ? told.doc.problem : told.why); });
      return;
    }
    window.__sandboxConfigured = configured;
    var script = document.createElement("script");
    script.src = base + "/_sandbox/js-config.js?" + new URLSearchParams({ config: JSON.stringify(config), url: params.url });
    document.head.appendChild(script);
  }

  function invoke(action, request, done) {
    if (framed) {
      ask(action, { request: request }, function (told) { done(told.ok ? "ok" : told.why === "cancel" ? "cancel" : "fail", told.why || ""); });
      return;
    }
    var query = new URLSearchParams({ action: action, request: JSON.stringify(request), back: window.location.href });
    window.location.href = base + "/_sandbox/ask?" + query;
  }

  function checked(name, options, run) {
    if (!state.done || state.problem) {
      var why = { errMsg: name + ":fail, " + (state.problem || "the permission value is offline verifying") };
      if (options.fail) options.fail(why);
      if (options.complete) options.complete(why);
      return;
    }
    run();
  }

  function finished(name, options) {
    return function (how, why) {
      var result = { errMsg: name + ":" + (how === "fail" ? "fail, " + why : how) };
      var callback = { ok: options.success, cancel: options.cancel, fail: options.fail }[how];
      if (callback) callback(result);
      if (options.complete) options.complete(result);
    };
  }

  function silent(name) {
    return function (options) {
      checked(name, options || {}, function () { finished(name, options || {})("ok", ""); });
    };
  }

  var wx = {
    config: configure,
    ready: function (callback) { if (state.done && !state.problem) callback(); else ready.push(callback); },
    error: function (callback) { failed = callback; if (state.problem) callback({ errMsg: state.problem }); },
    checkJsApi: function (options) {
      var found = {};
      options.jsApiList.forEach(function (name) { found[name] = name in wx; });
      options.success({ checkResult: found, errMsg: "checkJsApi:ok" });
    },
    chooseWXPay: function (options) {
      checked("chooseWXPay", options, function () {
        var request = {
          appId: wx._appId, timeStamp: String(options.timestamp), nonceStr: options.nonceStr,
          package: options.package, signType: options.signType, paySign: options.paySign,
        };
        invoke("pay_sheet", request, finished("chooseWXPay", options));
      });
    },
  };
  ["updateAppMessageShareData", "updateTimelineShareData", "hideMenuItems", "showMenuItems", "hideOptionMenu", "showOptionMenu", "closeWindow"].forEach(function (name) { wx[name] = silent(name); });
  var plain = wx.config;
  wx.config = function (config) { wx._appId = config.appId; plain(config); };

  window.wx = window.jWeixin = wx;
  window.WeixinJSBridge = {
    invoke: function (name, request, callback) {
      var action = { getBrandWCPayRequest: "pay_sheet", requestMerchantTransfer: "transfer_sheet" }[name];
      if (!action) { callback({ err_msg: name + ":function_not_exist" }); return; }
      invoke(action, request, function (how, why) {
        callback({ err_msg: (name === "getBrandWCPayRequest" ? "get_brand_wcpay_request" : name) + ":" + how, err_desc: why });
      });
    },
    call: function () {},
    on: function () {},
  };
  document.dispatchEvent(new Event("WeixinJSBridgeReady"));
}());
