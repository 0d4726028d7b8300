"""The scripted analyses: which one a message asks for, and how each goes on. Pure."""

import re
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.demo_model import wording
from orchestrator.demo_model.conversation import Language, Result, Turn
from orchestrator.demo_model.reply import Reply, run
from orchestrator.demo_model.scripts.charts import CHINESE_BARS, DAMPED_SINE
from orchestrator.demo_model.scripts.describe import describe
from orchestrator.demo_model.scripts.regression import first_try, regression
from orchestrator.demo_model.scripts.workbook import workbook

Scenario = Callable[[Turn], Reply]


class _Keywords(NamedTuple):
    """Words that ask for a scenario; a strong one counts twice. `(?<![a-z])` and not `\\b`: 做regression has no \\b."""

    strong: re.Pattern[str]
    weak: re.Pattern[str]


def _words(english: str, chinese: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{english})|{chinese}", re.IGNORECASE)


# In the order in which they win a tie.
_KEYWORDS = {
    "regression": _Keywords(
        _words("regress|predict|least squares|linear model", "回归|预测|最小二乘"), _words("linear|fit", "线性|拟合")
    ),
    "sine": _Keywords(
        _words("sin(?:e|us|usoid)?(?![a-z])|damp|oscillat", "正弦|阻尼|振荡|衰减"),
        _words("waves?(?![a-z])", "曲线|波形"),
    ),
    "chinese": _Keywords(
        _words("chinese", "中文|汉字|柱状图|条形图"), _words("bars?(?![a-z])|labels?(?![a-z])|chart", "图表|标签|标题")
    ),
    "describe": _Keywords(
        _words(
            "descri|summar|overview|statistics|explor|analy[sz]|profile|what(?:'s| is) in|look at",
            "描述|概述|概览|总结|摘要|统计|分析|看看|介绍一下",
        ),
        _words("data|table|columns?(?![a-z])", "数据|表格|列"),
    ),
    "download": _Keywords(
        _words("download|export|excel|xlsx|workbook|spreadsheet", "下载|导出|工作簿|电子表格"),
        _words("files?(?![a-z])|save|csv", "文件|保存"),
    ),
}


def answer(turn: Turn) -> Reply:
    """Return the next reply of the turn; a pure function of the conversation."""
    reply = _SCENARIOS[pick(turn)](turn)
    if reply.calls and not turn.may_call:
        reply = Reply(wording.NO_TOOL.put(turn.language))
    if turn.first and not turn.results:
        reply = Reply(wording.INTRODUCTION.put(turn.language) + reply.text, reply.calls)
    return reply


def pick(turn: Turn) -> str:
    """Name the scenario that the user's words ask for; `help` when they ask for none."""
    scores = {
        name: 2 * _matches(keywords.strong, turn.words) + _matches(keywords.weak, turn.words)
        for name, keywords in _KEYWORDS.items()
    }
    best = max(scores, key=lambda name: scores[name])
    if turn.attached and scores[best] < 2:
        return "describe"  # whoever hands over a table without a clear wish wants to know what is in it
    return best if _asks(best, scores[best]) else "help"


def _asks(name: str, score: int) -> bool:
    # "Save a file" is wish enough; a lone "chart", "wave", "data" or "fit" is not.
    return score >= (1 if name == "download" else 2)


def _matches(pattern: re.Pattern[str], words: str) -> int:
    return len({match.group().lower() for match in pattern.finditer(words)})


def _one_cell(turn: Turn, opening: str, code: str, closing: Callable[[Result], str]) -> Reply:
    if not turn.results:
        return Reply(opening, run(code))
    last = turn.results[-1]
    return Reply(closing(last) if last.ok else wording.failure(last, turn.language))


def _describe(turn: Turn) -> Reply:
    opening = wording.DESCRIBE_OPENING if turn.table else wording.DESCRIBE_SYNTHETIC
    return _one_cell(
        turn,
        opening.put(turn.language, table=turn.table or ""),
        describe(turn.table),
        lambda result: _describe_closing(result, turn.language),
    )


