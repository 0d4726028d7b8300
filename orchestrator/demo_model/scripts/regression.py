"""The cells of the linear regression: a first try that is too simple for most files, and the careful one."""

from pathlib import PurePosixPath

from orchestrator.demo_model.scripts import literal
from orchestrator.demo_model.scripts.reading import reading

_FIRST_TRY = """\
import numpy as np

data = np.loadtxt({name}, delimiter={separator})
print(data.shape)
"""

# Its printed lines are read again for the closing words: see `scenarios.py`.
_FIT = """
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Only numbers that vary can be fitted; the last column of them is what the others shall predict.
numbers = table.select_dtypes("number").astype(float).replace([np.inf, -np.inf], np.nan)
numbers = numbers.loc[:, numbers.nunique() > 1]
left_out = [str(name) for name in table.columns if name not in numbers.columns]
if left_out:
    print("left out, for they hold no numbers or only one:", ", ".join(left_out[:8] + ["..."] * (len(left_out) > 8)))
if numbers.empty:
    raise ValueError("the table has no column of varying numbers, so there is nothing to fit")
if numbers.shape[1] == 1:
    print("only one column of numbers: the row's number is taken as the predictor")
    numbers.insert(0, "row number", np.arange(1, len(numbers) + 1))
target = numbers.columns[-1]
numbers = numbers.dropna(subset=[target])
features = numbers.drop(columns=target)
if features.isna().any(axis=None):
    print(f"missing values filled with their column's median: {features.isna().sum().sum():,}")
    features = features.fillna(features.median())
if len(numbers) < 3:
    raise ValueError(f"{len(numbers)} rows with a target are too few for a regression")
print(f"target: {target}")
print(f"features: {features.shape[1]}, rows: {len(numbers):,}")
if numbers[target].nunique() == 2:
    print("the target takes only 2 values")

X, y = features.to_numpy(), numbers[target].to_numpy()
tiny = 1e-9 * np.ptp(y)  # what is smaller is only what rounding left
model = make_pipeline(StandardScaler(), LinearRegression())

folds = KFold(n_splits=min(5, len(y)), shuffle=True, random_state=0)
for number, (train, test) in enumerate(folds.split(X), start=1):
    error = mean_absolute_error(y[test], model.fit(X[train], y[train]).predict(X[test]))
    print(f"fold {number}/{folds.n_splits}: mean absolute error {error if error > tiny else 0:.4g}", flush=True)
    time.sleep(0.2)

rows = np.arange(len(y))
if len(y) >= 10:
    train, test = train_test_split(rows, test_size=0.25, random_state=0)
    checked_on = f"{len(test)} rows kept aside"
else:
    train = test = rows
    checked_on = "the rows it was fitted to, for there are so few"
model.fit(X[train], y[train])
predicted = model.predict(X[test])
residual = y[test] - predicted
residual[np.abs(residual) < tiny] = 0
r2 = r2_score(y[test], predicted)
print(f"R² on {checked_on}: {r2:.3f}")

weights = np.where(np.abs(model[-1].coef_) < tiny, 0, model[-1].coef_)
print("strongest coefficients (per standard deviation):")
for place in np.argsort(-np.abs(weights), kind="stable")[:5]:
    print(f"  {features.columns[place]}: {weights[place]:+.4g}")

result = pd.DataFrame({"actual": y[test], "predicted": predicted, "residual": residual}, index=numbers.index[test])
result.sort_index().round(6).to_csv("predictions.csv", index_label="row")

label = str(target).replace("$", r"\\$")
shown = np.random.default_rng(0).permutation(len(test))[:3000]
# A target of a few values would hide its points behind each other: they are moved a little to the sides.
spread = 0.03 * np.ptp(y) if len(np.unique(y)) <= 10 < len(y) else 0
moved = y[test] + np.random.default_rng(0).uniform(-spread, spread, len(test))
low, high = min(y[test].min(), predicted.min()), max(y[test].max(), predicted.max())

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=[1.15, 1])
left.plot([low, high], [low, high], color="0.35", linestyle="--", linewidth=1.2, label="perfect prediction")
left.scatter(moved[shown], predicted[shown], s=26, alpha=0.65, color="tab:blue", edgecolor="white", linewidth=0.5)
left.set(title=f"Predicted against actual (R² = {r2:.3f})")
left.set(xlabel=f"actual {label}" + (" (spread a little)" if spread else ""), ylabel=f"predicted {label}")
left.legend(loc="upper left", frameon=False)
right.hist(residual, bins=min(30, max(5, len(residual) // 5)), color="tab:orange", alpha=0.85, edgecolor="white")
right.axvline(0, color="0.35", linestyle="--", linewidth=1.2)
right.set(title="Residuals", xlabel=f"actual - predicted {label}", ylabel="number of rows")
right.yaxis.get_major_locator().set_params(integer=True)
for axes in (left, right):
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
figure.suptitle(f"Linear regression of {label}", fontsize=14)
figure.savefig("regression.png")
plt.show()
"""


def first_try(name: str) -> str | None:
    """Return the cell that reads the file as bare numbers, or None for a format where nobody would try that."""
    separators = {".csv": '","', ".tsv": '"\\t"', ".txt": '","'}
    separator = separators.get(PurePosixPath(name).suffix.lower())
    return separator and _FIRST_TRY.format(name=literal(name), separator=separator)


def regression(name: str | None) -> str:
    """Return the careful cell; without a name it works on a synthetic table."""
    return reading(name) + _FIT
