"""The demo model's sentences, in English and Chinese. Numbers in them are read from what a cell printed. Pure."""

import re
from dataclasses import dataclass

from orchestrator.demo_model.conversation import Language, Result

FILES = "sandbox:/mnt/data/"

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*$", re.MULTILINE)
_LONGEST_ERROR = 200


@dataclass(frozen=True)
class Text:
    """One text in both languages."""

    english: str
    chinese: str

    def put(self, language: Language, **values: str) -> str:
        """Return the text in one language with its values filled in."""
        text = self.chinese if language == "zh" else self.english
        # Not str.format: LaTeX is full of braces, and a value may hold some, too.
        return re.sub(r"<(\w+)>", lambda match: values.get(match[1], match[0]), text)


INTRODUCTION = Text(
    "*I am Glovebox's built-in demo: I follow a few scripts and am no language model. "
    "Put a provider's API key into the config, and a real one answers here. "
    "The sandbox is real, though: my code really runs in it.*\n\n",
    "*我是 Glovebox 内置的演示程序:只会按固定脚本操作,并不是语言模型。"
    "在配置文件里填入模型服务商的 API 密钥,就会由真正的模型来回答。"
    "不过沙盒是真的:我的代码会在里面真正运行。*\n\n",
)

HELP = Text(
    "I can do five things. Upload a table (CSV, TSV, Excel, Parquet, JSON) if you have one, and ask for instance:\n\n"
    "1. **Describe my table**: its shape, types, missing values and statistics\n"
    "2. **Fit a linear regression and plot it**: with a first try that fails, and its repair\n"
    "3. **Plot a damped sine wave**\n"
    "4. **Draw a bar chart with Chinese labels**\n"
    "5. **Make an Excel file with a chart to download**\n\n"
    "For anything else, a real model is needed.",
    "我能做五件事。如果有表格(CSV、TSV、Excel、Parquet、JSON),请先上传,然后可以这样问:\n\n"
    "1. **描述我的表格**:大小、类型、缺失值和统计量\n"
    "2. **做线性回归并画图**:第一次尝试会失败,然后自动修正\n"
    "3. **画一条阻尼正弦曲线**\n"
    "4. **画一张带中文标签的柱状图**\n"
    "5. **生成一个带图表的 Excel 文件供下载**\n\n"
    "其他问题需要真正的语言模型。",
)

NO_TOOL = Text(
    "I would run Python for this, but this request allows no tool call, so I stop here.",
    "这需要运行 Python,但本次请求不允许调用工具,所以我到此为止。",
)

DESCRIBE_OPENING = Text(
    "I read `<table>` and look at its shape, its columns, what is missing, and the usual statistics.",
    "我来读取 `<table>`,看看它的大小、各列类型、缺失值和基本统计量。",
)
DESCRIBE_SYNTHETIC = Text(
    "There is no table in the workspace, so I make up a small one (flats and their rents) and describe that. "
    "Upload a CSV or Excel file, and I take yours.",
    "工作区里没有表格,所以我先生成一个小的示例表(公寓和租金)来描述。上传 CSV 或 Excel 文件后,我就用您的数据。",
)
DESCRIBE_CLOSING = Text(
    "The table has **<rows>** rows and **<columns>** columns; <missing>. Above are the types of the columns, the first "
    "rows, and the statistics of the columns. Next you could ask for a *linear regression*.",
    "这个表有 **<rows> 行**、**<columns> 列**;<missing>。上面是各列的类型、前几行数据和统计量。"
    "接下来可以让我做*线性回归*。",
)
NOTHING_MISSING = Text("no value is missing", "没有缺失值")
SOME_MISSING = Text("missing values: **<count>**", "缺失值:**<count>** 个")

REGRESSION_OPENING = Text(
    "I fit a linear regression to `<table>`. First I load it as a plain array of numbers.",
    "我用 `<table>` 做线性回归。先把它当作纯数字数组读入。",
)
REGRESSION_DIRECT = Text(
    "I fit a linear regression to `<table>`: its last column of numbers is the target, the others are the features.",
    "我用 `<table>` 做线性回归:最后一个数值列作为目标,其余数值列作为特征。",
)
REGRESSION_SYNTHETIC = Text(
    "There is no table in the workspace, so I make up a small one (flats and their rents) and fit a linear regression "
    "to that. Upload a CSV or Excel file, and I take yours.",
    "工作区里没有表格,所以我先生成一个小的示例表(公寓和租金)来做线性回归。上传 CSV 或 Excel 文件后,我就用您的数据。",
)
REGRESSION_REPAIR = Text(
    "That did not work, the file is more than bare numbers: `<error>`\n\n"
    "It has a header, or a first line of its own, or another separator. So I read it more carefully: I find its "
    "encoding and separator, look at the first line, and keep the columns of numbers.",
    "没有成功,文件里不只是数字:`<error>`\n\n"
    "它有表头、特殊的首行或别的分隔符。我换一种更仔细的读法:识别编码和分隔符,检查首行,只保留数值列。",
)
REGRESSION_GO_ON = Text(
    "The file could be read as bare numbers. Now the regression: the last column is the target.",
    "文件可以直接当作数字读入。现在做回归:最后一列作为目标。",
)
REGRESSION_CLOSING = Text(
    "The regression is done.\n\n<facts>\n\n"
    f"The predictions are in [predictions.csv]({FILES}predictions.csv), the figure in "
    f"[regression.png]({FILES}regression.png).",
    "回归已完成。\n\n<facts>\n\n"
    f"预测结果在 [predictions.csv]({FILES}predictions.csv),图在 [regression.png]({FILES}regression.png)。",
)
FACT_TARGET = Text("- target: `<target>`", "- 目标列:`<target>`")
FACT_R2 = Text("- R²: **<r2>** on <rows>", "- R²:**<r2>**(<rows>)")
FACT_WEIGHTS = Text(
    "- strongest coefficients (change of the target for one standard deviation): <weights>",
    "- 影响最大的系数(特征变化一个标准差时目标的变化):<weights>",
)
FACT_CLASSES = Text(
    "- the target takes only two values, so a logistic regression would be the usual choice; "
    "that is why the points stand in two columns",
    "- 目标列只有两个取值,通常更适合用逻辑回归;图中的点因此排成两列",
)
KEPT_ASIDE = Text("<count> rows kept aside", "在留出的 <count> 行上")
SAME_ROWS = Text(
    "the rows it was fitted to, for there are so few; that says nothing about new ones",
    "在训练所用的行上,因为数据太少,不能说明对新数据的效果",
)

