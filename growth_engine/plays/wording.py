# ruff: noqa: E501 - a table of patterns and messages, one a line
"""Words a campaign's copy must not use, as a table, and how they are found however they are disguised.

Platform rules: 《微信外部链接内容管理规范》 (2019-10-28), the WeChat notices on induced sharing (2014-12-30) and
on multi-level distribution (2015-02, 2016-09-12); 《禁止传销条例》 Art. 7; 《广告法》 Art. 9, 24.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from growth_engine.kit.i18n import N_

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Ban:
    """One kind of wording; a match of any pattern is a finding unless it is denied ("no need to …")."""

    code: str
    severity: Severity
    message: str
    """Message id: what is wrong and what to do."""
    zh: Sequence[str] = ()
    en: Sequence[str] = ()
    deniable: bool = True
    """Whether "no need to …" in front of it makes it harmless."""


@dataclass(frozen=True, slots=True)
class Hit:
    ban: Ban
    excerpt: str


_GET = r"(?:领|得|获|拿|享|解锁|参与|参加|抽|兑|返|送)"
_SHARE = r"(?:转发|分享|发送|转到|发到|发至|晒)"
_WHERE = r"(?:朋友圈|微信群|\d*个?群|家族群|好友)"
_THEN = r"(?:才能|才可以?|即可|方可|就能|就可以?|便可|可以|立即|马上)"
#: Any character that does not end a clause.
_X = r"[^。！!？?；;，,\n]"

BANS: Sequence[Ban] = (
    Ban(
        "forced_sharing",
        "error",
        N_("Sharing must not be the condition for a reward. Reward the friend's registration instead."),
        zh=(
            rf"{_SHARE}{_X}{{0,8}}{_WHERE}?(?:{_X}{{0,4}}[，,]?{_THEN}|(?:成功)?后[，,]?{_THEN}?){_X}{{0,4}}{_GET}",
            rf"{_GET}{_X}{{0,10}}(?:需要?|须|必须|请先|前请|条件|之前){_X}{{0,6}}(?:转发|分享)",
            r"(?:转发|分享)(?:领|有奖|有礼|抽|送|赚|得(?!到|出|很|更|非))",
            r"(?:必须|务必|一定要|要求)(?:转发|分享)",
            r"(?:转发|分享|晒|发)(?:到|至|进)?(?:您的|你的|自己的?)?(?:微信)?朋友圈",
        ),
        en=(
            r"\b(?:must|have to|has to|need to|required to)\s+(?:first\s+)?(?:share|forward|repost)\b",
            r"\b(?:share|forward|repost)\b[^.!?\n]{0,40}\b(?:to|and then|before you can)\s+(?:get|claim|unlock|receive|win|earn|enter)\b",
            r"\b(?:share|forward|repost|post)\b[^.!?\n]{0,24}\b(?:to|on|in)\s+(?:your\s+|wechat\s+)*(?:moments|timeline|group chats?|\d+ groups?)\b",
            r"\bonly\s+(?:those|people|users)?\s*(?:who|if you)\s+(?:share|forward|repost)\b",
            r"\bunlock(?:ed)?\s+by\s+sharing\b",
        ),
    ),
    Ban(
        "share_for_chances",
        "error",
        N_("Chances or rewards must not grow with the number of shares."),
        zh=(
            r"(?:分享|转发)(?:得?越多|一次|1次|次数)[^。！!；;\n]{0,12}(?:机会|抽|中奖|奖励|多得)",
            r"每(?:分享|转发)(?:一次|1次|到)?[^。！!；;\n]{0,12}(?:机会|抽|次|奖)",
        ),
        en=(
            r"\b(?:the more you (?:share|forward)|(?:for|with) every (?:share|repost)|each share (?:gives|earns))\b",
        ),
    ),
    Ban(
        "task_wording",
        "error",
        N_(
            "WeChat blocks campaigns that ask for likes, boosts or haggling. Describe the registration instead."
        ),
        zh=(
            r"集(?:满|齐)?\d*个?赞(?!美|叹|助|赏|同|誉|成|许|扬)",
            r"(?:好友|帮我|为我|帮忙|求|请|邀请好友|快来|找人)助力",
            r"助力(?:领|得|抽|成功|免单|解锁|值|榜|\d|即可|享|送)",
            r"砍(?:价|一刀)|帮(?:我|忙)砍|点赞(?:满|够)?\d+",
            r"(?<!收)(?<!采)集(?:卡|福(?!利))|集碎片",
            r"(?:好友|帮(?:我|忙)?)加速|加速(?:领|解锁|包)",
            r"拆红包|抢红包|邀请好友(?:得|领|赚|抢)红包",
        ),
        en=(
            r"\b(?:collect|get|gather)\s+\d+\s+likes\b",
            r"\b(?:like and (?:share|repost)|boost my|help me boost|haggle|bargain for me)\b",
        ),
    ),
    Ban(
        "pressure_to_share",
        "error",
        N_("Urging or shaming people into sharing is forbidden. Leave the sentence out."),
        zh=(
            r"不转(?:发)?(?:不|就|会|没|后悔)",
            r"看完(?:就|必)?转|(?:必|速|疯|求|都在|马上|赶紧|快)转(?:发|起来|了|疯|走)",
            r"不(?:转发|分享)[^。！!；;\n]{0,8}(?:没有|不能|无法|失去|后悔)",
            r"转(?:疯了|起来)",
        ),
        en=(r"\b(?:share or (?:lose|miss)|don'?t be the one who (?:doesn'?t|does not) share)\b",),
        deniable=False,
    ),
    Ban(
        "forced_follow",
        "error",
        N_("Following an account must not be the condition for a reward."),
        zh=(
            rf"关注(?:我们|公众号|服务号|微信|账号|官方)?{_X}{{0,10}}(?:才能|才可|即可|方可|后可?|就能|就可|立即){_X}{{0,4}}{_GET}",
            rf"{_GET}{_X}{{0,6}}(?:需|须|必须|请先){_X}{{0,4}}关注",
            r"关注(?:领|有奖|有礼|送|得)|扫码关注[^。！!；;\n]{0,6}(?:领|得|送)",
        ),
        en=(
            r"\b(?:must|have to|need to)\s+follow\b",
            r"\bfollow\b[^.!?\n]{0,30}\bto\s+(?:get|claim|unlock|receive|win|earn|enter)\b",
        ),
    ),
    Ban(
        "pay_to_join",
        "error",
        N_("Nobody may have to pay or buy something in order to take part."),
        zh=(
            r"(?:交|缴|缴纳|支付|付|付费|充值|预存|购买)[^。！!；;，,\n]{0,10}(?:加入|成为(?:代理|推广员|合伙人|分销)|获得?(?:资格|推广)|才能(?:参加|参与|邀请))",
            r"(?:入门费|入会费|代理费|加盟费|入伙费|门槛费)",
        ),
        en=(
            r"\b(?:pay|deposit|buy|purchase)\b[^.!?\n]{0,30}\bto\s+(?:join|take part|become (?:an? )?(?:agent|promoter|partner)|invite)\b",
            r"\b(?:joining|entry|entrance|agent)\s+fee\b",
        ),
    ),
    Ban(
        "head_count_pay",
        "error",
        N_(
            "Paying money for the number of people recruited is forbidden. Reward with membership or on a real purchase."
        ),
        zh=(
            r"按人头|人头费|拉人头|拉人(?:赚|得|返|奖)",
            r"(?:每|拉|邀请?|推荐|带来?)[^。！!；;，,\n]{0,6}(?:人|好友|朋友|位|个)(?:(?!购买|下单|成交|付款)[^。！!；;\n]){0,8}(?:返现|奖励?|赚|得|发|给|返|领)[^。！!；;，,\n]{0,6}\d+(?:\.\d+)?(?:元|块)",
            r"(?:邀请|推荐|拉新)[^。！!；;，,\n]{0,6}(?:返现|赚钱|赚现金|得现金|提现)",
        ),
        en=(
            r"[$¥€£]\s?\d+[^.!?\n]{0,16}\b(?:per|for (?:each|every))\s+(?:friend|referral|person|invite|recruit)",
            r"\b(?:earn|get|receive)\s+(?:cash|money)\b[^.!?\n]{0,24}\b(?:friend|referral|invite|recruit)",
        ),
    ),
    Ban(
        "multi_level",
        "error",
        N_("Promising rewards from other people's recruits is pyramid selling under the law."),
        zh=(
            r"[三四五六七八九多无][级层](?:分销|代理|返利|奖励|佣金|裂变)",
            r"(?:发展|招募|招)下线|下线(?:的|收益|佣金|奖|提成)|下级(?:的下级|收益|佣金|提成)",
            r"团队(?:计酬|业绩(?:提成|奖)|提成|分红|收益)|(?:无限|逐)(?:级|层|代)",
            r"间接(?:推荐|邀请)[^。！!；;，,\n]{0,4}(?:奖|得|收益|佣金)|(?:朋友|好友)的(?:朋友|好友)[^。！!；;，,\n]{0,8}(?:也|都)?[^。！!；;，,\n]{0,4}(?:奖|提成|收益|佣金)",
        ),
        en=(
            r"\bmulti-?level\b|\bmlm\b|\bdownlines?\b|\bpyramid\b",
            r"\b(?:team|second[- ]level|indirect)\s+(?:commission|bonus|earnings)\b",
            r"\b(?:friends?|people)\s+(?:of|invited by)\s+your\s+friends?\b[^.!?\n]{0,30}\b(?:earn|pay|reward|bonus|commission)",
        ),
    ),
    Ban(
        "impersonation",
        "error",
        N_("The copy must not look as if it came from WeChat or another platform."),
        zh=(r"(?:微信|腾讯|微信支付|企业微信|支付宝)(?:官方|团队)",),
        en=(r"\bofficial\s+(?:wechat|tencent|alipay)\b|\b(?:wechat|tencent)\s+official\s+(?:campaign|gift)",),
    ),
    Ban(
        "absolute_banned",
        "error",
        N_("Advertising law forbids this superlative. Say what is really so."),
        zh=(
            r"国家级|世界级|最高级|最佳|(?:全国|全球|全网|行业|同类|销量|中国|世界)(?:排名)?第一(?![次步天位课章周时期个])",
            r"全网最低|史上最",
        ),
        en=(r"\b(?:world'?s (?:best|first|no\.? ?1)|number one in the (?:world|country|industry))\b",),
    ),
    Ban(
        "earnings_promise",
        "error",
        N_("Earnings must not be promised: nobody knows what will be sold. Name the rate instead."),
        zh=(
            r"(?:保底|稳定|被动)的?(?:收入|收益|佣金|工资|回报)|固定(?:收入|收益|工资|回报)",
            r"(?:保证|确保|承诺|(?<!钱)包)(?:你|您|大家|人人)?(?:都|能|有)?(?:收入|收益|回本|盈利|赚)",
            r"稳赚不赔|只赚不赔|一本万利|(?:快速|当天|当月|一周)回本",
            r"(?:每?[天日周月年]|(?:平均|均)每?[日月])均?(?:可|能|轻松)?(?:入|赚|挣|收入|收益|佣金)(?:过|可达|达到?|高达|超过?|近|约)?[¥￥$]?(?:\d|[一二三四五六七八九十百千万两])",
        ),
        en=(
            r"\b(?:guaranteed|assured)\s+(?:monthly\s+|daily\s+|weekly\s+)?(?:income|earnings?|commissions?|profits?|pay)\b",
            r"\b(?:income|earnings|profits?)\s+(?:is|are)\s+guaranteed\b|\bguarantees?\s+(?:you\s+|your\s+)?(?:an?\s+)?(?:income|earnings|profits?)\b",
            r"\b(?:earn|make)\s+(?:up to\s+|at least\s+|over\s+|more than\s+)?(?:[$¥€£]|rmb\s?|cny\s?|usd\s?)?\d[\d,.]*\s?(?:k|yuan|rmb|dollars)?\s+(?:a|per|each|every)\s+(?:day|week|month|year)\b",
        ),
    ),
    Ban(
        "guaranteed_result",
        "error",
        N_("Results must not be guaranteed."),
        zh=(
            r"包(?:过(?!期|滤|程|去|来)|就业|瘦|治愈|拿证)|保(?:过(?!期|程|去|来)|就业|录取|送名校|瘦)|(?:保证|确保)(?:通过|提分|录取|有效|就业|瘦|赚|收益)",
            r"(?:100|百分之?百)%?(?:通过|有效|见效|赚|中奖|成功)|根治|药到病除",
        ),
        en=(
            r"\bguaranteed? (?:to pass|results?|income|returns?|success|job)\b",
            r"\b100\s?% (?:success|pass|effective|guaranteed)\b",
        ),
    ),
    Ban(
        "share_request",
        "warning",
        N_(
            "Asking people to share or forward draws WeChat's attention. Describe what the friend gets instead."
        ),
        zh=(r"转发|(?:请|快|来|欢迎)分享(?:给|到)|助力(?!领|得|抽|成功|免单|解锁|值|榜|\d|即可|享|送)",),
        en=(r"\b(?:please|now|go and)\s+(?:share|forward|repost)\b",),
    ),
    Ban(
        "absolute_claim",
        "warning",
        N_("Superlatives need proof. Say it in plainer words, or be ready to prove it."),
        zh=(
            r"最(?:好(?!提前|先|在|是|能|不要?|别|带|穿|避)|优|强|低价?|便宜|先进|专业|权威|受欢迎|新鲜|高端|顶级|划算|实惠)",
            r"(?:唯一(?!码|标识|编号|的?邀请|的?二维码)|独一无二|首选|顶级|顶尖|极致|极品|绝无仅有|史无前例|万能|无敌|第一品牌|no\.?1)",
        ),
        en=(
            r"\bthe (?:very )?(?:best(?! time| way| part)|cheapest|lowest price|leading|greatest|finest)\b",
            r"(?:\bno\. ?1\b|#1\b|\bnumber one\b|\bworld-class\b|\bunbeatable\b|\bunrivall?ed\b)",
        ),
    ),
    Ban(
        "quick_riches",
        "warning",
        N_("Promises of easy money mislead people. Leave them out."),
        zh=(r"稳赚|躺赚|躺着赚|日入(?![场口群])|月入(?:过)?万|零风险|一夜暴富|轻松赚|暴利|财富自由",),
        en=(r"\b(?:passive income|get rich|easy money|risk-free income|financial freedom)\b",),
    ),
    Ban(
        "pressure",
        "warning",
        N_("False urgency puts people off. Name the real end or the real number instead."),
        zh=(
            r"最后一天|最后(?:几|\d+)(?:个|小时|席)|手慢无|疯抢|速抢|仅剩|错过(?:再等|不再|后悔)|不容错过|赶紧抢",
        ),
        en=(r"\b(?:last chance|act now|hurry(?: up)?|before it'?s too late|don'?t miss out)\b",),
        deniable=False,
    ),
    Ban(
        "sensitive_data",
        "warning",
        N_("Ask only for what the reward needs; this is sensitive personal data."),
        zh=(r"身份证|银行卡(?:号)?|家庭住址|人脸|指纹|精确位置|定位权限",),
        en=(
            r"\b(?:id card|identity card|passport number|bank card|card number|home address|facial|fingerprint)\b",
        ),
    ),
)

#: In front of a match, in the same clause: what is denied is not asked for.
_DENIAL_ZH = re.compile(
    r"(?:不(?!错|仅|但|只|妨|断|得不)|无|毋|勿|(?<![特个])别|禁止|严禁|没有|从不|绝不|杜绝)(?:需要?|须|用|必|会|要|得|强制|要求|鼓励|提供|收取?|存在|设|以)*[^。！!；;，,、\n]{0,6}\Z"
)
_DENIAL_EN = re.compile(
    r"\b(?:no|not|never|without|nobody|don'?t|doesn'?t|won'?t|isn'?t|needn'?t)\b[^.!?;,\n]{0,24}\Z",
    re.IGNORECASE,
)

_COMPILED = tuple(
    (ban, tuple(re.compile(pattern, re.IGNORECASE) for pattern in (*ban.zh, *ban.en))) for ban in BANS
)

#: Put between the characters of a word to hide it from filters; never part of a Chinese word.
_FILLERS = frozenset(" \t*·•・_-~|/\\^+=#@&.'\"`")
#: Traditional forms of the characters the table uses.
_SIMPLE = str.maketrans(
    "轉發贊讚領獎勵獲關註冊紅車鏈證買團隊業績級層無間薦費繳預儲會員證賺錢現國際億萬廣應須請過價幫後備導絕對極頂選級從滿轟熱搶緊點體驗務寫讀號碼穩賠確諾動資報掙輕當週達約兩傭銷穫",
    "转发赞赞领奖励获关注册红车链证买团队业绩级层无间荐费缴预储会员证赚钱现国际亿万广应须请过价帮后备导绝对极顶选级从满轰热抢紧点体验务写读号码稳赔确诺动资报挣轻当周达约两佣销获",
)


def hits(text: str) -> Iterator[Hit]:
    """Every kind of banned wording in a text, each kind once, with the words as they stand there."""
    flat, origin = flatten(text)
    taken: list[tuple[int, int]] = []
    for ban, patterns in _COMPILED:
        found = next(
            (
                match
                for pattern in patterns
                for match in pattern.finditer(flat)
                if not (ban.deniable and _denied(flat, match.start()))
                and not any(start < match.end() and match.start() < end for start, end in taken)
            ),
            None,
        )
        if found is not None:
            taken.append(found.span())
            yield Hit(ban, text[origin[found.start()] : origin[found.end() - 1] + 1])


def _denied(flat: str, start: int) -> bool:
    before = flat[max(0, start - 40) : start]
    return bool(_DENIAL_ZH.search(before) or _DENIAL_EN.search(before))


def flatten(text: str) -> tuple[str, list[int]]:
    """The text as filters should read it, and where each of its characters stood.

    Full-width forms become plain, traditional characters simplified, invisible marks and fillers between
    Chinese characters and digits go: ``转 · 發`` reads ``转发``.
    """
    flat: list[str] = []
    origin: list[int] = []
    for place, char in enumerate(text):
        if unicodedata.category(char) in ("Cf", "Mn"):
            continue
        for plain in unicodedata.normalize("NFKC", char):
            flat.append(plain.translate(_SIMPLE))
            origin.append(place)
    keep = [index for index, char in enumerate(flat) if not _is_filler(flat, index, char)]
    return "".join(flat[index] for index in keep), [origin[index] for index in keep]


def _is_filler(flat: Sequence[str], index: int, char: str) -> bool:
    if char not in _FILLERS:
        return False
    before, after = index - 1, index + 1
    while before >= 0 and flat[before] in _FILLERS:
        before -= 1
    while after < len(flat) and flat[after] in _FILLERS:
        after += 1
    if before < 0 or after == len(flat):
        return False
    sides = flat[before], flat[after]
    return any(map(is_han, sides)) and all(is_han(side) or side.isdecimal() for side in sides)


def is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff"