def _describe_closing(result: Result, language: Language) -> str:
    shape = re.search(r"^([\d,]+) rows x ([\d,]+) columns$", result.text, re.MULTILINE)
    missing = _printed(result, "missing values")
    told = wording.NOTHING_MISSING if missing == "0" else wording.SOME_MISSING
    rows, columns = shape.groups() if shape else ("?", "?")
    return wording.DESCRIBE_CLOSING.put(
        language, rows=rows, columns=columns, missing=told.put(language, count=missing or "?")
    )


def _regression(turn: Turn) -> Reply:
    """A first try, where the format invites one; then the careful cell, whatever the try said; then the results."""
    trial = first_try(turn.table) if turn.table else None
    done = turn.results
    if done and not _worth_a_second_try(done[0]):
        return Reply(wording.failure(done[0], turn.language))
    if trial and not done:
        return Reply(wording.REGRESSION_OPENING.put(turn.language, table=turn.table or ""), run(trial))
    if trial and len(done) == 1:
        told = wording.REGRESSION_GO_ON if done[0].ok else wording.REGRESSION_REPAIR
        return Reply(told.put(turn.language, error=wording.error_line(done[0])), run(regression(turn.table)))
    opening = wording.REGRESSION_DIRECT if turn.table else wording.REGRESSION_SYNTHETIC
    return _one_cell(
        turn,
        opening.put(turn.language, table=turn.table or ""),
        regression(turn.table),
        lambda result: wording.REGRESSION_CLOSING.put(turn.language, facts=_regression_facts(result, turn.language)),
    )


def _worth_a_second_try(result: Result) -> bool:
    """Tell whether a more careful reading may bring more: not where time, memory or the file itself are missing."""
    return result.ok or (result.status == "error" and "FileNotFoundError" not in result.text)


def _regression_facts(result: Result, language: Language) -> str:
    facts = []
    if target := _printed(result, "target"):
        facts.append(wording.FACT_TARGET.put(language, target=target))
    if found := re.search(r"^R² on (?:(\d+) rows kept aside|[^:]*): (-?[\d.]+)$", result.text, re.MULTILINE):
        count, r2 = found.groups()
        rows = wording.KEPT_ASIDE.put(language, count=count) if count else wording.SAME_ROWS.put(language)
        facts.append(wording.FACT_R2.put(language, r2=r2, rows=rows))
    if weights := re.findall(r"^  (.+): ([+-][\d.e+-]+)$", result.text, re.MULTILINE):
        facts.append(
            wording.FACT_WEIGHTS.put(language, weights=", ".join(f"`{name}` {value}" for name, value in weights[:3]))
        )
    if "the target takes only 2 values" in result.text:
        facts.append(wording.FACT_CLASSES.put(language))
    return "\n".join(facts)


def _printed(result: Result, name: str) -> str | None:
    """Return what a cell printed behind `name:`; None when that line is not in the result (it may have been cut)."""
    found = re.search(rf"^{name}: (.+)$", result.text, re.MULTILINE)
    return found.group(1).strip() if found else None


def _sine(turn: Turn) -> Reply:
    closing = wording.SINE_CLOSING.put(turn.language)
    return _one_cell(turn, wording.SINE_OPENING.put(turn.language), DAMPED_SINE, lambda _: closing)


def _chinese(turn: Turn) -> Reply:
    closing = wording.CHINESE_CLOSING.put(turn.language)
    return _one_cell(turn, wording.CHINESE_OPENING.put(turn.language), CHINESE_BARS, lambda _: closing)


def _download(turn: Turn) -> Reply:
    opening = wording.DOWNLOAD_OPENING if turn.table else wording.DOWNLOAD_SAMPLE
    closing = wording.DOWNLOAD_CLOSING.put(turn.language)
    told = opening.put(turn.language, table=turn.table or "")
    return _one_cell(turn, told, workbook(turn.table), lambda _: closing)


def _help(turn: Turn) -> Reply:
    return Reply(wording.HELP.put(turn.language))


_SCENARIOS: dict[str, Scenario] = {
    "regression": _regression,
    "sine": _sine,
    "chinese": _chinese,
    "describe": _describe,
    "download": _download,
    "help": _help,
}
