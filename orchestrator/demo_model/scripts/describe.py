"""The cell that describes a table."""

from orchestrator.demo_model.scripts.reading import reading

# Its printed lines are read again for the closing words: see `scenarios.py`.
_DESCRIBE = """
print(f"{len(table):,} rows x {table.shape[1]:,} columns")
print(f"missing values: {table.isna().sum().sum():,}")

columns = pd.DataFrame({"type": table.dtypes.astype(str), "missing": table.isna().sum(), "distinct": table.nunique()})
display(columns)
display(table.head())
table.describe().T.round(3)
"""


def describe(name: str | None) -> str:
    """Return the cell; without a name it describes a synthetic table."""
    return reading(name) + _DESCRIBE
