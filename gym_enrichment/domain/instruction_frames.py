# ruff: noqa: E501 - words, as many on a line as go together
"""What belongs to a conversation, a page or a program and not to a review: roles, tags, JSON, code; and what a rule is.

Data and its compilation; reading is for instructions.py, orders in words stand in instruction_words.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Rule:
    """Patterns, and substrings of which a text holds one if a pattern can match (they save its time)."""

    hints: tuple[str, ...]
    expressions: tuple[str, ...]

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The expressions, compiled by the first text that needs them: most processes judge no review."""
        return tuple(map(re.compile, self.expressions))

    def found(self, text: str) -> bool:
        """Whether the text breaks the rule."""
        return any(map(text.__contains__, self.hints)) and any(pattern.search(text) for pattern in self.patterns)


def _frame(hints: str, *patterns: str) -> Rule:
    """A rule on the text itself; `hints` are separated by white space."""
    one = "|".join(f"(?:{pattern})" for pattern in patterns)
    return Rule(tuple(hints.split()), (one.replace(r"\s*", r"\s{0,4}"),))  # bounded: linear


_ROLES = (
    r"(?:system|assistant|developer|user|human|systeme|assistante?|utilisateur|developpeur|sistema|asistente|usuario"
    r"|desarrollador|entwickler|benutzer|النظام|نظام|المساعد|المطور|المستخدم|система|ассистент)"
)
_TAG_NAMES = (
    r"(?:system|sys|assistant|user|developer|human|instructions?|prompt|context|reviews?|avis|resenas?|data|gyms?|facts?"
    r"|input|output|documents?|messages?|tools?|tool_\w+|function\w*|json|answer|response|thinking|admin|root|begin|end|eof"
    r"|inst|note|notice|directive|command|script|iframe|img|svg|object|embed|style|link|meta|form|body|html|xml|important|override|task|quote|text|item"
    r"|entry|description|amenities)"
)
_FIELDS = r"(?:description|amenit(?:y|ies)|women_?hours\w*|hours_?french|equipements?|name|content|role|reviews?)"
FRAMES = (
    _frame(
        "women hours french json ``` role",
        r"has[_-]?women|women[_-]hours|womenhours|women[_-]hours[_-]reviews|hours[_-]french|hoursfrench|french[_-]hours",
        r"```",
        rf"\brole[\"']?\s*[:=]\s*[\"']?{_ROLES}",
    ),
    _frame(
        "< [ ## --- === {{ <<",
        rf"<\s*[/!]?\s*{_TAG_NAMES}\b[^<>]{{0,200}}>|<\s*/\s*{_TAG_NAMES}\b|<(?:script|iframe|img|svg|object|embed)\b",
        r"<\|[^|<>]{1,60}\|>|<<\s*/?\s*\w+\s*>>|<!--|<!\[cdata|\]\]>",
        r"\[\s*/?\s*(?:inst|system|sys|assistant|user|developer|reviews?|end|begin|prompt|instructions?)\b[^\]]{0,40}\]",
        rf"\{{\{{\s*[/#]?\s*{_TAG_NAMES}\b",
        r"(?<!#)#{2,}+\s*(?:\w+\s+){0,2}?(?:instructions?|system|assistant|response|task|prompt|consignes?|instrucciones|output|end)\b",
        r"(?<![-=*])[-=*]{3,}+\s*(?:begin|end|fin|system|debut|inicio|start|new|stop|نهايه|ende)\b",
    ),
    _frame(
        '" “ { }',
        rf"[{{,\[]\s*[\"'“”]\s*{_FIELDS}\s*[\"'“”]?\s*[:=]|[\"“”]\s*{_FIELDS}\s*[\"“”]\s*[:=]",
        r"[\"”]\s*\}\s*[\]},]|[\"”]\s*\]\s*\}|\}\s*,\s*[\"“{]|[\"”]\s*:\s*[\[{]|\{\s*[\"“][^\"“”{}]{1,40}[\"”]\s*:",
    ),
    _frame(
        ": =",
        rf"(?:^|[\n>\]}}.!?*#|])[\s*_\-]{{0,8}}{_ROLES}\s*(?:\([^()\n]{{0,30}}\)\s*)?(?:\bprompt\s*)?[*_]{{0,4}}\s*[:=](?!\d)",
        r"[:=]\s*[\"']?(?:true|false)\b|=(?:(?<=only.)|(?<=only\s.)|(?<=hours.)|(?<=hours\s.)|(?<=evidence.)|(?<=evidence\s.))\s*[\"']?(?:yes|oui|all|none|1)\b",
        r"\b(?:description|amenities)\s*(?:=|:=)\s*[\"'\[“]",
    ),
    _frame(
        "http www. ](",
        r"\]\(\s*(?:https?:|www\.|javascript|data:)|!\[[^\]\n]{0,100}\]\(",
        r"\b(?:include|insert|append|publish|paste|ajoutez?|mets|mettez|inclu[st]|incluez|inser\w+|publiez?|recopiez?|incluye"
        r"|anade|agrega|pon|publica|inserta|fuge|اضف|ضع|انشر|ادرج)\b[^.\n]{0,60}(?:https?:|www\.)",
        r"\b(?:fetch|curl|wget|download|execute|load|call|telecharge|descarga|ejecuta)\b[^.\n]{0,30}https?:",
        r"(?:https?://|www\.)\S+[^.\n]{0,60}\b(?:in|into|dans|en|في)\b[^.\n]{0,20}\b(?:description|answer|output|reponse"
        r"|respuesta|descripcion|الوصف)",
    ),
    _frame(
        "display font-size javascript: onerror onload onclick onmouse <? alert eval document. drop select -rf os.s __import subprocess",
        r"display\s*:\s*none|font-size\s*:\s*0\b|javascript:|\bon(?:error|load|click|mouseover)\s*=|<\?php|\balert\s*\(|\beval\s*\(|document\.(?:cookie|location|write)",
        r"\bdrop\s+table\b|\bunion\s+select\b|\bselect\s+\*\s+from\b|\brm\s+-rf\b|\bos\.system\b|__import__|\bsubprocess\.",
    ),
)

# ---- the commonest attack in scripts that need no spaces or few words
OTHER_SCRIPTS = re.compile(
    r"(?:忽略|无视|無視|忘记|忘掉|不要理会).{0,14}(?:指令|指示|说明|提示|要求|规则|內容|内容)|系统(?:提示|消息)|(?:指示|命令)を?無視"
    r"|(?:[иі]гнор\w+|забудь\w*|не учитывай\w*)(?: \S+){0,3} (?:[иі]нструкц\w+|указани\w+|правил\w*|команд\w*|сообщени\w+)"
    r"|системн\w+ (?:сообщени\w+|подсказк\w+|промпт\w*)|напиши(?:те)? в описани\w+|(?:이전|위의).{0,10}(?:지시|명령|지침).{0,10}무시"
    r"|התעלם.{0,16}הוראות|निर्देश\S* .{0,12}अनदेखा|دستور\S* .{0,20}نادیده|نادیده بگیر"
)
