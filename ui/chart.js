// Runs in the frame of a chart: draws the figure, which comes as data. A width holds only where there is room for it.
const { data, layout, frames } = JSON.parse(document.getElementById('output').textContent);
const chart = document.createElement('div');
document.body.append(chart);
const width = layout.width <= root.clientWidth ? layout.width : undefined;
// What it saves would be a download, which this frame may not start.
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['toImage'] };
const DARK = { gridcolor: '#334155', linecolor: '#334155', zerolinecolor: '#475569' };
// A figure's own words go before those of its template, so a colour that somebody chose stays.
const template = () => {
  if (!root.classList.contains('dark')) return layout.template;
  const of = typeof layout.template === 'object' && layout.template || {};
  const was = of.layout ?? {};
  const dark = {
    paper_bgcolor: '#0f172a', plot_bgcolor: '#0f172a', font: { ...was.font, color: '#e2e8f0' },
    xaxis: { ...was.xaxis, ...DARK }, yaxis: { ...was.yaxis, ...DARK },
    legend: { ...was.legend, bgcolor: 'rgba(0,0,0,0)' },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: '#94a3b8', activecolor: '#e2e8f0' },
  };
  return { ...of, layout: { ...was, ...dark } };
};
const draw = () => {
  const figure = { data, layout: { ...layout, template: template(), width, autosize: true }, frames, config };
  Promise.resolve().then(() => Plotly.newPlot(chart, figure)).catch((error) => {
    chart.replaceChildren();
    note(`${root.dataset.broken} (${String(error?.message ?? error).slice(0, 200)})`);
  });
};
addEventListener('hashchange', draw);
draw();
