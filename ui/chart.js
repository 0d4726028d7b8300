// Runs in the frame of a chart: draws the figure, which comes as data. A width holds only where there is room for it.
const { data, layout, frames } = JSON.parse(document.getElementById('output').textContent);
const chart = document.createElement('div');
document.body.append(chart);
const width = layout.width <= root.clientWidth ? layout.width : undefined;
// What it saves would be a download, which this frame may not start.
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['toImage'] };
const figure = { data, layout: { ...layout, width, autosize: true }, frames, config };
Promise.resolve().then(() => Plotly.newPlot(chart, figure)).catch((error) => {
  chart.replaceChildren();
  note(`${root.dataset.broken} (${String(error?.message ?? error).slice(0, 200)})`);
});
