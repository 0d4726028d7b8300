"""The cells that draw a chart and need no table."""

DAMPED_SINE = """\
import matplotlib.pyplot as plt
import numpy as np

amplitude, damping, frequency = 1.0, 0.35, 0.8
t = np.linspace(0, 10, 1500)
envelope = amplitude * np.exp(-damping * t)
y = envelope * np.sin(2 * np.pi * frequency * t)

figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
axes.fill_between(t, -envelope, envelope, color="tab:blue", alpha=0.08)
axes.plot(t, envelope, color="tab:orange", linestyle="--", linewidth=1.4, label=r"envelope $\\pm A\\,e^{-\\gamma t}$")
axes.plot(t, -envelope, color="tab:orange", linestyle="--", linewidth=1.4)
axes.plot(t, y, color="tab:blue", linewidth=2.2, label=r"$y(t) = A\\,e^{-\\gamma t}\\,\\sin(2\\pi f t)$")
axes.axhline(0, color="0.4", linewidth=0.8)
axes.set(title="A damped sine wave", xlabel="time t in s", ylabel="amplitude y(t)", xlim=(0, 10), ylim=(-1.1, 1.1))
axes.legend(loc="upper right", frameon=False, fontsize=11)
axes.grid(alpha=0.25)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

print(f"A = {amplitude}, gamma = {damping} 1/s, f = {frequency} Hz")
print(f"the amplitude halves every {np.log(2) / damping:.2f} s")
"""

CHINESE_BARS = """\
import matplotlib.pyplot as plt

# 示例数据: 一家咖啡店一周的销量
drinks = ["美式咖啡", "拿铁", "卡布奇诺", "摩卡", "抹茶拿铁", "柠檬茶"]
cups = [186, 243, 128, 97, 152, 119]
drinks, cups = zip(*sorted(zip(drinks, cups), key=lambda pair: -pair[1]))

with plt.rc_context({"font.family": ["DejaVu Sans", "Noto Sans CJK SC"]}):
    figure, axes = plt.subplots(figsize=(8.5, 4.8), layout="constrained")
    colours = plt.colormaps["viridis"]([0.25 + 0.1 * place for place in range(len(cups))])
    bars = axes.bar(drinks, cups, width=0.65, color=colours)
    axes.bar_label(bars, padding=3)
    axes.set_title("咖啡店一周各类饮品销量(示例数据)", fontsize=15, pad=14)
    axes.set_xlabel("饮品种类")
    axes.set_ylabel("销量(杯)")
    axes.set_ylim(0, max(cups) * 1.15)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    plt.show()

print(f"总销量: {sum(cups)} 杯, 最受欢迎: {drinks[0]} ({cups[0]} 杯)")
"""