SINE_OPENING = Text(
    "I draw the damped sine wave\n\n$$y(t) = A\\,e^{-\\gamma t}\\,\\sin(2\\pi f t)$$\n\n"
    "with A = 1, γ = 0.35 per second and f = 0.8 Hz.",
    "我来画阻尼正弦曲线\n\n$$y(t) = A\\,e^{-\\gamma t}\\,\\sin(2\\pi f t)$$\n\n其中 A = 1,γ = 0.35 每秒,f = 0.8 Hz。",
)
SINE_CLOSING = Text(
    "The wave swings inside its envelope\n\n$$\\pm A\\,e^{-\\gamma t}$$\n\n"
    "which halves every ln 2 / γ ≈ 1.98 s; the frequency stays the same.",
    "曲线在包络线\n\n$$\\pm A\\,e^{-\\gamma t}$$\n\n之内振荡,振幅每 ln 2 / γ ≈ 1.98 秒减半,频率不变。",
)

CHINESE_OPENING = Text(
    "I draw a bar chart whose title and labels are Chinese. The numbers are made up: a coffee shop's week.",
    "我来画一张带中文标题和标签的柱状图。数据是虚构的示例:一家咖啡店一周的销量。",
)
CHINESE_CLOSING = Text(
    "The chart shows the cups sold of six drinks; latte (拿铁) leads with 243. The fonts are part of the image.",
    "图中是六种饮品的销量,拿铁以 243 杯居首。字体在沙盒镜像里。",
)

DOWNLOAD_OPENING = Text(
    "I write `<table>` into an Excel workbook with a chart on a sheet of its own, and a CSV beside it.",
    "我把 `<table>` 写入一个 Excel 工作簿(图表在单独的工作表上),并另存一份 CSV。",
)
DOWNLOAD_SAMPLE = Text(
    "There is no table in the workspace, so I make up the year of a small shop and write it into an Excel workbook "
    "with a chart, and a CSV beside it.",
    "工作区里没有表格,所以我用一家小店一年的虚构数据,写入带图表的 Excel 工作簿,并另存一份 CSV。",
)
DOWNLOAD_CLOSING = Text(
    "The files are ready:\n\n"
    f"- [demo_report.xlsx]({FILES}demo_report.xlsx): the data, and a chart on its second sheet\n"
    f"- [demo_report.csv]({FILES}demo_report.csv): the data alone",
    "文件已生成:\n\n"
    f"- [demo_report.xlsx]({FILES}demo_report.xlsx):数据,第二个工作表是图表\n"
    f"- [demo_report.csv]({FILES}demo_report.csv):仅数据",
)

_FAILED = {
    "error": Text(
        "The code failed, and my script knows no other way:\n\n```\n<error>\n```\n\nA real model would look for the "
        "cause now; I stop here.",
        "代码运行失败,我的脚本也没有别的办法:\n\n```\n<error>\n```\n\n真正的模型会继续查找原因,而我到此为止。",
    ),
    "timeout": Text(
        "The cell ran into its time limit and was stopped, so there is no result. A smaller table may do.",
        "代码超过了时间限制而被停止,所以没有结果。换一个小一点的表格也许可以。",
    ),
    "interrupted": Text(
        "The cell was interrupted, so there is no result. Ask again to run it anew.",
        "代码被中断,所以没有结果。再问一次即可重新运行。",
    ),
    "out_of_memory": Text(
        "The cell needed more memory than the sandbox has, so there is no result. A smaller table may do.",
        "代码所需内存超出了沙盒的上限,所以没有结果。换一个小一点的表格也许可以。",
    ),
    "sandbox_lost": Text(
        "The sandbox was lost while the cell ran. The files are kept; ask again to run it anew.",
        "代码运行时沙盒丢失了。文件都还在,再问一次即可重新运行。",
    ),
}
_UNKNOWN = Text(
    "The tool did not run my code. It said:\n\n```\n<error>\n```\n\nI stop here.",
    "工具没有运行我的代码,返回的信息是:\n\n```\n<error>\n```\n\n我到此为止。",
)


def error_line(result: Result) -> str:
    """Return the line that names the error: the last of the traceback, else the last of all."""
    text = _ANSI.sub("", result.text)
    lines: list[str] = (
        _ERROR_LINE.findall(text) or [line for line in text.splitlines() if line.strip()] or ["(nothing)"]
    )
    # It is put between backticks.
    return lines[-1].strip()[:_LONGEST_ERROR].replace("`", "'")


def failure(result: Result, language: Language) -> str:
    """Say honestly why there is no result."""
    return _FAILED.get(result.status, _UNKNOWN).put(language, error=error_line(result))
