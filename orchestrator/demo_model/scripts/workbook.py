"""The cell that writes files to download: an Excel workbook with a chart, and a CSV."""

from orchestrator.demo_model.scripts.reading import reading

_SAMPLE = """\
import pandas as pd

# No table was uploaded, so here is a made-up one: a year of a small shop.
table = pd.DataFrame(
    {
        "month": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        "revenue": [8200, 7900, 9100, 9600, 10400, 11200, 10900, 10100, 11800, 12300, 13900, 16200],
        "costs": [6100, 6000, 6400, 6700, 7000, 7300, 7200, 6900, 7500, 7700, 8300, 9100],
    }
)
table["profit"] = table["revenue"] - table["costs"]
"""

_WRITE = """
ROWS = 100_000  # more than anybody scrolls through, and less than a sheet can hold

data = table.head(ROWS).copy()
for name in data.columns:
    # Excel knows no time zones.
    if isinstance(data[name].dtype, pd.DatetimeTZDtype):
        data[name] = data[name].dt.tz_localize(None)
data.to_csv("demo_report.csv", index=False)

# A text that begins with "=" stays a text: what somebody uploaded shall not become a formula.
options = {"options": {"strings_to_formulas": False, "strings_to_urls": False}}
with pd.ExcelWriter("demo_report.xlsx", engine="xlsxwriter", engine_kwargs=options) as writer:
    data.to_excel(writer, sheet_name="Data", index=False)
    book, sheet = writer.book, writer.sheets["Data"]
    heading = book.add_format({"bold": True, "bg_color": "#DCE6F1", "bottom": 1})
    for column, name in enumerate(data.columns):
        sheet.write(0, column, str(name), heading)
        longest = data[name].head(200).astype(str).str.len().max() if len(data) else 0
        sheet.set_column(column, column, min(40, max(len(str(name)), int(longest)) + 3))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(data), data.shape[1] - 1)
    chart_sheet = book.add_worksheet("Chart")
CHART
print(f"demo_report.xlsx: {len(data):,} rows, {data.shape[1]:,} columns, {CHARTED}")
print(f"demo_report.csv: {len(data):,} rows")
data.head()
"""

_SAMPLE_CHART = """\
    chart = book.add_chart({"type": "column"})
    for column, colour in ((1, "#4472C4"), (2, "#ED7D31"), (3, "#70AD47")):
        chart.add_series(
            {
                "name": ["Data", 0, column],
                "categories": ["Data", 1, 0, len(data), 0],
                "values": ["Data", 1, column, len(data), column],
                "fill": {"color": colour},
            }
        )
    chart.set_title({"name": "Revenue, costs and profit by month (sample data)"})
    chart.set_x_axis({"name": "month"})
    chart.set_y_axis({"name": "amount", "num_format": "#,##0", "major_gridlines": {"visible": True}})
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 860, "height": 440})
    chart_sheet.insert_chart("A1", chart)
"""

# What a table holds is not known here, but a histogram suits any column of numbers, and any column of words has
# its most frequent ones.
_TABLE_CHART = """\
    numbers = data.select_dtypes("number").dropna(axis="columns", how="all")
    if numbers.shape[1]:
        charted = numbers.columns[-1]
        bins = pd.cut(numbers[charted].astype(float), bins=12, include_lowest=True, precision=3)
        counts = bins.value_counts(sort=False)
    else:
        charted = data.columns[0]
        counts = data[charted].astype(str).value_counts().head(12)
    chart_sheet.write_row(0, 0, [str(charted), "rows"], heading)
    chart_sheet.write_column(1, 0, [str(each) for each in counts.index])
    chart_sheet.write_column(1, 1, [int(count) for count in counts])
    chart_sheet.set_column(0, 0, 24)
    chart = book.add_chart({"type": "column"})
    chart.add_series(
        {
            "name": "rows",
            "categories": ["Chart", 1, 0, len(counts), 0],
            "values": ["Chart", 1, 1, len(counts), 1],
            "fill": {"color": "#4472C4"},
            "gap": 30,
        }
    )
    chart.set_title({"name": f"Distribution of {charted}"})
    chart.set_x_axis({"name": str(charted)})
    chart.set_y_axis({"name": "number of rows"})
    chart.set_legend({"none": True})
    chart.set_size({"width": 860, "height": 440})
    chart_sheet.insert_chart("D2", chart)
"""


def workbook(name: str | None) -> str:
    """Return the cell; without a name it writes made-up data."""
    if name is None:
        return _SAMPLE + _fill(_SAMPLE_CHART, "a chart of revenue, costs and profit")
    return reading(name) + _fill(_TABLE_CHART, "a chart of {charted}")


def _fill(chart: str, charted: str) -> str:
    return _WRITE.replace("CHART\n", chart, 1).replace("{CHARTED}", charted)
