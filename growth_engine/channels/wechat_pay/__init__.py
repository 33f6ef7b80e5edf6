"""WeChat Pay as we call it: orders, refunds, transfers to people, bills, platform certificates."""

from growth_engine.channels.wechat_pay.bills import Bills, FundFlow, TradeLine
from growth_engine.channels.wechat_pay.client import WechatPay
from growth_engine.channels.wechat_pay.orders import NewOrder, Orders
from growth_engine.channels.wechat_pay.refunds import NewRefund, Refunds
from growth_engine.channels.wechat_pay.shapes import Refund, Transaction, Transfer
from growth_engine.channels.wechat_pay.transfers import NewTransfer, Transfers

__all__ = [
    "Bills",
    "FundFlow",
    "NewOrder",
    "NewRefund",
    "NewTransfer",
    "Orders",
    "Refund",
    "Refunds",
    "TradeLine",
    "Transaction",
    "Transfer",
    "Transfers",
    "WechatPay",
]
