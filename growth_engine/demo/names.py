"""Nicknames as people type them, in Chinese and in Western languages, some with emoji."""

from __future__ import annotations

import random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN = _words(
    "伟 芳 娜 敏 静 磊 洋 艳 勇 军 杰 娟 涛 超 明 霞 秀兰 平 刚 桂英 子涵 梓萱 浩然 欣怡 宇轩 诗涵 佳怡 一诺"
    " 思远 雨桐 嘉豪 晓彤 志强 建国 丽华 雪梅 文博 天佑 若曦 安琪 明轩 语嫣 俊熙 可欣 星辰 知夏 听澜 清越"
)
_FANCY = _words(
    "小满 半糖去冰 早点睡 阿布 豆包 西瓜味的夏天 云边有个小卖部 慢慢来 不吃香菜 今天也要加油 一只柚子"
    " 山海不可平 橘子汽水 向日葵 晚风 大白 阿七 奶茶三分甜 北方的南方人 周末不加班"
    " 老张 小鹿 木木 果果妈 轩轩爸 追风少年"
)
_TITLES = _words("老师 医生 教练 律师 店长 会计")
_FIRST = _words(
    "Emma Liam Olivia Noah Ava Mateo Sofia Lucas Mia Leo Zoë Hugo Chloé Jonas Léa Anna Björn Ingrid Søren"
    " Aoife Siobhán Owen Priya Arjun Yuki Kenji Amara Kwame Fatima Omar Nina Pavel Zofia Tomasz Elena Marco"
    " Giulia Ben Grace Henry Ruby Jack Isla Ethan Maya Oscar Freya Felix Clara Max"
)
_LAST = _words(
    "Smith Jones Müller García Rossi Dubois Kowalski Novák Andersson O’Brien Silva Costa Okafor Tanaka Patel"
    " Nguyen Larsen Jensen Walker Young Bennett Fischer Weber Moreau Santos Ivanova Haddad Cohen Murphy Khan"
)
_EMOJI = _words("🌻 🌸 🍀 🐱 🦊 🐼 ☀️ 🌙 ⭐ 🍉 🍓 🎈 🎸 🏃‍♀️ 👩‍💻 👨‍👩‍👧 💪🏽 ✨ 🌈 🐶 🍵 📚 ❤️ 🇨🇳 😄")
_EMOJI_SHARE = 0.14


def nickname(rng: random.Random, locale: str) -> str:
    """A nickname of somebody who speaks ``locale`` (zh or en)."""
    name = _chinese(rng) if locale == "zh" else _western(rng)
    if rng.random() < _EMOJI_SHARE:
        emoji = rng.choice(_EMOJI)
        name = f"{emoji}{name}" if rng.random() < 0.2 else f"{name}{emoji}"
    return name


def _chinese(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(_SURNAMES) + rng.choice(_GIVEN)
    if kind < 0.75:
        return rng.choice(_FANCY)
    if kind < 0.85:
        return rng.choice("小阿老") + rng.choice(_SURNAMES)
    if kind < 0.93:
        return rng.choice(_SURNAMES) + rng.choice(_TITLES)
    return f"{rng.choice(_FIRST)}{rng.choice(_SURNAMES)}"


def _western(rng: random.Random) -> str:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    kind = rng.random()
    if kind < 0.4:
        return f"{first} {last}"
    if kind < 0.65:
        return f"{first} {last[0]}."
    if kind < 0.85:
        return first
    return f"{first.lower()}_{rng.randrange(10, 100)}"
