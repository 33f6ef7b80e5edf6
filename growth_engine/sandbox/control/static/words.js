/* Every word of the page in both languages. */

const WORDS = {
  zh: {
    title: "微信沙箱", sub: "公众号 · 企微 · 支付", people: "谁拿着手机", add_person: "添加", new_name: "昵称", chats: "微信", discover: "发现", me: "我",
    scan: "扫一扫", scan_hint: "上传带二维码的图片（海报、截图），或粘贴二维码内容", choose_picture: "选择图片", drop_here: "把图片拖到这里，或直接粘贴",
    paste_text: "二维码内容或链接", go: "确定", follow: "关注公众号", followed: "你已关注", unfollow: "不再关注", unfollowed: "你已取消关注", mute: "拒收消息", unmute: "接收消息",
    accounts: "公众号", wallet: "钱包", balance: "零钱", waiting: "待收款", bills: "账单", confirm: "确认收款", none_yet: "还没有消息", none_hint: "点右上角的 ⊕ 扫一扫，或在下面关注公众号",
    send: "发送", say: "发消息", back: "返回", more: "更多", close: "关闭", cancel: "取消", added: "你已添加对方，现在可以开始聊天了", deleted: "你已删除对方",
    joined: "你加入了群聊“{name}”", left: "你已退出群聊“{name}”", delete_friend: "删除联系人", leave_group: "退出群聊", not_open: "你们还不能聊天", group_quiet: "群里的发言不会通知应用",
    open_tab: "在新标签页打开", browser_hint: "应用的页面会在新标签页里打开，以当前的人登录。", opened: "再打开一次", subscribe: "允许一次订阅通知", subscribed: "已允许一次",
    pay: "支付", pay_to: "付款给", pay_now: "立即支付", paid: "支付成功", pay_with: "付款方式", card: "银行卡", transfer_in: "转账给你", until: "{time} 前确认，过期退回", took: "收款处理中",
    log: "通信记录", staff: "员工", time: "时间与故障", connect: "接入", log_empty: "还没有请求", now: "沙箱时间", m1: "1 分钟", h1: "1 小时", d1: "1 天", d3: "3 天",
    real_time_hint: "签名仍用真实时间；令牌、窗口、重试和到期按沙箱时间。", faults: "故障注入", no_faults: "没有计划中的故障", fault_plan: "安排", fault_clear: "全部取消", service: "服务", on: "作用于",
    request: "应用的请求", callback: "给应用的回调", match: "匹配", action: "故障", value: "值", times: "次数", settings: "应用的设置", creds: "查看凭据", reset: "清空沙箱", reset_sure: "清空所有人、消息和订单？",
    callback_url: "回调地址", not_set: "未设置", save: "保存", saved: "已保存", customers_wait: "待确认任务", send_task: "发送", publish: "发表", open_group: "建群", group_name: "群名称",
    mass: "群发", moment: "朋友圈", resigned: "已离职", resign: "离职", unverified: "未实名", detail: "详情", menu: "菜单", picture: "图片", file: "文件", video: "视频", voice: "语音", music: "音乐",
    real_named: "已实名", not_real_named: "未实名", snapshot: "快照页身份", language: "EN", menu_people: "人与控制台", empty_wallet: "还没有账单", expired_picture: "图片已过期", identity: "微信号",
    group_code: "群二维码", group_code_hint: "点图片保存。7 天内有效，和员工在企微里看到的一样。",
    due: "到期的事", nothing_due: "没有待处理的定时任务",
  },
  en: {
    title: "WeChat sandbox", sub: "WeChat · WeCom · Pay", people: "Who holds the phone", add_person: "Add", new_name: "Nickname", chats: "Chats", discover: "Discover", me: "Me",
    scan: "Scan", scan_hint: "Upload a picture with a QR code (a poster, a screenshot), or paste what the code says", choose_picture: "Choose a picture", drop_here: "Drop a picture here, or paste it",
    paste_text: "Text of a code, or a link", go: "Go", follow: "Follow an account", followed: "You follow", unfollow: "Unfollow", unfollowed: "You no longer follow this account", mute: "Refuse messages", unmute: "Take messages",
    accounts: "Accounts", wallet: "Wallet", balance: "Balance", waiting: "To be received", bills: "History", confirm: "Receive", none_yet: "No messages yet", none_hint: "Tap ⊕ above to scan a code, or follow an account below",
    send: "Send", say: "Message", back: "Back", more: "More", close: "Close", cancel: "Cancel", added: "You are friends now and can chat", deleted: "You deleted this contact",
    joined: "You joined the group “{name}”", left: "You left the group “{name}”", delete_friend: "Delete contact", leave_group: "Leave group", not_open: "You cannot chat yet", group_quiet: "What is said in a group is not told to the application",
    open_tab: "Open in a new tab", browser_hint: "The application's page opens in a new tab, signed in as this person.", opened: "Open again", subscribe: "Allow one notification", subscribed: "One notification allowed",
    pay: "Pay", pay_to: "Pay to", pay_now: "Pay now", paid: "Paid", pay_with: "Pay with", card: "Bank card", transfer_in: "Money for you", until: "Receive before {time}, or it goes back", took: "On its way",
    log: "Traffic", staff: "Staff", time: "Time and faults", connect: "Connect", log_empty: "No requests yet", now: "Sandbox time", m1: "1 minute", h1: "1 hour", d1: "1 day", d3: "3 days",
    real_time_hint: "Signatures keep the wall's time; tokens, windows, retries and expiries go by the sandbox's.", faults: "Faults", no_faults: "No faults planned", fault_plan: "Plan", fault_clear: "Clear all", service: "Service", on: "Strikes",
    request: "requests to us", callback: "callbacks", match: "Match", action: "Fault", value: "Value", times: "Times", settings: "Settings of the application", creds: "Credentials", reset: "Empty the sandbox", reset_sure: "Forget all people, messages and orders?",
    callback_url: "Callback address", not_set: "not set", save: "Save", saved: "Saved", customers_wait: "Waiting tasks", send_task: "Send", publish: "Publish", open_group: "Open a group", group_name: "Name of the group",
    mass: "Mass message", moment: "Moment", resigned: "has left", resign: "Resign", unverified: "not verified", detail: "Details", menu: "Menu", picture: "Picture", file: "File", video: "Video", voice: "Voice", music: "Music",
    real_named: "Real name verified", not_real_named: "Not verified", snapshot: "Snapshot identity", language: "中文", menu_people: "People and controls", empty_wallet: "Nothing yet", expired_picture: "The picture is gone", identity: "ID",
    group_code: "Group code", group_code_hint: "Tap the picture to save it. Good for 7 days, as an employee's WeCom shows it.",
    due: "Due later", nothing_due: "No timers are waiting",
  },
};

const KEY = "sandbox_language";
let chosen = window.localStorage.getItem(KEY) || (navigator.language.startsWith("zh") ? "zh" : "en");

export const language = () => chosen;

export function speak(code) {
  chosen = code;
  window.localStorage.setItem(KEY, code);
  document.documentElement.lang = code;
}

export function t(key, params = {}) {
  const text = WORDS[chosen][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => params[name] ?? "");
}

export const clockTime = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString(chosen === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit" });

export const dateTime = (seconds) =>
  new Date(seconds * 1000).toLocaleString(chosen === "zh" ? "zh-CN" : "en-GB", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
